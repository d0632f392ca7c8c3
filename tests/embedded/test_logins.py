"""The module that keeps MLflow's users in step with a list, against a real server with logins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.embedded.logins import ADMIN, ALICE, JOBS, PASSWORD, READER, TEAM, Apply, Ask, all_roles, task
from tests.unit.plays import results, run


def test_check_apply_check_apply_changes_once_and_makes_the_experiments_named(
    logins: str, tmp_path: Path, ask: Ask
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


def test_check_mode_makes_nothing(logins: str, tmp_path: Path, ask: Ask) -> None:
    step = task(logins, [*TEAM, {"name": "dave", "password": PASSWORD, "experiments": {"unborn": "READ"}}])
    (done,) = results(tmp_path, [{**step, "check_mode": True}])
    assert done["changed"]
    assert ask("dave", "GET", "/2.0/mlflow/users/current") == 401
    assert ask("admin", "GET", "/2.0/mlflow/experiments/get-by-name", experiment_name="unborn") == 404


def test_a_user_who_is_not_listed_is_removed_with_its_role(team: None, apply: Apply, ask: Ask) -> None:
    ask("admin", "POST", "/2.0/mlflow/users/create", username="erin", password=PASSWORD)
    ask("admin", "POST", "/3.0/mlflow/roles/create", workspace="default", name="user erin")
    assert ask("erin", "GET", "/2.0/mlflow/users/current") == 200
    assert apply(TEAM)["changed"]
    assert ask("erin", "GET", "/2.0/mlflow/users/current") == 401
    assert "user erin" not in {role["name"] for role in all_roles(ask)}
    assert ask("admin", "GET", "/2.0/mlflow/users/current") == 200


def test_a_user_to_keep_is_left_as_it_is(apply: Apply, ask: Ask) -> None:
    assert ask("admin", "POST", "/2.0/mlflow/users/create", username="guest", password=PASSWORD) == 200
    apply(TEAM, keep=["admin", "guest"])
    assert ask("guest", "GET", "/2.0/mlflow/users/current") == 200


def test_a_password_that_was_changed_is_set_again(team: None, apply: Apply, ask: Ask) -> None:
    ask("admin", "PATCH", "/2.0/mlflow/users/update-password", username="alice", password="something-quite-else")
    assert ask("alice", "GET", "/2.0/mlflow/users/current") == 401
    assert apply(TEAM)["changed"]
    assert ask("alice", "GET", "/2.0/mlflow/users/current") == 200


def test_what_was_given_beside_the_list_is_taken_away(things: dict[str, str], apply: Apply, ask: Ask) -> None:
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
    assert apply(TEAM)["changed"]
    assert ask("bob", "GET", "/2.0/mlflow/experiments/get", experiment_id=things["secret"]) == 403
    assert ask("reader", "POST", "/2.0/mlflow/experiments/delete", experiment_id=things["secret"]) == 403
    assert ask("alice", "POST", "/2.0/mlflow/experiments/delete", experiment_id=things["secret"]) == 403


def test_who_makes_an_experiment_keeps_it(team: None, apply: Apply, ask: Ask) -> None:
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
    logins: str, server: str, team: None, tmp_path: Path
) -> None:
    as_alice = task(logins, [JOBS], admin_user="alice", admin_password=PASSWORD)
    refused, open_to_all = results(tmp_path, [as_alice, task(server, TEAM)])
    assert "alice is no administrator there" in refused["msg"]
    assert "start it with --app-name=basic-auth" in open_to_all["msg"]


def test_no_password_is_in_output_or_diff(logins: str, tmp_path: Path) -> None:
    done = run(tmp_path, [task(logins, TEAM)], "-vvv", "--diff", callback="default")
    assert done.returncode == 0, done.stdout
    assert ADMIN not in done.stdout + done.stderr and PASSWORD not in done.stdout + done.stderr
