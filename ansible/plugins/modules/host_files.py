#!/usr/bin/python
"""Ansible module: writes all files of a host in one run."""

from __future__ import annotations

import base64
import errno
import os
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: host_files
short_description: Write all files of a host in one module run
description:
  - Renders templates on the controller and writes every file and directory atomically, in the order given.
  - A module run costs more than the files do, so a host's files travel together.
options:
  root:
    description: Directory on the controller that a relative I(src) starts from.
    type: path
  directories:
    description: Directories to make first.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: The directory., type: path, required: true}
      mode: {description: Its mode., type: str, default: "0755"}
      owner: {description: Its owner's uid., type: int, default: 0}
      group: {description: Its group's gid; the owner's when absent., type: int}
  files:
    description: Files to write.
    type: list
    elements: dict
    default: []
    suboptions:
      dest: {description: The file on the host., type: path, required: true}
      src: {description: Template or file on the controller., type: path}
      template: {description: Whether I(src) is rendered., type: bool, default: true}
      content: {description: The content itself., type: str}
      mode: {description: Its mode., type: str, default: "0644"}
      owner: {description: Its owner's uid., type: int, default: 0}
      group: {description: Its group's gid; the owner's when absent., type: int}
      secret: {description: Whether its content is kept out of diffs., type: bool, default: false}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Write the gateway's files
  host_files:
    directories:
      - {path: /opt/mlflow/gateway, mode: "0755"}
    files:
      - {src: /repository/compose/gateway/nginx.conf, dest: /opt/mlflow/gateway/nginx.conf}
"""

RETURN = """
changed_files:
  description: Paths of the files and directories that were or would be changed.
  returned: always
  type: list
  elements: str
"""

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


def ensure_directory(entry: dict[str, Any], check: bool) -> Diff | None:
    """Make one directory; return what changed, or None."""
    path, mode, owner, group = entry["path"], int(entry["mode"], 8), entry["owner"], entry["group"]
    exists = os.path.isdir(path)
    if exists and not attributes_differ(path, mode, owner, group):
        return None
    if not check:
        os.makedirs(path, exist_ok=True)
        os.chown(path, owner, group)
        os.chmod(path, mode)
    return {"before_header": path, "before": "present\n" if exists else "absent\n", "after": f"present, {entry['mode']}\n"}


def ensure_file(entry: dict[str, Any], check: bool) -> Diff | None:
    """Write one file; return what changed, or None."""
    path, mode, owner, group = entry["dest"], int(entry["mode"], 8), entry["owner"], entry["group"]
    content = base64.b64decode(entry["content"])
    before: bytes | None = None
    if os.path.exists(path):
        with open(path, "rb") as stream:
            before = stream.read()
        if before == content and not attributes_differ(path, mode, owner, group):
            return None
    if not check:
        write(path, content, mode, owner, group)
    if entry["secret"]:
        return {"before_header": path, "before": "", "after": "content is secret and has changed\n"}
    return {
        "before_header": path,
        "after_header": path,
        "before": (before or b"").decode(errors="replace"),
        "after": content.decode(errors="replace"),
    }


def main() -> None:
    """Run the module."""
    common: dict[str, Any] = {"owner": {"type": "int", "default": 0}, "group": {"type": "int"}}
    directory = {"path": {"type": "path", "required": True}, "mode": {"type": "str", "default": "0755"}, **common}
    file = {
        "dest": {"type": "path", "required": True},
        "content": {"type": "str", "required": True, "no_log": False},
        "mode": {"type": "str", "default": "0644"},
        "secret": {"type": "bool", "default": False, "no_log": False},
        **common,
    }
    module = AnsibleModule(
        argument_spec={
            "directories": {"type": "list", "elements": "dict", "default": [], "options": directory},
            "files": {"type": "list", "elements": "dict", "default": [], "options": file},
        },
        supports_check_mode=True,
    )
    changed: list[str] = []
    diffs: list[Diff] = []
    for ensure, kind, key in ((ensure_directory, "directories", "path"), (ensure_file, "files", "dest")):
        for entry in module.params[kind]:
            entry["group"] = entry["owner"] if entry["group"] is None else entry["group"]
            try:
                difference = ensure(entry, module.check_mode)
            except OSError as error:
                hint = " Free some space and run again." if error.errno == errno.ENOSPC else ""
                module.fail_json(msg=f"Cannot write {entry[key]}: {error.strerror}.{hint}", changed_files=changed)
            if difference:
                changed.append(entry[key])
                diffs.append(difference)
    # What was sent is not sent back: secrets are among it.
    module.params.clear()
    module.exit_json(changed=bool(changed), changed_files=changed, diff=diffs)


if __name__ == "__main__":
    main()
