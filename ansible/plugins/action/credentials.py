"""Reads the credentials file on the controller, fills its blanks, and returns the values."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible.plugins.action import ActionBase

# Ansible finds module_utils for modules only; an action plugin shares them as a plain package.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from module_utils.host_files import write

# For each key: how long a generated value is, and the lengths its service accepts.
KEYS: dict[str, tuple[int, int, int]] = {
    "postgres_password": (40, 8, 128),
    "mlflow_database_password": (40, 8, 128),
    "minio_root_user": (20, 3, 20),
    "minio_root_password": (40, 8, 40),
    "mlflow_s3_access_key": (20, 3, 20),
    "mlflow_s3_secret_key": (40, 8, 40),
    "mlflow_admin_password": (24, 12, 128),
    "mlflow_jobs_password": (24, 12, 128),
    "mlflow_secret_key": (40, 16, 128),
}
# Beside them every user of MLflow has a key user_<name>.
USER = "user_"
USER_LENGTHS = (24, 12, 128)
# These lock no data: the platform of an earlier version, which has none of them, gets them.
LATER = ("mlflow_admin_password", "mlflow_jobs_password", "mlflow_secret_key")
# Files hold them between quotes; MLflow's reader would put a variable in the place of ${...}.
UNLIKE_TEXT = re.compile(r"[\r\n'\"\\]|\$\{")
BLANK = r"[ \t]*:(?:[ \t]+(?:''|\"\"|null|~))?(?P<rest>[ \t]*(?:[ \t]#.*)?)$"
HEADER = "# Generated once; a value you write here stays. Without this file the data cannot be opened: keep a copy.\n"


def parse(text: str, path: str) -> dict[str, str]:
    """Return the credentials in `text`.

    Raises:
        AnsibleActionFail: it is not a flat mapping of them; the message names line or key, `path`, and the fix.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "somewhere"
        raise AnsibleActionFail(
            f"{path} is not YAML ({where}). Correct it, or restore the file from its copy."
        ) from None
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise AnsibleActionFail(f"{path}, line 1: not `key: value` lines. Restore the file from its copy.")
    unknown = sorted(str(key) for key in set(values) - set(KEYS) if not str(key).startswith(USER))
    if unknown:
        raise AnsibleActionFail(
            f"{path} has unknown keys: {', '.join(unknown)}. Known are: {', '.join(KEYS)}, {USER}NAME."
        )
    wrong = sorted(key for key, value in values.items() if value is not None and not isinstance(value, str))
    if wrong:
        raise AnsibleActionFail(f"{path}: the values of {', '.join(wrong)} are not text. Put them in quotes.")
    return {key: value for key, value in values.items() if value}


def lengths(key: str) -> tuple[int, int, int]:
    """Return how long a generated value of `key` is, and the lengths its service accepts."""
    return USER_LENGTHS if key.startswith(USER) else KEYS[key]


def check_lengths(values: dict[str, str], path: str) -> None:
    """Raise AnsibleActionFail naming every value that its service would refuse."""
    findings = []
    for key, value in values.items():
        _, least, most = lengths(key)
        if not least <= len(value) <= most:
            findings.append(f"{key} has {len(value)} characters, allowed are {least} to {most}")
    unlike = [key for key, value in values.items() if UNLIKE_TEXT.search(value)]
    findings += [f"{key} holds a line break, a quote, a backslash or ${{" for key in unlike]
    if findings:
        raise AnsibleActionFail(f"{path} (or the site's variables): {'; '.join(findings)}.")


def generate(key: str) -> str:
    """Return a random value for `key`: letters and digits, a letter first, so that YAML cannot take it for a number."""
    alphabet = string.ascii_letters + string.digits
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(alphabet) for _ in range(lengths(key)[0] - 1))


def fill(text: str, missing: dict[str, str]) -> str:
    """Return `text` with the values in `missing` added; blanks are filled where they stand, the rest is left alone."""
    for key, value in missing.items():
        line = f"{key}: {value}"
        text, found = re.subn(f"(?m)^{re.escape(key)}{BLANK}", rf"{line}\g<rest>", text)
        if not found:
            text = f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"
    return text


def is_filled(text: str, values: dict[str, str]) -> bool:
    """Return whether `text` reads as `values`: what has been filled in is read again before it is kept."""
    with contextlib.suppress(AnsibleActionFail):
        return parse(text, "") == values
    return False


