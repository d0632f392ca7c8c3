"""Placement: which host has which group, and whether its data would be left behind."""

from typing import Any

import pytest
from module_utils.placement_findings import about_clock, about_moves, about_placement

VOLUMES = {"postgres": "mlflow-postgres", "minio": "mlflow-minio"}


def placement(host: str = "one", **more: Any) -> dict[str, Any]:
    """Return a placement of which preflight has nothing to say: a host for the stores, one for the rest."""
    groups = {"database": ["one"], "object_store": ["one"], "tracking": ["two"], "compute": ["two", "three"]}
    return {
        "host": host,
        "address": host,
        "exposure": "network",
        "groups": {**groups, **more.pop("groups", {})},
        **more,
    }


def test_several_hosts_over_tls_are_fine() -> None:
    assert about_placement(placement()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (placement(groups={"database": []}), "The group database has no host. -> Name one under [database]"),
        (placement(groups={"tracking": ["one", "two"]}), "tracking has 2 hosts (one, two). -> Leave one"),
        (placement(exposure="loopback"), "cannot reach each other on 127.0.0.1. -> Set exposure=network"),
        (placement(address="localhost"), "-> Set platform_address"),
    ],
)
def test_a_wrong_placement_is_named_with_its_fix(wrong: dict[str, Any], said: str) -> None:
    (finding,) = about_placement(wrong)
    assert said in finding


def test_a_group_whose_data_stays_behind_may_not_move() -> None:
    (finding,) = about_moves(placement(), {"database": "old", "object_store": "one"}, VOLUMES, [])
    assert "database has moved from old to one" in finding and "volume mlflow-postgres to one" in finding


def test_a_group_may_move_with_its_data_or_without_any() -> None:
    recorded = {"database": "old", "object_store": "old", "tracking": "old"}
    assert about_moves(placement(), recorded, VOLUMES, list(VOLUMES.values())) == []
    assert about_moves(placement("two"), recorded, VOLUMES, []) == []
    assert about_moves(placement(), {}, VOLUMES, []) == []


def test_a_clock_an_hour_off_is_told_and_seconds_are_not() -> None:
    assert about_clock(1000.0, 1030.0) == []
    assert "3600 s slow" in about_clock(0.0, 3600.0)[0]
    assert "3600 s fast" in about_clock(7200.0, 3600.0)[0]
