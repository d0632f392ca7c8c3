"""The action `credentials`: one file on the controller, whose blanks are filled and nothing else."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import results, run

LENGTHS = {
    "postgres_password": 40,
    "mlflow_database_password": 40,
    "minio_root_user": 20,
    "minio_root_password": 40,
    "mlflow_s3_access_key": 20,
    "mlflow_s3_secret_key": 40,
    "mlflow_admin_password": 24,
    "mlflow_jobs_password": 24,
    "mlflow_secret_key": 40,
}
LATER = ("mlflow_admin_password", "mlflow_jobs_password", "mlflow_secret_key")


def secrets_file(tmp_path: Path, text: str = "", mode: int = 0o600) -> Path:
    """Return the path of a credentials file, which is there if there is text for it."""
    path = tmp_path / "credentials/secrets.yml"
    if text:
        path.parent.mkdir()
        path.write_text(text)
        path.chmod(mode)
    return path


def task(path: Path, **more: Any) -> dict[str, Any]:
    """Return a task that asks for the credentials."""
    return {"credentials": {"file": str(path), "volumes_exist": False, "site": {}, **more}}


def complete(**other: str) -> str:
    """Return a whole credentials file."""
    return yaml.safe_dump({**{key: "v" * size for key, size in LENGTHS.items()}, **other})


def test_check_apply_check_apply_generates_once(tmp_path: Path) -> None:
    path = secrets_file(tmp_path)
    step = task(path)
    dry = results(tmp_path, [{**step, "check_mode": True}])[0]
    assert dry["changed"] and set(dry["values"]) == set(LENGTHS) and not path.parent.exists()
    first, second, third = results(tmp_path, [step, {**step, "check_mode": True}, step])
    assert [first["changed"], second["changed"], third["changed"]] == [True, False, False]
    assert {key: len(value) for key, value in first["values"].items()} == LENGTHS
    assert all(value.isalnum() and value.isascii() for value in first["values"].values())
    assert first["values"] == third["values"] == yaml.safe_load(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


def test_only_blanks_are_filled_and_comments_stay(tmp_path: Path) -> None:
    text = (
        "# ours\npostgres_password: 'given by hand'  # keep\nminio_root_user:  # blank\nminio_root_password: ''\n# end"
    )
    path = secrets_file(tmp_path, text)
    (done,) = results(tmp_path, [task(path)])
    lines = path.read_text().splitlines()
    values = done["values"]
    assert lines[:5] == [
        "# ours",
        "postgres_password: 'given by hand'  # keep",
        f"minio_root_user: {values['minio_root_user']}  # blank",
        f"minio_root_password: {values['minio_root_password']}",
        "# end",
    ]
    assert yaml.safe_load(path.read_text()) == values


def test_a_value_of_the_site_wins_and_is_not_written(tmp_path: Path) -> None:
    path = secrets_file(tmp_path)
    site = {"minio_root_user": "operator", "minio_root_password": None, "postgres_password": ""}
    (done,) = results(tmp_path, [task(path, site=site)])
    assert done["values"]["minio_root_user"] == "operator"
    assert "operator" not in path.read_text() and "minio_root_user" not in path.read_text()
    assert len(done["values"]["minio_root_password"]) == 40


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("postgres_password: [\nminio", 0o600, "is not YAML (line"),
        ("- a\n", 0o600, "line 1: not `key: value` lines"),
        ("postgres_pasword: abcdefgh\n", 0o600, "unknown keys: postgres_pasword"),
        ("user_alice: short\n", 0o600, "user_alice has 5 characters, allowed are 12 to 128"),
        ("minio_root_user: ab\n", 0o600, "minio_root_user has 2 characters, allowed are 3 to 20"),
        (f"mlflow_s3_secret_key: {'x' * 41}\n", 0o600, "mlflow_s3_secret_key has 41 characters, allowed are 8 to 40"),
        ("mlflow_secret_key: abcdefgh${HOME}ijklmnop\n", 0o600, "mlflow_secret_key holds a line break, a quote"),
        ("minio_root_password: 123456789\n", 0o600, "the values of minio_root_password are not text"),
        ("{minio_root_user: abcdef}\n", 0o600, "Write one `key: value` a line"),
        (complete(), 0o644, "chmod 600"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_left_alone(tmp_path: Path, text: str, mode: int, said: str) -> None:
    path = secrets_file(tmp_path, text, mode)
    (done,) = results(tmp_path, [task(path)])
    assert done["failed"] and said in done["msg"], done["msg"]
    assert str(path) in done["msg"]
    assert path.read_text() == text


def test_nothing_is_generated_for_data_that_is_there(tmp_path: Path) -> None:
    path = secrets_file(tmp_path)
    (done,) = results(tmp_path, [task(path, volumes_exist=True)])
    assert "make destroy DATA=delete" in done["msg"] and "postgres_password" in done["msg"]
    assert not path.exists()


def test_a_whole_file_serves_data_that_is_there(tmp_path: Path) -> None:
    path = secrets_file(tmp_path, complete())
    (done,) = results(tmp_path, [task(path, volumes_exist=True)])
    assert not done["changed"] and done["values"]["minio_root_user"] == "v" * 20


def test_what_locks_no_data_is_generated_for_data_that_is_there(tmp_path: Path) -> None:
    earlier = yaml.safe_dump({key: "v" * size for key, size in LENGTHS.items() if key not in LATER})
    path = secrets_file(tmp_path, earlier)
    (done,) = results(tmp_path, [task(path, volumes_exist=True, users=[{"name": "alice"}])])
    assert done["generated"] == [*sorted(LATER), "user_alice"]
    assert path.read_text().startswith(earlier) and yaml.safe_load(path.read_text()) == done["values"]


def test_who_only_reads_generates_nothing(tmp_path: Path) -> None:
    earlier = yaml.safe_dump({key: "v" * size for key, size in LENGTHS.items() if key not in LATER})
    path = secrets_file(tmp_path, earlier)
    (done,) = results(tmp_path, [task(path, generate=False, users=[{"name": "alice"}])])
    assert not done["changed"] and path.read_text() == earlier
    assert [done["values"][key] for key in (*LATER, "user_alice")] == ["", "", "", ""]


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("", 0o600, "nothing is provisioned yet: make provision"),
        ("minio_root_user: operator\n", 0o600, "lacks postgres_password, mlflow_database_password"),
        ("postgres_password: [\nminio", 0o600, "is not YAML (line"),
        ("$ANSIBLE_VAULT;1.1;AES256\n00\n", 0o600, "--ask-vault-pass"),
        (complete(), 0o644, "chmod 600"),
    ],
)
def test_who_only_reads_learns_why_there_is_nothing_to_read(tmp_path: Path, text: str, mode: int, said: str) -> None:
    path = secrets_file(tmp_path, text, mode)
    values = {
        "_platform_secrets_file": str(path),
        "platform_users": [],
        "platform_no_log": True,
        "_credentials_site": {},
    }
    read = {"import_role": {"name": "credentials", "tasks_from": "read.yml"}}
    done = run(tmp_path, [read], "-e", json.dumps(values))
    assert done.returncode != 0 and done.stdout == ""
    assert said in done.stderr and str(path) in done.stderr and "v" * 20 not in done.stderr
    assert path.parent.exists() == bool(text)


def test_a_password_is_made_once_for_each_user_without_one_and_outlives_the_user(tmp_path: Path) -> None:
    path = secrets_file(tmp_path)
    users = [
        {"name": "alice"},
        {"name": "bob.b@x-y", "password": None},
        {"name": "carol", "password": "her-own-password"},
    ]
    first, again, without = results(tmp_path, [task(path, users=users), task(path, users=users), task(path)])
    stored = yaml.safe_load(path.read_text())
    assert [first["changed"], again["changed"], without["changed"]] == [True, False, False]
    assert len(stored["user_alice"]) == len(stored["user_bob.b@x-y"]) == 24
    assert again["values"]["user_carol"] == "her-own-password" and "user_carol" not in stored


def vaulted(tmp_path: Path, text: str) -> tuple[Path, str]:
    """Return an encrypted credentials file, and the file of its password."""
    path, password = secrets_file(tmp_path, text), tmp_path / "password"
    password.write_text("opensesame")
    vault = Path(sys.executable).with_name("ansible-vault")
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / ".ansible")}
    command = [str(vault), "encrypt", "--vault-password-file", str(password), str(path)]
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=tmp_path)
    return path, str(password)


def test_a_vaulted_file_is_read_and_never_rewritten(tmp_path: Path) -> None:
    path, password = vaulted(tmp_path, complete())
    before = path.read_bytes()
    (done,) = results(tmp_path, [task(path)], "--vault-password-file", password)
    assert done["values"]["postgres_password"] == "v" * 40 and not done["changed"]
    (closed,) = results(tmp_path, [task(path)])
    assert "--ask-vault-pass" in closed["msg"]
    assert path.read_bytes() == before


def test_a_vaulted_file_that_lacks_a_key_says_how_to_add_it(tmp_path: Path) -> None:
    path, password = vaulted(tmp_path, "minio_root_user: operator\n")
    (done,) = results(tmp_path, [task(path)], "--vault-password-file", password)
    assert f"ansible-vault edit {path}" in done["msg"] and "minio_root_password" in done["msg"]


def test_two_runs_at_once_agree_on_the_values(tmp_path: Path) -> None:
    path = secrets_file(tmp_path)
    found: list[dict[str, str]] = []

    def ask(number: int) -> None:
        directory = tmp_path / str(number)
        directory.mkdir()
        found.append(results(directory, [task(path)])[0]["values"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and found[0] == found[1] == found[2] == yaml.safe_load(path.read_text())


def test_no_secret_is_in_the_output(tmp_path: Path) -> None:
    path = secrets_file(tmp_path)
    done = run(tmp_path, [{**task(path), "no_log": True}], "-vvvv", "--diff", callback="default")
    for value in yaml.safe_load(path.read_text()).values():
        assert value not in done.stdout + done.stderr
