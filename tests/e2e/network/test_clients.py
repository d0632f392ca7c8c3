"""A shell on another machine that has nothing but what `make env` prints: the command line clients of S3."""

import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.conftest import with_exports
from tests.e2e.network.conftest import Network

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
