#!/usr/bin/python
"""Ansible module: writes all files of a host in one run."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.host_files import bring_about, specification

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
      owner: {description: Its owner's uid; by default whoever the task runs as., type: int}
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
      owner: {description: Its owner's uid; by default whoever the task runs as., type: int}
      group: {description: Its group's gid; the owner's when absent., type: int}
      secret: {description: Whether its content is kept out of diffs., type: bool, default: false}
  remove:
    description: Files to remove, and directories unless they hold anything else.
    type: list
    elements: path
    default: []
  here:
    description: Whether the files are the controller's. They are then written by Ansible itself, as whoever runs it.
    type: bool
    default: false
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
  description: Paths of the files and directories that were or would be changed or removed.
  returned: always
  type: list
  elements: str
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=specification(), supports_check_mode=True)
    given = dict(module.params)
    # What was sent is not sent back: secrets are among it.
    module.params.clear()
    done = bring_about(given, module.check_mode)
    (module.fail_json if done.get("failed") else module.exit_json)(**done)


if __name__ == "__main__":
    main()
