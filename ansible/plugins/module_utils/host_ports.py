"""Who listens on which TCP port of this host, from /proc alone."""

from __future__ import annotations

import os

LISTEN = "0A"


def listening_inodes() -> dict[str, int]:
    """Return the port of every listening TCP socket, by the socket's inode."""
    found: dict[str, int] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):
            continue
        with open(table, encoding="ascii") as stream:
            for line in stream.readlines()[1:]:
                columns = line.split()
                if columns[3] == LISTEN:
                    found[columns[9]] = int(columns[1].rsplit(":", 1)[1], 16)
    return found


def listeners() -> dict[str, str]:
    """Return `name (process N)` for every listening TCP port; `another process` where it may not be seen."""
    inodes = listening_inodes()
    owners = {str(port): "another process" for port in inodes.values()}
    for process in filter(str.isdigit, os.listdir("/proc")):
        directory = f"/proc/{process}/fd"
        try:
            for descriptor in os.listdir(directory):
                target = os.readlink(f"{directory}/{descriptor}")
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    with open(f"/proc/{process}/comm", encoding="utf-8") as stream:
                        owners[str(inodes[target[8:-1]])] = f"{stream.read().strip()} (process {process})"
        except OSError:
            continue  # it has ended, or belongs to somebody else
    return owners
