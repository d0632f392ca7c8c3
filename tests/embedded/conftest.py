"""A real MLflow on SQLite, once for all tests here, and the scripts as a user calls them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.embedded import scripts
from tests.embedded.logins import apply, ask, logins, logins_folder, team, things
from tests.embedded.servers import mlflow_server

# Fixtures for every test here, those of the logins too.
__all__ = ["apply", "ask", "logins", "logins_folder", "team", "things"]

# Set before MLflow is imported, here and in what is started from here.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
Script = Callable[..., subprocess.CompletedProcess[str]]


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
    """Call a script of ml/ in a directory, by default an empty one, and wait for its end."""

    def run(script: str, *arguments: object, cwd: Path | None = None, **variables: str):
        return scripts.end(
            scripts.begin(script, arguments, cwd or tmp_path_factory.mktemp("cwd"), environment | variables)
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
