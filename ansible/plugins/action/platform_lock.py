"""Gives back the platform's lock: the host's Python runs `module_utils/platform_lock.py`, quicker than any module."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

SOURCE = Path(__file__).resolve().parents[1] / "module_utils/platform_lock.py"


class ActionModule(ActionBase):
    """See the module's DOCUMENTATION for the arguments."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Give it back, unless this is a dry run, which has taken none; return nothing."""
        result = super().run(tmp, task_vars)
        absent = [name for name in ("name", "owner", "python") if not self._task.args.get(name)]
        if absent:
            raise AnsibleActionFail(f"platform_lock needs the arguments {', '.join(absent)}")
        if self._task.check_mode:
            return result
        name, owner, python = (self._task.args[name] for name in ("name", "owner", "python"))
        call = f"give_back(lock_path({str(name)!r}), json.loads({json.dumps(dict(owner))!r}))"
        program = f"{SOURCE.read_text(encoding='utf-8')}\n\n{call}\n"
        done = self._low_level_execute_command(f"{shlex.quote(str(python))} -", in_data=program.encode())
        if done["rc"]:
            reason = (done["stderr"].strip() or done["stdout"].strip() or f"exit status {done['rc']}").splitlines()[-1]
            raise AnsibleActionFail(
                f"The lock of platform {name} cannot be given back: {reason}. Remove its file, platform-{name}.lock in"
                " /run/lock or /tmp, or run as root."
            )
        return result
