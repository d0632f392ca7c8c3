"""Looks at the host through the module `preflight`, adds what only the controller knows, and fails once with all findings."""

from __future__ import annotations

import getpass
import os
import platform
import sys
import textwrap
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Ansible finds module_utils for modules only; an action plugin shares them as a plain package.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from module_utils.platform_lock import boot_id, process_start
from module_utils.preflight_findings import about_choices, about_host, about_variables

CHOICES = ("platform_name", "ports", "min_disk_gb", "min_memory_mb", "exposure", "image_source", "images")
PASSED_ON = ("platform_name", "platform_dir", "volumes")


class ActionModule(ActionBase):
    """Arguments: those of the module, and ports, min_disk_gb, min_memory_mb, exposure, image_source, images, known, renamed."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `host`, or fail with every finding."""
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        choices = {name: arguments[name] for name in CHOICES}
        findings = about_variables(self._given(task_vars or {}), list(arguments["known"]), dict(arguments["renamed"]))
        findings += about_choices(choices)
        module_arguments = {name: arguments[name] for name in PASSED_ON} | {"lock_owner": self._owner()}
        seen = self._execute_module(module_name="preflight", module_args=module_arguments, task_vars=task_vars)
        result.update(seen)
        if "host" in seen:
            findings += about_host(seen["host"], choices)
        elif not findings:
            return result
        if findings:
            wrapped = [textwrap.fill(text, 76, initial_indent=" - ", subsequent_indent="   ") for text in findings]
            result.pop("host", None)
            result.update(failed=True, msg="\n".join([f"{len(findings)} finding(s); nothing was changed:", *wrapped]))
        return result

    def _given(self, task_vars: dict[str, Any]) -> set[str]:
        """Return the names of the variables that inventory and command line set for this host."""
        own = {name for name in task_vars if not name.startswith(("_", "ansible_"))}
        from_roles = {"role_path", "role_name", "role_names"} | set(self._task.args)
        return own - from_roles - {"groups", "group_names", "hostvars", "inventory_dir", "inventory_file", "vars", "omit", "environment"}

    @staticmethod
    def _owner() -> dict[str, Any]:
        """Return who takes the lock: the ansible-playbook process that started this worker."""
        pid = os.getppid()
        who = f"{getpass.getuser()} on {platform.node()}"
        return {"boot_id": boot_id(), "pid": pid, "start": process_start(pid), "who": who}
