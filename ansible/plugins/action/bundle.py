"""Packs a bundle, verifies one, or copies one of its members to the host."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible import constants as C
from ansible.plugins.action import ActionBase

# Ansible finds module_utils for modules only; an action plugin shares them as a plain package.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from module_utils.actions import act
from module_utils.bundle_file import BundleError, extract, pack, verify


class ActionModule(ActionBase):
    """See the module's DOCUMENTATION for the arguments."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do what the arguments say; all but the copying happens on the controller."""
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        file = Path(os.path.abspath(os.path.expanduser(str(arguments["file"]))))
        try:
            if "directory" in arguments:
                result.update(changed=True, manifest=pack(Path(arguments["directory"]), file, arguments["images"]))
            elif "member" in arguments:
                result.update(self._copy(file, arguments["member"], arguments["dest"], task_vars))
            else:
                result.update(changed=False, manifest=verify(file))
        except BundleError as error:
            raise AnsibleActionFail(str(error)) from error
        return result

    def _copy(self, file: Path, member: str, dest: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Copy one member to the path `dest` on the host; return what `copy` says."""
        with tempfile.TemporaryDirectory(dir=C.DEFAULT_LOCAL_TMP) as directory:
            source = Path(directory, "member")
            extract(file, member, source)
            arguments = {"src": str(source), "dest": dest, "mode": "0600"}
            return act(self, "ansible.legacy.copy", arguments, task_vars)
