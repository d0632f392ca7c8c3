"""What preflight has to say of single values a site has chosen, which would otherwise fail late, and far from here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

MEMORY = re.compile(r"[1-9]\d*[bkmg]?", re.IGNORECASE)
BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*")  # as _platform_names keeps them
MLFLOW_WORKERS = 30  # as many as the pools in compose/mlflow/compose.yml.j2 fit into max_connections
MINIO_SOURCES = ("auto", "fork", "upstream")


def is_ipv6(address: str) -> bool:
    """Return whether `address` is an IPv6 address, in brackets or not."""
    try:
        return ipaddress.ip_address(address.strip("[]")).version == 6
    except ValueError:
        return False


def about_values(values: Mapping[str, Any]) -> list[str]:
    """Return a finding for every value that its service would refuse, by the variable's name."""
    findings = []
    for name, value in values.items():
        if name.endswith("_memory") and not MEMORY.fullmatch(str(value)):
            findings.append(f"{name} is {value!r}. -> Give a size as Docker takes it, for example 2g.")
    if values["platform_minio_source"] not in MINIO_SOURCES:
        known = ", ".join(MINIO_SOURCES)
        findings.append(f"platform_minio_source is {values['platform_minio_source']!r}. -> Use one of {known}.")
    if not BUCKET.fullmatch(str(values["platform_bucket"])):
        findings.append(
            f"platform_bucket is {values['platform_bucket']!r}."
            " -> Use 3 to 63 of a-z, 0-9 and -, with a letter or digit at both ends."
        )
    for name, least in (("platform_noncurrent_days", 1), ("platform_mlflow_workers", 0), ("platform_pids_limit", 1)):
        if not str(values[name]).isdigit() or int(values[name]) < least:
            findings.append(f"{name} is {values[name]!r}. -> Give a whole number from {least}.")
        elif name == "platform_mlflow_workers" and int(values[name]) > MLFLOW_WORKERS:
            findings.append(
                f"{name} is {values[name]}; PostgreSQL has connections for {MLFLOW_WORKERS}. -> Give fewer."
            )
    for name in values["platform_allowed_hosts"]:
        if not HOST_NAME.fullmatch(str(name)):
            findings.append(
                f"platform_allowed_hosts has {name!r}. -> Give each name as a browser shows it, without https://"
                " and path; a * stands for nothing."
            )
    if is_ipv6(str(values["platform_address"])):
        findings.append(
            f"platform_address is {values['platform_address']}; services listen on IPv4."
            " -> Give a name, or an IPv4 address."
        )
    return findings
