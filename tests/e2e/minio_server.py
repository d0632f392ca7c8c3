"""A MinIO of our own image for the tests that need one, and the module `minio_store` run against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import S3Error

ROOT = Path(__file__).parents[2]
KINDS = {"bucket": "buckets", "policy": "policies", "user": "users"}
FOUR_CALLS = [True, False, True, False]


class MinioServer(NamedTuple):
    endpoint: str
    access_key: str
    secret_key: str


def docker(*arguments: str) -> str:
    run = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"docker {' '.join(arguments)}: {run.stderr}"
    return run.stdout.strip()


def newest_image() -> str:
    images = docker("images", "platform/minio", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    assert images, "There is no image platform/minio on this engine: make it with `make provision`."
    return images[0]


def wait_until_ready(endpoint: str, container: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{endpoint}/minio/health/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"MinIO did not become ready within 120 s:\n{docker('logs', container)}")


@pytest.fixture(scope="session")
def minio_server(platform: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioServer]:
    secrets = tmp_path_factory.mktemp("minio-secrets")
    user, password = "platform-root", uuid.uuid4().hex
    write_secret(secrets / "minio_root_user", user)
    write_secret(secrets / "minio_root_password", password)
    secrets.chmod(0o755)
    container = f"platform-test-minio-{uuid.uuid4().hex[:8]}"
    docker(
        *("run", "--detach", "--name", container, "--publish", "127.0.0.1::9000", "--volume", "/data"),
        *("--volume", f"{secrets}:/run/secrets:ro", "--env", "MINIO_UPDATE=off", newest_image()),
    )
    try:
        endpoint = docker("port", container, "9000/tcp").splitlines()[0]
        wait_until_ready(endpoint, container)
        yield MinioServer(endpoint, user, password)
    finally:
        docker("rm", "--force", "--volumes", container)


def write_secret(file: Path, value: str) -> None:
    file.write_text(value)
    file.chmod(0o644)


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
