"""Make and Ansible agree on the name of an inventory, by which its credentials are kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
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
    ):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(f"[tracking]\n{Path(name).stem} ansible_connection=local\n")
    return place


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
    ],
)
def test_train_looks_for_the_platform_where_provision_describes_it(checkout: Path, inventory: str, name: str) -> None:
    make = ["make", "--dry-run", "train", f"INVENTORY={inventory}"]
    said = subprocess.run(make, cwd=checkout, capture_output=True, text=True, check=True).stdout
    playbook = checkout / "play.yml"
    playbook.write_text(
        f"- hosts: all\n  gather_facts: false\n  vars_files: [{ROOT}/ansible/roles/platform/vars/main.yml]\n"
        "  tasks: [{debug: {msg: '{{ _platform_inventory_name }}'}}]\n"
    )
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "plain"}
    command = [str(program), "-i", inventory, str(playbook)]
    names = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout
    assert set(names.split()) == {name}
    assert f"--platform credentials/{name}/platform.json" in said
