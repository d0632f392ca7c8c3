"""The object store's module and the rights of MLflow's user, against a real MinIO."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import jinja2
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from minio import Minio, MinioAdmin
from minio.commonconfig import ENABLED, Filter
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule
from minio.versioningconfig import SUSPENDED, VersioningConfig

if TYPE_CHECKING:
    from tests.e2e.minio_server import MinioServer


ROOT = Path(__file__).parents[2]
POLICY = ROOT / "ansible/roles/object_store/templates/policy.json.j2"
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"}],
}
SECRET = "a-secret-of-the-user"
KINDS = {"bucket": "buckets", "policy": "policies", "user": "users"}
FOUR_CALLS = [True, False, True, False]


class Play:
    """Runs the module through ansible-playbook, each time as told: check or apply."""

    def __init__(self, server: MinioServer, directory: Path) -> None:
        self.connection = server._asdict()
        self.directory = directory
        self.output = ""

    def run(self, kind: str, arguments: dict[str, Any], checks: list[bool]) -> list[dict[str, Any]]:
        tasks = [
            {
                "minio_store": {**self.connection, KINDS[kind]: [arguments]},
                "check_mode": check,
                "diff": True,
                "ignore_errors": True,
            }
            for check in checks
        ]
        playbook = self.directory / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
        command = [sys.executable, "-m", "ansible", "playbook", "-vvv", "-i", "localhost,", "-c", "local"]
        command += ["-e", f"ansible_python_interpreter={sys.executable}", str(playbook)]
        run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        self.output = run.stdout + run.stderr
        assert "{" in run.stdout, self.output
        plays = json.loads(run.stdout[run.stdout.index("{\n") :])["plays"]
        return [task["hosts"]["localhost"] for task in plays[0]["tasks"]]

    def apply(self, kind: str, **arguments: Any) -> dict[str, Any]:
        result = self.run(kind, arguments, [False])[0]
        assert not result.get("failed"), result
        return result

    def changes(self, kind: str, **arguments: Any) -> list[bool]:
        """What check, apply, check, apply say they change."""
        results = self.run(kind, arguments, FOUR_CALLS)
        assert not [result for result in results if result.get("failed")], results
        return [result["changed"] for result in results]

    def error(self, kind: str, **arguments: Any) -> str:
        """What it says when it fails, the same in check mode and out of it."""
        foretold, failed = self.run(kind, arguments, [True, False])
        assert foretold["failed"] and failed["failed"]
        assert foretold["msg"] == failed["msg"]
        return failed["msg"]


@pytest.fixture
def play(minio_server: MinioServer, tmp_path: Path) -> Play:
    return Play(minio_server, tmp_path)


@pytest.fixture
def root(minio_server: MinioServer) -> Minio:
    return Minio(minio_server.endpoint, minio_server.access_key, minio_server.secret_key, secure=False)


@pytest.fixture
def admin(minio_server: MinioServer) -> MinioAdmin:
    return admin_of(minio_server, minio_server.access_key, minio_server.secret_key)


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def admin_of(server: MinioServer, access_key: str, secret_key: str) -> MinioAdmin:
    return MinioAdmin(endpoint=server.endpoint, credentials=StaticProvider(access_key, secret_key), secure=False)


def can_log_in(server: MinioServer, access_key: str, secret_key: str) -> bool:
    try:
        Minio(server.endpoint, access_key, secret_key, secure=False, region="us-east-1").list_buckets()
    except S3Error as error:
        return error.code == "AccessDenied"
    return True


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


# --- what MLflow's user may do ---


class Tenant:
    """MLflow's user, made by the modules with the role's own policy, in a bucket made as the role makes it."""

    def __init__(self, server: MinioServer, bucket: str) -> None:
        self.server, self.bucket = server, bucket
        self.s3 = self.client("s3")

    def client(self, service: str, **keys: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://{self.server.endpoint}",
            aws_access_key_id=keys.get("access_key", self.bucket),
            aws_secret_access_key=keys.get("secret_key", SECRET),
            aws_session_token=keys.get("token"),
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="module")
def tenant(minio_server: MinioServer, tmp_path_factory: pytest.TempPathFactory) -> Tenant:
    play = Play(minio_server, tmp_path_factory.mktemp("tenant"))
    bucket = f"tenant-{uuid.uuid4().hex[:8]}"
    document = json.loads(jinja2.Template(POLICY.read_text()).render(platform_bucket=bucket))
    play.apply("bucket", name=bucket, object_lock=True, noncurrent_days=30)
    play.apply("policy", name=bucket, document=document)
    play.apply("user", name=bucket, secret=SECRET, policies=[bucket])
    assert not play.apply("policy", name=bucket, document=document)["changed"]
    return Tenant(minio_server, bucket)


@pytest.fixture
def artifact(tenant: Tenant) -> tuple[str, str]:
    """An object with one version."""
    key = f"1/{uuid.uuid4().hex}/artifacts/model.skops"
    return key, tenant.s3.put_object(Bucket=tenant.bucket, Key=key, Body=b"first")["VersionId"]


def versions(root: Minio, bucket: str, key: str) -> set[str | None]:
    return {
        entry.version_id
        for entry in root.list_objects(bucket, prefix=key, include_version=True)
        if not entry.is_delete_marker
    }


def refused(call: Callable[..., object], **arguments: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_mlflow_writes_lists_reads_and_deletes_artifacts(tenant: Tenant, artifact: tuple[str, str]) -> None:
    key, _ = artifact
    listing = tenant.s3.list_objects_v2(Bucket=tenant.bucket, Prefix=key)
    assert [entry["Key"] for entry in listing["Contents"]] == [key]
    assert tenant.s3.get_object(Bucket=tenant.bucket, Key=key)["Body"].read() == b"first"
    tenant.s3.head_bucket(Bucket=tenant.bucket)
    tenant.s3.delete_object(Bucket=tenant.bucket, Key=key)
    assert tenant.s3.list_objects_v2(Bucket=tenant.bucket, Prefix=key)["KeyCount"] == 0


def test_mlflow_uploads_in_parts_and_gives_up_an_upload(tenant: Tenant) -> None:
    where = {"Bucket": tenant.bucket, "Key": "1/parts/artifacts/large.bin"}
    upload = tenant.s3.create_multipart_upload(**where)["UploadId"]
    tag = tenant.s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x" * 1024)["ETag"]
    tenant.s3.complete_multipart_upload(
        **where, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]}
    )
    assert tenant.s3.head_object(**where)["ContentLength"] == 1024
    tenant.s3.abort_multipart_upload(**where, UploadId=tenant.s3.create_multipart_upload(**where)["UploadId"])


def test_what_mlflow_overwrites_or_deletes_survives(tenant: Tenant, artifact: tuple[str, str], root: Minio) -> None:
    key, first = artifact
    second = tenant.s3.put_object(Bucket=tenant.bucket, Key=key, Body=b"second")["VersionId"]
    tenant.s3.delete_object(Bucket=tenant.bucket, Key=key)
    assert versions(root, tenant.bucket, key) == {first, second}
    assert root.get_object(tenant.bucket, key, version_id=first).data == b"first"


def test_no_version_can_be_deleted(tenant: Tenant, artifact: tuple[str, str], root: Minio) -> None:
    key, version = artifact
    refused(tenant.s3.delete_object, Bucket=tenant.bucket, Key=key, VersionId=version)
    bypass = {"VersionId": version, "BypassGovernanceRetention": True}
    refused(tenant.s3.delete_object, Bucket=tenant.bucket, Key=key, **bypass)
    wanted = {"Objects": [{"Key": key, "VersionId": version}]}
    answer = tenant.s3.delete_objects(Bucket=tenant.bucket, Delete=wanted)
    assert [error["Code"] for error in answer["Errors"]] == ["AccessDenied"]
    assert versions(root, tenant.bucket, key) == {version}


@pytest.mark.parametrize("everything", [False, True], ids=["a prefix", "the bucket"])
def test_no_history_can_be_wiped_by_force(
    tenant: Tenant, artifact: tuple[str, str], root: Minio, everything: bool
) -> None:
    key, version = artifact
    forceful = tenant.client("s3")
    forceful.meta.events.register(
        "before-sign.s3", lambda request, **_: request.headers.add_header("x-minio-force-delete", "true")
    )
    with pytest.raises(ClientError):
        if everything:
            forceful.delete_bucket(Bucket=tenant.bucket)
        else:
            forceful.delete_object(Bucket=tenant.bucket, Key=key.split("/artifacts")[0])
    assert versions(root, tenant.bucket, key) == {version}


def test_the_bucket_cannot_be_made_forgetful(tenant: Tenant) -> None:
    bucket = {"Bucket": tenant.bucket}
    soon = {
        "ID": "x",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    }
    refused(tenant.s3.put_bucket_versioning, **bucket, VersioningConfiguration={"Status": "Suspended"})
    refused(tenant.s3.put_bucket_lifecycle_configuration, **bucket, LifecycleConfiguration={"Rules": [soon]})
    refused(tenant.s3.put_bucket_policy, **bucket, Policy=json.dumps(READ))
    refused(tenant.s3.delete_bucket, **bucket)


def test_other_buckets_are_out_of_reach(tenant: Tenant, root: Minio, name: str) -> None:
    root.make_bucket(name)
    refused(tenant.s3.list_objects_v2, Bucket=name)
    refused(tenant.s3.get_object, Bucket=name, Key="anything")
    refused(tenant.s3.put_object, Bucket=name, Key="anything", Body=b"x")
    refused(tenant.s3.create_bucket, Bucket=f"{name}-mine")
    assert [bucket["Name"] for bucket in tenant.s3.list_buckets()["Buckets"]] == [tenant.bucket]


def test_the_key_cannot_make_another_key_or_change_itself(tenant: Tenant, name: str) -> None:
    own = admin_of(tenant.server, tenant.bucket, SECRET)
    attempts: list[Callable[[], object]] = [
        lambda: own.user_add(name, SECRET),
        lambda: own.user_add(tenant.bucket, "a-new-secret-of-its-own"),
        lambda: own.add_service_account(access_key=name, secret_key=SECRET),
        lambda: own.policy_add(name, policy=READ),
        lambda: own.policy_set("consoleAdmin", user=tenant.bucket),
    ]
    for attempt in attempts:
        with pytest.raises(MinioAdminException, match="AccessDenied"):
            attempt()
    assert can_log_in(tenant.server, tenant.bucket, SECRET)


def test_a_temporary_key_destroys_no_history_either(tenant: Tenant, artifact: tuple[str, str], root: Minio) -> None:
    key, version = artifact
    lent = tenant.client("sts").assume_role(RoleArn="arn:aws:iam::1:role/any", RoleSessionName="any")["Credentials"]
    keys = {"access_key": lent["AccessKeyId"], "secret_key": lent["SecretAccessKey"], "token": lent["SessionToken"]}
    refused(tenant.client("s3", **keys).delete_object, Bucket=tenant.bucket, Key=key, VersionId=version)
    assert versions(root, tenant.bucket, key) == {version}
