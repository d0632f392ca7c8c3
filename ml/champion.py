"""Decide whether a new version of a model becomes its champion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tracking

if TYPE_CHECKING:
    import pandas as pd

ALIAS = "champion"
# Sums of the same numbers in another order differ by less.
ROUNDING = 1e-9


def scores(model: Any, features: pd.DataFrame, truth: Sequence[Any]) -> tuple[float, float]:
    """Accuracy (0 to 1) and log loss (nats) of the model on these rows."""
    from sklearn.metrics import log_loss

    chances = model.predict_proba(features)
    guessed = model.classes_[chances.argmax(axis=1)]
    return float((guessed == truth).mean()), float(log_loss(truth, chances, labels=model.classes_))


def no_worse(challenger: tuple[float, float], champion: tuple[float, float]) -> bool:
    """Whether the challenger's (accuracy, log loss) is at least the champion's."""
    if challenger[0] != champion[0]:
        return challenger[0] > champion[0]
    return challenger[1] <= champion[1] + ROUNDING


def obstacle(model: Any, columns: Sequence[str], classes: Sequence[Any]) -> str | None:
    """Why this model cannot be compared on rows with these columns and classes, or None."""
    if sorted(map(str, getattr(model, "feature_names_in_", ()))) != sorted(columns):
        return "was trained on other columns"
    if not hasattr(model, "predict_proba") or sorted(map(str, model.classes_)) != sorted(map(str, classes)):
        return "knows other classes"
    return None


def decide(name: str, version: str, challenger: Any, features: pd.DataFrame, truth: Sequence[Any]) -> str:
    """Give `version` the alias if it is no worse than the champion on these held-out rows; say what was decided."""
    from mlflow import MlflowClient

    client = MlflowClient()
    new = scores(challenger, features, truth)
    present = client.get_registered_model(name).aliases.get(ALIAS)
    if present is None:
        client.set_registered_model_alias(name, ALIAS, version)
        return f"version {version} is the first {ALIAS}"
    try:
        model, _ = tracking.load(name, str(present))
    except Exception as error:
        return (
            f"stays version {present}, which cannot be loaded ({type(error).__name__}): "
            f"give the alias to another version in the UI"
        )
    reason = obstacle(model, list(features.columns), challenger.classes_)
    if reason:
        return f"stays version {present}, which {reason}: register this model under its own --model-name"
    old = scores(model, features[list(model.feature_names_in_)], truth)
    told = f"accuracy {new[0]:.4f} against {old[0]:.4f}, log loss {new[1]:.4f} against {old[1]:.4f}"
    if not no_worse(new, old):
        return f"stays version {present} ({told})"
    client.set_registered_model_alias(name, ALIAS, version)
    return f"version {version} replaces version {present} ({told})"
