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


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ("platform_address=10.0.0.2", "minio"),
        ("platform_address=10.0.0.2 platform_tls_certificate=own.crt", ""),
        ("platform_address=s3.example.org platform_tls_certificate=own.crt", "s3.example.org"),
        (
            "platform_address=10.0.0.2 platform_tls_certificate=own.crt"
            ' platform_allowed_hosts=\'["10.0.0.3", "s3.example.org"]\'',
            "s3.example.org",
        ),
    ],
)
def test_the_object_store_is_known_by_a_name_that_its_certificate_holds(tmp_path: Path, chosen: str, name: str) -> None:
    groups = "".join(f"[{group}]\nhead\n" for group in ("database", "tracking", "compute"))
    (tmp_path / "hosts.ini").write_text(f"{groups}[object_store]\nstore {chosen}\n")
    load = {"include_vars": str(ROOT / "ansible/roles/platform/vars/main.yml")}
    done = run(
        tmp_path,
        [load, {"debug": {"msg": "<{{ _platform_store_name }}>"}}],
        *["-i", str(tmp_path / "hosts.ini"), "-e", "platform_exposure=network"],
        hosts="head",
    )
    assert f"<{name}>" in done.stdout, done.stdout + done.stderr


def test_the_design_names_what_the_connection_file_holds() -> None:
    facts = yaml.safe_load((ROOT / "ansible/roles/connection/vars/main.yml").read_text())["_connection_facts"]
    (engine,) = job_engines(["head"], {"head": {}}, "head", "inside", "outside")
    page = (ROOT / "docs/design.md").read_text()
    named = page[page.index('`{"platform_name"') : page.index('"job_pids"}`') + 10]
    assert sorted(re.findall(r'"(\w+)"', named)) == sorted([*facts, *engine])
