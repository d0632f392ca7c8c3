"""Logins of MLflow: the module that keeps users in step, and what each of them may do, against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.embedded.conftest import ML, mlflow_server
from tests.unit.plays import results, run

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "the-admin-password"
PASSWORD = "a-password-of-a-user"
Call = Callable[..., Any]
EVERYTHING = {"*": "EDIT"}
JOBS = {"name": "jobs", "password": PASSWORD, "experiments": EVERYTHING, "models": EVERYTHING}
READER = {"name": "reader", "password": PASSWORD, "read_only": True}
ALICE = {"name": "alice", "password": PASSWORD, "experiments": {"churn": "EDIT"}}
BOB = {"name": "bob", "password": PASSWORD, "create": False, "experiments": {"churn": "READ"}, "models": {"m": "READ"}}
TEAM = [JOBS, READER, ALICE, BOB]


@pytest.fixture(scope="module")
def logins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with logins, as the platform sets it up, but on SQLite."""
    folder = tmp_path_factory.mktemp("logins")
    ini = (ROOT / "compose/mlflow/auth.ini.j2").read_text()
    values = {"database_uri": f"sqlite:///{folder}/auth.db", "admin_password": ADMIN}
    lines = [f"{key} = {values.get(key, rest)}" if rest else key for key, _, rest in map(split, ini.splitlines())]
    (folder / "auth.ini").write_text("\n".join(lines))
    with mlflow_server(
        folder,
        "--app-name=basic-auth",
        login=f"admin:{ADMIN}",
        MLFLOW_AUTH_CONFIG_PATH=str(folder / "auth.ini"),
        MLFLOW_FLASK_SERVER_SECRET_KEY="k" * 40,
        PYTHONPATH=str(ROOT / "compose/mlflow"),
    ) as address:
        yield address


def split(line: str) -> tuple[str, str, str]:
    return line.partition(" = ")


@pytest.fixture
def ask(logins: str) -> Call:
    """Ask the server as one of its users, and return the status of the answer, or the answer."""

    def call(user: str, method: str, path: str, answer: bool = False, **body: Any) -> Any:
        login = (user, ADMIN if user == "admin" else PASSWORD)
        parts = {"params": body} if method == "GET" else {"json": body}
        done = requests.request(method, f"{logins}/api{path}", auth=login, timeout=30, **parts)
        return done.json() if answer else done.status_code

    return call


def task(logins: str, users: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"mlflow_users": {"server": logins, "admin_password": ADMIN, "users": users, **more}}


