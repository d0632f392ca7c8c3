"""Make and Ansible agree on the name of an inventory, by which credentials are kept; what is set reaches programs."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.parsing.splitter import parse_kv
from plays import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory called lab with the Makefile, and inventories in it and below it."""
    place = tmp_path / "lab"
    shutil.copytree(ROOT / "inventories", place / "inventories")
    for name in ("Makefile", "requirements"):
        (place / name).symlink_to(ROOT / name)
    for name in (
        "hosts.ini",
        "inventory.ini",
        "inventories/my.team.ini",
        "inventories/several/one",
        "inventories/several/two",
        "my own/lab.v2 west.ini",
        "my own/hosts.ini",
    ):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(f"[tracking]\n{Path(name).stem.split()[0]} ansible_connection=local\n")
    return place


def dry_run(checkout: Path, *arguments: str) -> str:
    """Return the commands that Make would run."""
    make = ["make", "--dry-run", *arguments]
    return subprocess.run(make, cwd=checkout, capture_output=True, text=True, check=True).stdout


def words_of(said: str, program: str) -> list[str]:
    """Return the words that the shell would hand to `program`."""
    (line,) = (line for line in said.splitlines() if program in line)
    return shlex.split(line)


@pytest.mark.parametrize(
    ("inventory", "name"),
    [
        ("inventory.ini", "inventory"),
        ("hosts.ini", "lab"),
        ("./hosts.ini", "lab"),
        ("inventories/lab/hosts.ini", "lab"),
        ("inventories/lab", "lab"),
        ("inventories/lab/", "lab"),
        ("inventories/my.team.ini", "my.team"),
        ("inventories/several/", "several"),
        ("my own/lab.v2 west.ini", "lab.v2 west"),
        ("my own/hosts.ini", "my own"),
    ],
)
def test_train_looks_for_the_platform_where_provision_describes_it(checkout: Path, inventory: str, name: str) -> None:
    said = dry_run(checkout, "train", f"INVENTORY={inventory}")
    playbook = checkout / "play.yml"
    playbook.write_text(
        f"- hosts: all\n  gather_facts: false\n  vars_files: [{ROOT}/ansible/roles/platform/vars/main.yml]\n"
        "  tasks: [{debug: {msg: '{{ _platform_inventory_name }}'}}]\n"
    )
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "plain"}
    command = [str(program), "-i", inventory, str(playbook)]
    names = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout
    assert set(names.splitlines()) == {name}
    words = words_of(said, "ml/launch.py")
    assert words[words.index("--platform") + 1] == f"credentials/{name}/platform.json"


def test_options_reach_ansible(checkout: Path) -> None:
    said = dry_run(checkout, "provision", "CHECK=1", "LIMIT=a", "TAGS=images", "ARGS=-v")
    expected = "ansible-playbook -i inventory.ini --limit a --check --diff --tags images -v ansible/provision.yml"
    assert words_of(said, "ansible-playbook") == expected.split()


def test_a_path_with_spaces_stays_one_word(checkout: Path) -> None:
    bundle, platform = "from afar/platform 3.tar", "their own/platform.json"
    provision = dry_run(checkout, "provision", "INVENTORY=my own/hosts.ini", f"BUNDLE={bundle}")
    assert words_of(provision, "venv.sh")[-1] == bundle
    words = words_of(provision, "ansible-playbook")
    assert words[words.index("-i") + 1] == "my own/hosts.ini"
    (given,) = (parse_kv(word) for word in words if word.startswith("platform_bundle="))
    assert given == {"platform_bundle": str(checkout / bundle)}
    assert platform in words_of(dry_run(checkout, "predict", f"PLATFORM={platform}"), "ml/launch.py")
    assert "my own/hosts.ini" in words_of(dry_run(checkout, "bench", "INVENTORY=my own/hosts.ini"), "bench")
