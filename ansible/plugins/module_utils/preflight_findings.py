"""What preflight has to say of a host and of a site's choices: each finding names what is wrong and what to do."""

from __future__ import annotations

import difflib
import re
from typing import Any

SHORT_NAMES = ("exposure", "image_source", "image_registry")
EVERYWHERE = ("0.0.0.0", "::")
INSTALLABLE = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
LEAST_COMPOSE = (2, 18)
USER_KEYS = ("name", "password", "experiments", "models", "create", "read_only", "admin")
RESERVED_USERS = ("admin", "jobs")
PERMISSIONS = ("READ", "USE", "EDIT", "MANAGE")
AS_ROOT = "Run as root or with sudo (ARGS=--ask-become-pass)."

# What Ansible may meet on its way to a host that answers, and what helps.
ON_THE_WAY = {
    r"interpreter '(?P<path>[^']+)' was not found": "There is no Python at {path} on the host."
    " -> On it: apt-get install python3. If it has one elsewhere, set ansible_python_interpreter to its path.",
    r"(?P<what>Missing|Incorrect) (?P<how>\S+) password": "{what} {how} password."
    " -> Give it with ARGS=--ask-become-pass, or in a vault as ansible_become_password.",
    r"(?P<line>.*(not in the sudoers file|is not allowed to|may not run sudo).*)": "{line}"
    " -> Let the user do everything with sudo on the host, or log in as root (ansible_user=root).",
    r"sudo: (command )?not found": "There is no sudo on the host."
    " -> On it: apt-get install sudo. Or log in as root (ansible_user=root).",
}


def about_access(met: str) -> str | None:
    """Return the finding on what kept a host from being looked at, or None when no fix of it is known.

    Args:
        met: what Ansible and the host said.
    """
    for pattern, finding in ON_THE_WAY.items():
        match = re.search(pattern, met)
        if match:
            return finding.format(**{name: text.strip() for name, text in match.groupdict().items()})
    return None


def about_variables(given: set[str], known: list[str], renamed: dict[str, str]) -> list[str]:
    """Return findings about variable names: renamed, unknown, misspelt.

    Args:
        given: every variable name that inventory and command line set.
        known: every variable a site may set.
        renamed: old names and what they are called now.
    """
    findings = []
    names = [*known, *SHORT_NAMES]
    for name in sorted(given - set(names)):
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
        if name in renamed:
            findings.append(f"The variable {name} is called {renamed[name]} here. -> Rename it.")
        elif name.startswith("platform_"):
            meant = f"Did you mean {close[0]}?" if close else "See docs/reference.md for all there are."
            findings.append(f"There is no variable {name}. -> {meant}")
        elif difflib.get_close_matches(name, names, n=1, cutoff=0.85):
            findings.append(f"There is no variable {name}. -> Did you mean {close[0]}?")
    return findings


def about_choices(choices: dict[str, Any]) -> list[str]:
    """Return findings about values: names, directory, ports, exposure."""
    findings = []
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", str(choices["platform_name"])):
        findings.append(
            f"platform_name is {choices['platform_name']!r}."
            " -> Use at most 31 of a-z, 0-9 and -, beginning with a letter."
        )
    if not re.fullmatch(r"(/+[^/\s]+){2,}/*", str(choices["platform_dir"])):
        fix = f"Give the platform a directory of its own, such as /opt/{choices['platform_name']}."
        findings.append(f"platform_dir is {choices['platform_dir']}. -> {fix}")
    if choices["exposure"] not in ("loopback", "network"):
        fix = "Say loopback, or network for TLS and a login on every port."
        findings.append(f"exposure is {choices['exposure']!r}; there is no third state. -> {fix}")
    for name in ("min_disk_gb", "min_memory_mb"):
        if _number(choices[name]) is None:
            findings.append(f"platform_{name} is {choices[name]!r}. -> Give a number.")
    seen: dict[int, str] = {}
    for entry in choices["ports"]:
        name, port = entry["name"], str(entry["port"])
        if not port.isdigit() or not 1 <= int(port) <= 65535:
            findings.append(f"{name} is {port}. -> Give a number from 1 to 65535.")
        elif int(port) in seen:
            findings.append(f"{name} and {seen[int(port)]} are both {port}. -> Give each its own.")
        else:
            seen[int(port)] = name
    return findings


def about_users(users: list[dict[str, Any]]) -> list[str]:
    """Return findings about platform_users: names, keys, passwords, permissions."""
    findings = []
    names = [str(user.get("name", "")) for user in users]
    for name in sorted({name for name in names if names.count(name) > 1}):
        findings.append(f"platform_users has {name!r} {names.count(name)} times. -> List each user once.")
    for name, user in zip(names, users, strict=True):
        who = f"platform_users, {name!r}"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}", name):
            findings.append(f"{who}: that is no name. -> Use letters, digits and . _ @ -, at most 63.")
        if name in RESERVED_USERS:
            findings.append(f"{who}: the platform has a user of this name. -> Choose another.")
        for key in sorted(set(user) - set(USER_KEYS)):
            findings.append(f"{who}: there is no key {key!r}. -> Use {', '.join(USER_KEYS)}.")
        if user.get("password") and not 12 <= len(str(user["password"])) <= 128:
            findings.append(f"{who}: the password is not of 12 to 128 characters. -> Leave it out to have one made.")
        findings += [f"{who}: {finding}" for finding in _about_permissions(user)]
    return findings


