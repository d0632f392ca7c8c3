#!/usr/bin/python
"""Ansible module: looks at a host, all at once, and takes the platform's lock."""

from __future__ import annotations

import os
import platform
import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.host_engine import look_at_engine
from ansible.module_utils.host_ports import listeners
from ansible.module_utils.platform_lock import held_by_other, lock_path, take

DOCUMENTATION = """
module: preflight
short_description: Look at a host and at the site's choices, and name all findings at once
description:
  - The module looks at the host; the action plugin of the same name adds what only the controller knows, and judges.
options:
  platform_name: {description: The platform's name., type: str, required: true}
  platform_dir: {description: Its directory., type: path, required: true}
  volumes: {description: Its volumes by service., type: dict, required: true}
  lock_owner: {description: Who takes the lock (set by the action plugin)., type: dict, required: true}
attributes:
  check_mode: {support: full, details: [a dry run looks at the lock and does not take it]}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Look at the host
  preflight:
    platform_name: mlflow
    platform_dir: /opt/mlflow
    volumes: {postgres: mlflow-postgres, minio: mlflow-minio}
"""

RETURN = """
host:
  description: What was seen - os, python, cores, memory_mb, disk, ports, docker, images, volumes, containers.
  returned: always
  type: dict
"""


def os_release() -> dict[str, str]:
    """Return id, version and codename of the host's system."""
    values: dict[str, str] = {}
    with open("/etc/os-release", encoding="utf-8") as stream:
        for line in stream:
            key, _, value = line.strip().partition("=")
            values[key] = value.strip('"')
    return {
        "id": values.get("ID", "unknown"),
        "version": values.get("VERSION_ID", "0"),
        "codename": values.get("VERSION_CODENAME", ""),
        "name": values.get("PRETTY_NAME", "unknown"),
    }


def memory_mb() -> int:
    """Return the host's memory in MiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1048576


def free_gb(path: str) -> float:
    """Return the free space in GB where `path` is, or would be made."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return round(shutil.disk_usage(path).free / 1e9, 1)


def debian_mirror() -> str | None:
    """Return the address of the Debian archive that this host uses, from its own package sources."""
    directory = "/etc/apt/sources.list.d"
    files = [os.path.join(directory, name) for name in sorted(os.listdir(directory))] if os.path.isdir(directory) else []
    for name in [*files, "/etc/apt/sources.list"]:
        if not os.path.isfile(name) or os.path.basename(name).startswith("platform-"):
            continue
        with open(name, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                words = line.split()
                if words[:1] in (["URIs:"], ["deb"]):
                    found = next((word for word in words[1:] if word.startswith("http") and "/debian" in word), None)
                    if found and "security" not in found:
                        return found.rstrip("/")
    return None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "platform_name": {"type": "str", "required": True},
            "platform_dir": {"type": "path", "required": True},
            "volumes": {"type": "dict", "required": True},
            "lock_owner": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    parameters: dict[str, Any] = module.params
    path = lock_path(parameters["platform_name"])
    asked = held_by_other if module.check_mode else take
    with open("/proc/1/comm", encoding="utf-8") as stream:
        first_process = stream.read().strip()
    engine = look_at_engine(parameters["platform_name"], parameters["volumes"])
    host = {
        "lock": {"path": path, "holder": asked(path, parameters["lock_owner"])},
        "os": os_release(),
        "python": platform.python_version(),
        "cores": os.cpu_count() or 1,
        "memory_mb": memory_mb(),
        "disk": {where: free_gb(where) for where in (parameters["platform_dir"], engine["docker"]["root"])},
        "service_mgr": first_process,
        "euid": os.geteuid(),
        "apt": os.path.exists("/usr/bin/apt-get"),
        "apt_mirror": debian_mirror(),
        "ports": listeners(),
        **engine,
    }
    module.exit_json(changed=False, host=host)


if __name__ == "__main__":
    main()
