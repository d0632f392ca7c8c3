"""Reading and checking tables, without a server."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "ml"))

import champion
import tables
import tracking
from tables import InputError


def test_rows_are_numbered_through_the_chunks(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a\n" + "1\n" * 5 + "x\n")
    with pytest.raises(InputError, match=r"t.csv, column 'a', row 6: 'x' is not a number"):
        for frame in tables.chunks(file, rows=2):
            tables.as_numbers(frame["a"], file.name)


def test_long_rows_come_in_fewer_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHUNK_BYTES", 1000)
    file = tmp_path / "t.csv"
    file.write_text("a,b\n" + f"1,{'x' * 300}\n" * 10)
    sizes = [len(frame) for frame in tables.chunks(file)]
    assert sum(sizes) == 10
    assert max(sizes) <= 4


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert list(next(tables.chunks(file)).columns) == ["a", "b"]


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a,b,a\n1,2,3\n")
    with pytest.raises(InputError, match="more than one column 'a'"):
        next(tables.chunks(file))


def test_a_row_with_too_many_fields_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(InputError, match="Expected 2 fields in line 3, saw 3"):
        list(tables.chunks(file))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "row 2: 'x' is not a number"),
        (None, "row 2: no value"),
        (np.inf, "row 2: inf is not finite"),
    ],
)
def test_what_is_no_number_is_named_by_row_and_column(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tables.as_numbers(pd.Series([1, value], name="a", dtype=object), "t.csv")


def test_whole_numbers_become_doubles_and_broken_ones_no_integers() -> None:
    assert tables.as_numbers(pd.Series([1, 2], name="a"), "t").dtype == "float64"
    with pytest.raises(InputError, match=r"row 2: 1\.5 is not a whole number"):
        tables.as_numbers(pd.Series([1, 1.5], name="a"), "t", "int64")


def test_a_renamed_column_is_guessed() -> None:
    with pytest.raises(InputError, match=r"lacks the column 'petal width \(cm\)' \(renamed\? 'PETAL_WIDTH' is there\)"):
        tables.check_columns(["a", "PETAL_WIDTH"], ["a", "petal width (cm)"], "t.csv")


def test_extra_columns_are_returned() -> None:
    assert tables.check_columns(["b", "id", "a"], ["a", "b"], "t.csv") == ["id"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("old")

    def frames():
        yield pd.DataFrame({"a": [1]})
        raise InputError("row 2 is bad")

    with pytest.raises(InputError):
        tables.write(frames(), file)
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
    assert file.read_text() == "old"


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz", "p.parquet"])
def test_what_is_written_in_frames_reads_back_whole(tmp_path: Path, name: str) -> None:
    tables.write(iter([pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})]), tmp_path / name)
    assert [int(value) for frame in tables.chunks(tmp_path / name) for value in frame["a"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("challenger", "holder", "wins"),
    [
        ((0.9, 0.3), (0.8, 0.1), True),
        ((0.8, 0.1), (0.9, 0.3), False),
        ((0.9, 0.3), (0.9, 0.3), True),
        ((0.9, 0.3 + 1e-12), (0.9, 0.3), True),
        ((0.9, 0.301), (0.9, 0.3), False),
        ((0.9, 0.4), (0.9, 0.3), False),
    ],
)
def test_accuracy_decides_and_log_loss_where_it_is_equal(challenger, holder, wins: bool) -> None:
    assert champion.no_worse(challenger, holder) is wins


def test_a_dead_server_is_put_into_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000")
    said = tracking.explain(Exception("API request failed with Max retries exceeded with url"))
    assert said.startswith("MLflow does not answer at http://there:5000: make status")
