"""What the controller keeps for jobs reads as what it was written from."""

import configparser
from pathlib import Path

from plays import ROOT, run


def test_a_password_with_a_percent_sign_is_read_by_mlflow_s_client_as_it_was_set(tmp_path: Path) -> None:
    password = "100%_%(mine)s%%"
    done = run(
        tmp_path,
        [
            {"include_vars": {"file": str(ROOT / "ansible/roles/connection/vars/main.yml")}},
            {"debug": {"msg": "{{ _connection_login.content }}"}},
        ],
        "-e",
        f'{{"platform_credentials_dir": "/c", "_credentials_values": {{"mlflow_jobs_password": "{password}"}}}}',
    )
    assert done.returncode == 0, done.stderr
    login = configparser.ConfigParser()
    login.read_string(done.stdout)
    assert login["mlflow"]["mlflow_tracking_password"] == password
