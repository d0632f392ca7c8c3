#!/usr/bin/env python3
"""Train a random forest on a table, record the run in MLflow, register the model, and name the champion."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tables
import tracking
from beside import Beside

if TYPE_CHECKING:
    import pandas as pd

TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]  # what a forest holds and skops does not trust by itself
REQUIREMENTS = ("mlflow-skinny", "scikit-learn", "skops", "pandas", "numpy")
MAX_CLASSES = 200


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--data", type=Path, help="CSV or Parquet file, gzipped or not (default: scikit-learn's iris)")
    parser.add_argument("--target", help="column that holds the class (default: species, else target)")
    parser.add_argument("--experiment", default="iris-classification", help="MLflow experiment (%(default)s)")
    parser.add_argument("--model-name", default="iris-classifier", help="registered model (%(default)s)")
    parser.add_argument("--n-estimators", type=int, default=100, help="trees in the forest (%(default)s)")
    parser.add_argument("--max-depth", type=int, help="levels of a tree (default: as many as it takes)")
    parser.add_argument("--test-size", type=float, default=0.2, help="share of the rows held out (%(default)s)")
    parser.add_argument(
        "--seed",
        type=int,
        default=42,
        help="of split and forest; another one shows the champion rows it was fitted to (%(default)s)",
    )
    parser.add_argument("--cv", type=int, default=5, help="folds of the cross-validation, 0 for none (%(default)s)")
    given = parser.parse_args(argv)
    checks = (
        (given.n_estimators >= 1, "--n-estimators must be 1 or more"),
        (given.max_depth is None or given.max_depth >= 1, "--max-depth must be 1 or more"),
        (0 < given.test_size < 1, "--test-size is a share: more than 0 and less than 1, for example 0.2"),
        (0 <= given.seed < 2**32, "--seed must be 0 or more, and less than 2^32"),
        (given.cv == 0 or given.cv >= 2, "--cv must be 0, or 2 or more"),
    )
    for fine, message in checks:
        if not fine:
            parser.error(message)
    return given


def read(path: Path | None) -> tuple[pd.DataFrame, str]:
    """The whole table and a name for it."""
    if path is None:
        from sklearn.datasets import load_iris

        bunch = load_iris(as_frame=True)
        frame = bunch.data.copy()
        frame["species"] = bunch.target_names.astype(object)[bunch.target]
        return frame, "iris"
    import pandas as pd

    return pd.concat(list(tables.chunks(path))), path.name


def split(frame: pd.DataFrame, target: str, source: str, given: argparse.Namespace) -> list[Any]:
    """Features and classes for fitting, and the same held out: [x, x_test, y, y_test], each class in both.

    Raises InputError when a column is not of numbers, or there are too few rows.
    """
    import pandas as pd
    from sklearn.model_selection import train_test_split

    tables.check_target(frame, target, source)
    names = [str(name) for name in frame.columns if name != target]
    if not names:
        raise tables.InputError(f"{source} has no column beside '{target}': add what the class is to be told from")
    classes = frame[target].astype(str) if frame[target].dtype.kind not in "iub" else frame[target]
    if classes.nunique() > MAX_CLASSES:
        raise tables.InputError(
            f"{source}, column '{target}' has {classes.nunique()} values, more than the {MAX_CLASSES} a classifier "
            "here takes: name a column of classes with --target"
        )
    features = pd.DataFrame({name: tables.as_numbers(frame[name], source) for name in names})
    try:
        return train_test_split(features, classes, test_size=given.test_size, random_state=given.seed, stratify=classes)
    except ValueError as error:
        raise tables.InputError(f"{source} cannot be split: {error}: add rows or change --test-size") from error


def measures(model: Any, features: pd.DataFrame, truth: Any) -> dict[str, float]:
    """Accuracy (0 to 1), macro F1 (0 to 1) and log loss (nats) on the held-out rows."""
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    chances = model.predict_proba(features)
    guessed = model.classes_[chances.argmax(axis=1)]
    return {
        "accuracy": float(accuracy_score(truth, guessed)),
        "f1_macro": float(f1_score(truth, guessed, average="macro", zero_division=0)),
        "log_loss": float(log_loss(truth, chances, labels=model.classes_)),
    }


def forest(given: argparse.Namespace) -> Any:
    """The model, not fitted."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(given.n_estimators, max_depth=given.max_depth, random_state=given.seed)


def cross_validated(model: Any, features: pd.DataFrame, truth: Any, folds: int) -> dict[str, float]:
    """Mean and standard deviation of the accuracy over the folds; nothing when there are not two."""
    from sklearn.model_selection import cross_val_score

    folds = min(folds, int(truth.value_counts().min()))
    if folds < 2:
        return {}
    accuracies = cross_val_score(model, features, truth, cv=folds, scoring="accuracy")
    return {"cv_accuracy_mean": float(accuracies.mean()), "cv_accuracy_std": float(accuracies.std())}


