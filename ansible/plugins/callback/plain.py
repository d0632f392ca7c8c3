"""Callback plugin: prints what debug tasks say and nothing else, so that a shell or a program can read it."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: plain
type: stdout
short_description: Print the messages of debug tasks, bare
description:
  - Messages of ansible.builtin.debug go to standard output as they are, anything that is not text as JSON.
  - Failed and unreachable hosts go to standard error as C(host: message).
"""

DEBUG = ("debug", "ansible.builtin.debug", "ansible.legacy.debug")


def reason(result: dict[str, Any]) -> str:
    """Return why a task failed; what `no_log` hides stays hidden."""
    said = result.get("censored") or result.get("msg") or "it failed and did not say why"
    trace = result.get("stderr") or result.get("module_stderr") or ""
    return "\n".join(text.rstrip() for text in (str(said), str(trace)) if text.strip())


class CallbackModule(CallbackBase):
    """Ansible's entry to the callback."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "plain"

    def v2_runner_on_ok(self, result: Any) -> None:
        """Print a debug task's message; those of a loop have been printed item by item."""
        if result.task.action in DEBUG and "msg" in result.result and "results" not in result.result:
            message = result.result["msg"]
            text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, default=str)
            self._display.display(text.removesuffix("\n"))

    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Print one message of a debug task that loops."""
        self.v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Say which host failed and why; those of a loop have been named item by item."""
        if not ignore_errors and "results" not in result.result:
            self._complain(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Say which host failed at an item, and why."""
        if not result.task.ignore_errors:
            self._complain(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Say which host cannot be reached."""
        self._complain(result)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Say that the play had nobody to talk to."""
        self._display.display("no host matches; check the inventory and LIMIT", stderr=True)

    def _complain(self, result: Any) -> None:
        """Print `host: message` to standard error."""
        self._display.display(f"{result.host.get_name()}: {reason(result.result)}", stderr=True)
