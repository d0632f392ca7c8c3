"""The first command of a newcomer: what requirements/venv.sh says where it cannot make an environment."""

import os
import subprocess
from pathlib import Path

import pytest
from plays import ROOT


def refusal(tmp_path: Path, lock: str, **variables: str) -> str:
    """Return what is said when no environment of `lock` can be made in an empty directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    # Without what another run downloaded.
    environment = kept | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")} | variables
    command = ["/bin/sh", str(ROOT / "requirements/venv.sh"), str(tmp_path / "made"), lock]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not (tmp_path / "made/.made-from").exists()
    return done.stderr


def only_python(tmp_path: Path, name: str, script: str) -> dict[str, str]:
    """Return an environment in which the one Python there is does what `script` says."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("dirname", "cmp", "rm", "cat"):
        (programs / tool).symlink_to(f"/usr/bin/{tool}")
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)
    return {"PATH": str(programs), "PYENV_ROOT": str(tmp_path / "none")}


def test_an_old_python_is_answered_with_the_packages_of_a_newer_one(tmp_path: Path) -> None:
    said = refusal(tmp_path, "requirements/quickstart.txt", **only_python(tmp_path, "python3", "echo 310"))
    assert "apt-get install python3 python3-venv\n" in said
    assert "Ubuntu 22.04" in said and "universe: apt-get install python3.11 python3.11-venv\n" in said


def test_a_python_without_venv_is_answered_with_its_package(tmp_path: Path) -> None:
    without = only_python(tmp_path, "python3.11", '[ "$1" = -c ] && echo 311')
    said = refusal(tmp_path, "requirements/quickstart.txt", **without)
    assert said.endswith("apt-get install python3.11-venv\n")


@pytest.mark.parametrize("installer", [False, True])
def test_an_index_that_does_not_answer_is_named_with_the_ways_around_it(tmp_path: Path, installer: bool) -> None:
    if installer:
        (tmp_path / ".venv-uv").symlink_to(ROOT / ".venv-uv")
    nowhere = dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), "http://127.0.0.1:9/simple")
    lock = str(ROOT / "requirements/quickstart.txt")
    said = refusal(tmp_path, lock, PIP_RETRIES="0", UV_HTTP_RETRIES="0", **nowhere)
    last = said[said.index("The packages could not be downloaded") :]
    assert all(way in last for way in ("PIP_INDEX_URL=", "UV_DEFAULT_INDEX=", "https_proxy=", "BUNDLE=file")), said
