"""Calls the scripts of ml/, each in a process of its own, forked from one that has imported what they need.

Importing MLflow, scikit-learn and pandas takes seconds and is the same for every call; what a test asks comes after.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

ML = Path(__file__).resolve().parents[2] / "ml"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "mlflow.sklearn",
        "mlflow.data.pandas_dataset",
        "sklearn.ensemble",
        "sklearn.datasets",
        "skops.io",
        "matplotlib.figure",
    ]
)


class Call(NamedTuple):
    """A call that has begun."""

    process: ForkServerProcess
    stdout: Path
    stderr: Path


def become(command: list[str], cwd: str, environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    """Be the script from here on, as if it had been called with this directory and environment."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in ((sys.stdout, stdout), (sys.stderr, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.argv = command
    sys.path.insert(0, str(ML))
    runpy.run_path(command[0], run_name="__main__")


def begin(script: str, arguments: Sequence[object], cwd: Path, environment: Mapping[str, str]) -> Call:
    """Call a script in a directory and with an environment; `end` waits for it."""
    said = Path(tempfile.mkdtemp(prefix="said-", dir=cwd.parent))
    stdout, stderr = said / "stdout", said / "stderr"
    command = [str(ML / script), *map(str, arguments)]
    process = FORKS.Process(target=become, args=(command, str(cwd), dict(environment), stdout, stderr))
    process.start()
    return Call(process, stdout, stderr)


def end(call: Call, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Wait for the call and return what became of it; AssertionError when it takes longer than `seconds`."""
    call.process.join(seconds)
    status = call.process.exitcode
    if status is None:
        call.process.kill()
    assert status is not None, f"no end after {seconds} s: {call.stderr.read_text()}"
    return subprocess.CompletedProcess([], status, call.stdout.read_text(), call.stderr.read_text())
