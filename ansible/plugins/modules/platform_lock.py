#!/usr/bin/python
"""Ansible module: gives back the lock that preflight has taken."""

from __future__ import annotations

import contextlib
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.platform_lock import lock_path

DOCUMENTATION = """
module: platform_lock
short_description: Give back the lock that preflight has taken
options:
  name: {description: The platform's name., type: str, required: true}
attributes:
  check_mode: {support: full, details: [a dry run takes no lock and gives none back]}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Let the next provision begin
  platform_lock:
    name: mlflow
"""

RETURN = """# """


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    if not module.check_mode:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock_path(module.params["name"]))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
