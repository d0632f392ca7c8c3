"""One command at a time changes a platform: a lock file on the host that says who holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import stat
import time
from typing import Any, TextIO

STALE_AFTER = 2 * 3600  # seconds; a controller that cannot be asked is believed dead after this
PATIENCE = 10  # seconds for whoever has the file itself, which takes milliseconds
MACHINE = ("boot_id", "hostname", "pid_namespace")
IDENTITY = (*MACHINE, "pid", "start")


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


def machine() -> dict[str, str]:
    """Return what tells this machine from others; containers share a boot identifier, but not their processes."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as stream:
        boot_id = stream.read().strip()
    return {"boot_id": boot_id, "hostname": platform.node(), "pid_namespace": os.readlink("/proc/self/ns/pid")}


def owner_of(pid: int, user: str) -> dict[str, Any]:
    """Return the owner that process `pid` of this machine is, for `take` and `give_back`."""
    return {**machine(), "pid": pid, "start": process_start(pid), "user": user}


def same(one: dict[str, Any], other: dict[str, Any], keys: tuple[str, ...] = IDENTITY) -> bool:
    """Return whether two owners are the same process (or, with MACHINE, on the same machine)."""
    return all(one.get(key) == other.get(key) for key in keys)


def has_died(holder: dict[str, Any]) -> bool:
    """Return whether the holder was a process of this machine and has ended; False for those of other machines."""
    return same(holder, machine(), MACHINE) and process_start(holder["pid"]) != holder["start"]


def describe(holder: dict[str, Any]) -> str:
    """Return a sentence that names the holder and since when it holds the lock."""
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(holder["since"]))
    who = f"{holder.get('user')} on {holder.get('hostname')}"
    return f"Another command is at work on this platform: {who} (process {holder['pid']}) since {since}"


def look(path: str, owner: dict[str, Any] | None = None, dead: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Return the live holder of the lock, or None if it is free, stale or `owner`'s.

    Args:
        path: the lock file.
        owner: who asks.
        dead: a holder of whom the controller knows that it has ended.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        with _opened(path) as stream:
            return _in_the_way(stream, owner or {}, dead or {})
    except FileNotFoundError:
        return None


def take(path: str, owner: dict[str, Any], dead: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Take the lock and return None, or return its live holder; arguments are those of `look`.

    Raises:
        OSError: the file cannot be used, or somebody else does not let go of it.
    """
    while True:
        with _made(path) as stream:
            _have(stream)
            if not _is_at(path, stream):
                continue  # its holder has given it back meanwhile
            holder = _in_the_way(stream, owner, dead or {})
            if holder is None:
                stream.seek(0)
                stream.truncate()
                json.dump({**owner, "since": time.time()}, stream)
            return holder


def give_back(path: str, owner: dict[str, Any]) -> bool:
    """Remove the lock and return True; if it is held by somebody other than `owner`, or nobody, return False.

    Raises:
        OSError: as in `take`.
    """
    with contextlib.suppress(FileNotFoundError), _opened(path) as stream:
        _have(stream)
        if _is_at(path, stream) and same(_read(stream) or owner, owner):
            os.unlink(path)
            return True
    return False


def _opened(path: str) -> TextIO:
    """Open the lock file; never through a link, or a pipe to wait at, that somebody put into a public directory.

    Raises:
        OSError: it is not there, or no regular file.
    """
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "r+", encoding="utf-8")
    os.close(handle)
    raise OSError(errno.EINVAL, "no regular file is there, which is nobody's lock; remove it", path)


def _made(path: str) -> TextIO:
    """Open the lock file, made if need be."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return _opened(path)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _have(stream: TextIO) -> None:
    """Have the open file to ourselves; in a public directory anybody could hold it for ever.

    Raises:
        TimeoutError: somebody else does.
    """
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if time.monotonic() > end:
            raise TimeoutError(errno.ETIMEDOUT, f"another process has held it for {PATIENCE} s (fuser names it)")
        time.sleep(0.05)


def _is_at(path: str, stream: TextIO) -> bool:
    """Return whether the open file is still the one at `path`."""
    with contextlib.suppress(FileNotFoundError):
        return os.stat(path).st_ino == os.fstat(stream.fileno()).st_ino
    return False


def _read(stream: TextIO) -> dict[str, Any] | None:
    """Return the holder that the file names, or None if it names none."""
    try:
        holder = json.load(stream)
        return {**holder, "pid": int(holder["pid"]), "start": holder["start"], "since": float(holder["since"])}
    except (ValueError, KeyError, TypeError):
        return None


def _in_the_way(stream: TextIO, owner: dict[str, Any], dead: dict[str, Any]) -> dict[str, Any] | None:
    """Return the holder if `owner` must not take the lock from it."""
    holder = _read(stream)
    if holder is None or same(holder, owner) or same(holder, dead) or has_died(holder):
        return None
    seen_from_its_machine = same(holder, machine(), MACHINE) or same(holder, owner, MACHINE)
    if not seen_from_its_machine and time.time() - holder["since"] > STALE_AFTER:
        return None
    return holder
