"""What each user of MLflow may do, and the scripts as the service account, against a real server with logins."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.embedded.logins import PASSWORD, TEAM, Apply, Ask
from tests.embedded.scripts import ML


def test_nobody_gets_in_without_a_login(logins: str) -> None:
    assert requests.get(f"{logins}/api/2.0/mlflow/users/current", timeout=30).status_code == 401
    assert requests.post(f"{logins}/api/2.0/mlflow/experiments/search", json={}, timeout=30).status_code == 401


def test_a_read_only_user_reads_everything(things: dict[str, str], ask: Ask) -> None:
    for name in ("churn", "secret"):
        assert ask("reader", "GET", "/2.0/mlflow/experiments/get", experiment_id=things[name]) == 200
        assert ask("reader", "GET", "/2.0/mlflow/runs/get", run_id=things[f"{name} run"]) == 200
        assert ask("reader", "GET", "/2.0/mlflow/artifacts/list", run_id=things[f"{name} run"]) == 200
    assert ask("reader", "GET", "/2.0/mlflow/registered-models/get", name="m") == 200
    assert ask("reader", "GET", "/2.0/mlflow/model-versions/get", name="m", version="1") == 200


@pytest.mark.parametrize("user", ["reader", "bob"])
def test_who_may_only_read_changes_nothing(things: dict[str, str], ask: Ask, logins: str, user: str) -> None:
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
def test_nobody_sees_what_was_not_granted(things: dict[str, str], ask: Ask, logins: str, user: str) -> None:
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


def test_jobs_delete_only_what_they_made(things: dict[str, str], ask: Ask) -> None:
    assert ask("jobs", "POST", "/2.0/mlflow/runs/delete", run_id=things["secret run"]) == 403
    assert ask("jobs", "POST", "/2.0/mlflow/experiments/delete", experiment_id=things["churn"]) == 403
    assert ask("jobs", "DELETE", "/2.0/mlflow/registered-models/delete", name="m") == 403
    made = ask("jobs", "POST", "/2.0/mlflow/experiments/create", answer=True, name="of jobs")["experiment_id"]
    assert ask("jobs", "POST", "/2.0/mlflow/experiments/delete", experiment_id=made) == 200


def test_the_admin_changes_and_deletes_what_others_made_and_manages_users(team: None, ask: Ask) -> None:
    made = ask("alice", "POST", "/2.0/mlflow/experiments/create", answer=True, name="for the admin")["experiment_id"]
    its_run = ask("alice", "POST", "/2.0/mlflow/runs/create", answer=True, experiment_id=made)["run"]["info"]["run_id"]
    assert ask("alice", "POST", "/2.0/mlflow/registered-models/create", name="for the admin") == 200
    frank = {"username": "frank"}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "runs/get", {"run_id": its_run}),
        ("POST", "runs/log-metric", {"run_id": its_run, "key": "k", "value": 1, "timestamp": 1}),
        ("POST", "runs/delete", {"run_id": its_run}),
        ("POST", "experiments/delete", {"experiment_id": made}),
        ("DELETE", "registered-models/delete", {"name": "for the admin"}),
        ("POST", "users/create", frank | {"password": PASSWORD}),
        ("PATCH", "users/update-password", frank | {"password": "another-good-password"}),
        ("GET", "users/get", frank),
        ("DELETE", "users/delete", frank),
    ]
    for method, path, body in calls:
        assert ask("admin", method, f"/2.0/mlflow/{path}", **body) == 200, path


def test_who_is_no_administrator_any_more_is_none_within_seconds(team: None, ask: Ask, logins_folder: Path) -> None:
    """The worker that changes a user knows at once, another one as soon as it forgets who asked."""
    made = ask("admin", "POST", "/2.0/mlflow/experiments/create", answer=True, name="of the admin")["experiment_id"]
    assert ask("admin", "POST", "/2.0/mlflow/users/create", username="grace", password=PASSWORD) == 200
    read = functools.partial(ask, "grace", "GET", "/2.0/mlflow/experiments/get", experiment_id=made)
    for admin, status in ((False, 403), (True, 200), (False, 403), (True, 200)):
        ask("admin", "PATCH", "/2.0/mlflow/users/update-admin", username="grace", is_admin=admin)
        assert read() == status
    with contextlib.closing(sqlite3.connect(logins_folder / "auth.db")) as database, database:
        database.execute("UPDATE users SET is_admin = 0 WHERE username = 'grace'")
    end = time.monotonic() + 8
    while read() != 403:
        assert time.monotonic() < end
        time.sleep(0.2)
    ask("admin", "DELETE", "/2.0/mlflow/users/delete", username="grace")
    assert read() == 401


def test_what_a_user_may_do_with_a_thing_is_asked_each_time(things: dict[str, str], ask: Ask) -> None:
    """Though it is remembered which experiment a run is in."""
    body = {"run_id": things["secret run"], "metrics": [{"key": "k", "value": 1, "timestamp": 1, "step": 0}]}
    log = functools.partial(ask, "bob", "POST", "/2.0/mlflow/runs/log-batch", **body)
    grant = {"resource_type": "experiment", "resource_id": things["secret"], "permission": "EDIT"}
    assert log() == 403
    for change, status in (("grant", 200), ("revoke", 403)):
        assert ask("admin", "POST", f"/3.0/mlflow/users/permissions/{change}", username="bob", **grant) == 200
        assert [log(), log()] == [status, status]


@pytest.fixture
def as_jobs(logins: str, environment: dict[str, str]) -> dict[str, str]:
    login = {"MLFLOW_TRACKING_USERNAME": "jobs", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    return environment | login | {"MLFLOW_TRACKING_URI": logins}


def script(name: str, environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ML / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder, env=environment)


def test_jobs_train_twice_and_predict_with_the_champion(team: None, as_jobs: dict[str, str], tmp_path: Path) -> None:
    for said in ("version 1 is the first champion", "version"):
        done = script("mlflow_experiment.py", as_jobs, tmp_path, "--cv", "0", "--n-estimators", "5")
        assert done.returncode == 0 and said in done.stdout, done.stderr
    done = script("mlflow_pred.py", as_jobs, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_login_that_ends_in_the_middle_of_a_training_fails_it_and_what_was_logged_stays(
    team: None, as_jobs: dict[str, str], apply: Apply, ask: Ask, tmp_path: Path
) -> None:
    command = [sys.executable, str(ML / "mlflow_experiment.py"), "--n-estimators", "2000", "--cv", "0"]
    command += ["--experiment", "cut short"]
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
    assert process.returncode == 3 and "refuses this login: set MLFLOW_TRACKING_USERNAME" in errors, errors
    assert apply(TEAM)["changed"]
    (left,) = ask("admin", "POST", "/2.0/mlflow/runs/search", answer=True, **query)["runs"]
    assert {"key": "n_estimators", "value": "2000"} in left["data"]["params"]
    assert left["info"]["status"] == "RUNNING"
    reaped = script("mlflow_reap.py", as_jobs, tmp_path, "cut")
    assert reaped.returncode == 0 and "marked KILLED" in reaped.stdout, reaped.stderr
