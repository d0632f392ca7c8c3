"""What preflight has to say of which host has which group, and of where its data is."""

from __future__ import annotations

from typing import Any

ONE_HOST = {"database": "postgres", "object_store": "minio", "tracking": ""}  # and the volume that makes it stay there
UNREACHABLE = ("localhost", "localhost.localdomain", "ip6-localhost")
CLOCK_SECONDS = 300  # S3 refuses requests that are 15 minutes off, and a new certificate is not valid yet


def about_placement(placement: dict[str, Any]) -> list[str]:
    """Return findings about the inventory's groups.

    Args:
        placement: host (this one), address (its own), exposure, groups (hosts by group).
    """
    groups = {name: list(placement["groups"].get(name) or []) for name in (*ONE_HOST, "compute")}
    findings = [
        f"The group {name} has no host. -> Name one under [{name}] in the inventory."
        for name in groups
        if not groups[name]
    ]
    for name in ONE_HOST:
        if len(groups[name]) > 1:
            named = ", ".join(groups[name])
            findings.append(
                f"The group {name} has {len(groups[name])} hosts ({named}). -> Leave one; only compute takes several."
            )
    hosts = {host for members in groups.values() for host in members}
    if len(hosts) > 1 and placement["exposure"] == "loopback":
        findings.append(
            "Several hosts cannot reach each other on 127.0.0.1."
            " -> Set exposure=network, or name one host in every group."
        )
    if placement["exposure"] == "network" and placement["address"] in UNREACHABLE:
        findings.append(
            f"exposure is network, and the address of {placement['host']} is {placement['address']},"
            " which nobody else can reach."
            " -> Set platform_address to the address or name that people will use."
        )
    return findings


def about_moves(
    placement: dict[str, Any], recorded: dict[str, str], volumes: dict[str, str], there: list[str]
) -> list[str]:
    """Return a finding for every group that has come to this host while its data stayed on another.

    Args:
        placement: as in `about_placement`.
        recorded: which host had which group when the platform was last provisioned.
        volumes: the platform's volumes by service.
        there: the volumes this host has.
    """
    findings = []
    for group, service in ONE_HOST.items():
        before, here = recorded.get(group), placement["host"]
        if not service or not before or before == here or here not in (placement["groups"].get(group) or []):
            continue
        if volumes[service] not in there:
            findings.append(
                f"The group {group} has moved from {before} to {here}, and its data is still on {before}."
                f" -> Put {before} back under [{group}]; or copy the volume {volumes[service]} to {here} first,"
                " with the platform stopped."
            )
    return findings


def about_clock(host_time: float, own_time: float) -> list[str]:
    """Return a finding if the host's clock is not the controller's; both in seconds since the epoch."""
    off = round(host_time - own_time)
    if abs(off) < CLOCK_SECONDS:
        return []
    how = "fast" if off > 0 else "slow"
    return [
        f"The host's clock is {abs(off)} s {how}, as seen from here. -> Set it (timedatectl set-ntp true, or chrony)."
    ]
