"""Import and use once what a job imports, so that Python writes the bytecode of that and of nothing else."""

import importlib
import os
import tempfile

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
