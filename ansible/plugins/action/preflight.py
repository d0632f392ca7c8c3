"""Looks at the host through the module `preflight`, adds what only the controller knows, names all findings at once."""

from __future__ import annotations

import datetime
import getpass
import json
import os
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible.plugins.action import ActionBase

# Ansible finds module_utils for modules only; an action plugin shares them as a plain package.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from module_utils.actions import act
from module_utils.certificate_findings import about_given
from module_utils.image_findings import about_images
from module_utils.placement_findings import about_clock, about_moves, about_placement
from module_utils.platform_lock import has_died, owner_of
from module_utils.preflight_findings import (
    about_access,
    about_choices,
    about_host,
    about_lock,
    about_users,
    about_variables,
)
from module_utils.value_findings import about_values

CHOICES = (
    *("platform_name", "platform_dir", "ports", "min_disk_gb", "min_memory_mb", "exposure"),
    *("image_source", "image_origin", "images", "placement"),
)
MAGIC = {"groups", "group_names", "hostvars", "inventory_dir", "inventory_file", "vars", "omit", "environment"}
PASSED_ON = ("platform_name", "platform_dir", "services", "volumes")


def wrap(finding: str) -> str:
    """Return a finding as an item of a list, at most 76 columns wide; paths and commands are not broken."""
    return textwrap.fill(
        finding, 76, initial_indent=" - ", subsequent_indent="   ", break_long_words=False, break_on_hyphens=False
    )


def user() -> str:
    """Return the name of the user who runs Ansible, or its number where the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def recorded_placement(path: str) -> dict[str, str]:
    """Return which host had which group at the last provision, as the connection file says; nothing without one.

    Raises:
        AnsibleActionFail: the file cannot be read.
    """
    try:
        return dict(json.loads(Path(path).read_text(encoding="utf-8")).get("placement") or {})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise AnsibleActionFail(
            f"{path} cannot be read ({error}). Remove it; this provision writes it anew."
        ) from error


class ActionModule(ActionBase):
    """See the module's DOCUMENTATION for the arguments."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `host`, or fail with every finding; without `judge`, only look, and with `hold` take the lock."""
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        judge = boolean(arguments.get("judge", True))
        absent = [name for name in (*PASSED_ON, *(CHOICES if judge else ())) if name not in arguments]
        if absent:
            raise AnsibleActionFail(f"preflight needs the arguments {', '.join(absent)}")
        if not judge:
            hold = boolean(arguments.get("hold", False))
            result.update(self._look(owner_of(os.getppid(), user()) if hold else None, task_vars))
            lock = result.get("host", {}).get("lock", {})
            if hold and lock.get("holder"):
                result.update(failed=True, msg=wrap(about_lock(lock)).removeprefix(" - "))
                del result["host"]
            return result
        choices = {name: arguments[name] for name in CHOICES}
        known, renamed = list(arguments.get("known") or []), dict(arguments.get("renamed") or {})
        findings = about_variables(self._given(task_vars or {}), known, renamed)
        findings += about_choices(choices) + about_images(choices) + about_placement(choices["placement"])
        findings += about_users(list(arguments.get("users") or [])) + self._about_certificate()
        findings += about_values(dict(arguments["values"])) if arguments.get("values") else []
        seen = self._look(owner_of(os.getppid(), user()), task_vars)
        result.update(seen)
        if "host" in seen:
            findings += about_host(seen["host"], choices) + about_clock(seen["host"]["time"], time.time())
            recorded = recorded_placement(str(choices["placement"]["recorded"]))
            findings += about_moves(choices["placement"], recorded, arguments["volumes"], seen["host"]["volumes"])
        elif findings:
            findings.append(f"The host could not be looked at: {seen.get('msg')}")
        if findings:
            self._give_back(result.pop("host", None), task_vars)
            wrapped = [wrap(finding) for finding in findings]
            result.update(failed=True, msg="\n".join([f"{len(findings)} finding(s); nothing was changed:", *wrapped]))
        return result

    def _about_certificate(self) -> list[str]:
        """Return findings about a certificate of the site's own, whose files are on the controller."""
        given = {kind: str(path) for kind, path in (self._task.args.get("certificate") or {}).items()}
        given = {kind: os.path.realpath(os.path.expanduser(path)) if path else "" for kind, path in given.items()}
        names = [str(name) for name in self._task.args.get("names") or []]
        return about_given(given, names, datetime.datetime.now(datetime.UTC)) if given else []

    def _look(self, owner: dict[str, Any] | None, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Return the module's result; a lock whose holder has died on this controller is taken over."""
        module_arguments = {name: self._task.args[name] for name in PASSED_ON} | {"lock_owner": owner}
        seen = self._reach(module_arguments, task_vars)
        held_by = seen.get("host", {}).get("lock", {}).get("held_by")
        if held_by and has_died(held_by):
            module_arguments["lock_dead"] = held_by
            seen = self._reach(module_arguments, task_vars)
        return seen

    def _reach(self, module_arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Run the module; what keeps it from running on a host that answers is said with its fix where one is known."""
        try:
            seen = self._execute_module(module_name="preflight", module_args=module_arguments, task_vars=task_vars)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:  # such as a password that sudo misses or refuses
            seen = {"failed": True, "msg": str(error)}
        met = "\n".join(str(seen.get(name, "")) for name in ("msg", "module_stderr", "module_stdout"))
        finding = about_access(met) if seen.get("failed") else None
        if finding:
            seen = {"failed": True, "msg": finding}
        return seen

    def _give_back(self, host: dict[str, Any] | None, task_vars: dict[str, Any] | None) -> None:
        """Give back the lock that was taken: what preflight refuses does not keep others waiting."""
        if host and not host["lock"]["holder"]:
            held = {"owner": host["lock"]["owner"], "python": host["python"]}
            act(self, "platform_lock", {"name": self._task.args["platform_name"], **held}, task_vars)

    def _given(self, task_vars: dict[str, Any]) -> set[str]:
        """Return the names of the variables that inventory and command line set for this host."""
        own = {name for name in task_vars if not name.startswith(("_", "ansible_"))}
        return own - MAGIC - set(self._task.args)
