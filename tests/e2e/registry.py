"""A registry for the end-to-end tests: Debian's docker-registry, with TLS by a CA of its own and a login."""

import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from ssl import create_default_context
from types import SimpleNamespace

import pytest
import yaml

from tests.e2e.conftest import FIRST_PORT
from tests.e2e.hosts import Hosts

USER, PASSWORD = "platform", "correct horse"
HASH = "$2b$05$Yw9I83ucqDW5LDP2M.Iore7YCHEUDfgnlOWcR1ZZow7UaVuCtY8fC"  # PASSWORD's, as the registry keeps it


def run(*command: str, directory: Path) -> str:
    """Run a command that has to succeed in `directory`; return what it prints."""
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def program(directory: Path) -> Path:
    """Return the registry's program, of its package unpacked: installed it would start, on port 5000."""
    directory.chmod(0o755)
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "docker-registry", directory=directory)
    (package,) = directory.glob("docker-registry_*.deb")
    run("dpkg-deb", "--extract", str(package), "package", directory=directory)
    return directory / "package/usr/bin/docker-registry"


def certificate(directory: Path, address: str) -> None:
    """Make a CA and a certificate for `address`: ca.crt, tls.crt, tls.key."""
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    signs = ("-addext", "keyUsage=critical,keyCertSign")
    run(*new, "-subj", "/CN=a test's CA", *signs, "-keyout", "ca.key", "-out", "ca.crt", directory=directory)
    named = ("-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "authorityKeyIdentifier=keyid")
    run(
        *new,
        *named,
        *signed,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        "tls.key",
        "-out",
        "tls.crt",
        directory=directory,
    )


def answers(address: str, ca: Path) -> bool:
    """Return whether the registry asks for a login."""
    try:
        urllib.request.urlopen(f"https://{address}/v2/", context=create_default_context(cafile=str(ca)), timeout=5)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return False


@pytest.fixture(scope="module")
def registry(hosts: Hosts) -> Iterator[SimpleNamespace]:
    """A running registry on the test hosts' network; of one on the loopback no engine verifies the certificate."""
    with tempfile.TemporaryDirectory(prefix="registry-") as name:
        directory = Path(name)
        host = f"{hosts.subnets[hosts.network()]}.1"
        address = f"{host}:{FIRST_PORT + 20}"
        certificate(directory, host)
        (directory / "htpasswd").write_text(f"{USER}:{HASH}\n")
        settings = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
            "auth": {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}},
            "http": {
                "addr": address,
                "tls": {"certificate": str(directory / "tls.crt"), "key": str(directory / "tls.key")},
            },
        }
        (directory / "config.yml").write_text(yaml.safe_dump(settings))
        environment = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
        with (
            open(directory / "log", "w", encoding="utf-8") as log,
            subprocess.Popen(
                [program(directory), "serve", "config.yml"], cwd=directory, env=environment, stdout=log, stderr=log
            ) as process,
        ):
            try:
                deadline = time.monotonic() + 60
                while not answers(address, directory / "ca.crt"):
                    assert time.monotonic() < deadline and process.poll() is None, (directory / "log").read_text()
                    time.sleep(0.2)
                yield SimpleNamespace(address=address, ca=directory / "ca.crt", user=USER, password=PASSWORD)
            finally:
                process.terminate()
