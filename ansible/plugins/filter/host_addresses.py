"""The filter `host_addresses`: the addresses at which hosts reach each other."""

from collections.abc import Mapping
from typing import Any


def address(host: str, variables: Mapping[str, Any]) -> str:
    """Return the address of `host`: what the site says, else what Ansible connects to, else its name."""
    return str(variables.get("platform_address") or variables.get("ansible_host") or host)


def host_addresses(hosts: dict[str, str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return for each group in `hosts` the address of its host.

    Raises:
        KeyError: a host is not in the inventory.
    """
    return {group: address(host, hostvars[host]) for group, host in hosts.items()}


class FilterModule:
    """Ansible's entry to the filter."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"host_addresses": host_addresses}
