"""Users and fixtures of the tests of MLflow's logins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.embedded.servers import mlflow_server
from tests.unit.plays import results

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "the-admin-password"
PASSWORD = "a-password-of-a-user"
Ask = Callable[..., Any]
Apply = Callable[..., dict[str, Any]]
EVERYTHING = {"*": "EDIT"}
User = dict[str, Any]
JOBS: User = {"name": "jobs", "password": PASSWORD, "experiments": EVERYTHING, "models": EVERYTHING}
READER: User = {"name": "reader", "password": PASSWORD, "read_only": True}
ALICE: User = {"name": "alice", "password": PASSWORD, "experiments": {"churn": "EDIT"}}
BOB: User = {
    "name": "bob",
    "password": PASSWORD,
    "create": False,
    "experiments": {"churn": "READ"},
    "models": {"m": "READ"},
}
TEAM = [JOBS, READER, ALICE, BOB]


@pytest.fixture(scope="session")
def logins_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server with logins has its files; the users are in auth.db."""
    return tmp_path_factory.mktemp("logins")


@pytest.fixture(scope="session")
def logins(logins_folder: Path) -> Iterator[str]:
    """The address of a server with logins, as the platform sets it up, but on SQLite."""
    ini = (ROOT / "compose/mlflow/auth.ini.j2").read_text()
    values = {"database_uri": f"sqlite:///{logins_folder}/auth.db", "admin_password": ADMIN}
    parts = [line.partition(" = ") for line in ini.splitlines()]
    lines = [f"{key} = {values.get(key, rest)}" if rest else key for key, _, rest in parts]
    (logins_folder / "auth.ini").write_text("\n".join(lines))
    with mlflow_server(
        logins_folder,
        "--app-name=basic-auth",
        login=f"admin:{ADMIN}",
        MLFLOW_AUTH_CONFIG_PATH=str(logins_folder / "auth.ini"),
        MLFLOW_FLASK_SERVER_SECRET_KEY="k" * 40,
        PYTHONPATH=str(ROOT / "compose/mlflow"),
    ) as address:
        yield address


@pytest.fixture
def ask(logins: str) -> Ask:
    """Ask the server as one of its users, and return the status of the answer, or the answer."""

    def call(user: str, method: str, path: str, answer: bool = False, **body: Any) -> Any:
        login = (user, ADMIN if user == "admin" else PASSWORD)
        params, sent = (body, None) if method == "GET" else (None, body)
        done = requests.request(method, f"{logins}/api{path}", auth=login, timeout=30, params=params, json=sent)
        return done.json() if answer else done.status_code

    return call


def all_roles(ask: Ask) -> list[dict[str, Any]]:
    return ask("admin", "GET", "/3.0/mlflow/roles/list", answer=True, workspace="default")["roles"]


def task(logins: str, users: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"mlflow_users": {"server": logins, "admin_password": ADMIN, "users": users, **more}}


@pytest.fixture
def apply(logins: str, tmp_path: Path) -> Apply:
    """Bring the users in step with a list, and return what the module says."""

    def call(users: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        (done,) = results(tmp_path, [task(logins, users, **more)])
        assert not done.get("failed"), done
        return done

    return call


@pytest.fixture(scope="session")
def team(logins: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The users of these tests; a test that changes one brings it back."""
    (done,) = results(tmp_path_factory.mktemp("team"), [task(logins, TEAM)])
    assert not done.get("failed"), done


@pytest.fixture
def things(team: None, ask: Ask) -> dict[str, str]:
    """What the administrator made: a run in churn, a run in secret, two registered models."""
    churn = ask("admin", "GET", "/2.0/mlflow/experiments/get-by-name", answer=True, experiment_name="churn")
    found = {"churn": churn["experiment"]["experiment_id"]}
    ask("admin", "POST", "/2.0/mlflow/experiments/create", name="secret")
    secret = ask("admin", "GET", "/2.0/mlflow/experiments/get-by-name", answer=True, experiment_name="secret")
    found["secret"] = secret["experiment"]["experiment_id"]
    for name in ("churn", "secret"):
        made = ask("admin", "POST", "/2.0/mlflow/runs/create", answer=True, experiment_id=found[name])
        found[f"{name} run"] = made["run"]["info"]["run_id"]
    for name in ("m", "other"):
        ask("admin", "POST", "/2.0/mlflow/registered-models/create", name=name)
    source = f"mlflow-artifacts:/{found['churn']}/{found['churn run']}/artifacts/model"
    ask("admin", "POST", "/2.0/mlflow/model-versions/create", name="m", source=source, run_id=found["churn run"])
    return found
