"""One platform for the end-to-end tests: its own name, ports, directory and credentials, removed before and after."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# A shell starts what is in its background with Ctrl-C ignored, which whatever is started from here would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

NAME = os.environ.get("E2E_NAME", "e2e")
FIRST_PORT = int(os.environ.get("E2E_FIRST_PORT", "15000"))
pytest_plugins = ["tests.e2e.minio_server", "tests.e2e.gateway_alone", "tests.e2e.hosts"]


def command(verb: str, inventory: Path, *arguments: str) -> list[str]:
    """Return how an operator runs a playbook without Make."""
    program = Path(sys.executable).with_name("ansible-playbook")
    return [str(program), "-i", str(inventory), *arguments, f"ansible/{verb}.yml"]


def environment(root: Path = ROOT, **variables: str) -> dict[str, str]:
    """Return the environment of a playbook in the checkout `root`."""
    return {**os.environ, "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", **variables}


def play(
    verb: str, inventory: Path, *arguments: str, check: bool = True, root: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run one playbook as an operator does, with `variables` in its environment.

    Raises:
        AssertionError: it failed although `check` is true.
    """
    done = subprocess.run(
        command(verb, inventory, *arguments),
        cwd=root,
        env=environment(root, **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=2400,
    )
    assert not check or done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done


@contextlib.contextmanager
def provision_until(
    site: SimpleNamespace, task: str, *arguments: str, root: Path = ROOT
) -> Iterator[subprocess.Popen[str]]:
    """A provision in a session of its own, as from a terminal, which has just begun the task."""
    with subprocess.Popen(
        command("provision", site.inventory, *arguments),
        cwd=root,
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith(f"TASK [{task}"):
                break
        else:
            raise AssertionError(f"never came to {task}:\n" + "".join(said))
        yield process


def status_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the process; return its exit status and the rest of what it said."""
    said, _ = process.communicate(timeout=300)
    return process.returncode, said


def changed(output: str) -> int:
    """Return how many tasks a play reports as changed."""
    recap = output.split("PLAY RECAP", 1)[1]
    return int(recap.split("changed=", 1)[1].split()[0])


def job(verb: str, connection: Path, *arguments: str, host: str | None = None) -> list[str]:
    """Return how `make train` and `make predict` start a job."""
    place = ["--host", host] if host else []
    return [sys.executable, "ml/launch.py", "--platform", str(connection), *place, verb, *arguments]


def roles_that_change(output: str) -> set[str]:
    """Return the roles of which a task reports a change."""
    tasks = re.split(r"(?m)^TASK \[", output)[1:]
    return {task.split(" : ")[0] for task in tasks if re.search(r"(?m)^changed: ", task)}


def launch(verb: str, connection: Path, *arguments: str, host: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a job as `make train` and `make predict` do."""
    call = job(verb, connection, *arguments, host=host)
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def with_exports(inventory: Path, home: Path, commands: str) -> subprocess.CompletedProcess[str]:
    """Run commands in a shell that knows nothing but what `make env` prints, with a home of its own."""
    exports = play("env", inventory, ANSIBLE_STDOUT_CALLBACK="plain").stdout
    known = {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    shell = ["sh", "-euc", f"{exports}\n{commands}"]
    return subprocess.run(shell, cwd=home, env=known, capture_output=True, text=True, check=False, timeout=120)


@contextlib.contextmanager
def one_host(directory: Path, name: str, first_port: int) -> Iterator[SimpleNamespace]:
    """An inventory of this host with names and ports of its own; what bears its name is removed before and after."""
    inventory = directory / "e2e.ini"
    host = "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
    groups = "".join(f"[{group}]\n{host}\n" for group in ("database", "object_store", "tracking", "compute"))
    ports = {f"platform_{port}_port": first_port + number for number, port in enumerate(("mlflow", "s3", "console"))}
    variables = {"platform_name": name, "platform_credentials_dir": str(directory / "credentials"), **ports}
    inventory.write_text(groups + "[all:vars]\n" + "".join(f"{key}={value}\n" for key, value in variables.items()))
    artifacts = Path(os.environ.get("E2E_ARTIFACTS", ROOT / "artifacts"))
    artifacts.mkdir(exist_ok=True)
    made = SimpleNamespace(
        name=name,
        inventory=inventory,
        directory=directory,
        credentials=directory / "credentials" / "secrets.yml",
        connection=directory / "credentials" / "platform.json",
        artifacts=artifacts,
        mlflow_uri=f"http://127.0.0.1:{first_port}",
        s3_uri=f"http://127.0.0.1:{first_port + 1}",
        console_uri=f"http://127.0.0.1:{first_port + 2}",
    )
    remove(made)
    yield made
    remove(made)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The host that most tests share."""
    with one_host(tmp_path_factory.mktemp("site"), NAME, FIRST_PORT) as made:
        yield made


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A second platform's inventory on the same host, for tests that interrupt or delete one; not provisioned yet."""
    with one_host(tmp_path_factory.mktemp("second"), f"{NAME}-second", FIRST_PORT + 3) as made:
        yield made


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
