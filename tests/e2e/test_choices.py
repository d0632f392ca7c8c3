"""A host as its owner keeps it: sudo asks for a password, Python is elsewhere, the certificate is the site's own."""

import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import yaml

from tests.e2e.conftest import changed, launch, play, roles_that_change, with_exports
from tests.e2e.host_images import docker
from tests.e2e.hosts import OTHER_PYTHON, PASSWORD, Hosts, all_groups
from tests.e2e.registry import certificate

SUDO = ("-e", f"ansible_become_password='{PASSWORD}'")
SMALL = ("--n-estimators", "10", "--cv", "0")
PORTS = (5000, 8900, 9000)
RUNS = "import mlflow; print(*mlflow.search_runs(experiment_names=['iris-classification']).run_id)"


@pytest.fixture(scope="module")
def lab(hosts: Hosts, platform: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The host, with images built before, provisioned under `exposure: network` with the site's certificate."""
    host = hosts.make("lab", user="careful", python=OTHER_PYTHON)
    used = docker("ps", "--filter", f"label=platform.name={platform.name}", "--format", "{{.Image}}").split()
    host.load_images(*used, platform.facts["job_image"])
    certificates = tmp_path_factory.mktemp("certificates")
    certificate(certificates, host.address)
    files = {"certificate": "tls.crt", "private_key": "tls.key", "ca": "ca.crt"}
    given = {f"platform_tls_{kind}": certificates / file for kind, file in files.items()}
    credentials = hosts.directory / "credentials-lab"

    def expose(exposure: str, *arguments: str) -> str:
        variables: dict[str, Any] = {"platform_name": "lab", "exposure": exposure, **given}
        inventory = hosts.inventory(all_groups(host), **variables)
        return play("provision", inventory, *SUDO, *arguments).stdout

    first = [roles_that_change(expose("network", *check)) for check in (["--check"], [])]
    inventory = hosts.directory / "lab.ini"
    home = tmp_path_factory.mktemp("home")
    return SimpleNamespace(
        host=host,
        given=given,
        expose=expose,
        first=first,
        credentials=credentials,
        connection=credentials / "platform.json",
        shell=lambda commands: with_exports(inventory, home, commands),
    )


def train(lab: SimpleNamespace) -> str:
    """Train a small model; return the id of its run."""
    done = launch("train", lab.connection, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("/runs/", 1)[1].split()[0]


def listening(lab: SimpleNamespace) -> set[str]:
    """Return the addresses at which the host's TCP ports listen, SSH's and its own name server's aside."""
    found = {line.split()[3] for line in lab.host.run("ss -Hltn").stdout.splitlines()}
    return {address for address in found if not address.endswith(":22") and not address.startswith("127.0.0.11:")}


def test_a_user_whose_sudo_asks_provisions_twice_and_trains(lab: SimpleNamespace) -> None:
    foretold, done = lab.first
    assert foretold == done >= {"stack", "object_store", "logins", "connection"}
    assert changed(lab.expose("network")) == 0
    assert train(lab)


def test_a_dry_run_with_the_engine_stopped_foretells_what_its_start_leaves_to_do(lab: SimpleNamespace) -> None:
    lab.host.stop_engine()
    foretold = roles_that_change(lab.expose("network", "--check"))
    assert foretold == roles_that_change(lab.expose("network")) == {"docker_engine"}


def test_a_dry_run_foretells_which_roles_a_choice_changes(lab: SimpleNamespace) -> None:
    """A gateway with other limits leaves the logins alone, and so does an MLflow started anew."""
    choices = ("-e", "platform_gateway_memory=200m", "-e", "platform_mlflow_workers=1")
    foretold = roles_that_change(lab.expose("network", "--check", *choices))
    assert foretold == roles_that_change(lab.expose("network", *choices)) == {"stack"}
    lab.expose("network")


def test_the_gateway_shows_the_site_s_certificate_and_make_env_trusts_its_ca(lab: SimpleNamespace) -> None:
    run_id = train(lab)
    for port in PORTS:
        shown = ssl.get_server_certificate((lab.host.address, port))
        assert shown == lab.given["platform_tls_certificate"].read_text()
        address = f"https://{lab.host.address}:{port}/"
        assert requests.get(address, verify=str(lab.given["platform_tls_ca"]), timeout=20).status_code in (
            200,
            401,
            403,
        )
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(address, verify=str(lab.credentials / "ca.crt"), timeout=20)
    done = lab.shell(f'python3 -c "{RUNS}" && aws s3 ls s3://mlflow')
    assert done.returncode == 0 and run_id in done.stdout, done.stdout + done.stderr
    database = lab.host.run("cat /opt/lab/postgres/tls/tls.crt").stdout
    assert database == (lab.credentials / "tls/lab.crt").read_text()


def test_exposure_goes_to_loopback_and_back_and_data_stay(lab: SimpleNamespace, tmp_path: Path) -> None:
    secrets = yaml.safe_load((lab.credentials / "secrets.yml").read_text())
    runs = [train(lab)]

    lab.expose("loopback")
    assert listening(lab) == {f"127.0.0.1:{port}" for port in PORTS}
    for port in PORTS:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{lab.host.address}:{port}/", timeout=20)
    assert lab.host.run("test -e /opt/lab/gateway/tls", check=False).returncode == 1
    predict = launch("predict", lab.connection, "--output", str(tmp_path / "p.csv"))
    assert predict.returncode == 0, predict.stdout + predict.stderr
    runs.append(train(lab))
    assert changed(lab.expose("loopback")) == 0

    lab.expose("network")
    assert listening(lab) == {f"0.0.0.0:{port}" for port in PORTS}
    runs.append(train(lab))
    done = lab.shell(f'python3 -c "{RUNS}"')
    assert set(runs) <= set(done.stdout.split()), done.stdout + done.stderr
    assert yaml.safe_load((lab.credentials / "secrets.yml").read_text()) == secrets
