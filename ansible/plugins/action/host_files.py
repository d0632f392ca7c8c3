"""Renders templates on the controller and hands all files of a host to the module `host_files` in one run."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.template import trust_as_template

from ansible.plugins.action import ActionBase

# Ansible finds module_utils for modules only; an action plugin shares them as a plain package.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from module_utils.host_files import bring_about, specification


class ActionModule(ActionBase):
    """See the module's DOCUMENTATION for the arguments."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, send, and return what the module says."""
        result = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        root = arguments.pop("root", None) or self._loader.get_basedir()
        entries = arguments.get("files") or []
        if not isinstance(entries, list):
            raise AnsibleActionFail(f"host_files: files must be a list, not {type(entries).__name__}")
        arguments["files"] = [self._ready(entry, root, task_vars or {}) for entry in entries]
        here = boolean(arguments.pop("here", False))
        result.update(self._write_here(arguments) if here else self._send(arguments, task_vars))
        return result

    def _send(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Have the module write on the host, and return what it says."""
        return dict(self._execute_module(module_name="host_files", module_args=arguments, task_vars=task_vars))

    def _write_here(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do on the controller, at once, what the module would do on a host."""
        validated = ArgumentSpecValidator(specification()).validate(arguments)
        if validated.error_messages:
            raise AnsibleActionFail(f"host_files: {'; '.join(validated.error_messages)}")
        given = validated.validated_parameters
        for entry, key in [(one, "path") for one in given["directories"]] + [(one, "dest") for one in given["files"]]:
            entry[key] = self._loader.path_dwim(entry[key])
        given["remove"] = [self._loader.path_dwim(path) for path in given["remove"]]
        return bring_about(given, self._task.check_mode, here=True)

    def _ready(self, entry: dict[str, Any], root: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return `entry` with its content rendered and encoded, as the module takes it."""
        entry = dict(entry)
        source, content = entry.pop("src", None), entry.pop("content", None)
        template = boolean(entry.pop("template", True))
        if (source is None) == (content is None):
            raise AnsibleActionFail(f"host_files: {entry.get('dest')} needs either src or content")
        if isinstance(content, dict | list):
            raise AnsibleActionFail(
                f"host_files: the content of {entry.get('dest')} is data, not text. Add a filter: | to_nice_json"
            )
        data = str(content).encode()
        if source is not None:
            path = source if os.path.isabs(source) else os.path.join(root, source)
            try:
                data = Path(path).read_bytes()
                if template:
                    data = self._render(data.decode(), path, root, task_vars).encode()
            except OSError as error:
                raise AnsibleActionFail(f"host_files: cannot read {path}: {error.strerror}") from error
            except UnicodeDecodeError as error:
                raise AnsibleActionFail(
                    f"host_files: {path} is not UTF-8. Correct it, or set template: false."
                ) from error
        entry["content"] = base64.b64encode(data).decode()
        return entry

    def _render(self, text: str, path: str, root: str, task_vars: dict[str, Any]) -> str:
        """Return `text` rendered as ansible.builtin.template would, with includes found from `root`."""
        templar = self._templar.copy_with_new_env(
            searchpath=[root, os.path.dirname(path)], available_variables=task_vars
        )
        overrides = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
        try:
            rendered = templar.template(trust_as_template(text), escape_backslashes=False, overrides=overrides)
        except AnsibleError as error:
            raise AnsibleActionFail(f"host_files: cannot render {path}: {error}") from error
        return "" if rendered is None else str(rendered)
