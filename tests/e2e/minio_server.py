"""A MinIO of our own image for the tests that need one: started on a free port, removed afterwards."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest


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
