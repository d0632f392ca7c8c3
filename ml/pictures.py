"""The two pictures of a training run. Drawn without pyplot, which would take half a second to import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def blank(width: float, height: float) -> tuple[Any, Any]:
    """An empty figure of this size in inches, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def confusion_matrix(counts: Any, classes: Sequence[str], path: Path) -> None:
    """Draw how many rows of each true class (row) were given each class (column)."""
    size = max(4.0, min(12.0, 1.6 + 0.9 * len(classes)))
    figure, axes = blank(size, size)
    axes.imshow(counts, cmap="Blues")
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("Confusion matrix, held-out rows")
    if len(classes) <= 20:
        for row in range(len(classes)):
            for column in range(len(classes)):
                dark = counts[row][column] > counts.max() / 2
                axes.text(
                    column, row, int(counts[row][column]), ha="center", va="center", color="white" if dark else "black"
                )
    figure.savefig(path)


def feature_importance(importances: Sequence[float], names: Sequence[str], path: Path) -> None:
    """Draw the forest's importance of each column, the 20 greatest, greatest on top."""
    ranked = sorted(zip(importances, names, strict=True), reverse=True)[:20][::-1]
    figure, axes = blank(6.4, max(2.4, 0.8 + 0.36 * len(ranked)))
    axes.barh([name for _, name in ranked], [value for value, _ in ranked], color="#2f6fab")
    axes.set_xlabel("mean decrease in impurity")
    axes.set_title("Feature importance")
    figure.savefig(path)
