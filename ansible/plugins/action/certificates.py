"""Looks at a host's certificate and at the platform's CA on the controller, and says what has to be made and why."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

# Ansible finds module_utils for modules only; an action plugin shares them as a plain package.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from module_utils.certificate_findings import about_ca, about_own, alternative_names


class ActionModule(ActionBase):
    """See the module's DOCUMENTATION for the arguments."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `files`, `ca_reason`, `reason` and `alternative_names`; nothing is written."""
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        absent = [name for name in ("directory", "host", "names") if not arguments.get(name)]
        if absent:
            raise AnsibleActionFail(f"certificates needs the arguments {', '.join(absent)}")
        now = datetime.datetime.now(datetime.UTC)
        directory = os.path.realpath(os.path.expanduser(arguments["directory"]))
        stem = f"{directory}/tls/{arguments['host']}"
        files = {"ca": f"{directory}/ca.crt", "ca_key": f"{directory}/ca.key"}
        files |= {"certificate": f"{stem}.crt", "private_key": f"{stem}.key"}
        ca_reason = about_ca(files, now)
        reason = "the CA is another one now" if ca_reason else about_own(files, arguments["names"], now)
        request = alternative_names(arguments["names"])
        result.update(changed=False, files=files, ca_reason=ca_reason, reason=reason, alternative_names=request)
        return result
