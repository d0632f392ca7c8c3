"""What each user of MLflow may do, and the scripts as the service account, against a real server with logins."""

from __future__ import annotations

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


def test_who_was_an_administrator_or_is_gone_is_so_within_seconds(team: None, ask: Ask) -> None:
    """The server remembers for a moment who asks; what a user may do with a thing it asks each time."""
    made = ask("admin", "POST", "/2.0/mlflow/experiments/create", answer=True, name="of the admin")["experiment_id"]
    assert ask("admin", "POST", "/2.0/mlflow/users/create", username="grace", password=PASSWORD) == 200
    read = ("grace", "GET", "/2.0/mlflow/experiments/get")
    assert ask(*read, experiment_id=made) == 403
    for admin, status in ((True, 200), (False, 403)):
        ask("admin", "PATCH", "/2.0/mlflow/users/update-admin", username="grace", is_admin=admin)
        end = time.monotonic() + 15
        while ask(*read, experiment_id=made) != status:
            assert time.monotonic() < end, admin
            time.sleep(0.2)
    grant = {"resource_type": "experiment", "resource_id": made, "permission": "READ"}
    for change, status in (("grant", 200), ("revoke", 403)):
        done = ask("admin", "POST", f"/3.0/mlflow/users/permissions/{change}", username="grace", **grant)
        assert done == 200
        assert ask(*read, experiment_id=made) == status
    ask("admin", "DELETE", "/2.0/mlflow/users/delete", username="grace")
    assert ask(*read, experiment_id=made) == 401


def test_a_run_that_is_made_after_it_was_asked_for_is_found_and_what_is_deleted_is_not(
    things: dict[str, str], ask: Ask
) -> None:
    assert ask("alice", "GET", "/2.0/mlflow/runs/get", run_id="0" * 32) == 403
    made = ask("alice", "POST", "/2.0/mlflow/runs/create", answer=True, experiment_id=things["churn"])["run"]["info"]
    body = {"run_id": made["run_id"], "metrics": [{"key": "k", "value": 1, "timestamp": 1, "step": 0}]}
    for user, status in (("alice", 200), ("bob", 403), ("reader", 403), ("alice", 200), ("bob", 403)):
        assert ask(user, "POST", "/2.0/mlflow/runs/log-batch", **body) == status


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