def _about_permissions(user: dict[str, Any]) -> list[str]:
    """Return findings about what one user may do."""
    findings = []
    for key in ("experiments", "models"):
        granted = user.get(key) or {}
        if not isinstance(granted, dict):
            findings.append(f"{key} is no mapping. -> Write {key}: {{NAME: READ}}.")
            continue
        for thing, level in granted.items():
            if level not in PERMISSIONS:
                findings.append(f"{level!r} on {thing!r} is no permission. -> Use {', '.join(PERMISSIONS)}.")
    given = [key for key in ("experiments", "models", "create", "admin") if user.get(key)]
    if user.get("read_only") and given:
        findings.append(f"it is read_only and has {', '.join(given)}. -> Leave one of them out.")
    return findings


def _number(value: Any) -> float | None:
    """Return `value` as a number, or None if it is none."""
    return float(value) if re.fullmatch(r"\d+(\.\d+)?", str(value)) else None


def about_lock(lock: dict[str, Any]) -> str:
    """Return the finding on a lock that somebody else holds."""
    return f"{lock['holder']}. -> Wait for it; if it is dead, remove {lock['path']}."


def about_host(host: dict[str, Any], choices: dict[str, Any]) -> list[str]:
    """Return findings about the host: lock, system, engine, space, memory, ports."""
    findings = []
    if host["lock"]["holder"]:
        findings.append(about_lock(host["lock"]))
    findings += _about_engine(host)
    if host["namesakes"]:
        findings.append(
            f"The Compose project {choices['platform_name']} on this host is somebody else's (the container"
            f" {', '.join(host['namesakes'])}) and would be replaced. -> Set platform_name to another name."
        )
    # Once the data is there, the images are too.
    least_disk = 1.0 if host["volumes"] else _number(choices["min_disk_gb"]) or 0
    for path, free in host["disk"].items():
        if free < least_disk:
            fix = f"Make room for {least_disk:g} GB, or lower platform_min_disk_gb."
            findings.append(f"{free} GB are free at {path}. -> {fix}")
    if host["memory_mb"] < (_number(choices["min_memory_mb"]) or 0):
        findings.append(
            f"The host has {host['memory_mb']} MB of memory. -> Give it {choices['min_memory_mb']} MB,"
            " or lower platform_min_memory_mb and the memory limits."
        )
    return findings + _about_ports(host, choices["ports"])


def _about_ports(host: dict[str, Any], ports: list[dict[str, Any]]) -> list[str]:
    """Return a finding for every port that somebody else holds, with who it is."""
    findings = []
    ours = {str(port["port"]) for entry in host["containers"] for port in entry["ports"]}
    for entry in ports:
        number = str(entry["port"])
        if number in ours:
            continue
        containers = [f"the container {other['container']}" for other in host["other_ports"] if _meet(other, entry)]
        processes = [other["owner"] for other in host["ports"] if _meet(other, entry)]
        # A container's port is listened to by docker-proxy: the container says more.
        for who in (containers + processes)[:1]:
            fix = f"Stop it, or set {entry['name']} to a free port."
            findings.append(f"Port {number} ({entry['name']}) is taken by {who}. -> {fix}")
    return findings


def _meet(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two pairs of port and address cannot both be listened to."""
    addresses = {one["address"], other["address"]}
    return str(one["port"]) == str(other["port"]) and (len(addresses) == 1 or not addresses.isdisjoint(EVERYWHERE))


def _about_engine(host: dict[str, Any]) -> list[str]:
    """Return findings about the engine: too old, or missing where it cannot be installed."""
    docker, system = host["docker"], host["os"]
    if docker["working"] and docker["compose_version"]:
        numbers = tuple(int(part) for part in re.findall(r"\d+", docker["compose_version"])[:2])
        if numbers < LEAST_COMPOSE:
            version = docker["compose_version"]
            return [f"Compose is {version}; 2.18 is needed. -> Upgrade the Compose plugin of this host's engine."]
        return []
    missing = "The engine has no Compose plugin" if docker["working"] else "There is no working Docker engine"
    if host["euid"] != 0 and "permission denied" in docker["error"].lower():
        return [f"{docker['error'].splitlines()[0]}. -> {AS_ROOT}"]
    if docker["error"]:
        missing += f" ({docker['error']})"
    if host["euid"] != 0:
        return [f"{missing}, and without root none can be installed. -> {AS_ROOT}"]
    if system["version"] not in INSTALLABLE.get(system["id"], ()) or not host["apt"]:
        where = f"{system['name']} is not a system it can be installed on"
        return [f"{missing}, and {where}. -> Install Docker with Compose >= 2.18."]
    return []
