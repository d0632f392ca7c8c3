"""Four hosts under `exposure: network`: database, object store, tracking server with jobs, and one for jobs alone."""

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tests.e2e.conftest import job, launch, play, provision_until, status_of
from tests.e2e.host_images import docker
from tests.e2e.hosts import Hosts, wait

# Tries every port of every host named, from the host it runs on, and prints what answers.
SCAN = """
import concurrent.futures, socket, sys
def is_open(where):
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(where) == 0
for host in sys.argv[1:]:
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        found = pool.map(is_open, ((host, port) for port in range(1, 65536)))
        print(host, *(port for port, answers in enumerate(found, 1) if answers))
"""
# Asks PostgreSQL for a row with the login and the address MLflow has, and the TLS settings given.
ASK = """
import os, sys, psycopg
lines = open("/run/secrets/mlflow_env").read().splitlines()
uri = next(line.split("=", 1)[1].strip("'") for line in lines if line.startswith("MLFLOW_BACKEND"))
uri = uri.replace("postgresql+psycopg", "postgresql").split("?")[0] + "?" + sys.argv[1]
asked = psycopg.connect(uri, connect_timeout=10).execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
print(asked.fetchone())
"""


def recap(output: str) -> dict[str, dict[str, int]]:
    """Return the counters of every host in a play's recap."""
    lines = output.split("PLAY RECAP", 1)[1].splitlines()[1:]
    hosts = {line.split(":")[0].strip(): re.findall(r"(\w+)=(\d+)", line) for line in lines if "ok=" in line}
    return {host: {name: int(count) for name, count in counters} for host, counters in hosts.items()}


@pytest.fixture(scope="module")
def lab(hosts: Hosts, platform) -> SimpleNamespace:
    """The hosts, with images built before; the worker lets itself be reached through the tracking host only."""
    images = set(docker("ps", "--filter", f"label=platform.name={platform.name}", "--format", "{{.Image}}").split())
    images.add(platform.facts["job_image"])
    made = SimpleNamespace(
        db=hosts.make("db", debian=12),
        store=hosts.make("store", user="operator"),
        head=hosts.make("head", port=2222),
    )
    made.worker = hosts.make("worker", jump=made.head)
    for host, kinds in ((made.db, "postgres"), (made.store, "minio gateway mlflow"), (made.head, "mlflow gateway job")):
        host.load_images(*(image for image in images if image.split("/")[1].split(":")[0] in kinds.split()))
    made.worker.load_images(platform.facts["job_image"])
    made.groups = {"database": [made.db], "object_store": [made.store], "tracking": [made.head]}
    made.groups["compute"] = [made.head, made.worker]
    made.inventory = hosts.inventory(made.groups, platform_name="lab", exposure="network")
    made.credentials = hosts.directory / "credentials-lab"
    made.connection = made.credentials / "platform.json"
    made.first = play("provision", made.inventory).stdout
    return made


@pytest.fixture(scope="module")
def trained(lab) -> str:
    """What a training on the worker printed."""
    done = launch("train", lab.connection, host="worker")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_run_names_the_addresses_of_the_hosts(lab) -> None:
    assert f"https://{lab.head.address}:5000" in lab.first
    assert f"https://{lab.store.address}:9000" in lab.first


def test_a_second_run_changes_nothing_on_any_host_and_a_dry_run_foretells_it(lab) -> None:
    for arguments in (["--check"], []):
        counters = recap(play("provision", lab.inventory, *arguments).stdout)
        assert {host: counter["changed"] for host, counter in counters.items()} == dict.fromkeys(counters, 0)
        assert len(counters) == 4


def test_each_host_runs_its_own_services_and_has_no_other_images(lab) -> None:
    wanted = {
        lab.db: {"postgres"},
        lab.store: {"minio", "gateway"},
        lab.head: {"mlflow", "gateway"},
        lab.worker: set(),
    }
    for host, services in wanted.items():
        running = host.run("docker ps --format '{{.Label \"com.docker.compose.service\"}}'", user="root").stdout.split()
        assert set(running) == services, host.name
    images = lab.db.run("docker images --format '{{.Repository}}'", user="root").stdout.split()
    assert images == ["platform/postgres"]


def test_a_job_runs_on_the_host_named_and_logs_in_to_the_tracking_server(lab, trained: str) -> None:
    assert "Host         worker" in trained
    assert f"Run          https://{lab.head.address}:5000/#/experiments/" in trained


