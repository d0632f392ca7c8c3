"""A real MLflow on SQLite, once for all tests here, and the scripts as a user calls them."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ML = Path(__file__).resolve().parents[2] / "ml"
Script = Callable[..., subprocess.CompletedProcess[str]]


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(folder: Path, *options: str, login: str = "", **variables: str) -> Iterator[str]:
    """A server with an empty store in this folder, and its address; `login` is NAME:PASSWORD where it asks for one."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", **variables}
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts"), *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search",
        data=b'{"max_results":1}',
        headers={"Content-Type": "application/json"},
    )
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, 15)
    process.wait(30)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an empty store."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture(scope="session")
def environment(server: str) -> dict[str, str]:
    """What a script needs to know: the server's address."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PLATFORM_"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {"MLFLOW_TRACKING_URI": server}


@pytest.fixture(scope="session")
def call(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Script:
    """Call a script of ml/ in a directory, by default an empty one."""

    def run(script: str, *arguments: object, cwd: Path | None = None, timeout: float = 60, **variables: str):
        return subprocess.run(
            [sys.executable, str(ML / script), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd or tmp_path_factory.mktemp("cwd"),
            env=environment | variables,
        )

    return run


@pytest.fixture(scope="session")
def trained(call: Script) -> str:
    """What the first training of iris printed; after it there is a champion."""
    done = call("mlflow_experiment.py", PLATFORM_JOB="first-job", MLFLOW_PUBLIC_URI="http://people.example:5000")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def client(server: str):
    """MLflow's own client, to look at what the scripts left."""
    from mlflow import MlflowClient

    return MlflowClient(server)
