"""Hostile and careless callers, through the gateway of a platform that people use."""

import base64
import contextlib
import functools
import select
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, S3Error

from tests.e2e.conftest import ROOT, changed, job, launch, play
from tests.e2e.hosts import all_groups, wait
from tests.e2e.network.conftest import EXPERIMENT, PORTS, Network

API = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def trained(network: Network) -> SimpleNamespace:
    """A run of the experiment that `writer` may edit, and one that nobody but its maker may see."""
    done = launch("train", network.connection, "--n-estimators", "10", "--cv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    run_id = done.stdout.split("/runs/", 1)[1].split()[0]
    network.ask("maker", "POST", f"{API}/experiments/create", json={"name": "of maker"})
    own = network.ask("maker", "GET", f"{API}/experiments/get-by-name?experiment_name=of maker").json()["experiment"]
    made = network.ask("maker", "POST", f"{API}/runs/create", json={"experiment_id": own["experiment_id"]})
    assert made.status_code == 200, made.text
    return SimpleNamespace(run_id=run_id, own=own["experiment_id"], own_run=made.json()["run"]["info"]["run_id"])


def test_who_may_only_read_reads_and_changes_nothing(network: Network, trained: SimpleNamespace) -> None:
    assert network.ask("reader", "GET", f"{API}/runs/get?run_id={trained.run_id}").status_code == 200
    model = {"name": "iris-classifier"}
    for method, path, body in (
        ("POST", "experiments/create", {"name": "of reader"}),
        ("POST", "runs/log-metric", {"run_id": trained.run_id, "key": "k", "value": 1, "timestamp": 1}),
        ("POST", "runs/delete", {"run_id": trained.run_id}),
        ("POST", "registered-models/create", {"name": "of reader"}),
        ("POST", "model-versions/create", model | {"source": f"runs:/{trained.run_id}/model"}),
        ("POST", "registered-models/alias", model | {"alias": "champion", "version": "1"}),
        ("DELETE", "registered-models/delete", model),
        ("POST", "users/create", {"username": "mallory", "password": "a long enough one"}),
    ):
        assert network.ask("reader", method, f"{API}/{path}", json=body).status_code == 403, path
    artifact = f"/api/2.0/mlflow-artifacts/artifacts/{trained.own}/{trained.own_run}/artifacts/file"
    for method in ("PUT", "DELETE"):
        assert network.ask("reader", method, artifact, data=b"x").status_code == 403, method


def test_who_edits_one_experiment_sees_no_other_and_makes_none(network: Network, trained: SimpleNamespace) -> None:
    metric = {"run_id": trained.run_id, "key": "seen", "value": 1, "timestamp": 1}
    assert network.ask("writer", "POST", f"{API}/runs/log-metric", json=metric).status_code == 200
    assert network.ask("writer", "GET", f"{API}/runs/get?run_id={trained.own_run}").status_code == 403
    artifacts = f"/api/2.0/mlflow-artifacts/artifacts/{trained.own}/{trained.own_run}/artifacts/file"
    assert network.ask("maker", "PUT", artifacts, data=b"theirs").status_code == 200
    assert [network.ask(user, "GET", artifacts).content for user in ("maker", "reader")] == [b"theirs"] * 2
    piece = {"Range": "bytes=0-1"}  # of what comes from MinIO; MLflow sends the whole
    assert network.ask("reader", "GET", artifacts, headers=piece).content == b"th"
    assert network.ask("writer", "GET", artifacts).status_code == 403
    assert network.ask("writer", "POST", f"{API}/experiments/create", json={"name": "of writer"}).status_code == 403
    found = network.ask("writer", "POST", f"{API}/experiments/search", json={"max_results": 100}).json()
    assert [experiment["name"] for experiment in found["experiments"]] == [EXPERIMENT]


def test_nobody_comes_in_without_a_login_or_with_another_s_password(network: Network) -> None:
    search = f"{API}/experiments/search"
    assert network.call("mlflow", "POST", search, json={"max_results": 1}).status_code == 401
    crossed = ("reader", network.password("maker"))
    assert network.call("mlflow", "POST", search, json={"max_results": 1}, auth=crossed).status_code == 401


def test_guessing_a_user_s_password_is_slowed_and_another_user_works_on(network: Network) -> None:
    search, body = f"{API}/experiments/search", {"max_results": 1}
    tries = [network.call("mlflow", "POST", search, json=body, auth=("target", f"guess{n}")) for n in range(12)]
    assert [answer.status_code for answer in tries] == [401] * 10 + [429] * 2
    assert "Too many failed logins" in tries[-1].json()["message"]
    assert network.ask("target", "POST", search, json=body).status_code == 429
    assert network.ask("reader", "POST", search, json=body).status_code == 200


@pytest.mark.parametrize("service", ["mlflow", "s3", "console"])
def test_another_name_and_a_climbing_path_reach_nobody(network: Network, service: str) -> None:
    assert network.call(service, "GET", "/", headers={"Host": "evil.example"}).status_code == 421
    climbing = network.call(service, "GET", "/%2e%2e/%2e%2e/etc/passwd")
    assert climbing.status_code == 400 and "root:" not in climbing.text


def test_a_page_of_another_origin_asks_nothing_in_a_user_s_name(network: Network) -> None:
    search, body = f"{API}/experiments/search", {"max_results": 1}
    for origin, status in (("https://evil.example", 403), (network.mlflow_uri, 200)):
        answer = network.ask("reader", "POST", search, json=body, headers={"Origin": origin})
        assert answer.status_code == status, origin


@pytest.fixture
def connect(network: Network) -> Iterator[Callable[[str], ssl.SSLSocket]]:
    """Open connections to MLflow's port and send as much of a request as is given."""
    context = ssl.create_default_context(cafile=network.ca)
    address = (network.host.address, PORTS["platform_mlflow_port"])
    with contextlib.ExitStack() as stack:

        def open_one(said: str) -> ssl.SSLSocket:
            plain = stack.enter_context(socket.create_connection(address, timeout=200))
            connection = stack.enter_context(context.wrap_socket(plain, server_hostname=network.host.address))
            connection.sendall(said.encode())
            return connection

        yield open_one


def test_who_stands_still_is_let_go_and_holds_up_nobody(
    network: Network, trained: SimpleNamespace, connect: Callable[[str], ssl.SSLSocket]
) -> None:
    """In the middle of its headers, sent byte by byte or not at all, of a body it promised, or of one it asked for."""
    large = f"/api/2.0/mlflow-artifacts/artifacts/{trained.own}/{trained.own_run}/artifacts/large.bin"
    assert network.ask("maker", "PUT", large, data=bytes(64 << 20)).status_code == 200
    login = base64.b64encode(f"maker:{network.password('maker')}".encode()).decode()
    start = f"POST {API}/experiments/search HTTP/1.1\r\nHost: localhost\r\n"
    silent = [connect(start), connect(f"{start}Content-Length: 1000\r\n\r\n{{")]
    readers = [
        connect(f"GET {large} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {login}\r\n\r\n") for _ in range(4)
    ]
    assert [reader.recv(12) for reader in readers] == [b"HTTP/1.1 200"] * 4
    assert network.ask("reader", "GET", f"{API}/runs/get?run_id={trained.run_id}").status_code == 200
    slow = connect(f"{start}X-Slow: ")
    with pytest.raises(OSError):
        for _ in range(200):
            slow.sendall(b"a")
            time.sleep(0.5)
    for connection in silent:
        with contextlib.suppress(ConnectionResetError):  # how it ends is the gateway's business
            while connection.recv(65536):
                pass
    for reader in readers:
        closed = select.poll()
        closed.register(reader, 0)
        assert closed.poll(200_000), "the gateway waits for a reader that reads nothing"
    assert network.ask("maker", "GET", large).content == bytes(64 << 20)


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%252e%252e/%252e%252e/etc/passwd"])
def test_an_artifact_is_no_file_of_the_server(network: Network, trained: SimpleNamespace, path: str) -> None:
    for address in (
        f"/get-artifact?run_uuid={trained.run_id}&path={path}",
        f"/api/2.0/mlflow-artifacts/artifacts?path={path}",
        f"{API}/artifacts/list?run_id={trained.run_id}&path={path}",
    ):
        answer = network.ask("admin", "GET", address)
        assert answer.status_code in (400, 403, 404), (address, answer.text)
        assert "root:" not in answer.text


@pytest.fixture(scope="module")
def key(network: Network) -> SimpleNamespace:
    """MLflow's own key, in the hands of somebody elsewhere on the network."""
    login = (network.secrets["mlflow_s3_access_key"], network.secrets["mlflow_s3_secret_key"])
    root = (network.secrets["minio_root_user"], network.secrets["minio_root_password"])
    http = urllib3.PoolManager(ca_certs=network.ca, retries=False)
    endpoint = network.s3_uri.removeprefix("https://")
    admins = [
        MinioAdmin(endpoint=endpoint, credentials=StaticProvider(*who), http_client=http) for who in (login, root)
    ]
    return SimpleNamespace(s3=Minio(endpoint, *login, region="us-east-1", http_client=http), admins=admins)


@pytest.mark.usefixtures("trained")
def test_mlflow_s_key_reaches_its_objects_and_nothing_else(key: SimpleNamespace) -> None:
    name = next(found.object_name for found in key.s3.list_objects("mlflow", recursive=True))
    version = key.s3.stat_object("mlflow", name).version_id
    beyond: list[Callable[[], Any]] = [
        lambda: key.s3.remove_object("mlflow", name, version_id=version),
        lambda: key.s3.make_bucket("of-mallory"),
        lambda: key.s3.remove_bucket("mlflow"),
        lambda: key.s3.get_bucket_policy("mlflow"),
        lambda: key.s3.set_bucket_policy("mlflow", "{}"),
        lambda: key.s3.delete_bucket_lifecycle("mlflow"),
        lambda: key.s3.list_objects("another-bucket").__next__(),
    ]
    for call in beyond:
        with pytest.raises(S3Error) as refused:
            call()
        assert refused.value.code == "AccessDenied"


def test_minio_is_not_administered_from_the_network_not_even_by_its_root(
    network: Network, key: SimpleNamespace
) -> None:
    for admin in key.admins:
        for call in (admin.user_list, functools.partial(admin.user_add, "mallory", "a long enough one"), admin.info):
            with pytest.raises(MinioAdminException, match="not from the network"):
                call()
    for path, status in (("metrics/v3/api", 403), ("v2/metrics/cluster", 403), ("health/ready", 200)):
        assert network.call("s3", "GET", f"/minio/{path}").status_code == status, path


def test_a_login_changed_in_the_middle_of_a_training_fails_it_and_what_was_logged_stays(
    network: Network, trained: SimpleNamespace
) -> None:
    command = job("train", network.connection, "--n-estimators", "3000", "--cv", "0", "--experiment", "cut short")
    find = "docker ps --quiet --filter label=platform.job --filter label=platform.name=" + network.name
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as training:
        wait(lambda: logged(network) != [], "the training logs nothing")
        network.root(f"docker pause $({find})")
        changes = {"username": "jobs", "password": "another long password"}
        answer = network.ask("admin", "PATCH", f"{API}/users/update-password", json=changes)
        assert answer.status_code == 200, answer.text
        # MLflow remembers a right password for a minute; a restart forgets it at once.
        network.root(f"docker restart {network.name}-mlflow-1")
        network.root(f"cd {network.directory} && docker compose up --detach --wait")
        network.root(f"docker unpause $({find})")
        _, errors = training.communicate(timeout=300)
    assert training.returncode == 3, errors
    assert "refuses this login" in errors and "stays RUNNING" in errors
    (left,) = logged(network)
    assert {"key": "n_estimators", "value": "3000"} in left["data"]["params"]
    mended = play("provision", network.inventory)
    assert changed(mended.stdout) == 1, mended.stdout
    done = launch("train", network.connection, "--n-estimators", "10", "--cv", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert logged(network)[0]["info"]["status"] == "KILLED"
    assert not network.root(
        f"docker ps --all --quiet --filter label=platform.job --filter label=platform.name={network.name}"
    )


def logged(network: Network) -> list[dict[str, Any]]:
    """Return the runs of the experiment `cut short` that have parameters."""
    found = network.ask("admin", "GET", f"{API}/experiments/get-by-name?experiment_name=cut short")
    if found.status_code == 404:
        return []
    body = {"experiment_ids": [found.json()["experiment"]["experiment_id"]]}
    runs = network.ask("admin", "POST", f"{API}/runs/search", json=body).json().get("runs", [])
    return [run for run in runs if run["data"].get("params")]


@pytest.fixture
def other(network: Network, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Inventories of another controller, which has none of the platform's credentials, for the same host."""

    def write(name: str, **more: object) -> Path:
        directory = {"platform_credentials_dir": tmp_path / "credentials"}
        return network.hosts.inventory(all_groups(network.host), name=name, platform_name=name, **directory, **more)

    yield write


def test_another_controller_without_the_credentials_does_not_take_the_platform_over(network, other) -> None:
    before = network.containers()
    done = play("provision", other(network.name, exposure="network", **PORTS), check=False)
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "secrets.yml" in said and "destroy" in said
    assert network.containers() == before
    # Nor does a platform of another name get in its way.
    done = play("provision", other(f"{network.name}-2", exposure="network", **PORTS), check=False)
    said = " ".join(done.stdout.split())
    assert done.returncode != 0 and f"is taken by the container {network.name}-gateway-1" in said
    assert network.containers() == before


def test_two_inventories_share_a_host_under_other_names_and_ports(network: Network, other) -> None:
    before = network.containers()
    name = f"{network.name}-2"
    inventory = other(name, **{port: number + 10 for port, number in PORTS.items()})
    try:
        play("provision", inventory)
        for one in (inventory, network.inventory):
            dry = play("provision", one, "--check").stdout
            assert changed(dry) == 0, dry
        assert network.containers() == before
    finally:
        play("destroy", inventory, "-e", "destroy_data=delete", "-e", f"destroy_confirm={name}")
    assert network.containers() == before
