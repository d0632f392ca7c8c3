#!/usr/bin/python
"""Ansible module: looks at a host, all at once, and takes the platform's lock."""

from __future__ import annotations

import grp
import os
import pwd
import sys
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.host_engine import EngineError, look_at_engine
from ansible.module_utils.host_ports import listeners
from ansible.module_utils.host_system import (
    apt_mirror,
    free_gb,
    memory_mb,
    os_release,
    unread_certificates,
)
from ansible.module_utils.platform_lock import describe, lock_path, look, take

DOCUMENTATION = """
module: preflight
short_description: Look at a host and at the site's choices, and name all findings at once
description:
  - The module looks at the host; the action plugin of the same name adds what only the controller knows, and judges.
options:
  platform_name: {description: The platform's name., type: str, required: true}
  platform_dir: {description: Its directory., type: path, required: true}
  services: {description: Its services on this host., type: list, elements: str, required: true}
  volumes: {description: Its volumes by service., type: dict, required: true}
  lock_owner: {description: Who takes the lock (action plugin); without it the lock is looked at., type: dict}
  lock_dead: {description: A holder of the lock that has ended on its controller (action plugin)., type: dict}
  ports: {description: Ports to be published, as name, port and address (action plugin)., type: list, elements: dict}
  min_disk_gb: {description: Free disk a first provision needs (action plugin)., type: float}
  min_memory_mb: {description: Memory the host needs (action plugin)., type: int}
  exposure: {description: Who may reach the platform; loopback or network (action plugin)., type: str}
  certificate:
    description: The site's own files, as certificate, private_key and ca, empty where there are none (action plugin).
    type: dict
  names: {description: What a certificate of the site has to be for (action plugin)., type: list, elements: str}
  image_source: {description: Where images come from; build, registry or archive (action plugin)., type: str}
  image_origin: {description: Registry, user, has_password, ca, digests and bundle (action plugin)., type: dict}
  images: {description: Image references that a site may set, by variable name (action plugin)., type: dict}
  placement: {description: Host, address, exposure, groups and the file that records them (action plugin)., type: dict}
  values: {description: Single values that a service would refuse late, by variable (action plugin)., type: dict}
  users: {description: Who may log in to MLflow (action plugin)., type: list, elements: dict}
  judge: {description: Whether to look for findings and take the lock (action plugin)., type: bool, default: true}
  hold: {description: Whether to take the lock although nothing is judged (action plugin)., type: bool, default: false}
  known: {description: Every variable a site may set (action plugin)., type: list, elements: str}
  renamed: {description: Variables that had another name once - old name, new name (action plugin)., type: dict}
attributes:
  check_mode: {support: full, details: [a dry run looks at the lock and does not take it]}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Look at the host
  preflight:
    platform_name: mlflow
    platform_dir: /opt/mlflow
    services: [postgres, minio, mlflow, gateway]
    volumes: {postgres: mlflow-postgres, minio: mlflow-minio}
"""

RETURN = """
host:
  description: >-
    What was seen - lock (path, owner, holder, held_by), python (its path), os (id, version, codename, name), time,
    cores, memory_mb, disk (free GB by path), service_mgr, euid, login (user, uses_docker), apt, apt_mirror,
    unread_certificates (services), provisioned (whether it has Compose files), ports (port, address, owner), docker
    (installed, working, error, server_version, compose_version, root), images, volumes, minio_written_by, containers
    (name, service, project, platform, config_hash, image, image_id, state, status, health, ports, applied), namesakes,
    other_ports, absent (services without a container), all_running, all_healthy, applied (whether the containers are
    what the Compose files say, no more and no less).
  returned: when there are no findings
  type: dict
"""


def lock(module: AnsibleModule) -> dict[str, Any]:
    """Take the lock, or in a dry run look at it; return path, owner, holder (a sentence or None) and held_by."""
    path = lock_path(module.params["platform_name"])
    owner, dead = module.params["lock_owner"], module.params["lock_dead"]
    try:
        held_by = look(path, owner, dead) if module.check_mode or not owner else take(path, owner, dead)
    except OSError as error:
        return {"path": path, "owner": owner, "holder": f"The lock cannot be used: {error}", "held_by": None}
    return {"path": path, "owner": owner, "holder": describe(held_by) if held_by else None, "held_by": held_by}


def login() -> dict[str, Any]:
    """Return who logged in on this host, before sudo, and whether that user may use the engine without it."""
    name = os.environ.get("SUDO_USER") or ("root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    members = next((group.gr_mem for group in grp.getgrall() if group.gr_name == "docker"), [])
    return {"user": name, "uses_docker": name == "root" or name in members}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "platform_name": {"type": "str", "required": True},
            "platform_dir": {"type": "path", "required": True},
            "services": {"type": "list", "elements": "str", "required": True},
            "volumes": {"type": "dict", "required": True},
            "lock_owner": {"type": "dict"},
            "lock_dead": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    parameters: dict[str, Any] = module.params
    system = os_release()
    with open("/proc/1/comm", encoding="utf-8") as stream:
        first_process = stream.read().strip()
    try:
        engine = look_at_engine(
            *(parameters[name] for name in ("platform_name", "platform_dir", "services", "volumes"))
        )
    except EngineError as error:
        module.fail_json(msg=f"The host's engine works, but does not answer. {error}. Run again when it is less busy.")
    host = {
        "lock": lock(module),
        "python": sys.executable,
        "os": system,
        "cores": os.cpu_count() or 1,
        "memory_mb": memory_mb(),
        "disk": free_gb(parameters["platform_dir"], engine["docker"]["root"]),
        "service_mgr": first_process,
        "euid": os.geteuid(),
        "login": login(),
        "apt": os.path.exists("/usr/bin/apt-get"),
        "apt_mirror": apt_mirror(name=system["id"]),
        "unread_certificates": unread_certificates(parameters["platform_dir"]),
        "provisioned": os.path.exists(os.path.join(parameters["platform_dir"], "compose.yml")),
        "ports": listeners(),
        **engine,
        "time": time.time(),
    }
    module.exit_json(changed=False, host=host)


if __name__ == "__main__":
    main()
