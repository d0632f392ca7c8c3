"""What preflight has to say of a host and of a site's choices: each finding names what is wrong and what to do."""

from __future__ import annotations

import difflib
import re
from typing import Any

DEAD_IMAGES = {
    r"(docker\.io/)?minio/(minio|mc|console)": "MinIO withdrew its images in September 2026",
    r"quay\.io/minio/.*": "MinIO withdrew its images in September 2026",
    r"(docker\.io/)?bitnami/.*": "Bitnami withdrew its free images",
}
SHORT_NAMES = ("exposure", "image_source", "image_registry")
INSTALLABLE = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
LEAST_COMPOSE = (2, 18)


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
    """Return findings about values: names, ports, exposure, images."""
    findings = []
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", str(choices["platform_name"])):
        findings.append(
            f"platform_name is {choices['platform_name']!r}. -> Use at most 31 of a-z, 0-9 and -, beginning with a letter."
        )
    if choices["exposure"] != "loopback":
        findings.append(
            f"exposure is {choices['exposure']!r}; this version knows `loopback` only. -> Leave it out, and reach the"
            " platform through an SSH tunnel."
        )
    if choices["image_source"] != "build":
        findings.append(f"image_source is {choices['image_source']!r}; this version knows `build` only. -> Leave it out.")
    for name, image in choices["images"].items():
        bare = str(image).split("@", 1)[0]
        for pattern, reason in DEAD_IMAGES.items():
            if re.fullmatch(rf"{pattern}(:.*)?", bare):
                findings.append(f"{name} is {image}: {reason}. -> Leave it out; the default is maintained.")
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


def about_host(host: dict[str, Any], choices: dict[str, Any]) -> list[str]:
    """Return findings about the host: lock, system, engine, space, memory, ports."""
    findings = []
    if host["lock"]["holder"]:
        findings.append(f"{host['lock']['holder']}. -> Wait for it; if it is dead, remove {host['lock']['path']}.")
    findings += _about_engine(host)
    least_disk = float(choices["min_disk_gb"]) if not host["volumes"] else 1.0
    for path, free in host["disk"].items():
        if free < least_disk:
            findings.append(f"{free} GB are free at {path}. -> Make room for {least_disk:g} GB, or lower platform_min_disk_gb.")
    if host["memory_mb"] < int(choices["min_memory_mb"]):
        findings.append(
            f"The host has {host['memory_mb']} MB of memory. -> Give it {choices['min_memory_mb']} MB,"
            " or lower platform_min_memory_mb and the memory limits."
        )
    ours = {port for entry in host["containers"] for port in entry["ports"]}
    for entry in choices["ports"]:
        port = str(entry["port"])
        if port in ours or (port not in host["ports"] and port not in host["other_ports"]):
            continue
        holder = host["other_ports"].get(port)
        who = f"the container {holder}" if holder else host["ports"][port]
        findings.append(f"Port {port} ({entry['name']}) is taken by {who}. -> Stop it, or set {entry['name']} to a free port.")
    return findings


def _about_engine(host: dict[str, Any]) -> list[str]:
    """Return findings about the engine: too old, or missing where it cannot be installed."""
    docker, system = host["docker"], host["os"]
    if docker["working"] and docker["compose_version"]:
        numbers = tuple(int(part) for part in re.findall(r"\d+", docker["compose_version"])[:2])
        if numbers < LEAST_COMPOSE:
            return [f"Compose is {docker['compose_version']}; 2.18 is needed. -> Upgrade the Compose plugin of this host's engine."]
        return []
    missing = "The engine has no Compose plugin" if docker["working"] else "There is no working Docker engine"
    if docker["error"]:
        missing += f" ({docker['error']})"
    if host["euid"] != 0:
        return [f"{missing}, and without root none can be installed. -> Run as root or with sudo (ARGS=--ask-become-pass)."]
    if system["version"] not in INSTALLABLE.get(system["id"], ()) or not host["apt"]:
        return [f"{missing}, and {system['name']} is not a system it can be installed on. -> Install Docker with Compose >= 2.18."]
    return []
