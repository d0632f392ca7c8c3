"""Import and use once what a job imports, so that Python writes the bytecode of that and of nothing else.

Runs in site-packages. Every package is given the list of what it is imported as. MLflow asks for it when it logs a
model, and would otherwise gather it from all files of all packages, which takes a third of a second.
"""

import importlib
import os
import tempfile
from importlib.metadata import Distribution, packages_distributions
from pathlib import Path

os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_UV_AUTO_DETECT="false", MPLBACKEND="Agg")

MODULES = (
    "matplotlib.pyplot",
    "mlflow.data.pandas_dataset",
    "mlflow.models",
    "mlflow.pyfunc.scoring_server",
    "mlflow.sklearn.utils",
    "mlflow.store.artifact.mlflow_artifacts_repo",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.model_registry.rest_store",
    "mlflow.tracking.request_header.registry",
    "mlflow.lightgbm",
    "mlflow.xgboost",
    "narwhals._pandas_like.dataframe",
    "fastparquet",
    "sklearn.datasets",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "skops.io",
)
for module in MODULES:
    importlib.import_module(module)

pd = importlib.import_module("pandas")
pyplot = importlib.import_module("matplotlib.pyplot")

with tempfile.TemporaryDirectory() as scratch:
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]})
    frame.to_csv(f"{scratch}/t.csv", index=False)
    pd.read_csv(f"{scratch}/t.csv")
    frame.to_parquet(f"{scratch}/t.parquet")
    pd.read_parquet(f"{scratch}/t.parquet")
    pyplot.plot([1, 2])
    pyplot.savefig(f"{scratch}/t.png")

imported = packages_distributions()
for folder in Path().glob("*.dist-info"):
    name = Distribution.at(folder).name
    (folder / "top_level.txt").write_text("".join(f"{module}\n" for module in imported if name in imported[module]))
