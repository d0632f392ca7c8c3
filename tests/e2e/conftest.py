"""One platform for the end-to-end tests: its own name, ports, directory and credentials, removed before and after."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NAME = os.environ.get("E2E_NAME", "e2e")
FIRST_PORT = int(os.environ.get("E2E_FIRST_PORT", "15000"))
PORTS = {"platform_mlflow_port": FIRST_PORT, "platform_s3_port": FIRST_PORT + 1, "platform_console_port": FIRST_PORT + 2}

pytest_plugins = ["tests.e2e.minio_server", "tests.e2e.gateway_alone"]


def play(verb: str, inventory: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one playbook as an operator does, without Make.

    Raises:
        AssertionError: it failed although `check` is true.
    """
    bin_directory = Path(sys.executable).parent
    command = [str(bin_directory / "ansible-playbook"), "-i", str(inventory), *arguments, f"ansible/{verb}.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=2400)
    assert not check or done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done


def changed(output: str) -> int:
    """Return how many tasks a play reports as changed."""
    recap = output.split("PLAY RECAP", 1)[1]
    return int(recap.split("changed=", 1)[1].split()[0])


def launch(verb: str, connection: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start a job as `make train` and `make predict` do."""
    command = [sys.executable, "ml/launch.py", "--platform", str(connection), verb, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """An inventory of this host with names and ports of its own; what bears its name is removed before and after."""
    directory = tmp_path_factory.mktemp("site")
    inventory = directory / "e2e.ini"
    host = "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
    groups = "".join(f"[{group}]\n{host}\n" for group in ("database", "object_store", "tracking", "compute"))
    variables = {"platform_name": NAME, "platform_credentials_dir": str(directory / "credentials"), **PORTS}
    inventory.write_text(groups + "[all:vars]\n" + "".join(f"{key}={value}\n" for key, value in variables.items()))
    artifacts = Path(os.environ.get("E2E_ARTIFACTS", ROOT / "artifacts"))
    artifacts.mkdir(exist_ok=True)
    made = SimpleNamespace(
        name=NAME,
        inventory=inventory,
        directory=directory,
        credentials=directory / "credentials" / "secrets.yml",
        connection=directory / "credentials" / "platform.json",
        artifacts=artifacts,
        mlflow_uri=f"http://127.0.0.1:{PORTS['platform_mlflow_port']}",
        s3_uri=f"http://127.0.0.1:{PORTS['platform_s3_port']}",
        console_uri=f"http://127.0.0.1:{PORTS['platform_console_port']}",
    )
    remove(made)
    yield made
    remove(made)


def remove(site: SimpleNamespace) -> None:
    """Remove all that bears the test platform's name, if there is an engine that could hold any of it."""
    engine = subprocess.run(["docker", "version"], capture_output=True, check=False)
    if engine.returncode == 0:
        play("destroy", site.inventory, "-e", "destroy_data=delete", "-e", f"destroy_confirm={site.name}")


@pytest.fixture(scope="session")
def first_runs(site: SimpleNamespace) -> SimpleNamespace:
    """The dry run before anything is there, and the provision after it."""
    dry = play("provision", site.inventory, "--check")
    left = [path for path in (Path(f"/opt/{site.name}"), site.credentials) if path.exists()]
    real = play("provision", site.inventory)
    return SimpleNamespace(dry=dry.stdout, left_by_dry=left, real=real.stdout)


@pytest.fixture(scope="session")
def platform(site: SimpleNamespace, first_runs: SimpleNamespace) -> SimpleNamespace:
    """The platform, provisioned: addresses, secrets, directories."""
    secrets = yaml.safe_load(site.credentials.read_text())
    facts = json.loads(site.connection.read_text())
    return SimpleNamespace(**vars(site), secrets=secrets, facts=facts, runs=first_runs)


@pytest.fixture(scope="session")
def trained(platform: SimpleNamespace) -> str:
    """Train and predict once, in containers; return the run's id."""
    train = launch("train", platform.connection)
    assert train.returncode == 0, train.stdout + train.stderr
    output = platform.directory / "predictions.csv"
    predict = launch("predict", platform.connection, "--output", str(output))
    assert predict.returncode == 0, predict.stdout + predict.stderr
    return train.stdout.split("/runs/", 1)[1].split()[0]
