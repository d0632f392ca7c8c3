"""Runs in a job container: seconds that imports, fitting and tracking calls take by themselves, as JSON."""

import contextlib
import importlib
import io
import json
import sys
import time
from typing import Any
from unittest import mock

IMPORTS = ("mlflow.sklearn", "pandas", "skops.io", "sklearn.datasets", "sklearn.ensemble", "sklearn.model_selection")


def imports() -> float:
    """Seconds for the imports that training cannot do without."""
    begin = time.perf_counter()
    for name in IMPORTS:
        importlib.import_module(name)
    return time.perf_counter() - begin


def fit() -> float:
    """Seconds for the forest and its five-fold cross-validation, as training does them."""
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    features, classes = load_iris(return_X_y=True, as_frame=True)
    begin = time.perf_counter()
    RandomForestClassifier(100, random_state=42).fit(features, classes)
    cross_val_score(RandomForestClassifier(100, random_state=42), features, classes, cv=5)
    return time.perf_counter() - begin


def tracking() -> tuple[int, float]:
    """How many requests a training sends to MLflow, and the seconds it waits for their answers."""
    import requests

    sent: list[float] = []
    plain = requests.Session.send

    def timed(session: requests.Session, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        begin = time.perf_counter()
        answer = plain(session, request, **given)
        sent.append(time.perf_counter() - begin)
        return answer

    sys.path.insert(0, "/job/code")
    sys.argv = ["mlflow_experiment.py"]
    with mock.patch.object(requests.Session, "send", timed), contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module("mlflow_experiment").main()
    return len(sent), sum(sent)


if __name__ == "__main__":
    found = {"imports": imports(), "fit": fit()}
    found["calls"], found["tracking"] = tracking()
    print(json.dumps(found))
