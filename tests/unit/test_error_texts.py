"""What an operator reads where a role's task fails: the reason and its fix, and no secret however much is asked for."""

import json
import sys
from pathlib import Path
from typing import Any

from plays import ROOT, run

SECRET = "p4ssw0rd-of-the-store"
HIDDEN = "the output has been hidden"
FILE = {"content": SECRET, "mode": "0400", "secret": True}


def play(directory: Path, role: str, tasks: str, **variables: Any) -> tuple[int, str]:
    """Run the tasks of a role as wordily as can be; return the exit status and what was said, without line breaks."""
    step = {"import_role": {"name": role, "tasks_from": tasks}}
    known = {"platform_name": "lab", "platform_no_log": True, "ansible_become": False, **variables}
    given = directory / "given.json"  # what is given on the command line itself is said at -vvvv
    given.write_text(json.dumps(known))
    done = run(directory, [step], "-vvvv", "--diff", "-e", f"@{given}", callback="default")
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def in_the_way(tmp_path: Path) -> Path:
    """Return a path that cannot be, for what should be its directory is a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file/below"


def test_a_file_of_the_host_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = in_the_way(tmp_path)
    given: dict[str, Any] = {"_stack_directories": [], "_stack_files": [{**FILE, "dest": str(path)}]}
    given |= {"_platform_root": str(ROOT)}
    given |= {f"_certificates_{name}": [] for name in ("directories", "files", "gone")}
    status, said = play(tmp_path, "stack", "files.yml", **given)
    assert status != 0 and f"Cannot change {path}: " in said and HIDDEN not in said


def test_a_file_of_the_controller_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = in_the_way(tmp_path)
    given = {"platform_credentials_dir": str(tmp_path / "kept"), "_connection_files": [{**FILE, "dest": str(path)}]}
    status, said = play(tmp_path, "connection", "main.yml", **given)
    assert status != 0 and f"Cannot change {path}: " in said and HIDDEN not in said


def certificates(tmp_path: Path, key: Path) -> dict[str, Any]:
    """Return what the tasks that make a CA have to know."""
    files = {"ca": str(tmp_path / "ca.crt"), "ca_key": str(key)}
    return {"__certificates": {"files": files}, "_platform_inventory_name": "lab"}


def test_a_key_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.key").mkdir()
    status, said = play(tmp_path, "certificates", "ca.yml", **certificates(tmp_path, tmp_path / "ca.key"))
    assert status != 0 and f"{tmp_path}/ca.key" in said.split("fatal:", 1)[1] and HIDDEN not in said


def test_a_key_is_in_no_output(tmp_path: Path) -> None:
    status, said = play(tmp_path, "certificates", "ca.yml", **certificates(tmp_path, tmp_path / "ca.key"))
    assert status == 0
    lines = (tmp_path / "ca.key").read_text().splitlines()[1:-1]
    assert lines and [line for line in lines if line in said] == []


def test_what_keeps_the_bucket_from_being_made_is_said(tmp_path: Path) -> None:
    values = {"minio_root_user": "root", "minio_root_password": SECRET}
    values |= {"mlflow_s3_access_key": "mlflow", "mlflow_s3_secret_key": SECRET}
    given: dict[str, Any] = {"_credentials_values": values, "_object_store_endpoint": "127.0.0.1:9"}
    given |= {"platform_bucket": "mlflow", "platform_noncurrent_days": 30, "_object_store_running": []}
    given |= {"_platform_python": sys.executable}
    status, said = play(tmp_path, "object_store", "main.yml", **given)
    assert status != 0 and "at 127.0.0.1:9 failed: no connection" in said and "start the server" in said


def test_what_keeps_people_from_being_let_in_is_said(tmp_path: Path) -> None:
    given: dict[str, Any] = {"_credentials_values": {"mlflow_admin_password": SECRET}}
    users = [{"name": "jobs", "password": SECRET, "experiments": {"*": "EDIT"}}]
    given |= {"_platform_tls": True, "_logins_dry": False, "_logins_users": users, "_platform_python": sys.executable}
    status, said = play(tmp_path, "logins", "main.yml", **given)
    assert status != 0 and "MLflow does not answer at http://mlflow:5000" in said and HIDDEN not in said
