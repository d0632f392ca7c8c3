"""Values that a service would refuse are refused before, by the variable's name."""

from typing import Any

import pytest
from module_utils.value_findings import about_values

FINE: dict[str, Any] = {
    "platform_address": "mlflow.example.org",
    "platform_allowed_hosts": ["mlflow.lab.example.org", "192.0.2.7", "lab"],
    "platform_bucket": "mlflow",
    "platform_job_memory": "4g",
    "platform_minio_source": "auto",
    "platform_mlflow_workers": 0,
    "platform_noncurrent_days": "30",
    "platform_pids_limit": 512,
}


def test_the_defaults_are_fine() -> None:
    assert about_values(FINE) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("platform_minio_source", "upsteam", "Use one of auto, fork, upstream"),
        ("platform_bucket", "My_Bucket", "Use 3 to 63"),
        ("platform_job_memory", "lots", "for example 2g"),
        ("platform_noncurrent_days", 0, "a whole number from 1"),
        ("platform_mlflow_workers", "two", "a whole number from 0"),
        ("platform_mlflow_workers", 31, "a whole number from 0 to 30"),
        ("platform_pids_limit", -1, "a whole number from 1"),
        ("platform_allowed_hosts", ["*.example.org"], "as a browser shows it"),
        ("platform_allowed_hosts", ["lab", "https://lab.example.org/"], "as a browser shows it"),
        ("platform_allowed_hosts", ["my_lab"], "as a browser shows it"),
        ("platform_address", "2001:db8::1", "Give a name"),
        ("platform_address", "[2001:db8::1]", "Give a name"),
    ],
)
def test_a_value_no_service_would_take_is_named_with_its_fix(name: str, value: object, said: str) -> None:
    (finding,) = about_values({**FINE, name: value})
    assert name in finding and said in finding and "->" in finding
