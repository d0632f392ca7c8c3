"""Work in a forked process: its result, its error, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "ml"))

import beside
from beside import Beside
from tables import InputError


def run(*lines: str) -> tuple[int, str]:
    """Exit status and messages of a program, when it and whoever else holds its standard output has ended."""
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(
        command, cwd=Path(beside.__file__).parent, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


def test_the_result_comes_from_another_process() -> None:
    elsewhere, doubled = Beside(lambda number: (os.getpid(), 2 * number), 21).result()
    assert doubled == 42
    assert elsewhere != os.getpid()


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    with pytest.raises(ZeroDivisionError):
        Beside(lambda: 1 // 0).result()


def test_a_process_that_is_killed_is_told_with_a_way_out() -> None:
    with pytest.raises(InputError, match="--cv 0"):
        Beside(lambda: os.kill(os.getpid(), signal.SIGKILL)).result()


def test_it_ends_with_the_process_that_asked() -> None:
    assert run("import time", "from beside import Beside", "Beside(time.sleep, 600)") == (0, "")


def test_it_ends_when_the_process_that_asked_is_told_to() -> None:
    main = "def main(): Beside(time.sleep, 600); os.kill(os.getpid(), signal.SIGTERM); time.sleep(600)"
    assert run("import os, signal, time, tracking", "from beside import Beside", main, "tracking.run(main)") == (
        143,
        "",
    )
