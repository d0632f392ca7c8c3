"""What is measured: a platform of the benchmark's own, and stock MLflow servers beside it on the same stores."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import requests
import yaml
from docker.models.containers import Container
from minio import Minio

from bench.load import Target

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("database", "object_store", "tracking", "compute")
START_SECONDS = 240
MIB = 1 << 20


def run(command: list[str]) -> float:
    """Seconds a command takes; raises RuntimeError with what it said when it fails."""
    return timed(command)[0]


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds a command takes, and what it says; raises RuntimeError with what it said when it fails."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=inherited, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return took, done.stdout


def resident(container: Container) -> int:
    """Bytes of memory a container holds, files it may drop aside, as `docker stats` counts them."""
    said: Any = container.stats(stream=False)
    memory: dict[str, Any] = said["memory_stats"]
    dropped = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
    return int(memory["usage"] - dropped)


def anonymous(container: Container) -> int:
    """Bytes of memory the processes of a container hold that no file stands behind; of either cgroup version."""
    said: Any = container.stats(stream=False)
    counted: dict[str, int] = said["memory_stats"]["stats"]
    return counted.get("total_rss", counted.get("anon", 0))


def processes(container: Container) -> int:
    """How many processes run in a container."""
    return len(container.top()["Processes"])  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def peak(containers: list[Container]) -> Iterator[dict[str, int]]:
    """The most memory each container's processes held meanwhile, in bytes by name; complete when the block is left."""
    most = {str(container.name): 0 for container in containers}
    done = threading.Event()

    def watch(container: Container) -> None:
        while not done.is_set():
            most[str(container.name)] = max(most[str(container.name)], anonymous(container))

    watchers = [threading.Thread(target=watch, args=(container,)) for container in containers]
    for watcher in watchers:
        watcher.start()
    try:
        yield most
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()


@contextlib.contextmanager
def paused(container: Container) -> Iterator[None]:
    """Let a container do nothing meanwhile."""
    container.pause()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        container.unpause()  # type: ignore[no-untyped-call]


def awake(container: Container, measure: Callable[[], float]) -> float:
    """What is measured while a paused container runs."""
    container.unpause()  # type: ignore[no-untyped-call]
    try:
        return measure()
    finally:
        container.pause()  # type: ignore[no-untyped-call]


class Platform:
    """One platform on this host, under a name and ports of its own, made and removed through Make."""

    def __init__(self, name: str, first_port: int, exposure: str) -> None:
        self.name = name
        self.directory = ROOT / ".bench" / name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.inventory = self.directory / "hosts"
        self.connection = self.directory / "credentials" / "platform.json"
        groups = "".join(f"[{group}]\nlocalhost ansible_connection=local\n\n" for group in GROUPS)
        chosen = {
            "platform_name": name,
            "platform_credentials_dir": self.connection.parent,
            "platform_address": "127.0.0.1",
            "platform_mlflow_port": first_port,
            "platform_s3_port": first_port + 1,
            "platform_console_port": first_port + 2,
            "exposure": exposure,
        }
        self.inventory.write_text(
            groups + "[all:vars]\n" + "".join(f"{key}={value}\n" for key, value in chosen.items())
        )

    def make(self, target: str, *given: str) -> float:
        """Seconds of `make TARGET` on this platform."""
        return run(self.command(target, *given))

    def command(self, target: str, *given: str) -> list[str]:
        """How `make TARGET` is called for this platform."""
        return ["make", target, "ARGS=", f"INVENTORY={self.inventory}", f"PLATFORM={self.connection}", *given]

    def bundle(self) -> Path:
        """A bundle of what this host's engine has."""
        _, said = timed(self.command("bundle"))
        return Path(re.findall(r"(/\S+\.tar)\b", said)[-1])

    def destroy(self) -> None:
        """Remove all that bears the platform's name, its credentials too."""
        self.make("destroy", "DATA=delete", f"ARGS=-e destroy_confirm={self.name}")

    @property
    def facts(self) -> dict[str, Any]:
        """What `provision` wrote down for jobs."""
        return dict(json.loads(self.connection.read_text(encoding="utf-8")))

    @property
    def secrets(self) -> dict[str, str]:
        """The credentials `provision` made."""
        return dict(yaml.safe_load((self.connection.parent / "secrets.yml").read_text(encoding="utf-8")))

    def containers(self) -> list[Container]:
        """Its services' containers."""
        filters: dict[str, str | list[str] | bool] = {
            "label": [f"platform.name={self.name}", "com.docker.compose.project"]
        }
        return list(docker.from_env().containers.list(filters=filters))

    def images(self) -> list[str]:
        """What its services and its jobs run from."""
        found = {str(container.attrs["Config"]["Image"]) for container in self.containers()}
        return sorted(found | {self.facts["job_image"]})

    def service(self, name: str) -> Container:
        """The container of one service."""
        return docker.from_env().containers.get(f"{self.name}-{name}-1")

    def gateway(self, user: str = "admin") -> Target:
        """MLflow as people reach it, where there are logins as `admin` or as `jobs`."""
        login, ca = self.facts.get("login"), self.facts.get("ca")
        known = (user, self.secrets[f"mlflow_{user}_password"]) if login else None
        return Target(self.facts["public_uri"], self.connection.parent / ca if ca else None, known)

    def direct(self) -> Target:
        """MLflow's own container, without the gateway; it answers to its service's name alone."""
        return Target(f"http://{self.address(self.service('mlflow'))}:5000", host="mlflow")

    def jobs(self) -> Target:
        """MLflow as jobs reach it."""
        return Target(self.facts["engines"][0]["tracking_uri"])

    def address(self, container: Container) -> str:
        """Where a container is on the platform's network."""
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][self.facts["network"]]["IPAddress"])


