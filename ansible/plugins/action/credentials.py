"""Reads the credentials file on the controller, fills its blanks, and returns the values."""

from __future__ import annotations

import os
import re
import secrets
import string
import tempfile
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

# For each key: how long a generated value is, and the lengths its service accepts.
KEYS: dict[str, tuple[int, int, int]] = {
    "postgres_password": (40, 8, 128),
    "mlflow_database_password": (40, 8, 128),
    "minio_root_user": (20, 3, 20),
    "minio_root_password": (40, 8, 40),
    "mlflow_s3_access_key": (20, 3, 20),
    "mlflow_s3_secret_key": (40, 8, 40),
}
HEADER = "# Generated once; a value you write here stays. Without this file the data cannot be opened: keep a copy.\n"


def parse(text: str, path: str) -> dict[str, str]:
    """Return the credentials in `text`; raise AnsibleActionFail naming `path` and the fix if it is not a flat mapping of them."""
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        raise AnsibleActionFail(f"{path} is not YAML ({where}). Correct it, or restore the file from its copy.") from None
    if not isinstance(values, dict):
        raise AnsibleActionFail(f"{path} is not a list of `key: value` lines. Restore the file from its copy.")
    unknown = sorted(set(values) - set(KEYS))
    if unknown:
        raise AnsibleActionFail(f"{path} has unknown keys: {', '.join(map(str, unknown))}. Known are: {', '.join(KEYS)}.")
    wrong = sorted(key for key, value in values.items() if value is not None and not isinstance(value, str))
    if wrong:
        raise AnsibleActionFail(f"{path}: the values of {', '.join(wrong)} are not text. Put them in quotes.")
    return {key: value for key, value in values.items() if value}


def check_lengths(values: dict[str, str], path: str) -> None:
    """Raise AnsibleActionFail naming every value that its service would refuse."""
    findings = [
        f"{key} has {len(values[key])} characters, allowed are {least} to {most}"
        for key, (_, least, most) in KEYS.items()
        if key in values and not least <= len(values[key]) <= most
    ]
    findings += [f"{key} holds a line break or a quote" for key, value in values.items() if re.search(r"[\r\n'\"\\]", value)]
    if findings:
        raise AnsibleActionFail(f"{path} (or the site's variables): {'; '.join(findings)}.")


def generate(key: str) -> str:
    """Return a random value for `key`, letters and digits only."""
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(KEYS[key][0]))


def fill(text: str, missing: dict[str, str]) -> str:
    """Return `text` with the values in `missing` added; blanks are replaced where they stand, the rest is left alone."""
    for key, value in missing.items():
        line = f"{key}: {value}"
        text, found = re.subn(rf"(?m)^{key}:[ \t]*(?:''|\"\"|null|~)?[ \t]*(?:#.*)?$", line, text)
        if not found:
            text = f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"
    return text


def save(path: str, text: str) -> None:
    """Replace `path` by `text` at once, readable by its owner only."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


class ActionModule(ActionBase):
    """Arguments: file (path), volumes_exist (bool), site (values the site gives; empty ones are not given)."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `values` (every key), and `changed` if the file was or would be written."""
        result = super().run(tmp, task_vars)
        path = os.path.normpath(str(self._task.args["file"]))
        site = {key: str(value) for key, value in (self._task.args.get("site") or {}).items() if value}
        text, vaulted = self._read(path)
        stored = parse(text, path)
        missing = [key for key in KEYS if key not in stored and key not in site]
        if missing and vaulted:
            raise AnsibleActionFail(
                f"{path} is vaulted and lacks {', '.join(missing)}. It is never rewritten: add them with `ansible-vault edit {path}`."
            )
        if missing and self._task.args.get("volumes_exist"):
            raise AnsibleActionFail(
                f"The platform's data volumes exist on this host, but {path} lacks {', '.join(missing)}. New values would lock the"
                " data out, so nothing is generated. Bring the file back from its copy;"
                " or remove the data as well: make destroy DATA=delete."
            )
        generated = {key: generate(key) for key in missing}
        values = {**stored, **generated, **site}
        check_lengths(values, path)
        if generated and not self._task.check_mode:
            save(path, fill(text or HEADER, generated))
        result.update(changed=bool(generated), values=values, generated=missing)
        return result

    def _read(self, path: str) -> tuple[str, bool]:
        """Return the file's text, decrypted, and whether it was vaulted; empty text if there is no file."""
        try:
            mode = os.stat(path).st_mode & 0o777
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
        except FileNotFoundError:
            return "", False
        except (OSError, UnicodeDecodeError) as error:
            raise AnsibleActionFail(f"{path} cannot be read: {error}. Restore the file from its copy.") from error
        if mode & 0o077:
            raise AnsibleActionFail(f"{path} can be read by others (mode {mode:04o}). Fix it: chmod 600 {path}")
        if not text.startswith("$ANSIBLE_VAULT"):
            return text, False
        try:
            from ansible.parsing.vault import VaultLib

            vault = getattr(self._loader, "_vault", None) or VaultLib()
            return vault.decrypt(text.encode()).decode(), True
        except AnsibleError as error:
            raise AnsibleActionFail(f"{path} is vaulted and cannot be opened: {error}. Add ARGS=--ask-vault-pass.") from error
