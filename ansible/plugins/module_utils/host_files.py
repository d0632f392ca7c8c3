"""Writes, makes and removes the files of a host, for the module `host_files` and for what writes on the controller."""

from __future__ import annotations

import base64
import errno
import os
import pwd
import re
import tempfile
from typing import Any

Diff = dict[str, str]


def attributes_differ(path: str, mode: int, owner: int, group: int) -> bool:
    """Return whether mode, owner or group of `path` are other than given."""
    now = os.stat(path)
    return (now.st_mode & 0o7777, now.st_uid, now.st_gid) != (mode, owner, group)


def write(path: str, content: bytes, mode: int, owner: int, group: int) -> None:
    """Replace `path` by `content` at once: whoever reads it meets the old file or the new one, never half of one."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fchown(stream.fileno(), owner, group)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def heading(path: str, mode: int, owner: int, group: int) -> str:
    """Return how a diff names a file: its path, mode, owner and group."""
    return f"{path} (mode {mode:04o}, owner {owner}:{group})"


def heading_now(path: str) -> str:
    """Return the heading of `path` as it is now."""
    if not os.path.exists(path):
        return f"{path} (absent)"
    now = os.stat(path)
    return heading(path, now.st_mode & 0o7777, now.st_uid, now.st_gid)


def ensure_directory(entry: dict[str, Any], check: bool) -> Diff | None:
    """Make one directory; return what changed, or None.

    Raises:
        OSError: it cannot be made.
    """
    path, wanted = entry["path"], (int(entry["mode"], 8), entry["owner"], entry["group"])
    exists = os.path.isdir(path)
    if exists and not attributes_differ(path, *wanted):
        return None
    before = heading_now(path)
    if not check:
        os.makedirs(path, exist_ok=True)
        os.chown(path, *wanted[1:])
        os.chmod(path, wanted[0])
    return {"before": f"{before}\n", "after": f"{heading(path, *wanted)}\n"}


def ensure_file(entry: dict[str, Any], check: bool) -> Diff | None:
    """Write one file; return what changed, or None.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    path, wanted = entry["dest"], (int(entry["mode"], 8), entry["owner"], entry["group"])
    content = base64.b64decode(entry["content"])
    before = b""
    if os.path.exists(path):
        with open(path, "rb") as stream:
            before = stream.read()
        if before == content and not attributes_differ(path, *wanted):
            return None
    headings = {"before_header": heading_now(path), "after_header": heading(path, *wanted)}
    if not check:
        write(path, content, *wanted)
    if entry["secret"]:
        return {**headings, "before": "", "after": "content is secret and has changed\n"}
    return {**headings, "before": before.decode(errors="replace"), "after": content.decode(errors="replace")}


def ensure_absent(entry: dict[str, Any], check: bool) -> Diff | None:
    """Remove one file, or a directory that is empty; return what changed, or None.

    Raises:
        OSError: it cannot be removed.
    """
    path = entry["path"]
    directory = os.path.isdir(path) and not os.path.islink(path)
    if not os.path.lexists(path) or (directory and os.listdir(path)):
        return None
    before = heading_now(path)
    if not check:
        (os.rmdir if directory else os.unlink)(path)
    return {"before": f"{before}\n", "after": f"{path} (absent)\n"}


def whoever() -> str:
    """Return the name of the user this runs as, or its number where the system has no name for it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def advice(code: int | None, here: bool = False) -> str:
    """Return what to do about an error of the operating system, on a host or `here`, on the controller."""
    if code in (errno.ENOSPC, errno.EDQUOT):
        return " There is no space left: free some and run again."
    if code in (errno.EPERM, errno.EACCES) and here:
        return f" On the controller it and its directory must be {whoever()}'s: make them so with chown."
    if code in (errno.EPERM, errno.EACCES):
        return " Run as root or with sudo (ARGS=--ask-become-pass)."
    return ""


def specification() -> dict[str, Any]:
    """Return the arguments; contents are no_log, so that no error message carries them."""
    common: dict[str, Any] = {"owner": {"type": "int"}, "group": {"type": "int"}}
    directory = {"path": {"type": "path", "required": True}, "mode": {"type": "str", "default": "0755"}, **common}
    file = {
        "dest": {"type": "path", "required": True},
        "content": {"type": "str", "required": True, "no_log": True},
        "mode": {"type": "str", "default": "0644"},
        "secret": {"type": "bool", "default": False, "no_log": False},
        **common,
    }
    return {
        "directories": {"type": "list", "elements": "dict", "default": [], "options": directory},
        "files": {"type": "list", "elements": "dict", "default": [], "options": file},
        "remove": {"type": "list", "elements": "path", "default": []},
    }


def complete(entry: dict[str, Any], key: str) -> None:
    """Fill in owner and group of an entry.

    Raises:
        ValueError: its mode is not four octal digits in quotes.
    """
    if not re.fullmatch(r"[0-7]{4}", entry["mode"]):
        raise ValueError(f'The mode of {entry[key]} is {entry["mode"]}. Write four octal digits in quotes: "0644".')
    if entry["group"] is None:
        entry["group"] = os.getegid() if entry["owner"] is None else entry["owner"]
    if entry["owner"] is None:
        entry["owner"] = os.geteuid()


def bring_about(given: dict[str, Any], check: bool, here: bool = False) -> dict[str, Any]:
    """Make, write and remove what `given` says, as `specification` has it; in a dry run only look.

    Args:
        given: directories, files and remove.
        check: whether this is a dry run.
        here: whether the files are the controller's.

    Returns:
        changed, changed_files and diff; where something could not be done failed and msg, which names the fix.
    """
    changed: list[str] = []
    diffs: list[Diff] = []
    try:
        for kind, key in (("directories", "path"), ("files", "dest")):
            for entry in given[kind]:
                complete(entry, key)
    except ValueError as error:
        return {"failed": True, "msg": str(error)}
    work = [(ensure_directory, entry, entry["path"]) for entry in given["directories"]]
    work += [(ensure_file, entry, entry["dest"]) for entry in given["files"]]
    work += [(ensure_absent, {"path": path}, path) for path in given["remove"]]
    for ensure, entry, path in work:
        try:
            difference = ensure(entry, check)
        except OSError as error:
            message = f"Cannot change {path}: {error.strerror}.{advice(error.errno, here)}"
            return {"failed": True, "msg": message, "changed": bool(changed), "changed_files": changed}
        if difference:
            changed.append(path)
            diffs.append(difference)
    return {"changed": bool(changed), "changed_files": changed, "diff": diffs}
