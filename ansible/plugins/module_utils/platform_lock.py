"""One provision at a time: a lock file on the host that says who holds it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

STALE_AFTER = 2 * 3600  # seconds; a controller that cannot be asked is believed dead after this


def lock_path(name: str) -> str:
    """Return the lock file of the platform `name`; on a tmpfs where there is one, so that a reboot clears it."""
    directory = "/run/lock" if os.path.isdir("/run/lock") else "/tmp"
    return os.path.join(directory, f"platform-{name}.lock")


def process_start(pid: int) -> str | None:
    """Return when process `pid` of this machine started (clock ticks since boot), or None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
            return stream.read().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def boot_id() -> str:
    """Return this machine's boot identifier."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as stream:
        return stream.read().strip()


def held_by_other(path: str, owner: dict[str, Any]) -> str | None:
    """Return a sentence that names the live holder of the lock, or None if it is free, stale or ours.

    Args:
        path: the lock file.
        owner: who asks: `boot_id`, `pid`, `start` and `who` of the ansible-playbook process.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            holder = json.load(stream)
    except (OSError, ValueError):
        return None
    if all(holder.get(key) == owner[key] for key in ("boot_id", "pid", "start")):
        return None
    if holder.get("boot_id") == boot_id():
        if process_start(int(holder["pid"])) != holder.get("start"):
            return None
    elif time.time() - float(holder.get("since", 0)) > STALE_AFTER:
        return None
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(float(holder["since"])))
    return f"another provision of this platform is running: {holder['who']} (process {holder['pid']}) since {since}"


def take(path: str, owner: dict[str, Any]) -> str | None:
    """Take the lock; return None, or a sentence that names who holds it."""
    content = json.dumps({**owner, "since": time.time()})
    for _ in range(2):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            holder = held_by_other(path, owner)
            if holder:
                return holder
            os.unlink(path)
            continue
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        return None
    return "another provision of this platform has just begun"
