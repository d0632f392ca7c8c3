#!/usr/bin/python
"""Ansible module: takes the platform's lock, or gives it back."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.platform_lock import describe, give_back, lock_path, look, take

DOCUMENTATION = """
module: platform_lock
short_description: Take a platform's lock on its host, or give it back
description:
  - One provision at a time. The module preflight takes the lock; this one gives it back at the end, good or bad.
  - A lock whose process on the same machine has ended is taken over; one of another machine after two hours.
options:
  name:
    description: The platform's name.
    type: str
    required: true
  state:
    description: Whether the lock is held afterwards.
    type: str
    choices: [present, absent]
    default: absent
  owner:
    description:
      - Who holds it, as C(host.lock.owner) of the module preflight. Needed to take it.
      - Given, a lock that somebody else holds by now is left alone.
    type: dict
attributes:
  check_mode: {support: full, details: [a dry run takes no lock and gives none back]}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Let the next provision begin
  platform_lock:
    name: mlflow
    owner: "{{ __preflight.host.lock.owner }}"
"""

RETURN = """
path:
  description: The lock file.
  returned: always
  type: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "absent"},
            "owner": {"type": "dict"},
        },
        required_if=[("state", "present", ["owner"])],
        supports_check_mode=True,
    )
    path, owner = lock_path(module.params["name"]), module.params["owner"]
    try:
        if module.params["state"] == "present":
            holder = look(path, owner) if module.check_mode else take(path, owner)
            if holder:
                module.fail_json(msg=f"{describe(holder)}. Wait for it; if it is dead, remove {path}.", path=path)
        elif not module.check_mode:
            give_back(path, owner)
    except OSError as error:
        module.fail_json(msg=f"The lock {path} cannot be used: {error.strerror}. Remove it, or run as root.", path=path)
    module.exit_json(changed=False, path=path)


if __name__ == "__main__":
    main()