@contextlib.contextmanager
def one_at_a_time(path: str) -> Iterator[None]:
    """Keep others from filling `path` meanwhile: every host of a play, and every play, asks for the same file."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def save(path: str, text: str) -> None:
    """Replace `path` by `text` at once, readable by its owner only, who stays the same.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    kept = os.stat(path) if os.geteuid() == 0 and os.path.exists(path) else None
    owner, group = (kept.st_uid, kept.st_gid) if kept else (os.geteuid(), os.getegid())
    write(path, text.encode(), 0o600, owner, group)


class ActionModule(ActionBase):
    """See the module's DOCUMENTATION for the arguments."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `values` (every key), `generated` (the new keys), `changed` if the file was or would be written."""
        result = super().run(tmp, task_vars)
        if not self._task.args.get("file"):
            raise AnsibleActionFail("credentials needs the argument file")
        path = os.path.realpath(self._loader.path_dwim(str(self._task.args["file"])))
        generates = boolean(self._task.args.get("generate", True))
        guard = one_at_a_time(path) if generates and not self._task.check_mode else contextlib.nullcontext()
        try:
            with guard:
                values, generated = self._complete(path, generates)
        except AnsibleActionFail as error:
            # Returned, not raised: a task that hides its result can register the reason and say it.
            return {**result, "failed": True, "msg": str(error)}
        except OSError as error:
            reason = f"{path} cannot be used: {error.strerror}. Make it yours and make room."
            return {**result, "failed": True, "msg": reason}
        result.update(changed=bool(generated), values=values, generated=sorted(generated))
        return result

    def _complete(self, path: str, generates: bool) -> tuple[dict[str, str], dict[str, str]]:
        """Return all values, and those of them that are new and have been stored (in a dry run: would be)."""
        site = {
            key: str(value) for key, value in (self._task.args.get("site") or {}).items() if value not in (None, "")
        }
        users = {USER + str(user["name"]): user.get("password") for user in self._task.args.get("users") or []}
        site |= {key: str(password) for key, password in users.items() if password}
        text, vaulted = self._read(path)
        stored = parse(text, path)
        missing = [key for key in [*KEYS, *users] if key not in stored and key not in site]
        blank: dict[str, str] = {}
        if not generates:
            blank = {key: "" for key in missing if key in LATER or key in users}
            missing = [key for key in missing if key not in blank]
        if missing and vaulted:
            raise AnsibleActionFail(
                f"{path} is vaulted and lacks {', '.join(missing)}. It is never rewritten:"
                f" add them with `ansible-vault edit {path}`."
            )
        if missing and not generates:
            raise AnsibleActionFail(
                f"{path} lacks {', '.join(missing)}. Bring the file back from its copy."
                if os.path.exists(path)
                else f"There is no {path}, so nothing is provisioned yet: make provision."
                " If the platform is there, bring the file back from its copy."
            )
        locks = [key for key in missing if key not in LATER and key not in users]
        if locks and boolean(self._task.args.get("volumes_exist", False)):
            raise AnsibleActionFail(
                f"The platform's data volumes exist on this host, but {path} lacks {', '.join(locks)}. New values"
                " would lock the data out, so nothing is generated. Bring the file back from its copy;"
                " or remove the data as well: make destroy DATA=delete."
            )
        generated = {key: generate(key) for key in missing}
        check_lengths({**stored, **generated, **site}, path)
        if generated:
            filled = fill(text or HEADER, generated)
            if not is_filled(filled, {**stored, **generated}):
                raise AnsibleActionFail(f"{path} cannot be added to. Write one `key: value` a line.")
            if not self._task.check_mode:
                save(path, filled)
        return {**blank, **stored, **generated, **site}, generated

    def _read(self, path: str) -> tuple[str, bool]:
        """Return the file's text, decrypted, and whether it was vaulted; empty text if there is no file."""
        try:
            mode = os.stat(path).st_mode & 0o777
            if mode & 0o077:
                raise AnsibleActionFail(f"{path} can be read by others (mode {mode:04o}). Fix it: chmod 600 {path}")
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
        except FileNotFoundError:
            return "", False
        except (OSError, UnicodeDecodeError) as error:
            raise AnsibleActionFail(f"{path} cannot be read: {error}. Restore the file from its copy.") from error
        if not text.startswith("$ANSIBLE_VAULT"):
            return text, False
        try:
            return str(self._loader.get_text_file_contents(path)), True
        except AnsibleError as error:
            raise AnsibleActionFail(
                f"{path} is vaulted and cannot be opened: {error}"
                " Add ARGS=--ask-vault-pass or ARGS='--vault-password-file FILE'."
            ) from error
