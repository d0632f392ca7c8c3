"""A shell on another machine that has nothing but what `make env` prints: the command line clients of S3."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import with_exports
from tests.e2e.host_images import content, docker, image_of, run
from tests.e2e.hosts import Hosts
from tests.e2e.network.conftest import Network

HERE = Path(__file__).parent
Shell = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def shell(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Run commands with the exports and a home of this machine's."""
    home = tmp_path_factory.mktemp("home")
    return lambda commands: with_exports(network.inventory, home, commands)


def test_awscli_writes_lists_and_reads_and_destroys_no_version(shell: Shell) -> None:
    done = shell(
        "echo content > sent && aws s3 cp sent s3://mlflow/by/aws && aws s3 ls s3://mlflow/by/"
        " && aws s3 cp s3://mlflow/by/aws got && cmp sent got && aws s3 rm s3://mlflow/by/aws"
    )
    assert done.returncode == 0, done.stderr
    assert "8 aws" in done.stdout and "delete: s3://mlflow/by/aws" in done.stdout
    version = "$(aws s3api put-object --bucket mlflow --key by/aws --body sent --query VersionId --output text)"
    refused = shell(f"aws s3api delete-object --bucket mlflow --key by/aws --version-id {version}")
    assert refused.returncode != 0 and "AccessDenied" in refused.stderr


def test_awscli_trusts_nobody_without_the_ca(shell: Shell) -> None:
    done = shell("unset AWS_CA_BUNDLE; aws s3 ls s3://mlflow")
    assert done.returncode != 0 and "CERTIFICATE_VERIFY_FAILED" in done.stderr


@pytest.fixture(scope="module")
def mc(hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MinIO's client: compiled once, as its server is where no registry answers."""
    image = f"platform-test/mc:{content(HERE / 'dockerfile.mc')}"
    if not docker("images", "--quiet", image):
        given = {"ca": "ca.crt", "env": "build.env"}
        build: dict[str, Any] = {"context": str(HERE), "dockerfile": "dockerfile.mc", "secrets": list(given)}
        build["args"] = {"BASE": image_of(13, False, hosts.sources)}
        secrets = {name: {"file": str(hosts.sources.with_name(file))} for name, file in given.items()}
        project = {"name": "mc", "services": {"mc": {"image": image, "build": build}}, "secrets": secrets}
        environment = os.environ | {"DOCKER_BUILDKIT": "1"}
        run("docker", "compose", "-f", "-", "build", input=json.dumps(project), env=environment, seconds=900)
    program = tmp_path_factory.mktemp("mc") / "mc"
    container = docker("create", image, "/mc")
    docker("cp", f"{container}:/mc", str(program))
    docker("rm", container)
    return program


def test_mc_writes_lists_and_reads_and_destroys_no_version(network: Network, mc: Path, shell: Shell) -> None:
    alias = network.name.replace("-", "_")
    done = shell(
        f"echo content > sent && {mc} cp sent {alias}/mlflow/by/mc && {mc} ls {alias}/mlflow/by/"
        f" && {mc} cat {alias}/mlflow/by/mc && {mc} rm {alias}/mlflow/by/mc"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8B STANDARD mc" in done.stdout and "\ncontent\n" in done.stdout
    for beyond in ("rm --versions --force {}/mlflow/by/mc", "rb --force {}/mlflow", "mb {}/other"):
        refused = shell(f"{mc} {beyond.format(alias)}")
        assert refused.returncode != 0 and "Access Denied" in refused.stderr, beyond


def test_mc_trusts_nobody_without_the_ca(mc: Path, shell: Shell, network: Network) -> None:
    alias = network.name.replace("-", "_")
    done = shell(f"rm -r .mc/certs && {mc} ls {alias}/mlflow")
    assert done.returncode != 0 and "certificate signed by unknown authority" in done.stderr
