"""The base of every image where a registry answers: what is pulled, without its package sources."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import FIRST_PORT, NAME, ROOT, play
from tests.e2e.registry import program, run

PLAY = {
    "name": "Get the base image",
    "hosts": "compute",
    "gather_facts": False,
    "become": True,
    "tasks": [{"name": "Get it", "ansible.builtin.include_role": {"name": "images", "tasks_from": "base.yml"}}],
}
MADE = f"{NAME}/base:pulled"


def small_image(directory: Path, name: str) -> None:
    """Make an image that has a shell, little else, and a package source."""
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "busybox-static", directory=directory)
    (package,) = directory.glob("busybox-static_*.deb")
    run("dpkg-deb", "--extract", str(package), "package", directory=directory)
    (directory / "root/bin").mkdir(parents=True)
    (busybox,) = (path for path in (directory / "package").rglob("bin/busybox") if path.is_file())
    for tool in ("sh", "rm", "find"):
        shutil.copy(busybox, directory / "root/bin" / tool)
    for source in ("sources.list", "sources.list.d/debian.sources"):
        (directory / "root/etc/apt" / source).parent.mkdir(parents=True, exist_ok=True)
        (directory / "root/etc/apt" / source).write_text("Types: deb\n")
    run("tar", "-C", "root", "-cf", "root.tar", ".", directory=directory)
    run("docker", "import", "root.tar", name, directory=directory)


def listens(port: int) -> bool:
    """Return whether somebody listens on this loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def published(tmp_path: Path) -> Iterator[str]:
    """An image in a registry on this host's loopback, which this host's engine does not have."""
    address = f"127.0.0.1:{FIRST_PORT + 21}"
    name = f"{address}/{NAME}-debian:slim"
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "data")}},
        "http": {"addr": address},
    }
    (tmp_path / "config.yml").write_text(yaml.safe_dump(settings))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("REGISTRY_")}
    command = [str(program(tmp_path)), "serve", "config.yml"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            small_image(tmp_path, name)
            deadline = time.monotonic() + 60
            while not listens(FIRST_PORT + 21):
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.1)
            run("docker", "push", "--quiet", name, directory=tmp_path)
            run("docker", "image", "rm", name, directory=tmp_path)
            yield name
            run("docker", "image", "rm", "--force", name, MADE, directory=tmp_path)
        finally:
            process.terminate()


def test_a_pulled_base_carries_no_package_source(published: str, tmp_path: Path) -> None:
    playbook = ROOT / f"ansible/{tmp_path.name}.yml"
    playbook.write_text(yaml.safe_dump([PLAY], sort_keys=False))
    try:
        values = {"platform_base_image": published, "_platform_images": {"base": MADE}}
        play(playbook.stem, ROOT / "inventory.ini", "-e", json.dumps(values))
    finally:
        playbook.unlink()
    assert run("docker", "run", "--rm", MADE, "find", "/etc/apt", "-type", "f", directory=tmp_path) == ""
