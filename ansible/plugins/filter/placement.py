"""Filters about hosts: the addresses at which they reach each other, and how a job's launcher reaches their engines."""

import shlex
from collections.abc import Mapping
from typing import Any

Hostvars = Mapping[str, Mapping[str, Any]]


def address(host: str, variables: Mapping[str, Any]) -> str:
    """Return the address of `host`: what the site says, else what Ansible connects to, else its name."""
    return str(variables.get("platform_address") or variables.get("ansible_host") or host)


def host_addresses(hosts: dict[str, str], hostvars: Hostvars) -> dict[str, str]:
    """Return for each group in `hosts` the address of its host.

    Raises:
        KeyError: a host is not in the inventory.
    """
    return {group: address(host, hostvars[host]) for group, host in hosts.items()}


def ssh_arguments(host: str, variables: Mapping[str, Any]) -> list[str] | None:
    """Return what `ssh` needs to reach `host` as Ansible does, or None for a host that is this one."""
    if variables.get("ansible_connection") == "local":
        return None
    arguments: list[str] = []
    for option, names in (("-p", ("ansible_port", "ansible_ssh_port")), ("-l", ("ansible_user", "ansible_ssh_user"))):
        value = next((variables[name] for name in names if variables.get(name)), None)
        arguments += [option, str(value)] if value else []
    key = variables.get("ansible_ssh_private_key_file") or variables.get("ansible_private_key_file")
    arguments += ["-i", str(key)] if key else []
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        arguments += shlex.split(str(variables.get(name) or ""))
    return [*arguments, str(variables.get("ansible_host") or host)]


def job_engines(
    hosts: list[str], hostvars: Hostvars, tracking_host: str, inside: str, outside: str
) -> list[dict[str, Any]]:
    """Return for each host that runs jobs how its engine is reached, and where its jobs find MLflow.

    Args:
        hosts: the hosts of group compute.
        hostvars: every host's variables.
        tracking_host: the host that runs MLflow.
        inside: MLflow's address for a job on that host.
        outside: MLflow's address for a job elsewhere.
    """
    return [
        {
            "host": host,
            "ssh": ssh_arguments(host, hostvars[host]),
            "tracking_uri": inside if host == tracking_host else outside,
        }
        for host in hosts
    ]


class FilterModule:
    """Ansible's entry to the filters."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"host_addresses": host_addresses, "job_engines": job_engines}