@contextlib.contextmanager
def stock(platform: Platform, name: str, *options: str) -> Iterator[tuple[Container, Target]]:
    """An MLflow with the server's defaults, on the platform's PostgreSQL (own schema) and MinIO (own bucket)."""
    client, secrets = docker.from_env(), platform.secrets
    schema, bucket = name.replace("-", "_"), name
    minio = Minio(
        f"{platform.address(platform.service('minio'))}:9000",
        secrets["minio_root_user"],
        secrets["minio_root_password"],
        secure=False,
    )
    if not minio.bucket_exists(bucket):
        minio.make_bucket(bucket)
    statement = f"psql -qh 127.0.0.1 -U mlflow mlflow -c 'CREATE SCHEMA IF NOT EXISTS {schema}'"
    password = {"PGPASSWORD": secrets["mlflow_database_password"]}
    status, said = platform.service("postgres").exec_run(["bash", "-c", statement], environment=password)
    if status:
        raise RuntimeError(f"PostgreSQL refuses the schema {schema}: {said!r}")
    database = f"mlflow:{secrets['mlflow_database_password']}@postgres:5432/mlflow?options=-csearch_path%3D{schema}"
    container = client.containers.run(
        platform.service("mlflow").attrs["Config"]["Image"],
        ["mlflow", "server", "--host=0.0.0.0", f"--artifacts-destination=s3://{bucket}", *options],
        detach=True,
        environment={
            "AWS_ACCESS_KEY_ID": secrets["minio_root_user"],
            "AWS_SECRET_ACCESS_KEY": secrets["minio_root_password"],
            "MLFLOW_AUTH_ADMIN_PASSWORD": secrets["minio_root_password"],
            "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg://{database}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets["minio_root_password"],
            "MLFLOW_S3_ENDPOINT_URL": "http://minio:9000",
        },
        init=True,
        labels={"platform.name": platform.name},
        name=f"{platform.name}-{name}",
        network=platform.facts["network"],
    )
    try:
        login = ("admin", secrets["minio_root_password"]) if options else None
        target = Target(f"http://{platform.address(container)}:5000", login=login)
        wait(container, target)
        yield container, target
    finally:
        container.remove(force=True, v=True)


def wait(container: Container, target: Target) -> None:
    """Return once MLflow answers a query; raises RuntimeError with what it said last when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError), target.session() as session:
            target.call(session, "experiments/get?experiment_id=0")
            return
        container.reload()
        if container.status != "running":
            break
        time.sleep(0.5)
    raise RuntimeError(f"{container.name} does not answer:\n{container.logs(tail=40).decode()}")


@contextlib.contextmanager
def as_installed(platform: Platform) -> Iterator[str]:
    """The job image with its packages as uv installs them, without bytecode; the standard library keeps its own."""
    image = f"{platform.name}/as-installed"
    lines = f"FROM {platform.facts['job_image']}\nUSER 0\nRUN find /opt/venv -name '*.pyc' -delete\nUSER 10005\n"
    client = docker.from_env()
    client.images.build(fileobj=io.BytesIO(lines.encode()), tag=image, rm=True, forcerm=True)
    try:
        yield image
    finally:
        client.images.remove(image)


def job(
    platform: Platform, target: Target, program: str, *arguments: str, image: str | None = None
) -> tuple[float, str]:
    """Seconds of `docker run` of a program of this directory in the job image, or another, and what it printed."""
    image, network = image or platform.facts["job_image"], platform.facts["network"]
    container = f"{platform.name}-{program.removesuffix('.py')}".replace("_", "-")
    mounts = [f"--volume={ROOT}/bench:/job/bench:ro", f"--volume={ROOT}/ml:/job/code:ro"]
    environment = [f"--env=MLFLOW_TRACKING_URI={target.uri}", "--env=MLFLOW_DISABLE_TELEMETRY=true", "--workdir=/tmp"]
    command = ["docker", "run", "--rm", f"--name={container}", f"--network={network}", *mounts, *environment, image]
    begin = time.perf_counter()
    done = subprocess.run(
        [*command, "python", f"/job/bench/{program}", *arguments], capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"{program} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return took, done.stdout
