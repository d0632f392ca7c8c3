"""What the Docker engine of this host has: versions, images, volumes, containers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the Docker client; never raises for its failing."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=60)


def lines(*arguments: str) -> list[dict[str, Any]]:
    """Return what the client prints as JSON lines."""
    return [json.loads(line) for line in docker(*arguments, "--format", "{{json .}}").stdout.splitlines()]


def written_by(mountpoint: str) -> str | None:
    """Return which MinIO wrote the volume at `mountpoint`: `fork`, `upstream`, or None."""
    marker = os.path.join(mountpoint, ".written-by")
    if not os.path.exists(marker):
        return None
    with open(marker, encoding="utf-8") as stream:
        return stream.read().strip()


def container(entry: dict[str, Any]) -> dict[str, Any]:
    """Return name, image, state, health and ports of one line of `docker ps`."""
    status = entry["Status"]
    health = next((word for word in ("unhealthy", "healthy", "starting") if f"({word})" in status or f": {word})" in status), "none")
    published = {part.split("->")[0].rsplit(":", 1)[1] for part in entry["Ports"].split(", ") if "->" in part}
    labels = dict(label.partition("=")[::2] for label in entry["Labels"].split(",") if "=" in label)
    return {
        "name": entry["Names"],
        "service": labels.get("com.docker.compose.service", ""),
        "platform": labels.get("platform.name", ""),
        "image": entry["Image"],
        "state": entry["State"],
        "status": status,
        "health": health,
        "ports": sorted(published),
    }


def look_at_engine(platform_name: str, volumes: dict[str, str]) -> dict[str, Any]:
    """Return the engine's state.

    Args:
        platform_name: whose containers count as ours.
        volumes: the platform's volumes by service.

    Returns:
        docker (installed, working, error, server_version, compose_version, root), images (our references), volumes (which
        of ours exist), minio_written_by, containers (ours), other_ports (port to container of others), all_healthy.
    """
    engine: dict[str, Any] = {"installed": shutil.which("docker") is not None, "working": False, "error": ""}
    engine.update(server_version="", compose_version="", root="/var/lib/docker")
    seen: dict[str, Any] = {"docker": engine, "images": [], "volumes": [], "minio_written_by": None, "containers": []}
    seen.update(other_ports={}, all_healthy=False)
    if not engine["installed"]:
        return seen
    answer = docker("info", "--format", "{{json .}}")
    information = json.loads(answer.stdout) if answer.stdout.strip() else {}
    if not information.get("ServerVersion"):
        engine["error"] = "; ".join(information.get("ServerErrors") or []) or answer.stderr.strip()
        engine["installed"] = shutil.which("dockerd") is not None
        return seen
    engine.update(working=True, server_version=information["ServerVersion"], root=information["DockerRootDir"])
    engine["compose_version"] = docker("compose", "version", "--short").stdout.strip().removeprefix("v")
    seen["images"] = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=platform/*").stdout.split()
    existing = docker("volume", "inspect", *volumes.values()).stdout
    found = {volume["Name"]: volume["Mountpoint"] for volume in json.loads(existing or "[]")}
    seen["volumes"] = sorted(found)
    if volumes.get("minio") in found:
        seen["minio_written_by"] = written_by(found[volumes["minio"]])
    everything = [container(entry) for entry in lines("ps", "--all")]
    seen["containers"] = [entry for entry in everything if entry["platform"] == platform_name and entry["service"]]
    seen["other_ports"] = {
        port: entry["name"] for entry in everything if entry["platform"] != platform_name for port in entry["ports"]
    }
    healthy = {entry["service"] for entry in seen["containers"] if entry["health"] == "healthy"}
    seen["all_healthy"] = {"postgres", "minio", "mlflow", "gateway"} <= healthy
    return seen
