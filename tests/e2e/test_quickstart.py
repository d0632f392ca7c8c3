"""`make quickstart` from a clone, as somebody who is not root and has no Docker."""

import csv
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT

NOBODY = 65534
Make = Callable[[str], str]


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """A clone of what is committed, that belongs to nobody in particular, with that user's own home beside it."""
    place = Path(tempfile.mkdtemp(prefix="quickstart-"))
    place.chmod(0o755)
    (place / "home").mkdir()
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(place / "clone")], check=True)
    for path in (place / "home", place / "clone", *(place / "clone").rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    yield place / "clone"
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def make(clone: Path) -> Iterator[Make]:
    """Call a target in the clone as that user, and return what it says; the server is stopped in the end."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYENV", "MLFLOW", "VIRTUAL_ENV"))
    }
    environment = kept | {"HOME": str(clone.parent / "home"), "PATH": "/usr/local/bin:/usr/bin:/bin", "USER": "nobody"}

    def call(target: str) -> str:
        done = subprocess.run(
            ["make", target],
            cwd=clone,
            env=environment,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield call
    call("quickstart-stop")


def after(label: str, said: str) -> str:
    """Return what stands after a label at a line's beginning."""
    found = re.search(rf"^{label} +(.+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def test_quickstart_trains_predicts_and_serves_until_it_is_stopped(make: Make, clone: Path) -> None:
    first = make("quickstart")
    assert float(after("Accuracy", first)) >= 0.9
    assert after("Model", first) == "iris-classifier version 1"
    predictions = Path(after("Predictions", first))
    assert predictions.parent == clone / ".quickstart"
    with predictions.open(newline="") as file:
        assert {row["prediction"] for row in csv.DictReader(file)} == {"setosa", "versicolor", "virginica"}
    address = after("UI", first)
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert b"<title>MLflow</title>" in answer.read()

    server = (clone / ".quickstart/server.json").read_text()
    second = make("quickstart")
    assert after("Model", second) == "iris-classifier version 2"
    assert after("UI", second) == address
    assert (clone / ".quickstart/server.json").read_text() == server

    assert "is stopped" in make("quickstart-stop")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=30)
    assert (clone / ".quickstart/mlflow.db").exists()


def test_cleaning_up_stops_the_server_first(make: Make, clone: Path) -> None:
    address = after("UI", make("quickstart"))
    assert "is stopped" in make("clean")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=30)
    assert not (clone / ".quickstart").exists() and not (clone / ".venv-quickstart").exists()
    assert make("clean") == ""
    assert "no quickstart server is running" in make("quickstart-stop")
