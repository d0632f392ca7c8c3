"""Runs small playbooks with the project's own plugins, for the unit tests of those plugins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "ansible" / "plugins"))


def run(
    directory: Path, tasks: list[dict[str, Any]], *options: str, callback: str = "plain", hosts: str = "localhost"
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of `tasks` on this machine, as a play of the project would run, and return what became of it."""
    playbook = directory / "play.yml"
    play = {"hosts": hosts, "connection": "local", "gather_facts": False, "tasks": tasks}
    playbook.write_text(json.dumps([play]))
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": callback}
    environment |= {"ANSIBLE_HOME": str(directory / ".ansible"), "ANSIBLE_NOCOLOR": "1"}
    arguments = ["-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", *options, str(playbook)]
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, env=environment, check=False)


def results(directory: Path, tasks: list[dict[str, Any]], *options: str) -> list[dict[str, Any]]:
    """Run `tasks` and return the result of each, failures included."""
    report = [{"debug": {"msg": f"{{{{ result_{number} | to_json }}}}"}} for number in range(len(tasks))]
    named = [{**task, "register": f"result_{number}", "ignore_errors": True} for number, task in enumerate(tasks)]
    done = run(directory, named + report, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
