"""A bucket's lifecycle is compared by what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

ROOT = Path(__file__).parents[2]


@pytest.fixture
def minio_bucket(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import ansible.module_utils

    utils = str(ROOT / "ansible/plugins/module_utils")
    monkeypatch.setattr(ansible.module_utils, "__path__", [*ansible.module_utils.__path__, utils])
    spec = importlib.util.spec_from_file_location("minio_bucket", ROOT / "ansible/plugins/modules/minio_bucket.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def options(**changes: Any) -> dict[str, Any]:
    return {
        "name": "mlflow",
        "object_lock": True,
        "versioning": True,
        "noncurrent_days": 30,
        "rule_id": "history",
        **changes,
    }


def test_a_rule_is_shown_without_what_it_does_not_set(minio_bucket: ModuleType) -> None:
    assert minio_bucket.plain(minio_bucket.history_rule("history", 30).rules) == [
        {
            "status": "Enabled",
            "rule_filter": {"prefix": ""},
            "rule_id": "history",
            "expiration": {"expired_object_delete_marker": True},
            "noncurrent_version_expiration": {"noncurrent_days": 30},
        }
    ]


def test_a_bucket_as_wanted_is_left_alone(minio_bucket: ModuleType) -> None:
    bucket = minio_bucket.wanted_bucket(options(), {})
    assert minio_bucket.wanted_bucket(options(), bucket) == bucket


def test_other_days_are_a_difference(minio_bucket: ModuleType) -> None:
    bucket = minio_bucket.wanted_bucket(options(), {})
    assert minio_bucket.wanted_bucket(options(noncurrent_days=31), bucket) != bucket


def test_a_rule_that_would_delete_artifacts_is_a_difference(minio_bucket: ModuleType) -> None:
    bucket = minio_bucket.wanted_bucket(options(), {})
    stray = LifecycleConfig([Rule(ENABLED, rule_filter=Filter(prefix=""), rule_id="x", expiration=Expiration(days=1))])
    edited = {**bucket, "lifecycle": bucket["lifecycle"] + minio_bucket.plain(stray.rules)}
    assert minio_bucket.wanted_bucket(options(), edited) == bucket


def test_what_is_not_asked_for_stays(minio_bucket: ModuleType) -> None:
    bucket = {"name": "mlflow", "object_lock": False, "versioning": "Suspended", "lifecycle": [{"rule_id": "theirs"}]}
    unasked = options(object_lock=False, versioning=False, noncurrent_days=None)
    assert minio_bucket.wanted_bucket(unasked, bucket) == bucket
