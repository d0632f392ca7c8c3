#!/usr/bin/env python3
"""Predict the class of each row of a table with a registered model, and write the table with the predictions."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tables
import tracking

if TYPE_CHECKING:
    import pandas as pd

# Once MLflow has answered: a prediction is quickly started again, so it does not outwait a server that dies.
DOWNLOAD = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model-name", default="iris-classifier", help="registered model (%(default)s)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--alias", default="champion", help="the model's version by alias (%(default)s)")
    which.add_argument("--version", help="the model's version by number")
    parser.add_argument("--input", type=Path, help="CSV or Parquet file, gzipped or not (default: 15 rows of iris)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("predictions.csv"),
        help="where to write: .csv, .csv.gz or .parquet (%(default)s)",
    )
    return parser.parse_args(argv)


def sample() -> pd.DataFrame:
    """Every tenth row of the iris data, measurements only."""
    from sklearn.datasets import load_iris

    return load_iris(as_frame=True).data.iloc[::10].reset_index(drop=True)


def columns_of(model: Any, signature: Any) -> dict[str, str]:
    """The model's input columns and their NumPy types, in its order."""
    if signature is not None and signature.inputs is not None and signature.inputs.has_input_names():
        return {spec.name: spec.type.to_numpy().name for spec in signature.inputs.inputs}
    if hasattr(model, "feature_names_in_"):
        return dict.fromkeys(map(str, model.feature_names_in_), "float64")
    raise tables.InputError("the model does not say which columns it takes: train it anew (make train)")


def cast(frame: pd.DataFrame, kinds: dict[str, str], source: str) -> pd.DataFrame:
    """The model's columns of `frame` in the model's order and types."""
    import pandas as pd

    numeric = ("float", "int", "uint", "bool")
    return pd.DataFrame(
        {
            name: tables.as_numbers(frame[name], source, kind) if kind.startswith(numeric) else frame[name].astype(str)
            for name, kind in kinds.items()
        },
        index=frame.index,
    )


def predicted(frames: Iterator[pd.DataFrame], model: Any, kinds: dict[str, str], source: str) -> Iterator[pd.DataFrame]:
    """Each frame with the columns `prediction` and `probability_<class>` added."""
    for number, frame in enumerate(frames):
        extra = tables.check_columns([str(name) for name in frame.columns], list(kinds), source)
        if extra and number == 0:
            print(f"note: the model does not use {tables.quoted(extra)}", file=sys.stderr)
        features = cast(frame, kinds, source)
        clashing = [name for name in frame.columns if name == "prediction" or str(name).startswith("probability_")]
        frame = frame.drop(columns=clashing)
        if hasattr(model, "predict_proba"):
            chances = model.predict_proba(features)
            frame["prediction"] = model.classes_[chances.argmax(axis=1)]
            for at, name in enumerate(model.classes_):
                frame[f"probability_{name}"] = chances[:, at]
        else:
            frame["prediction"] = model.predict(features)
        yield frame


def shown(frame: pd.DataFrame) -> str:
    """The first rows' prediction and its probability in at most 80 columns."""
    head = frame.head(5)
    chances = [name for name in head.columns if str(name).startswith("probability_")]
    lines = ["  row  prediction" + (" " * 16 + "probability" if chances else "")]
    for row, (_, values) in enumerate(head.iterrows(), start=1):
        best = f"{max(values[chances]):11.3f}" if chances else ""
        lines.append(f"{row:5}  {str(values['prediction'])[:24]:26}{best}".rstrip())
    return "\n".join(lines)


def main() -> None:
    """Predict, as the command line says."""
    given = arguments()
    tables.check_output(given.output)
    tracking.prepare()
    if given.input:
        frames = tables.chunks(given.input)
        frames = itertools.chain([next(frames)], frames)  # a file that cannot be read is told before MLflow is asked
    with tracking.impatient():
        version = tracking.find_version(given.model_name, given.alias, given.version)
    for name, value in DOWNLOAD.items():
        os.environ.setdefault(name, value)
    model, signature = tracking.load(given.model_name, version)

    first: list[pd.DataFrame] = []
    counted = [0]

    def watched(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            first[:] = first or [frame.head(5)]
            counted[0] += len(frame)
            yield frame

    if not given.input:
        frames = iter([sample()])
    source = given.input.name if given.input else "the iris sample (give your own rows with --input)"
    tables.write(watched(predicted(frames, model, columns_of(model, signature), source)), given.output)
    print(f"Model        {given.model_name} version {version}")
    print(shown(first[0]))
    print(f"Rows         {counted[0]}")
    if not os.environ.get("PLATFORM_JOB"):
        print(f"Predictions  {given.output.absolute()}")


if __name__ == "__main__":
    tracking.run(main)
