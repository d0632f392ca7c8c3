"""The base of every image, pulled or made here, and what another revision makes anew on top of it."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import FIRST_PORT, NAME, ROOT, play
from tests.e2e.registry import program, run

MADE = f"{NAME}/base:pulled"
MAKE_BASE = ROOT / "compose/base/make-base.sh"
LOOK = {"name": "Look", "ansible.builtin.include_role": {"name": "preflight", "tasks_from": "look.yml"}}
# Of the images only the gateway's is renamed: its base is the one there is, or is made.
REFERENCES = (
    "{{ _platform_image_inputs | image_references(_platform_root, _platform_versions, {'base': platform_base_image})"
    " | combine({'gateway': '%s'}) }}"
)


def images(verb: str, directory: Path, values: dict[str, Any]) -> None:
    """Run one task file of role images on this host, with these variables."""
    get = {"name": "Get images", "ansible.builtin.include_role": {"name": "images", "tasks_from": f"{verb}.yml"}}
    site = {"name": "Get images", "hosts": "compute", "gather_facts": False, "become": True, "roles": ["platform"]}
    playbook = ROOT / f"ansible/{directory.name}.yml"
    playbook.write_text(yaml.safe_dump([site | {"tasks": [LOOK, get]}], sort_keys=False))
    named = {"platform_name": NAME, "platform_dir": str(directory / "platform"), "_preflight_hold": False}
    try:
        play(playbook.stem, ROOT / "inventory.ini", "-e", json.dumps(named | values))
    finally:
        playbook.unlink()


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
    images("base", tmp_path, {"platform_base_image": published, "_platform_images": {"base": MADE}})
    assert run("docker", "run", "--rm", MADE, "find", "/etc/apt", "-type", "f", directory=tmp_path) == ""


@pytest.fixture
def made_base() -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """Make the base image from this host's package sources, on a host of which a shell command changed something."""
    # Not below /tmp, which one of them covers, and the checkout with it if it is there.
    inputs = Path(tempfile.mkdtemp(prefix=f"{NAME}-", dir="/var/tmp"))
    copy = str(shutil.copy(MAKE_BASE, inputs))
    run("sh", str(ROOT / "compose/base/build-inputs.sh"), str(inputs), directory=ROOT)

    def make(before: str) -> subprocess.CompletedProcess[str]:
        script = before + ' && exec sh "$0" "$1" "$2"'
        command = [
            "unshare",
            "--mount",
            "sh",
            "-ec",
            script,
            copy,
            MADE,
            str(inputs / "apt.sources"),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)

    yield make
    shutil.rmtree(inputs)
    subprocess.run(["docker", "image", "rm", "--force", MADE], capture_output=True, check=True)


def test_a_base_is_made_where_tmp_is_a_tmpfs_without_devices(made_base, tmp_path: Path) -> None:
    made = made_base("mount -t tmpfs -o nodev,nosuid tmpfs /tmp")
    assert made.returncode == 0, made.stdout + made.stderr
    assert run("docker", "run", "--rm", MADE, "find", "/etc/apt/sources.list.d", "-type", "f", directory=tmp_path) == ""


def test_no_base_is_made_without_the_keys_of_debian(made_base) -> None:
    made = made_base("mount -t tmpfs tmpfs /usr/share/keyrings")
    assert made.returncode != 0 and "keyring" in made.stdout + made.stderr
    assert subprocess.run(["docker", "image", "inspect", MADE], capture_output=True, check=False).returncode != 0


def test_another_revision_takes_its_packages_from_no_cache(tmp_path: Path) -> None:
    layers = []
    for number, revision in enumerate(('$1 of "may"', "june", "june")):
        name = f"{NAME}/gateway:{number}"
        built = {"_images_services": ["gateway"], "_platform_images": REFERENCES % name}
        images("build", tmp_path, built | {"platform_image_revision": revision})
        shown = run("docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", name, directory=tmp_path)
        layers.append(json.loads(shown))
        run("docker", "image", "rm", name, directory=tmp_path)
    base = layers[0][0]
    assert [each[0] for each in layers] == [base] * 3
    assert layers[0][1] != layers[1][1] and layers[1] == layers[2]
