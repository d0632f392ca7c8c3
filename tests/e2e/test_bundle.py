"""Hosts and a controller that reach nothing: all they need comes from one file, and a damaged one is refused."""

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, changed, launch, play
from tests.e2e.hosts import all_groups

pytest_plugins = ["tests.e2e.hosts"]


@pytest.fixture(scope="module")
def bundle(site) -> Path:
    """A bundle made of what this machine's engine has."""
    play("bundle", site.inventory)
    again = play("bundle", site.inventory)
    assert changed(again.stdout) == 0
    return Path(re.findall(r"(/\S+\.tar)\b", again.stdout)[0])


def from_bundle(file: Path) -> list[str]:
    """Return what `make provision BUNDLE=file` adds to a play."""
    return ["-e", "platform_image_source=archive", "-e", f"platform_bundle={file}"]


@pytest.mark.parametrize("member", ["images.tar.gz", "packages/debian-12.tar"])
def test_a_tampered_bundle_is_refused_by_the_name_of_its_member(site, bundle: Path, tmp_path: Path, member) -> None:
    copy = Path(shutil.copy(bundle, tmp_path))
    with tarfile.open(copy) as tar:
        place = tar.getmember(member).offset_data
    with open(copy, "r+b") as stream:
        stream.seek(place + 100_000)
        stream.write(b"tampered")
    done = play("provision", site.inventory, "--check", *from_bundle(copy), check=False)
    assert done.returncode != 0
    assert f"{member} is damaged" in " ".join(done.stdout.split())
    copy.unlink()


def test_a_bundle_of_another_version_is_refused_with_both_versions(site, bundle: Path) -> None:
    other = ["-e", "platform_base_image=docker.io/library/debian:another"]
    done = play("provision", site.inventory, "--check", *from_bundle(bundle), *other, check=False)
    said = re.findall(r"platform/job:\S+-\w{12}", done.stdout)
    assert done.returncode != 0
    assert "another version" in done.stdout and len(set(said)) == 2


def test_a_controller_without_a_network_gets_its_environment_from_the_bundle(bundle: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    environment |= {"UV_CACHE_DIR": str(tmp_path / "cache"), "PIP_NO_CACHE_DIR": "1"}
    made = tmp_path / ".venv"
    command = ["unshare", "--net", "requirements/venv.sh", str(made), "requirements/controller.txt", str(bundle)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    version = subprocess.run([made / "bin/ansible", "--version"], capture_output=True, text=True, check=True).stdout
    assert "core 2." in version


@pytest.mark.parametrize(("debian", "engine"), [(13, True), (12, False)])
def test_a_host_without_internet_trains_a_model(hosts, bundle: Path, tmp_path: Path, debian, engine) -> None:
    host = hosts.make(f"closed{debian}", debian=debian, engine=engine, internal=True)
    update = "timeout 15 apt-get -q -o APT::Update::Error-Mode=any update"
    assert host.run(update, check=False, user="root").returncode != 0
    credentials = tmp_path / "credentials"
    inventory = hosts.inventory(all_groups(host), name=f"closed{debian}", platform_credentials_dir=credentials)
    play("provision", inventory, *from_bundle(bundle))
    again = play("provision", inventory, *from_bundle(bundle)).stdout
    assert changed(again) == 0, again
    with tarfile.open(bundle) as tar:
        first = tar.extractfile("manifest.json")
        assert first is not None
        packed = json.load(first)["images"]
    shown = host.run(f"docker image inspect --format '{{{{json .RootFS.Layers}}}}' {' '.join(packed)}", user="root")
    assert [json.loads(line) for line in shown.stdout.splitlines()] == list(packed.values())
    left = host.run("ls -d /var/tmp/*.images /var/tmp/*.packages", check=False, user="root").stdout
    assert left == ""
    train = launch("train", credentials / "platform.json", "--n-estimators", "20")
    assert train.returncode == 0, train.stdout + train.stderr
