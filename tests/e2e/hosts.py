"""Real hosts for the end-to-end tests: containers with sshd, sudo and an engine of their own, or with none yet.

A test takes the fixture `hosts` and asks it for what it needs: `hosts.make("db", debian=12, engine=False)`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.conftest import NAME, ROOT
from tests.e2e.host_images import docker, image_of, run

GROUPS = ("database", "object_store", "tracking", "compute")
LABEL = "platform.test-hosts"
PASSWORD = "correct horse"  # what sudo asks of the user `careful`
# What dockerd needs in a container; --privileged gives it more than a container may hand on here.
PRIVILEGES = (
    *("--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined"),
    *("--security-opt=systempaths=unconfined", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw", "--tmpfs=/run"),
)
OTHER_PYTHON = "/opt/python/bin/python3"


def wait(condition: Callable[[], bool], what: str, seconds: int = 120) -> None:
    """Wait until `condition` holds.

    Raises:
        TimeoutError: it does not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {seconds} s")
        time.sleep(0.3)


class Host(NamedTuple):
    """A host as its operator knows it: an address, a user and a key."""

    name: str
    container: str
    address: str
    port: int
    user: str
    key: Path
    known_hosts: Path
    jump: Host | None
    python: str | None

    def ssh_options(self) -> list[str]:
        """Return how ssh reaches this host."""
        options = [f"UserKnownHostsFile={self.known_hosts}", "StrictHostKeyChecking=accept-new", "ConnectTimeout=10"]
        if self.jump:
            options.append(f"ProxyCommand={shlex.join(self.jump.ssh('-W', '%h:%p'))}")
        return [argument for option in options for argument in ("-o", option)]

    def ssh(self, *arguments: str, user: str | None = None) -> list[str]:
        """Return the command line of ssh to this host."""
        where = ["-i", str(self.key), "-p", str(self.port), *self.ssh_options(), "-o", "BatchMode=yes"]
        return ["ssh", *where, *arguments, f"{user or self.user}@{self.address}"]

    def run(self, command: str, check: bool = True, user: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a shell command over SSH.

        Raises:
            AssertionError: it failed although `check` is true.
        """
        call = [*self.ssh(user=user), command]
        done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=300)
        assert not check or done.returncode == 0, f"{self.name}: {command}: {done.stdout}{done.stderr}"
        return done

    def variables(self) -> dict[str, str]:
        """Return what an inventory has to say about this host."""
        made = {
            "ansible_host": self.address,
            "ansible_port": str(self.port),
            "ansible_user": self.user,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": shlex.join(self.ssh_options()),
            # A connection kept open belongs to the hosts of one test: the next ones have the same addresses.
            "ansible_control_path_dir": str(self.known_hosts.parent / "cp"),
        }
        return made | ({"ansible_python_interpreter": self.python} if self.python else {})

    def kill(self) -> None:
        """End the host as a power failure does."""
        docker("kill", self.container)

    def start(self) -> None:
        """Switch the host on and wait until it answers, its engine too if it has one."""
        docker("start", self.container)
        self.wait()

    def wait(self) -> None:
        """Wait until sshd answers, and the engine if there is one."""
        wait(lambda: self.run("true", check=False, user="root").returncode == 0, f"{self.name} lets nobody in")
        if self.run("test -x /usr/sbin/dockerd", check=False, user="root").returncode == 0:
            self.wait_for_engine()

    def engine_pid(self) -> str:
        """Return the process id of dockerd, or nothing if it is not running."""
        return self.run("pidof dockerd", check=False, user="root").stdout.strip()

    def stop_engine(self) -> None:
        """Stop dockerd, its containers too, and wait until it has ended."""
        self.run("kill $(pidof dockerd)", user="root")
        wait(lambda: not self.engine_pid(), f"dockerd of {self.name} did not end")

    def start_engine(self) -> None:
        """Start dockerd as a boot of the host does."""
        self.run("setsid /usr/sbin/dockerd >> /var/log/dockerd.log 2>&1 < /dev/null &", user="root")
        self.wait_for_engine()

    def restart_engine(self) -> None:
        """Stop dockerd and start it again, as an upgrade of its package does."""
        self.stop_engine()
        self.start_engine()

    def wait_for_engine(self) -> None:
        """Wait until dockerd answers."""
        try:
            wait(lambda: self.run("docker version", check=False, user="root").returncode == 0, "dockerd: no answer")
        except TimeoutError as error:
            raise AssertionError(self.run("tail -n 30 /var/log/dockerd.log", user="root").stdout) from error

    def load_images(self, *images: str) -> None:
        """Copy images of this machine's engine into the host's, unless it has them."""
        there = set(self.run("docker images --format '{{.Repository}}:{{.Tag}}'", user="root").stdout.split())
        absent = sorted(set(images) - there)
        if absent:
            with subprocess.Popen(["docker", "save", *absent], stdout=subprocess.PIPE) as saved:
                run(*self.ssh(user="root"), "docker load --quiet", stdin=saved.stdout, seconds=600)
            assert saved.returncode == 0, "docker save failed; see above"


class Hosts:
    """Makes hosts on networks of their own; everything bears one name."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        self.key, self.known_hosts = directory / "id_ed25519", directory / "known_hosts"
        self.sources = directory / "inputs/apt.sources"
        self.subnets: dict[str, str] = {}
        self.count = 0
        run("sh", str(ROOT / "compose/base/build-inputs.sh"), str(self.sources.parent))
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))

    def network(self, internal: bool = False) -> str:
        """Return a network for hosts, with a route out or without."""
        name = f"{self.name}-{'closed' if internal else 'open'}"
        if name in self.subnets:
            return name
        create = [
            "docker",
            "network",
            "create",
            "--label",
            f"{LABEL}={self.name}",
            *(["--internal"] if internal else []),
        ]
        # A subnet of our own choice lets a host keep its address when it is killed and started again.
        for number in range(256):
            prefix = f"10.202.{number}"
            done = subprocess.run(
                [*create, "--subnet", f"{prefix}.0/24", name], capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                self.subnets[name] = prefix
                return name
            assert "overlaps" in done.stderr, done.stderr
        raise AssertionError("All of 10.202.0.0/16 is taken.")

    def make(
        self,
        name: str,
        *,
        debian: int = 13,
        engine: bool = True,
        user: str = "root",
        port: int = 22,
        internal: bool = False,
        jump: Host | None = None,
        python: str | None = "/usr/bin/python3",
    ) -> Host:
        """Start a host and wait until it answers.

        Args:
            name: its name in the inventory.
            debian: its release, 12 or 13.
            engine: whether it comes with a running engine.
            user: who logs in: root, operator (sudo), careful (sudo that asks for PASSWORD) or guest (no sudo).
            port: where sshd listens.
            internal: whether its network lacks a route out.
            jump: the only host from which sshd lets itself be reached.
            python: where its Python is: as usual, OTHER_PYTHON, or None for no Python at all.
        """
        container, network = f"{self.name}-{name}", self.network(internal)
        nameservers = re.findall(r"^nameserver (\S+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
        self.count += 1
        address = f"{self.subnets[network]}.{self.count + 1}"
        docker("volume", "create", "--label", f"{LABEL}={self.name}", container)
        docker(
            *(
                "run",
                "--detach",
                "--init",
                "--name",
                container,
                "--hostname",
                name,
                "--network",
                network,
                "--ip",
                address,
            ),
            *("--label", f"{LABEL}={self.name}", *PRIVILEGES, "--volume", f"{container}:/var/lib/docker"),
            *("--env", f"SSH_PORT={port}", "--env", f"ONLY_FROM={jump.address if jump else ''}"),
            *(
                "--env",
                f"NAMESERVERS={' '.join(nameservers)}",
                "--volume",
                f"{self.key}.pub:/etc/ssh/authorized_keys:ro",
            ),
            image_of(debian, engine, self.sources),
        )
        host = Host(name, container, address, port, user, self.key, self.known_hosts, jump, python)
        if python == OTHER_PYTHON:
            inside = f"mkdir -p {Path(OTHER_PYTHON).parent}; mv $(readlink -f /usr/bin/python3) {OTHER_PYTHON}"
            docker("exec", container, "sh", "-ec", inside)
        if python is None:
            docker("exec", container, "sh", "-ec", "apt-get purge -qy --autoremove python3-minimal")
        host.wait()
        return host

    def inventory(self, groups: Mapping[str, list[Host]], name: str = "lab", **variables: object) -> Path:
        """Write an inventory of the groups given (`all_groups(host)` for one host); return its path.

        Args:
            groups: hosts by group.
            name: stem of the file, and so the inventory's name.
            variables: for every host; credentials are kept beside the inventory unless they say otherwise.
        """
        lines = []
        for group, members in groups.items():
            lines.append(f"[{group}]")
            for host in members:
                pairs = (f"{key}={shlex.quote(value)}" for key, value in host.variables().items())
                lines.append(" ".join([host.name, *pairs]))
        values: dict[str, object] = {"platform_credentials_dir": self.directory / f"credentials-{name}", **variables}
        lines += ["[all:vars]", *(f"{key}={value}" for key, value in values.items())]
        path = self.directory / f"{name}.ini"
        path.write_text("\n".join(lines) + "\n")
        return path

    def remove(self) -> None:
        """Remove all hosts, volumes and networks that bear the name."""
        named = ("--quiet", "--filter", f"label={LABEL}={self.name}")
        for container in docker("ps", "--all", *named).split():
            docker("rm", "--force", "--volumes", container)
        for volume in docker("volume", "ls", *named).split():
            docker("volume", "rm", "--force", volume)
        for network in docker("network", "ls", *named).split():
            docker("network", "rm", network)


def all_groups(host: Host) -> dict[str, list[Host]]:
    """Return the groups of an inventory in which one host is everything."""
    return {group: [host] for group in GROUPS}


@contextmanager
def lab(name: str, directory: Path) -> Iterator[Hosts]:
    """Give a maker of hosts whose name nobody else uses; what bears the name is removed before and after."""
    maker = Hosts(name, directory)
    maker.remove()
    try:
        yield maker
    finally:
        maker.remove()


@pytest.fixture(scope="module")
def hosts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Hosts for the tests of one module."""
    stem = Path(request.path).stem.removeprefix("test_")
    with lab(f"{NAME}-{stem}", tmp_path_factory.mktemp("hosts")) as maker:
        yield maker
