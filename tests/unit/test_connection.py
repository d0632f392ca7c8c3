"""What the controller keeps for jobs reads as what it was written from."""

import configparser
import importlib
import json
import re
from pathlib import Path

import pytest
import yaml
from plays import ROOT, run

job_engines = importlib.import_module("filter.placement").job_engines


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


@pytest.mark.parametrize(
    ("tls", "certificate", "address"),
    [
        (False, "", "http://gateway:5000"),
        (True, "", "https://gateway:5000"),
        (True, "lab.crt", "https://lab.example.org:5000"),
        (False, "lab.crt", "http://gateway:5000"),
    ],
)
def test_a_job_beside_mlflow_asks_for_a_name_that_the_certificate_holds(
    tmp_path: Path, tls: bool, certificate: str, address: str
) -> None:
    uris = {"mlflow": "https://lab.example.org:5000"}
    values = {"_platform_tls": tls, "_platform_uris": uris, "platform_tls_certificate": certificate}
    values["_platform_scheme"] = "https" if tls else "http"
    tasks = [
        {"include_vars": {"file": str(ROOT / "ansible/roles/connection/vars/main.yml")}},
        {"debug": {"msg": "{{ _connection_inside }}"}},
    ]
    done = run(tmp_path, tasks, "-e", json.dumps(values))
    assert done.stdout.split()[-1] == address, done.stderr


def test_the_design_names_what_the_connection_file_holds() -> None:
    facts = yaml.safe_load((ROOT / "ansible/roles/connection/vars/main.yml").read_text())["_connection_facts"]
    (engine,) = job_engines(["head"], {"head": {}}, "head", "inside", "outside")
    page = (ROOT / "docs/design.md").read_text()
    named = page[page.index('`{"platform_name"') : page.index('"job_pids"}`') + 10]
    assert sorted(re.findall(r'"(\w+)"', named)) == sorted([*facts, *engine])