@pytest.fixture
def apply(logins: str, tmp_path: Path) -> Call:
    """Bring the users in step with a list, and return what the module says."""

    def call(users: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        (done,) = results(tmp_path, [task(logins, users, **more)])
        assert not done.get("failed"), done
        return done

    return call


@pytest.fixture
def team(apply: Call) -> dict[str, Any]:
    return apply(TEAM)


@pytest.fixture
def things(team: dict[str, Any], ask: Call) -> dict[str, str]:
    """What the administrator made, once: a run in churn, a run in secret, a registered model."""
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


# --- the module ---


def test_check_apply_check_apply_changes_once_and_makes_the_experiments_named(
    logins: str, tmp_path: Path, ask: Call
) -> None:
    step = task(logins, [*TEAM, {"name": "carol", "password": PASSWORD, "experiments": {"new": "MANAGE"}}])
    dry = {**step, "check_mode": True}
    first, *rest = results(tmp_path, [dry, step, dry, step])
    assert [first["changed"], *(done["changed"] for done in rest)] == [True, True, False, False], rest
    assert first["users"] == rest[0]["users"]
    assert first["users"]["carol"] == {
        "admin": False,
        "password": "right",
        "roles": ["create", "user carol"],
        "direct": {},
    }
    assert ask("carol", "GET", "/2.0/mlflow/experiments/get-by-name", experiment_name="new") == 200


def test_check_mode_makes_nothing(logins: str, tmp_path: Path, ask: Call) -> None:
    step = task(logins, [*TEAM, {"name": "dave", "password": PASSWORD, "experiments": {"unborn": "READ"}}])
    (done,) = results(tmp_path, [{**step, "check_mode": True}])
    assert done["changed"]
    assert ask("dave", "GET", "/2.0/mlflow/users/current") == 401
    assert ask("admin", "GET", "/2.0/mlflow/experiments/get-by-name", experiment_name="unborn") == 404


def test_a_user_who_is_not_listed_is_removed_with_its_role(team: dict[str, Any], apply: Call, ask: Call) -> None:
    apply([*TEAM, {"name": "erin", "password": PASSWORD}])
    assert ask("erin", "GET", "/2.0/mlflow/users/current") == 200
    assert apply(TEAM)["changed"]
    assert ask("erin", "GET", "/2.0/mlflow/users/current") == 401
    roles = ask("admin", "GET", "/3.0/mlflow/roles/list", answer=True, workspace="default")["roles"]
    assert "user erin" not in {role["name"] for role in roles}
    assert ask("admin", "GET", "/2.0/mlflow/users/current") == 200


def test_a_user_to_keep_is_left_as_it_is(apply: Call, ask: Call) -> None:
    assert ask("admin", "POST", "/2.0/mlflow/users/create", username="guest", password=PASSWORD) == 200
    assert not apply(TEAM, keep=["admin", "guest"])["changed"]
    assert ask("guest", "GET", "/2.0/mlflow/users/current") == 200


def test_a_password_that_was_changed_is_set_again(team: dict[str, Any], apply: Call, ask: Call) -> None:
    ask("admin", "PATCH", "/2.0/mlflow/users/update-password", username="alice", password="something-quite-else")
    assert ask("alice", "GET", "/2.0/mlflow/users/current") == 401
    assert apply(TEAM)["changed"]
    assert ask("alice", "GET", "/2.0/mlflow/users/current") == 200


def test_what_was_given_beside_the_list_is_taken_away(things: dict[str, str], apply: Call, ask: Call) -> None:
    grant = "/3.0/mlflow/users/permissions/grant"
    for resource, level in ((things["secret"], "MANAGE"), ("*", "READ")):
        given = {"resource_type": "experiment", "resource_id": resource, "permission": level}
        assert ask("admin", "POST", grant, username="bob", **given) == 200
    ask("admin", "PATCH", "/2.0/mlflow/users/update-admin", username="reader", is_admin=True)
    role = ask("admin", "POST", "/3.0/mlflow/roles/create", answer=True, workspace="default", name="strangers")["role"]
    ask("admin", "POST", "/3.0/mlflow/roles/assign", username="alice", role_id=role["id"])
    create = next(found for found in all_roles(ask) if found["name"] == "create")
    wide = {"role_id": create["id"], "resource_type": "experiment", "resource_pattern": "*", "permission": "MANAGE"}
    assert ask("admin", "POST", "/3.0/mlflow/roles/permissions/add", **wide) == 200
    assert ask("bob", "GET", "/2.0/mlflow/experiments/get", experiment_id=things["secret"]) == 200
    assert apply(TEAM)["changed"] and not apply(TEAM)["changed"]
    assert ask("bob", "GET", "/2.0/mlflow/experiments/get", experiment_id=things["secret"]) == 403
    assert ask("reader", "POST", "/2.0/mlflow/experiments/delete", experiment_id=things["secret"]) == 403
    assert ask("alice", "POST", "/2.0/mlflow/experiments/delete", experiment_id=things["secret"]) == 403


def all_roles(ask: Call) -> list[dict[str, Any]]:
    return ask("admin", "GET", "/3.0/mlflow/roles/list", answer=True, workspace="default")["roles"]


def test_who_makes_an_experiment_keeps_it(team: dict[str, Any], apply: Call, ask: Call) -> None:
    made = ask("alice", "POST", "/2.0/mlflow/experiments/create", answer=True, name="of alice")["experiment_id"]
    assert not apply(TEAM)["changed"]
    assert ask("alice", "POST", "/2.0/mlflow/experiments/delete", experiment_id=made) == 200


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"admin_password": "not-this-one"}, "give that one, or change it in MLflow's own pages"),
        ({"server": "http://127.0.0.1:9"}, "Start the server, or correct `server`"),
        ({"users": [ALICE, ALICE]}, "user alice is listed 2 times: once is enough"),
        ({"users": [{**ALICE, "name": "admin"}]}, "user admin is kept as it is: list it no more"),
        ({"users": [{**ALICE, "password": "short"}]}, "MLflow wants 12 or more"),
        ({"users": [{**ALICE, "experiments": {"churn": "WRITE"}}]}, "'WRITE' of alice on 'churn' is no permission"),
        ({"users": [{**READER, "create": True}]}, "user reader is read_only and given more"),
    ],
)
def test_an_error_names_its_fix(logins: str, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (done,) = results(tmp_path, [{"mlflow_users": {**task(logins, TEAM)["mlflow_users"], **change}}])
    assert done["failed"] and said in done["msg"], done["msg"]


def test_a_user_who_is_no_administrator_and_a_server_without_logins_are_named(
    logins: str, server: str, team: dict[str, Any], tmp_path: Path
) -> None:
    as_alice = task(logins, [JOBS], admin_user="alice", admin_password=PASSWORD)
    refused, open_to_all = results(tmp_path, [as_alice, task(server, TEAM)])
    assert "alice is no administrator there" in refused["msg"]
    assert "start it with --app-name=basic-auth" in open_to_all["msg"]


def test_no_password_is_in_output_or_diff(logins: str, tmp_path: Path) -> None:
    done = run(tmp_path, [task(logins, TEAM)], "-vvv", "--diff", callback="default")
    assert done.returncode == 0, done.stdout
    assert ADMIN not in done.stdout + done.stderr and PASSWORD not in done.stdout + done.stderr


# --- who may do what ---


def test_nobody_gets_in_without_a_login(logins: str) -> None:
    assert requests.get(f"{logins}/api/2.0/mlflow/users/current", timeout=30).status_code == 401
    assert requests.post(f"{logins}/api/2.0/mlflow/experiments/search", json={}, timeout=30).status_code == 401


def test_a_read_only_user_reads_everything(things: dict[str, str], ask: Call) -> None:
    for name in ("churn", "secret"):
        assert ask("reader", "GET", "/2.0/mlflow/experiments/get", experiment_id=things[name]) == 200
        assert ask("reader", "GET", "/2.0/mlflow/runs/get", run_id=things[f"{name} run"]) == 200
        assert ask("reader", "GET", "/2.0/mlflow/artifacts/list", run_id=things[f"{name} run"]) == 200
    assert ask("reader", "GET", "/2.0/mlflow/registered-models/get", name="m") == 200
    assert ask("reader", "GET", "/2.0/mlflow/model-versions/get", name="m", version="1") == 200


@pytest.mark.parametrize("user", ["reader", "bob"])
def test_who_may_only_read_changes_nothing(things: dict[str, str], ask: Call, logins: str, user: str) -> None:
    churn, its_run = things["churn"], things["churn run"]
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "experiments/create", {"name": f"made by {user}"}),
        ("POST", "experiments/update", {"experiment_id": churn, "new_name": "taken"}),
        ("POST", "experiments/delete", {"experiment_id": churn}),
        ("POST", "runs/create", {"experiment_id": churn}),
        ("POST", "runs/log-metric", {"run_id": its_run, "key": "k", "value": 1, "timestamp": 1}),
        ("POST", "runs/log-batch", {"run_id": its_run, "metrics": [], "params": [{"key": "k", "value": "v"}]}),
        ("POST", "runs/set-tag", {"run_id": its_run, "key": "k", "value": "v"}),
        ("POST", "runs/update", {"run_id": its_run, "status": "FAILED"}),
        ("POST", "runs/delete", {"run_id": its_run}),
        ("POST", "logged-models", {"experiment_id": churn, "name": "l"}),
        ("POST", "registered-models/create", {"name": f"made by {user}"}),
        ("PATCH", "registered-models/update", {"name": "m", "description": "taken"}),
        ("DELETE", "registered-models/delete", {"name": "m"}),
        ("POST", "model-versions/create", {"name": "m", "source": f"runs:/{its_run}/model", "run_id": its_run}),
        ("POST", "registered-models/alias", {"name": "m", "alias": "champion", "version": "1"}),
        ("DELETE", "model-versions/delete", {"name": "m", "version": "1"}),
        ("POST", "users/create", {"username": "mallory", "password": PASSWORD}),
        ("PATCH", "users/update-admin", {"username": user, "is_admin": True}),
        ("PATCH", "users/update-password", {"username": "alice", "password": "taken-over-by-bob"}),
        ("POST", "gateway/secrets/create", {"secret_name": "s"}),
    ]
    for method, path, body in calls:
        version = "3.0" if path.startswith("gateway") else "2.0"
        assert ask(user, method, f"/{version}/mlflow/{path}", **body) == 403, path
    assert ask(user, "POST", "/3.0/mlflow/mcp-servers", name="a/b") == 403
    address = f"{logins}/api/2.0/mlflow-artifacts/artifacts/{churn}/{its_run}/artifacts/file"
    for method in ("PUT", "DELETE"):
        assert requests.request(method, address, data=b"x", auth=(user, PASSWORD), timeout=30).status_code == 403
    demo = requests.post(f"{logins}/ajax-api/3.0/mlflow/demo/generate", auth=(user, PASSWORD), json={}, timeout=30)
    assert demo.status_code == 403


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_nobody_sees_what_was_not_granted(things: dict[str, str], ask: Call, logins: str, user: str) -> None:
    secret, its_run = things["secret"], things["secret run"]
    assert ask(user, "GET", "/2.0/mlflow/experiments/get", experiment_id=secret) == 403
    assert ask(user, "GET", "/2.0/mlflow/runs/get", run_id=its_run) == 403
    assert ask(user, "GET", "/2.0/mlflow/registered-models/get", name="other") == 403
    address = f"{logins}/api/2.0/mlflow-artifacts/artifacts/{secret}/{its_run}/artifacts/file"
    assert requests.get(address, auth=(user, PASSWORD), timeout=30).status_code == 403
    seen = ask(user, "POST", "/2.0/mlflow/experiments/search", answer=True, max_results=100)["experiments"]
    assert things["churn"] in {each["experiment_id"] for each in seen}
    assert secret not in {each["experiment_id"] for each in seen}
    assert not ask(user, "POST", "/2.0/mlflow/runs/search", answer=True, experiment_ids=[secret]).get("runs")
    models = ask(user, "GET", "/2.0/mlflow/registered-models/search", answer=True).get("registered_models", [])
    assert "other" not in {model["name"] for model in models}


