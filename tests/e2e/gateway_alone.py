"""A gateway with TLS and a small upstream behind it: the real role, the real templates, the real image."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from cryptography import x509

from tests.e2e.conftest import FIRST_PORT, NAME, ROOT

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
GROUPS = ("object_store", "tracking", "compute")
TASKS = [
    {
        "name": "Write the gateway's files",
        "host_files": {
            "root": "{{ _platform_root }}",
            "directories": "{{ [{'path': platform_dir ~ '/gateway'}] + _certificates_directories }}",
            "files": "{{ alone_files + _certificates_files }}",
        },
        "register": "__stack_files",
    },
    {
        "name": "Start it",
        "ansible.builtin.command": "docker compose up --detach --wait",
        "args": {"chdir": "{{ platform_dir }}"},
        "changed_when": False,
    },
    {"ansible.builtin.import_role": {"name": "certificates", "tasks_from": "reload.yml"}},
]
FILES = [
    {"dest": "{{ platform_dir }}/.env", "content": "COMPOSE_FILE=compose.yml:gateway.yml:upstream.yml\n"},
    {"dest": "{{ platform_dir }}/compose.yml", "src": "compose/compose.yml.j2"},
    {"dest": "{{ platform_dir }}/gateway.yml", "src": "compose/gateway/compose.yml.j2"},
    {"dest": "{{ platform_dir }}/gateway/nginx.conf", "src": "compose/gateway/nginx.conf.j2"},
    *(
        {"dest": f"{{{{ platform_dir }}}}/gateway/{name}.js", "src": f"compose/gateway/{name}.js", "template": False}
        for name in ("artifacts", "throttle")
    ),
]


class Gateway(SimpleNamespace):
    """Where it is, and what a test does with it."""

    directory: Path
    ca: str
    ports: dict[str, int]

    def provision(self, *options: str) -> str:
        """Run the play; return what it says."""
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [str(program), "-i", str(self.directory / "hosts.ini"), "-e", f"_platform_root={ROOT}", *options]
        command.append(str(self.directory / "play.yml"))
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        return done.stdout

    def compose(self, *arguments: str) -> str:
        """Run Compose in the platform's directory."""
        command = ["docker", "compose", *arguments]
        return subprocess.run(
            command, cwd=self.directory / "host", capture_output=True, text=True, check=True, timeout=120
        ).stdout

    def ask(self, method: str, service: str, path: str, **more: object) -> requests.Response:
        """Send one request over TLS, verified against the platform's CA."""
        address = f"https://localhost:{self.ports[service]}{path}"
        return requests.request(method, address, verify=self.ca, timeout=120, **more)  # type: ignore[arg-type]

    def raw(self, text: bytes, tls: bool = True, service: str = "mlflow") -> str:
        """Send bytes to a port as they are, which no HTTP client would; return the whole answer."""
        with socket.create_connection(("127.0.0.1", self.ports[service]), timeout=20) as plain:
            context = ssl.create_default_context(cafile=self.ca)
            connection = context.wrap_socket(plain, server_hostname="localhost") if tls else plain
            connection.sendall(text)
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def serial(self) -> int:
        """Return the serial number of the certificate a new connection is shown."""
        pem = ssl.get_server_certificate(("127.0.0.1", self.ports["mlflow"]))
        return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.fixture(scope="module")
def gateway(platform: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway, started by a play of its own; its first dry run has left nothing behind."""
    directory = tmp_path_factory.mktemp("gateway")
    name = f"{NAME}-tls"
    ports = {service: FIRST_PORT + 10 + number for number, service in enumerate(("mlflow", "s3", "console"))}
    host = "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
    (directory / "hosts.ini").write_text(
        "[database]\nelsewhere\n" + "".join(f"[{group}]\n{host}\n" for group in GROUPS)
    )
    variables = {f"platform_{service}_port": port for service, port in ports.items()} | {
        "platform_name": name,
        "platform_dir": str(directory / "host"),
        "platform_credentials_dir": str(directory / "credentials"),
        "platform_address": "127.0.0.1",
        "platform_exposure": "network",
        "platform_allowed_hosts": ["lab.example.org"],
        "platform_minio_source": "upstream",
        "alone_files": FILES,
        "__preflight": {"host": {"unread_certificates": [], "minio_written_by": "", "images": []}},
        "_credentials_values": {"mlflow_secret_key": "salt"},
    }
    play = {"hosts": "tracking", "gather_facts": False, "vars": variables, "tasks": TASKS}
    (directory / "play.yml").write_text(json.dumps([play | {"roles": ["platform", "certificates"]}]))
    image = subprocess.run(
        ["docker", "inspect", "--format", "{{.Config.Image}}", f"{platform.name}-mlflow-1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    upstream = {"image": image, "entrypoint": ["python3", "/upstream/upstream.py"], "init": True}
    upstream |= {"labels": {"platform.name": name}, "volumes": ["./upstream:/upstream:ro"]}
    (directory / "host/upstream").mkdir(parents=True)
    shutil.copy(ROOT / "tests/e2e/upstream.py", directory / "host/upstream")
    squatter = {key: upstream[key] for key in ("image", "init", "labels")}
    squatter |= {"entrypoint": ["sleep", "300"], "profiles": ["on demand"]}
    services = {"mlflow": upstream, "minio": upstream, "squatter": squatter}
    (directory / "host/upstream.yml").write_text(json.dumps({"services": services}))
    made = Gateway(directory=directory, ca=str(directory / "credentials/ca.crt"), ports=ports)
    made.foretold = made.provision("--check")
    made.left = list((directory / "host").glob("gateway/**/*")) + list(directory.glob("credentials/**/*"))
    try:
        made.first = made.provision()
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "2")


@pytest.fixture
def forgetful(gateway: Gateway) -> Gateway:
    """The gateway, restarted: it remembers nobody's failures."""
    gateway.compose("up", "--detach", "--wait", "--force-recreate", "gateway")
    return gateway
