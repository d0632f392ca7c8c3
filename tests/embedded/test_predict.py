"""Prediction against a real MLflow: formats, bad input, a dead server, a full disk."""

from __future__ import annotations

import gzip
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.embedded import scripts

ML = Path(__file__).resolve().parents[2] / "ml"
HEADER = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)"
GOOD = f"{HEADER}\n5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n"
PROBABILITIES = ["probability_setosa", "probability_versicolor", "probability_virginica"]

pytestmark = pytest.mark.usefixtures("trained")


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_sample_is_predicted_and_shown_in_80_columns(call, tmp_path: Path) -> None:
    done = call("mlflow_pred.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert set(table["prediction"]) == {"setosa", "versicolor", "virginica"}
    assert (table[PROBABILITIES].sum(axis=1) - 1).abs().max() < 1e-9
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if "Predictions" not in line)


def test_reordered_and_extra_columns_and_whole_numbers_in_gzip_become_parquet(call, tmp_path: Path) -> None:
    text = "id,petal width (cm),petal length (cm),sepal width (cm),sepal length (cm)\na,0,1,3,5\nb,2,6,3,7\n"
    data = write(tmp_path / "in.csv.gz", gzip.compress(text.encode()))
    done = call("mlflow_pred.py", "--version", 1, "--input", data, "--output", tmp_path / "out.parquet")
    assert done.returncode == 0, done.stderr
    assert "note: the model does not use 'id'" in done.stderr
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert list(table["prediction"]) == ["setosa", "virginica"]
    assert list(table["id"]) == ["a", "b"]


def test_parquet_becomes_gzipped_csv(call, tmp_path: Path) -> None:
    write(tmp_path / "in.csv", GOOD)
    pd.read_csv(tmp_path / "in.csv").to_parquet(tmp_path / "in.parquet")
    done = call("mlflow_pred.py", "--input", tmp_path / "in.parquet", "--output", tmp_path / "out.csv.gz")
    assert done.returncode == 0, done.stderr
    assert list(pd.read_csv(tmp_path / "out.csv.gz")["prediction"]) == ["setosa", "virginica"]


BAD: dict[str, tuple[str | bytes, str]] = {
    "missing": ("sepal length (cm),sepal width (cm),petal length (cm)\n1,2,3\n", "lacks the column 'petal width (cm)'"),
    "renamed": (GOOD.replace("petal width (cm)", "PetalWidth"), "(renamed? 'PetalWidth' is there)"),
    "text": (GOOD + "1,2,three,4\n", "column 'petal length (cm)', row 3: 'three' is not a number"),
    "nan": (GOOD + "1,2,,4\n", "column 'petal length (cm)', row 3: no value (NaN)"),
    "empty": ("", "is empty"),
    "header": (HEADER + "\n", "has a header and no rows"),
    "latin": (GOOD.encode() + b"\xe9,1,1,1\n", "is not UTF-8 (byte 0xe9): iconv"),
    "semicolons": (GOOD.replace(",", ";"), "is separated by semicolons"),
    "cut.csv.gz": (gzip.compress(GOOD.encode() * 50)[:-20], "is a damaged gzip file"),
    "odd.parquet": (GOOD, "is not a Parquet file"),
}


def test_bad_input_is_refused_and_the_old_predictions_stay(environment, tmp_path: Path) -> None:
    """All at once."""
    output = write(tmp_path / "predictions.csv", "old")
    cases = {(name if "." in name else f"{name}.csv"): case for name, case in BAD.items()}
    given = {name: ["--input", str(write(tmp_path / name, text))] for name, (text, _) in cases.items()}
    wanted = {name: message for name, (_, message) in cases.items()}
    for name, arguments, message in (
        ("no file", ["--input", str(tmp_path / "rename.csv")], "did you mean"),
        ("directory", ["--input", str(tmp_path)], "is a directory"),
        ("no alias", ["--alias", "chmpion"], "has no alias 'chmpion': --alias, one of: champion"),
        ("no model", ["--model-name", "iriss"], "no registered model 'iriss'"),
        ("no version", ["--version", "999"], "has no version 999"),
        ("odd version", ["--version", "latest"], "has no version latest"),
        ("odd output", ["--output", str(tmp_path / "p.xlsx")], "the name must end in"),
        ("no folder", ["--output", str(tmp_path / "none" / "p.csv")], "mkdir -p"),
    ):
        given[name], wanted[name] = arguments, message
    started = {
        name: scripts.begin("mlflow_pred.py", arguments, tmp_path, environment) for name, arguments in given.items()
    }
    for name, begun in started.items():
        done = scripts.end(begun)
        assert done.returncode == 2, (name, done.stderr)
        assert "error: " in done.stderr and wanted[name] in done.stderr, (name, done.stderr)
    assert output.read_text() == "old"
    assert not list(tmp_path.glob(".*.part"))


def test_a_full_disk_leaves_the_old_predictions_and_no_rubbish(environment, tmp_path: Path) -> None:
    """A limit on the size of a file stands in for the disk: the same write fails the same way."""
    output = write(tmp_path / "predictions.csv", "old")
    data = write(tmp_path / "in.csv", GOOD + "5.1,3.5,1.4,0.2\n" * 200_000)
    done = subprocess.run(
        [sys.executable, str(ML / "mlflow_pred.py"), "--input", str(data)],
        env=environment,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000)),
    )
    assert done.returncode == 2, done.stderr
    assert "no space left" in done.stderr
    assert output.read_text() == "old"
    assert not list(tmp_path.glob(".*.part"))


def test_a_server_that_is_down_or_silent_is_told_within_20_seconds(environment, tmp_path: Path) -> None:
    """All at once: one port refuses, the other accepts and never answers. What is imported is imported already."""
    with socket.socket() as closed, socket.socket() as silent:
        closed.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        addresses = [f"http://127.0.0.1:{port.getsockname()[1]}" for port in (closed, silent)]
        started = {
            (script, address): scripts.begin(script, (), tmp_path, environment | {"MLFLOW_TRACKING_URI": address})
            for script in ("mlflow_pred.py", "mlflow_experiment.py")
            for address in addresses
        }
        deadline = time.monotonic() + 20
        for (_, address), call in started.items():
            done = scripts.end(call, deadline - time.monotonic())
            assert done.returncode == 1
            assert f"MLflow does not answer at {address}: make status" in done.stderr


def test_without_an_address_the_way_to_one_is_named(call) -> None:
    done = call("mlflow_pred.py", MLFLOW_TRACKING_URI="")
    assert done.returncode == 2
    assert "MLFLOW_TRACKING_URI is not set" in done.stderr
