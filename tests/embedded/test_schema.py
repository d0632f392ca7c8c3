"""MLflow's own guard over its data, on which the platform relies: design.md, rule 3."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


def test_data_of_another_version_of_mlflow_is_not_opened(tmp_path: Path) -> None:
    where = (f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts"))
    SqlAlchemyStore(*where)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'of-the-next-version'")
    with pytest.raises(MlflowException, match="Detected out-of-date database schema"):
        SqlAlchemyStore(*where)
