"""A platform under `exposure: network` on a host of its own, reached over SSH and by its address, and its users."""

import base64
import contextlib
import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import yaml

from tests.e2e.conftest import FIRST_PORT, NAME, play
from tests.e2e.host_images import docker
from tests.e2e.hosts import Host, Hosts, all_groups, lab

EXPERIMENT = "iris-classification"
USERS: list[dict[str, Any]] = [
    {"name": "reader", "read_only": True},
    {"name": "writer", "create": False, "experiments": {EXPERIMENT: "EDIT"}},
    {"name": "maker"},
    {"name": "target", "read_only": True},
]
LEAST = {"platform_min_disk_gb": 1, "platform_min_memory_mb": 500}
PORTS = {f"platform_{name}_port": FIRST_PORT + n for n, name in enumerate(("mlflow", "s3", "console"))}


class Network(SimpleNamespace):
    """The platform: where it is, what opens it, and how a test asks it."""

    name: str
    host: Host
    hosts: Hosts
    inventory: Path
    credentials: Path
    connection: Path
    facts: dict[str, Any]
    secrets: dict[str, str]
    given: str
    ca: str
    directory: str
    artifacts: Path
    mlflow_uri: str
    s3_uri: str
    console_uri: str
    said: str
    seen: set[str]

    def password(self, user: str) -> str:
        """Return what a user of MLflow logs in with."""
        own = {"admin": "mlflow_admin_password", "jobs": "mlflow_jobs_password"}
        return self.given if user == "writer" else self.secrets[own.get(user, f"user_{user}")]

    def ask(self, user: str, method: str, path: str, **more: Any) -> requests.Response:
        """Send one request to MLflow as one of its users, over TLS that is verified against the platform's CA."""
        return self.call("mlflow", method, path, auth=(user, self.password(user)), **more)

    def call(self, service: str, method: str, path: str, **more: Any) -> requests.Response:
        """Send one request to one of the three services, over TLS that is verified against the platform's CA."""
        address = getattr(self, f"{service}_uri") + path
        return requests.request(method, address, verify=self.ca, timeout=120, **more)

    def root(self, command: str, check: bool = True) -> str:
        """Return what a shell command of the host's root prints."""
        return self.host.run(command, check=check, user="root").stdout

    def containers(self) -> dict[str, str]:
        """Return the ids of the platform's running containers by their names."""
        listed = "docker ps --no-trunc --format '{{.Names}} {{.ID}}' --filter label=platform.name=" + self.name
        return dict(line.split() for line in self.root(listed).splitlines())

    def leaks(self, text: str) -> list[str]:
        """Return the keys of the secrets that stand in `text`, as they are or in base64."""
        return sorted(key for key, forms in self.forms().items() if any(form in text for form in forms))

    def forms(self) -> dict[str, list[str]]:
        """Return what each secret can look like in a text."""
        found = {**self.secrets, "the password the site gave": self.given}
        for path in (self.credentials / "ca.key", self.credentials / f"tls/{self.host.name}.key"):
            # Behind the first line of a key stands its public half, which certificates show to everybody.
            found[path.name] = path.read_text().splitlines()[1]
        return {key: forms(value) for key, value in found.items()}


def forms(secret: str) -> list[str]:
    """Return a secret as it is, and what stays of it in base64 wherever in a longer text it stood."""
    encoded = [base64.b64encode(b"\0" * offset + secret.encode()).decode() for offset in range(3)]
    return [secret, *(text[offset and 4 : -4] for offset, text in enumerate(encoded))]


@contextlib.contextmanager
def watched() -> Iterator[set[str]]:
    """Collect the command line of every process, of the test hosts and their containers too, while something runs."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                # One that has just ended has nothing to show any more.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    seen.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


@pytest.fixture(scope="package")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Hosts for these tests."""
    with lab(f"{NAME}-network", tmp_path_factory.mktemp("network")) as maker:
        yield maker


@pytest.fixture(scope="package")
def network(platform: SimpleNamespace, hosts: Hosts) -> Network:
    """The platform, provisioned at -vvv with --diff while somebody watches every process of host and controller."""
    host = hosts.make("lab", user="operator")
    used = docker("ps", "--filter", f"label=platform.name={platform.name}", "--format", "{{.Image}}").split()
    host.load_images(*used, platform.facts["job_image"])
    name = f"{NAME}-network"
    given = f"given by the site {secrets.token_hex(8)}"
    users = [user | ({"password": given} if user["name"] == "writer" else {}) for user in USERS]
    variables: dict[str, Any] = {**LEAST, **PORTS, "platform_name": name, "platform_users": users}
    inventory = hosts.inventory(all_groups(host), exposure="network", **variables)
    with watched() as seen:
        said = play("provision", inventory, "-vvv", "--diff")
    credentials = hosts.directory / "credentials-lab"
    facts = json.loads((credentials / "platform.json").read_text())
    address = f"https://{host.address}"
    return Network(
        name=name,
        host=host,
        hosts=hosts,
        inventory=inventory,
        credentials=credentials,
        connection=credentials / "platform.json",
        facts=facts,
        secrets=yaml.safe_load((credentials / "secrets.yml").read_text()),
        given=given,
        ca=str(credentials / "ca.crt"),
        directory=f"/opt/{name}",
        artifacts=platform.artifacts,
        mlflow_uri=f"{address}:{FIRST_PORT}",
        s3_uri=f"{address}:{FIRST_PORT + 1}",
        console_uri=f"{address}:{FIRST_PORT + 2}",
        said=said.stdout + said.stderr,
        seen=seen,
    )
