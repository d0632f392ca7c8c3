"""What the S3 user that MLflow holds may do, and may not, with the role's own policy and bucket."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import jinja2
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError
from minio import Minio
from minio.error import MinioAdminException

from tests.e2e.minio_server import ROOT, MinioServer, Play, admin_of, can_log_in

ROLE = yaml.safe_load((ROOT / "ansible/roles/object_store/vars/main.yml").read_text())
READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"}],
}
SECRET = "a-secret-of-the-user"


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
    document = json.loads(jinja2.Template(json.dumps(ROLE["_object_store_document"])).render(platform_bucket=bucket))
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
