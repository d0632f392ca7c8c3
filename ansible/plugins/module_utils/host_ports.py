"""Who listens on which TCP port of this host, from /proc alone."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

LISTEN = "0A"


def address(text: str) -> str:
    """Return the address that /proc/net/tcp or tcp6 writes as hexadecimal words in the host's byte order."""
    packed = b"".join(struct.pack("=I", int(text[start : start + 8], 16)) for start in range(0, len(text), 8))
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed).removeprefix("::ffff:")


def listening() -> dict[str, dict[str, Any]]:
    """Return `port` and `address` of every listening TCP socket, by the socket's inode."""
    found: dict[str, dict[str, Any]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as stream:
            for line in stream.readlines()[1:]:
                columns = line.split()
                if columns[3] == LISTEN:
                    where, port = columns[1].rsplit(":", 1)
                    found[columns[9]] = {"port": int(port, 16), "address": address(where), "owner": "another process"}
    return found


def listeners() -> list[dict[str, Any]]:
    """Return port, address and owner of all listening sockets; `another process` where the owner may not be seen."""
    found = listening()
    for process in filter(str.isdigit, os.listdir("/proc")):
        directory = f"/proc/{process}/fd"
        try:
            for descriptor in os.listdir(directory):
                target = os.readlink(f"{directory}/{descriptor}")
                if target.startswith("socket:[") and target[8:-1] in found:
                    with open(f"/proc/{process}/comm", encoding="utf-8") as stream:
                        found[target[8:-1]]["owner"] = f"{stream.read().strip()} (process {process})"
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return sorted(found.values(), key=lambda entry: (entry["port"], entry["address"]))