def test_jobs_delete_only_what_they_made(things: dict[str, str], ask: Call) -> None:
    assert ask("jobs", "POST", "/2.0/mlflow/runs/delete", run_id=things["secret run"]) == 403
    assert ask("jobs", "POST", "/2.0/mlflow/experiments/delete", experiment_id=things["churn"]) == 403
    assert ask("jobs", "DELETE", "/2.0/mlflow/registered-models/delete", name="m") == 403
    made = ask("jobs", "POST", "/2.0/mlflow/experiments/create", answer=True, name="of jobs")["experiment_id"]
    assert ask("jobs", "POST", "/2.0/mlflow/experiments/delete", experiment_id=made) == 200


# --- the scripts, as the service account ---


@pytest.fixture
def as_jobs(logins: str, environment: dict[str, str]) -> dict[str, str]:
    login = {"MLFLOW_TRACKING_USERNAME": "jobs", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    return environment | login | {"MLFLOW_TRACKING_URI": logins}


def script(name: str, environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ML / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder, env=environment)


def test_jobs_train_twice_and_predict_with_the_champion(
    team: dict[str, Any], as_jobs: dict[str, str], tmp_path: Path
) -> None:
    for said in ("version 1 is the first champion", "version"):
        done = script("mlflow_experiment.py", as_jobs, tmp_path, "--cv", "0", "--n-estimators", "5")
        assert done.returncode == 0 and said in done.stdout, done.stderr
    done = script("mlflow_pred.py", as_jobs, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_login_that_ends_in_the_middle_of_a_training_fails_it_and_what_was_logged_stays(
    team: dict[str, Any], as_jobs: dict[str, str], apply: Call, ask: Call, tmp_path: Path
) -> None:
    command = [sys.executable, str(ML / "mlflow_experiment.py"), "--n-estimators", "3000", "--experiment", "cut short"]
    process = subprocess.Popen(
        command, env=as_jobs | {"PLATFORM_JOB": "cut"}, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    query = {"filter": "tags.`platform.job` = 'cut'", "experiment_ids": []}
    end = time.monotonic() + 60
    while True:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
        found = ask("admin", "GET", "/2.0/mlflow/experiments/get-by-name", answer=True, experiment_name="cut short")
        if "experiment" not in found:
            continue
        query["experiment_ids"] = [found["experiment"]["experiment_id"]]
        runs = ask("admin", "POST", "/2.0/mlflow/runs/search", answer=True, **query).get("runs", [])
        if runs and runs[0]["data"].get("params"):
            break
    ask("admin", "PATCH", "/2.0/mlflow/users/update-password", username="jobs", password="changed-meanwhile")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and "refuses this login: set MLFLOW_TRACKING_USERNAME" in errors, errors
    assert apply(TEAM)["changed"]
    (left,) = ask("admin", "POST", "/2.0/mlflow/runs/search", answer=True, **query)["runs"]
    assert {"key": "n_estimators", "value": "3000"} in left["data"]["params"]
    assert left["info"]["status"] == "RUNNING"
    reaped = script("mlflow_reap.py", as_jobs, tmp_path, "cut")
    assert reaped.returncode == 0 and "marked KILLED" in reaped.stdout, json.dumps(reaped.stderr)
