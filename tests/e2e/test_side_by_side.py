"""Two platforms on one host, and one that people have tampered with: neither knows of the other, and each is mended."""

import json
import urllib.request
from types import SimpleNamespace

import pytest
import yaml
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.deleteobjects import DeleteObject
from mlflow import MlflowClient

from tests.e2e.conftest import changed, launch, play
from tests.e2e.minio_server import docker

POLICY = "second-mlflow"


def state(name: str) -> dict[str, tuple[str, str, str]]:
    """Return id, start and health of every container of a platform, by its name."""
    names = docker("ps", "--quiet", "--filter", f"label=platform.name={name}").split()
    return {
        found["Name"]: (found["Id"], found["State"]["StartedAt"], found["State"]["Health"]["Status"])
        for found in json.loads(docker("inspect", *names))
    }


@pytest.fixture(scope="module")
def beside(second: SimpleNamespace, platform: SimpleNamespace) -> SimpleNamespace:
    """The second platform, provisioned: its secrets, and what the first looked like before."""
    before = state(platform.name)
    play("provision", second.inventory)
    return SimpleNamespace(**vars(second), before=before, secrets=yaml.safe_load(second.credentials.read_text()))


def test_both_work_and_neither_sees_the_other_s_runs(platform, trained, beside) -> None:
    assert state(platform.name) == beside.before
    done = launch("train", beside.connection, "--experiment", "only-here", "--n-estimators", "10", "--cv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert beside.mlflow_uri in done.stdout
    assert MlflowClient(beside.mlflow_uri).get_experiment_by_name("only-here") is not None
    assert MlflowClient(platform.mlflow_uri).get_experiment_by_name("only-here") is None
    assert set(beside.secrets.values()).isdisjoint(platform.secrets.values())


@pytest.fixture
def store(beside: SimpleNamespace) -> SimpleNamespace:
    """Clients of the second platform's object store."""
    root = (beside.secrets["minio_root_user"], beside.secrets["minio_root_password"])
    endpoint = beside.s3_uri.removeprefix("http://")
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(*root), secure=False)
    user = beside.secrets["mlflow_s3_access_key"]
    policy = json.loads(admin.user_info(user))["policyName"]
    return SimpleNamespace(s3=Minio(endpoint, *root, secure=False), admin=admin, user=user, policy=policy)


def remove_bucket(store: SimpleNamespace) -> None:
    """Remove the bucket and every version in it, as root can."""
    every = store.s3.list_objects("mlflow", recursive=True, include_version=True)
    refused = store.s3.remove_objects("mlflow", [DeleteObject(one.object_name, one.version_id) for one in every])
    assert list(refused) == []
    store.s3.remove_bucket("mlflow")


def widen_policy(store: SimpleNamespace) -> None:
    """Let MLflow's user do everything."""
    everything = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}
    store.admin.policy_add(store.policy, policy={"Version": "2012-10-17", "Statement": [everything]})


TAMPERED = {
    "bucket removed": remove_bucket,
    "policy widened": widen_policy,
    "lifecycle removed": lambda store: store.s3.delete_bucket_lifecycle("mlflow"),
    "user removed": lambda store: store.admin.user_remove(store.user),
    "user disabled": lambda store: store.admin.user_disable(store.user),
    "secret changed": lambda store: store.admin.user_add(store.user, "another-secret-of-the-user"),
}


def test_what_was_tampered_with_by_hand_comes_back_and_mlflow_works(beside, store) -> None:
    """All at once, then what cannot be at once: a user that is both removed and disabled."""
    for names in (
        ("bucket removed", "policy widened", "user removed"),
        ("lifecycle removed", "user disabled"),
        ("secret changed",),
    ):
        for name in names:
            TAMPERED[name](store)
        mended = play("provision", beside.inventory)
        assert changed(mended.stdout) > 0, (names, mended.stdout)
        assert "s3:*" not in store.admin.policy_info(store.policy)
        assert store.s3.get_bucket_versioning("mlflow").status == "Enabled"
        assert store.s3.get_bucket_lifecycle("mlflow") is not None
        assert store.s3.get_object_lock_config("mlflow") is not None
        assert "enabled" in store.admin.user_info(store.user)
        done = launch("train", beside.connection, "--n-estimators", "10", "--cv", "0", "--model-name", "mended")
        assert done.returncode == 0, (names, done.stdout, done.stderr)
    assert changed(play("provision", beside.inventory, "--check").stdout) == 0


def test_deleting_one_leaves_the_other_untouched(platform, trained, beside) -> None:
    before = state(platform.name)
    play("destroy", beside.inventory, "-e", "destroy_data=delete", "-e", f"destroy_confirm={beside.name}")
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert docker(*kind, "--quiet", "--filter", f"label=platform.name={beside.name}") == ""
    assert not beside.credentials.exists()
    assert state(platform.name) == before
    assert changed(play("provision", platform.inventory, "--check").stdout) == 0
    with urllib.request.urlopen(
        f"{platform.mlflow_uri}/api/2.0/mlflow/runs/get?run_id={trained}", timeout=30
    ) as answer:
        assert json.load(answer)["run"]["info"]["run_id"] == trained
