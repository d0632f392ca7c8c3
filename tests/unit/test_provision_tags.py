"""A tag of provision runs its role and what that needs, and a tag that is no role's runs nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from plays import ROOT

LOOK = {"preflight", "bundle", "credentials"}
# What dynamic includes bring is listed by the name of the include.
NAMED = {
    "Make bucket, policy and user": "object_store",
    "Start every service": "up",
    "Let people in": "logins",
    "Let jobs find the platform": "connection",
}


def provision(*options: str) -> subprocess.CompletedProcess[str]:
    """Call the playbook with an inventory of this machine."""
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    command = [str(program), "-i", "inventory.ini", *options, "ansible/provision.yml"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def parts(tag: str) -> set[str]:
    """Return the roles that run with a tag."""
    said = provision("--list-tasks", "--tags", tag)
    assert said.returncode == 0, said.stderr
    found = set()
    for task in re.findall(r"^      (.+?)\tTAGS:", said.stdout, re.MULTILINE):
        role, _, name = task.rpartition(" : ")
        if not name.startswith("Validating arguments") and " - " not in name:
            found.add(role or NAMED.get(name, ""))
    return found - {""}


@pytest.mark.parametrize(
    ("tag", "needed"),
    [
        ("docker_engine", set()),
        ("images", {"docker_engine"}),
        ("stack", {"docker_engine", "certificates", "images", "object_store", "up"}),
        ("certificates", {"docker_engine", "images", "stack", "object_store", "up"}),
        ("object_store", {"docker_engine", "certificates", "images", "stack"}),
        ("logins", {"docker_engine", "certificates", "images", "stack", "object_store", "up"}),
        ("connection", {"certificates"}),
    ],
)
def test_a_tag_runs_its_role_and_what_that_needs(tag: str, needed: set[str]) -> None:
    assert parts(tag) == LOOK | needed | {tag}


def test_what_a_tag_includes_bears_the_tag_too() -> None:
    (play,) = yaml.safe_load((ROOT / "ansible/provision.yml").read_text())
    (block,) = (task["block"] for task in play["tasks"] if "block" in task)
    included = [task for task in block if "ansible.builtin.include_role" in task]
    assert len(included) == len(NAMED)
    for task in included:
        assert task["ansible.builtin.include_role"]["apply"]["tags"] == task["tags"]


def test_a_tag_that_is_no_role_s_is_refused_with_those_that_are() -> None:
    done = provision("--check", "--tags", "image")
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "No role has the tag image; TAGS is one or more of docker_engine, certificates, images, stack" in said
    assert "Look at the host" not in said
