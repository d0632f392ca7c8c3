"""What preflight has to say of single values a site has chosen, which would otherwise fail late, and far from here."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

MEMORY = re.compile(r"[1-9]\d*[bkmg]?", re.IGNORECASE)
BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*")  # as _platform_names keeps them
MLFLOW_WORKERS = 30  # as many as their pools in compose/mlflow/compose.yml.j2 fit into PostgreSQL's max_connections
WHOLE_NUMBERS = {
    "platform_noncurrent_days": (1, None),
    "platform_mlflow_workers": (0, MLFLOW_WORKERS),
    "platform_pids_limit": (1, None),
}
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
    for name, (least, most) in WHOLE_NUMBERS.items():
        if not str(values[name]).isdigit() or not least <= int(values[name]) <= (most or int(values[name])):
            limits = f"from {least} to {most}" if most else f"from {least}"
            findings.append(f"{name} is {values[name]!r}. -> Give a whole number {limits}.")
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
