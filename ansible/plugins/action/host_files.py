"""Renders templates on the controller and hands all files of a host to the module `host_files` in one run."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.template import trust_as_template

from ansible.plugins.action import ActionBase


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
        result.update(self._execute_module(module_name="host_files", module_args=arguments, task_vars=task_vars))
        return result

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
