"""Lets tests import the project's module_utils as Ansible's modules do."""

from pathlib import Path

import ansible.module_utils

ansible.module_utils.__path__.append(str(Path(__file__).parents[2] / "ansible/plugins/module_utils"))
