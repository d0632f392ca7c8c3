"""What an INI inventory and `-e name=value` give is text, and means the same as in YAML."""

from pathlib import Path

import pytest
from plays import ROOT, run

LOOKED = {
    "docker": {"working": True, "installed": True, "compose_version": "2.26.1"},
    "login": {"user": "nobody", "uses_docker": False},
    "cores": 3,
}


@pytest.mark.parametrize("text", ["false", "no"])
def test_that_nobody_joins_the_group_docker_may_be_said_as_text(tmp_path: Path, text: str) -> None:
    engine = {
        "import_role": {"name": "docker_engine"},
        "vars": {"__preflight": {"host": LOOKED}, "platform_docker_options": {}, "group_names": ["compute"]},
    }
    options = ("-e", f"platform_docker_group={text}", "--check")
    done = run(tmp_path, [engine], *options, callback="default")
    assert done.returncode == 0, done.stdout + done.stderr
    asked = done.stdout.split("TASK [docker_engine : Let the user who provisions start jobs]")[1]
    assert "skipping: [localhost]" in asked


@pytest.mark.parametrize(("text", "workers"), [("0", "3"), ("2", "2")])
def test_the_number_of_workers_may_be_said_as_text(tmp_path: Path, text: str, workers: str) -> None:
    tasks = [
        {"include_vars": {"file": str(ROOT / "ansible/roles/platform/vars/main.yml")}},
        {"debug": {"msg": "{{ _platform_mlflow_workers }}"}, "vars": {"__preflight": {"host": LOOKED}}},
    ]
    done = run(tmp_path, tasks, "-e", f"platform_mlflow_workers={text}")
    assert done.stdout.strip() == workers, done.stderr