def test_a_job_goes_to_the_least_busy_host(lab, trained: str, tmp_path: Path) -> None:
    busy = ["docker", "run", "--detach", "--rm", "--label", "platform.job=busy", "--entrypoint", "sleep"]
    image = json.loads(lab.connection.read_text())["job_image"]
    container = lab.head.run(" ".join([*busy, image, "300"])).stdout.strip()
    try:
        done = launch("predict", lab.connection, "--output", str(tmp_path / "p.csv"))
    finally:
        lab.head.run(f"docker kill {container}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Host         worker" in done.stdout
    assert (tmp_path / "p.csv").read_text().count("\n") == 16


def test_a_job_s_login_is_not_in_what_its_engine_shows(lab) -> None:
    password = (lab.credentials / "job-login.ini").read_text().split("=")[-1].strip()
    running = subprocess.Popen(
        job("train", lab.connection, "--n-estimators", "600", "--cv", "10", host="head"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = ""
    while running.poll() is None and "platform.job" not in seen:
        found = lab.head.run("docker ps --quiet --filter label=platform.job").stdout.split()
        seen = lab.head.run(f"docker inspect {found[0]}; docker top {found[0]}", check=False).stdout if found else ""
    said, _ = running.communicate(timeout=300)
    assert running.returncode == 0, said
    assert "platform.job" in seen and password not in seen and password not in said


def test_from_another_host_only_ssh_and_the_documented_ports_answer(lab) -> None:
    addresses = [lab.db.address, lab.store.address, lab.head.address]
    lab.worker.run(f"cat > /tmp/scan.py << 'EOF'\n{SCAN}\nEOF")
    found = lab.worker.run(f"python3 /tmp/scan.py {' '.join(addresses)}").stdout.splitlines()
    assert found == [
        f"{lab.db.address} 22 5432",
        f"{lab.store.address} 22 8900 9000",
        f"{lab.head.address} 2222 5000",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("sslmode=verify-full&sslrootcert=/etc/platform/ca.crt", "(True,)"),
        ("sslmode=disable", "no encryption"),
        ("sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt", "certificate"),
    ],
)
def test_the_database_is_reached_over_verified_tls_and_not_otherwise(lab, settings: str, said: str) -> None:
    command = f"docker exec -i lab-mlflow-1 python3 - '{settings}' << 'EOF'\n{ASK}\nEOF"
    done = lab.head.run(command, check=False)
    assert said in done.stdout + done.stderr


def test_an_artifact_comes_from_the_object_store_s_host_if_that_is_who_it_says(lab, trained: str) -> None:
    """MinIO sends a piece of an artifact, MLflow the whole: where the gateway trusts no MinIO, MLflow answers."""
    experiment, run = re.findall(r"/#/experiments/(\d+)/runs/(\w+)", trained)[0]
    where = f"{experiment}/{run}/artifacts/confusion_matrix.png"
    login = tuple(re.findall(r"= *(\S+)", (lab.credentials / "job-login.ini").read_text())[-2:])

    def piece() -> requests.Response:
        return requests.get(
            f"https://{lab.head.address}:5000/api/2.0/mlflow-artifacts/artifacts/{where}",
            auth=login,
            headers={"Range": "bytes=1-3"},
            verify=lab.credentials / "ca.crt",
            timeout=60,
        )

    settings, gateway = "/opt/lab/gateway/nginx.conf", "docker exec lab-gateway-1 sh -c 'kill -HUP 1'"
    assert (piece().status_code, piece().content) == (206, b"PNG")
    lab.head.run(f"sed -i.true 's/proxy_ssl_name .*;/proxy_ssl_name elsewhere.example;/' {settings} && {gateway}")
    try:
        wait(lambda: piece().status_code == 200, "the gateway takes what it reaches for the object store", 15)
        assert piece().content.startswith(b"\x89PNG") and len(piece().content) > 1000
    finally:
        lab.head.run(f"mv {settings}.true {settings} && {gateway}")
    wait(lambda: piece().status_code == 206, "the object store is not reached again", 15)


def test_a_shell_elsewhere_needs_nothing_but_what_make_env_prints(lab, trained: str) -> None:
    """In a container that knows neither the CA nor a login: MLflow and S3, and an error without the CA."""
    exports = play("env", lab.inventory, ANSIBLE_STDOUT_CALLBACK="plain").stdout
    probe = (
        "import boto3, mlflow; print(len(mlflow.search_runs(experiment_names=['iris-classification'])) > 0);"
        "print(boto3.client('s3').list_objects_v2(Bucket='mlflow')['KeyCount'] > 0)"
    )
    image = lab.store.run("docker images --quiet platform/mlflow", user="root").stdout.split()[0]
    shell = f"docker run --rm -i -e HOME=/tmp --entrypoint bash {image} -s << 'EOF'\n"
    done = lab.store.run(f'{shell}{exports}\npython3 -c "{probe}"\nEOF', user="root")
    assert done.stdout.split() == ["True", "True"]
    stranger = exports.replace("export MLFLOW_TRACKING_SERVER_CERT_PATH", "export IGNORED")
    done = lab.store.run(
        f'{shell}{stranger}\nMLFLOW_HTTP_REQUEST_MAX_RETRIES=0 python3 -c "{probe}"\nEOF', False, "root"
    )
    assert done.returncode != 0 and "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_a_group_whose_data_would_stay_behind_may_not_move(lab, hosts: Hosts) -> None:
    moved = hosts.inventory({**lab.groups, "database": [lab.head]}, "moved", platform_name="lab", exposure="network")
    credentials = f"platform_credentials_dir={lab.credentials}"
    done = play("provision", moved, "-e", credentials, "--limit", "head", check=False)
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    assert "The group database has moved from db to head" in said and "Put db back under [database]" in said


def status(lab) -> dict[str, Any]:
    """Return what `make status` says to a program."""
    done = play("status", lab.inventory, "-e", "status_json=true", check=False, ANSIBLE_STDOUT_CALLBACK="plain")
    return json.loads(done.stdout)


def test_a_host_that_dies_half_way_is_named_the_others_finish_and_a_later_run_completes(lab) -> None:
    other = ("-e", "platform_minio_memory=1500m")
    with provision_until(lab, "stack : Write", *other) as process:
        lab.store.kill()
        code, said = status_of(process)
    counters = recap(said)
    assert code != 0
    assert counters["store"]["unreachable"] == 1
    assert counters["db"]["failed"] == counters["worker"]["failed"] == 0
    assert "store could not be provisioned" in " ".join(said.split())
    seen = play("status", lab.inventory, check=False, ANSIBLE_STDOUT_CALLBACK="plain")
    assert seen.returncode != 0 and "lab on store: UNREACHABLE" in seen.stdout
    lab.store.start()
    play("provision", lab.inventory, *other)
    limit = lab.store.run("docker inspect --format '{{.HostConfig.Memory}}' lab-minio-1", user="root").stdout
    assert int(limit) == 1500 * 2**20
    assert status(lab)["healthy"]


def test_engines_restarted_under_the_services_bring_them_back(lab, trained: str, tmp_path: Path) -> None:
    for host in (lab.db, lab.store, lab.head):
        host.restart_engine()
    wait(lambda: status(lab)["healthy"], "not every service is healthy again", seconds=300)
    done = launch("predict", lab.connection, "--output", str(tmp_path / "p.csv"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_host_that_only_computes_has_its_network_back_after_a_start(lab) -> None:
    play("destroy", lab.inventory, "--limit", "worker", "-e", "destroy_data=delete", "-e", "destroy_confirm=lab")
    assert (lab.credentials / "secrets.yml").exists() and (lab.credentials / "ca.key").exists()
    play("provision", lab.inventory)
    play("destroy", lab.inventory, "--limit", "worker")
    play("start", lab.inventory)
    assert lab.worker.run("docker network ls --filter name=lab-network --format '{{.Name}}'").stdout == "lab-network\n"


def test_destroy_takes_everything_from_every_host(lab) -> None:
    play("destroy", lab.inventory, "-e", "destroy_data=delete", "-e", "destroy_confirm=lab")
    for host in (lab.db, lab.store, lab.head, lab.worker):
        for kind in ("ps --all", "volume ls", "network ls"):
            assert host.run(f"docker {kind} --quiet --filter label=platform.name=lab", user="root").stdout == ""
        assert host.run("test -e /opt/lab", check=False, user="root").returncode == 1
    assert not lab.credentials.exists()
