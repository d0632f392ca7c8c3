"""What `make env` prints reads, in a shell, as what it was written from."""

import json
import subprocess
from pathlib import Path

import pytest
from plays import ROOT, run


def exported(directory: Path, **values: str) -> dict[str, str]:
    """Return what a shell exports that evaluates what is printed for a platform on this host."""
    known = {
        "platform_name": "my-lab",
        "platform_users": [],
        "_platform_tls": False,
        "_platform_scheme": "http",
        "_platform_uris": {"mlflow": "http://127.0.0.1:5000", "s3": "http://127.0.0.1:9000"},
        "_credentials_values": {"mlflow_admin_password": "", "mlflow_jobs_password": "", **values},
    }
    tasks = [
        {"include_vars": {"file": str(ROOT / "ansible/roles/report/vars/main.yml")}},
        {"debug": {"msg": "{{ _report_env }}"}},
    ]
    done = run(directory, tasks, "-e", json.dumps(known))
    assert done.returncode == 0, done.stderr
    shell = ["env", "--ignore-environment", "sh", "-euc", f"{done.stdout}\nenv -0"]
    seen = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    return dict(line.partition("=")[::2] for line in seen.split("\0") if line)


@pytest.mark.parametrize("secret", ["a/b+c%d@e#f?g", "%2F", "with $PATH and space"])
def test_a_key_reaches_clients_as_it_was_set(tmp_path: Path, secret: str) -> None:
    """MinIO's client decodes nothing."""
    there = exported(tmp_path, mlflow_s3_access_key="key/1", mlflow_s3_secret_key=secret)
    assert there["AWS_SECRET_ACCESS_KEY"] == secret
    assert there["MC_HOST_my_lab"] == f"http://key/1:{secret}@127.0.0.1:9000"


def test_a_key_that_mc_would_cut_short_is_not_given_to_it(tmp_path: Path) -> None:
    there = exported(tmp_path, mlflow_s3_access_key="key", mlflow_s3_secret_key="secret:1")
    assert there["AWS_SECRET_ACCESS_KEY"] == "secret:1" and "MC_HOST_my_lab" not in there