def log_pictures(run_id: str, model: Any, features: pd.DataFrame, truth: Any) -> None:
    """Add the confusion matrix and the feature importances to the run."""
    import pictures
    from mlflow import MlflowClient
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(truth, model.predict(features), labels=model.classes_)
    with tempfile.TemporaryDirectory() as folder:
        pictures.confusion_matrix(counts, [str(name) for name in model.classes_], Path(folder, "confusion_matrix.png"))
        names = [str(name) for name in features]
        pictures.feature_importance(model.feature_importances_, names, Path(folder, "feature_importance.png"))
        for picture in sorted(Path(folder).iterdir()):
            MlflowClient().log_artifact(run_id, str(picture))


def log_data(frame: pd.DataFrame, target: str, source: str, path: Path | None) -> None:
    """Record which data the run was trained on: name, digest, schema."""
    import mlflow
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.pandas_dataset import PandasDataset

    origin = {"data": str(path) if path else "sklearn.datasets.load_iris"}
    data = PandasDataset(frame, CodeDatasetSource(tags=origin), targets=target, name=source)
    mlflow.log_input(data, context="training")


def register(model: Any, features: pd.DataFrame, name: str) -> str:
    """Log the model with signature and input example, register it, and return its version."""
    from importlib.metadata import version

    import mlflow.sklearn
    from mlflow.models import infer_signature

    logged = mlflow.sklearn.log_model(
        model,
        name="model",
        registered_model_name=name,
        await_registration_for=0,
        signature=infer_signature(features, model.predict(features)),
        input_example=features.head(5),
        pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        skops_trusted_types=TRUSTED_TYPES,
    )
    return str(logged.registered_model_version)


def train(
    parts: list[Any],
    folds: Beside[dict[str, float]] | None,
    frame: pd.DataFrame,
    target: str,
    source: str,
    given: argparse.Namespace,
) -> list[str]:
    """Fit, measure, record and register inside the active run; return what to tell the user, a line each."""
    import champion
    import mlflow
    import mlflow.sklearn
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    x, x_test, y, y_test = parts
    run = mlflow.active_run()
    assert run is not None
    model = forest(given)
    mlflow.sklearn.autolog(
        log_models=False, log_datasets=False, log_post_training_metrics=False, log_model_signatures=False, silent=True
    )
    model.fit(x, y)
    mlflow.sklearn.autolog(disable=True, silent=True)
    found = measures(model, x_test, y_test) | (folds.result() if folds else {})
    now = int(time.time() * 1000)
    own = {
        "data": source,
        "target": target,
        "test_size": given.test_size,
        "seed": given.seed,
        "cv": given.cv,
        "rows": len(frame),
        "features": x.shape[1],
    }
    MlflowClient().log_batch(
        run.info.run_id,
        metrics=[Metric(key, value, now, 0) for key, value in found.items()],
        params=[Param(key, str(value)) for key, value in own.items()],
    )
    log_data(frame, target, source, given.data)
    log_pictures(run.info.run_id, model, x_test, y_test)
    version = register(model, x, given.model_name)
    decision = champion.decide(given.model_name, version, model, x_test, y_test)
    return [
        f"Accuracy     {found['accuracy']:.4f}",
        f"Model        {given.model_name} version {version}",
        f"Champion     {decision}",
    ]


def main() -> None:
    """Train, as the command line says."""
    given = arguments()
    tracking.prepare()
    frame, source = read(given.data)
    target = given.target or ("target" if "species" not in frame and "target" in frame else "species")
    parts = split(frame, target, source, given)  # before there is a run: bad data leaves none behind
    # Begun before MLflow is imported: its folds are no runs, and another core does them while this one goes on.
    folds = Beside(cross_validated, forest(given), parts[0], parts[2], given.cv) if given.cv else None

    import mlflow

    with tracking.impatient():
        mlflow.set_experiment(given.experiment)
    job = os.environ.get("PLATFORM_JOB")
    run = mlflow.start_run(tags={"platform.job": job} if job else None)
    try:
        lines = train(parts, folds, frame, target, source, given)
    except (KeyboardInterrupt, SystemExit):
        tracking.end_run("KILLED")
        raise
    except BaseException:
        tracking.end_run("FAILED")
        raise
    tracking.end_run("FINISHED")
    print(f"Run          {tracking.public_uri()}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
    print("\n".join(lines))


if __name__ == "__main__":
    tracking.run(main)
