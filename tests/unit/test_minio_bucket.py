"""A bucket's lifecycle is compared by what it says."""

from __future__ import annotations

from typing import Any

from ansible.module_utils import minio_bucket
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule


def options(**changes: Any) -> dict[str, Any]:
    return {
        "name": "mlflow",
        "object_lock": True,
        "versioning": True,
        "noncurrent_days": 30,
        "rule_id": "history",
        **changes,
    }


def test_a_rule_is_shown_without_what_it_does_not_set() -> None:
    assert minio_bucket.plain(minio_bucket.history_rule("history", 30).rules) == [
        {
            "status": "Enabled",
            "rule_filter": {"prefix": ""},
            "rule_id": "history",
            "expiration": {"expired_object_delete_marker": True},
            "noncurrent_version_expiration": {"noncurrent_days": 30},
        }
    ]


def test_a_bucket_as_wanted_is_left_alone() -> None:
    bucket = minio_bucket.wanted_bucket(options(), {})
    assert minio_bucket.wanted_bucket(options(), bucket) == bucket


def test_other_days_are_a_difference() -> None:
    bucket = minio_bucket.wanted_bucket(options(), {})
    assert minio_bucket.wanted_bucket(options(noncurrent_days=31), bucket) != bucket


def test_a_rule_that_would_delete_artifacts_is_a_difference() -> None:
    bucket = minio_bucket.wanted_bucket(options(), {})
    stray = LifecycleConfig([Rule(ENABLED, rule_filter=Filter(prefix=""), rule_id="x", expiration=Expiration(days=1))])
    edited = {**bucket, "lifecycle": bucket["lifecycle"] + minio_bucket.plain(stray.rules)}
    assert minio_bucket.wanted_bucket(options(), edited) == bucket


def test_what_is_not_asked_for_stays() -> None:
    bucket = {"name": "mlflow", "object_lock": False, "versioning": "Suspended", "lifecycle": [{"rule_id": "theirs"}]}
    unasked = options(object_lock=False, versioning=False, noncurrent_days=None)
    assert minio_bucket.wanted_bucket(unasked, bucket) == bucket
