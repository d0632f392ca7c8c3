"""The object store's module against a real MinIO: four calls each, drift repaired, errors that name the fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from minio import Minio, MinioAdmin
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.versioningconfig import SUSPENDED, VersioningConfig

from tests.e2e.minio_server import MinioServer, Play, can_log_in

READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"}],
}
SECRET = "a-secret-of-the-user"


# --- buckets ---


def test_a_bucket_is_made_once_and_check_mode_foretells_it(play: Play, root: Minio, name: str) -> None:
    assert play.changes("bucket", name=name, object_lock=True, noncurrent_days=30) == [True, True, False, False]
    assert root.get_bucket_versioning(name).status == ENABLED
    assert root.get_object_lock_config(name) is not None


def test_suspended_versioning_is_enabled_again(play: Play, root: Minio, name: str) -> None:
    play.apply("bucket", name=name)
    root.set_bucket_versioning(name, VersioningConfig(SUSPENDED))
    assert play.changes("bucket", name=name) == [True, True, False, False]
    assert root.get_bucket_versioning(name).status == ENABLED


def test_a_strange_lifecycle_rule_is_replaced(play: Play, root: Minio, name: str) -> None:
    play.apply("bucket", name=name, object_lock=True, noncurrent_days=30)
    wanted = root.get_bucket_lifecycle(name)
    stray = Rule(ENABLED, rule_filter=Filter(prefix=""), rule_id="stray", expiration=Expiration(days=1))
    root.set_bucket_lifecycle(name, LifecycleConfig([stray]))
    assert play.changes("bucket", name=name, object_lock=True, noncurrent_days=30) == [True, True, False, False]
    assert root.get_bucket_lifecycle(name) == wanted


def test_a_lifecycle_removed_by_hand_comes_back(play: Play, root: Minio, name: str) -> None:
    play.apply("bucket", name=name, noncurrent_days=30)
    root.delete_bucket_lifecycle(name)
    assert play.changes("bucket", name=name, noncurrent_days=30) == [True, True, False, False]


def test_a_bucket_without_object_lock_is_refused_when_lock_is_asked_for(play: Play, root: Minio, name: str) -> None:
    root.make_bucket(name)
    assert "made without object lock" in play.error("bucket", name=name, object_lock=True)


def test_an_impossible_name_is_refused_before_anything_is_done(play: Play) -> None:
    assert "invalid bucket name" in play.error("bucket", name="Not_A_Bucket")


# --- policies ---


def test_a_policy_is_made_once_and_check_mode_foretells_it(play: Play, name: str) -> None:
    assert play.changes("policy", name=name, document=READ) == [True, True, False, False]


def test_an_edited_policy_is_repaired(play: Play, admin: MinioAdmin, name: str) -> None:
    play.apply("policy", name=name, document=READ)
    wanted = json.loads(admin.policy_info(name))
    wider = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}
    admin.policy_add(name, policy={**wanted, "Statement": [wider]})
    assert play.changes("policy", name=name, document=READ) == [True, True, False, False]
    assert json.loads(admin.policy_info(name)) == wanted


def test_a_policy_is_removed_once(play: Play, name: str) -> None:
    play.apply("policy", name=name, document=READ)
    assert play.changes("policy", name=name, state="absent") == [True, True, False, False]


def test_a_policy_in_use_is_not_removed_and_its_holder_is_named(play: Play, admin: MinioAdmin, name: str) -> None:
    play.apply("policy", name=name, document=READ)
    admin.user_add(name, SECRET)
    admin.policy_set(name, user=name)
    assert f"held by {name}" in play.error("policy", name=name, state="absent")


def test_a_policy_the_server_cannot_read_is_an_error_with_its_code(play: Play, name: str) -> None:
    mixed = {"Effect": "Deny", "Action": ["s3:GetObject", "admin:CreateUser"], "Resource": ["arn:aws:s3:::*"]}
    document = {"Version": "2012-10-17", "Statement": [mixed]}
    result = play.run("policy", {"name": name, "document": document}, [False])[0]
    assert result["failed"]
    assert "XMinioMalformedIAMPolicy" in result["msg"] and "never both" in result["msg"]


# --- users ---


def test_a_user_is_made_once_and_check_mode_foretells_it(play: Play, minio_server: MinioServer, name: str) -> None:
    user = {"name": name, "secret": SECRET, "policies": ["readonly"]}
    assert play.changes("user", **user) == [True, True, False, False]
    assert can_log_in(minio_server, name, SECRET)


def test_a_user_is_made_disabled_when_told_so(play: Play, minio_server: MinioServer, name: str) -> None:
    assert play.changes("user", name=name, secret=SECRET, enabled=False) == [True, True, False, False]
    assert not can_log_in(minio_server, name, SECRET)


Drift = Callable[[MinioAdmin, str], object]


@pytest.mark.parametrize(
    "drift",
    [
        pytest.param(lambda admin, name: admin.user_disable(name), id="disabled"),
        pytest.param(lambda admin, name: admin.user_add(name, "another-secret"), id="another secret"),
        pytest.param(lambda admin, name: admin.policy_set("readonly,consoleAdmin", user=name), id="more policies"),
        pytest.param(lambda admin, name: admin.policy_set("", user=name), id="no policy"),
        pytest.param(lambda admin, name: admin.user_remove(name), id="removed"),
    ],
)
def test_a_user_changed_by_hand_is_repaired(
    play: Play, admin: MinioAdmin, minio_server: MinioServer, name: str, drift: Drift
) -> None:
    user = {"name": name, "secret": SECRET, "policies": ["readonly"]}
    play.apply("user", **user)
    drift(admin, name)
    assert play.changes("user", **user) == [True, True, False, False]
    info = json.loads(admin.user_info(name))
    assert (info["status"], info["policyName"]) == ("enabled", "readonly")
    assert can_log_in(minio_server, name, SECRET)


def test_a_user_is_disabled_and_removed_once(play: Play, name: str) -> None:
    play.apply("user", name=name, secret=SECRET)
    assert play.changes("user", name=name, secret=SECRET, enabled=False) == [True, True, False, False]
    assert play.changes("user", name=name, state="absent") == [True, True, False, False]


def test_no_secret_is_shown(play: Play, minio_server: MinioServer, name: str) -> None:
    play.run("user", {"name": name, "secret": SECRET}, [True, False])
    assert SECRET not in play.output
    assert minio_server.secret_key not in play.output


def test_the_root_user_is_not_touched(play: Play, minio_server: MinioServer) -> None:
    assert "root user" in play.error("user", name=minio_server.access_key, secret=SECRET)


# --- errors ---


def test_a_server_that_is_not_there_is_named(minio_server: MinioServer, tmp_path: Path) -> None:
    nowhere = Play(minio_server._replace(endpoint="127.0.0.1:1"), tmp_path)
    assert "at 127.0.0.1:1 failed: no connection" in nowhere.run("bucket", {"name": "nothing"}, [True])[0]["msg"]


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("bucket", {}), ("policy", {"document": READ}), ("user", {"secret": SECRET})],
)
def test_a_wrong_root_password_is_told_apart(
    minio_server: MinioServer, tmp_path: Path, kind: str, arguments: dict[str, Any]
) -> None:
    stranger = Play(minio_server._replace(secret_key="not-the-password"), tmp_path)
    result = stranger.run(kind, {"name": "nothing", **arguments}, [True])[0]
    assert result["code"] == "SignatureDoesNotMatch"
    assert "secret_key does not belong to access_key" in result["msg"]
