"""What the Docker engine of this host has: versions, images, volumes, containers."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PATIENCE = 30  # seconds for an engine that does not answer
ROOT = "/var/lib/docker"
OPTIONS = "/etc/docker/daemon.json"
PUBLISHED = re.compile(r"(?P<address>\S+):(?P<first>\d+)(?:-(?P<last>\d+))?->")


class EngineError(Exception):
    """The engine says that it works, and does not answer a question; nothing may be concluded from its silence."""


def docker(arguments: tuple[str, ...]) -> tuple[str, str]:
    """Run the Docker client; return what it prints, and why it failed or nothing."""
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return "", f"it has not answered for {PATIENCE} s"
    except OSError as error:
        return "", str(error)
    return done.stdout, (done.stderr.strip() or f"exit status {done.returncode}") if done.returncode else ""


def written_by(mountpoint: str) -> str | None:
    """Return which MinIO wrote the volume at `mountpoint`: `fork`, `upstream`, or None."""
    try:
        with open(os.path.join(mountpoint, ".written-by"), encoding="utf-8") as stream:
            return stream.read().strip() or None
    except OSError:
        return None


def read_mapping(path: str) -> dict[str, Any]:
    """Return what a JSON file says, or nothing where it cannot be read or is no mapping."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def kept(volumes: dict[str, str]) -> dict[str, Any]:
    """Return root, images, volumes (ours) and minio_written_by as an engine that does not run will find them.

    Read from its files, so that a dry run knows what the real one will meet. An engine whose images are in containerd's
    store (`docker info` calls it io.containerd.snapshotter.v1) has no list of them here; they count as absent.
    """
    chosen = read_mapping(OPTIONS).get("data-root")
    root = chosen if isinstance(chosen, str) and chosen else ROOT
    references: set[str] = set()
    for path in glob.glob(os.path.join(glob.escape(root), "image", "*", "repositories.json")):
        repositories = read_mapping(path).get("Repositories") or {}
        references.update(*(names for name, names in repositories.items() if name.startswith("platform/")))
    mountpoints = {name: os.path.join(root, "volumes", name, "_data") for name in volumes.values()}
    return {
        "root": root,
        "images": sorted(name for name in references if "@" not in name),
        "volumes": sorted(name for name, mountpoint in mountpoints.items() if os.path.isdir(mountpoint)),
        "minio_written_by": written_by(mountpoints[volumes["minio"]]) if "minio" in volumes else None,
    }


def without_engine(seen: dict[str, Any], volumes: dict[str, str]) -> dict[str, Any]:
    """Return what was seen, and what an engine will find when it starts."""
    found = kept(volumes)
    seen["docker"]["root"] = found.pop("root")
    return {**seen, **found}


def published(text: str) -> list[dict[str, Any]]:
    """Return port and address of everything that the Ports column of `docker ps` says is published."""
    return [
        {"port": port, "address": match["address"].strip("[]")}
        for match in PUBLISHED.finditer(text)
        for port in range(int(match["first"]), int(match["last"] or match["first"]) + 1)
    ]


def container(entry: dict[str, Any]) -> dict[str, Any]:
    """Return name, image, state, health, ports and what Compose wrote on it, of one line of `docker ps`."""
    status = entry["Status"]
    words = ("unhealthy", "healthy", "starting")
    labels = dict(label.partition("=")[::2] for label in entry["Labels"].split(",") if "=" in label)
    return {
        "name": entry["Names"],
        # A job has the labels that Compose gave its image when it built it.
        "service": "" if "platform.job" in labels else labels.get("com.docker.compose.service", ""),
        "project": labels.get("com.docker.compose.project", ""),
        "platform": labels.get("platform.name", ""),
        "config_hash": labels.get("com.docker.compose.config-hash", ""),
        "image": entry["Image"],
        "image_id": labels.get("com.docker.compose.image", ""),
        "state": entry["State"],
        "status": status,
        "health": next((word for word in words if f"({word})" in status or f": {word})" in status), "none"),
        "ports": published(entry["Ports"]),
    }


def pairs(text: str) -> dict[str, str]:
    """Return the second word of every line of two by its first."""
    lines = (line.split() for line in text.splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2}


def hashing(platform_dir: str, services: list[str]) -> tuple[str, ...]:
    """Return the call that prints each service in the Compose files and the hash of what they say about it."""
    files = (os.path.join(platform_dir, f"{name}.yml") for name in ("compose", *services))
    return ("compose", *(part for file in files for part in ("--file", file)), "config", "--hash", "*")


def is_applied(entry: dict[str, Any], hashes: dict[str, str], images: dict[str, str]) -> bool:
    """Return whether Compose would leave a container as it is.

    Args:
        entry: the container.
        hashes: what the Compose files say, by service.
        images: image identifiers by reference, as they are now.
    """
    return entry["config_hash"] == hashes.get(entry["service"]) and entry["image_id"] == images.get(entry["image"])


def are_applied(containers: list[dict[str, Any]], hashes: dict[str, str], images: dict[str, str]) -> bool:
    """Return whether Compose would leave every container of a project as it is, make none and remove none."""
    alike = all(is_applied(entry, hashes, images) for entry in containers)
    return alike and sorted(entry["service"] for entry in containers) == sorted(hashes)


def look_at_engine(
    platform_name: str, platform_dir: str, services: list[str], volumes: dict[str, str]
) -> dict[str, Any]:
    """Return the engine's state.

    Args:
        platform_name: whose containers count as ours.
        platform_dir: where its Compose files are.
        services: what should run on this host.
        volumes: the platform's volumes by service.

    Returns:
        docker (installed, working, error, server_version, compose_version, root), images (our references), volumes
        (which of ours exist), minio_written_by, containers (ours), other_ports (port, address and container of others),
        namesakes (others' containers whose Compose project is called like the platform), absent (services without a
        container), all_running, all_healthy, applied (whether the containers are what the Compose files say, no more
        and no less).

    Raises:
        EngineError: a working engine does not answer one of the questions.
    """
    engine: dict[str, Any] = {"installed": shutil.which("docker") is not None, "working": False, "error": ""}
    engine.update(server_version="", compose_version="", root=ROOT)
    seen: dict[str, Any] = {"docker": engine, "images": [], "volumes": [], "minio_written_by": None, "containers": []}
    seen.update(other_ports=[], namesakes=[], absent=services, all_running=False, all_healthy=False)
    seen["applied"] = False
    if not engine["installed"]:
        return without_engine(seen, volumes)
    calls = {
        "info": ("info", "--format", "{{json .}}"),
        "compose": ("compose", "version", "--short"),
        "images": (
            "images",
            "--no-trunc",
            "--format",
            "{{.Repository}}:{{.Tag}} {{.ID}}",
            "--filter",
            "reference=platform/*",
        ),
        "volumes": ("volume", "inspect", *volumes.values()),
        "containers": ("ps", "--all", "--format", "{{json .}}"),
        "hashes": hashing(platform_dir, services),
    }
    with ThreadPoolExecutor(len(calls)) as pool:
        asked = {name: pool.submit(docker, call) for name, call in calls.items()}
    answers = {name: future.result() for name, future in asked.items()}
    # The plugin answers without an engine: one that has only stopped needs nothing installed.
    engine["compose_version"] = answers["compose"][0].strip().removeprefix("v")
    text, problem = answers["info"]
    information = json.loads(text) if text.strip() else {}
    if not information.get("ServerVersion"):
        engine["error"] = "; ".join(information.get("ServerErrors") or []) or problem
        engine["installed"] = shutil.which("dockerd") is not None
        return without_engine(seen, volumes)
    engine.update(working=True, server_version=information["ServerVersion"], root=information["DockerRootDir"])
    for question in ("images", "volumes", "containers"):
        problem = answers[question][1]
        if problem and not (question == "volumes" and "no such volume" in problem.lower()):
            raise EngineError(f"docker {' '.join(calls[question][:2])}: {problem}")
    images = pairs(answers["images"][0])
    seen["images"] = list(images)
    found = {volume["Name"]: volume["Mountpoint"] for volume in json.loads(answers["volumes"][0] or "[]")}
    seen["volumes"] = sorted(found)
    if volumes.get("minio") in found:
        seen["minio_written_by"] = written_by(found[volumes["minio"]])
    everything = [container(json.loads(line)) for line in answers["containers"][0].splitlines()]
    seen["containers"] = [entry for entry in everything if entry["platform"] == platform_name and entry["service"]]
    others = [entry for entry in everything if entry["platform"] != platform_name]
    seen["other_ports"] = [{**port, "container": entry["name"]} for entry in others for port in entry["ports"]]
    seen["namesakes"] = [entry["name"] for entry in others if entry["project"] == platform_name]
    present = {entry["service"] for entry in seen["containers"]}
    seen["absent"] = [service for service in services if service not in present]
    running = {entry["service"] for entry in seen["containers"] if entry["state"] == "running"}
    seen["all_running"] = set(services) <= running
    healthy = {entry["service"] for entry in seen["containers"] if entry["health"] == "healthy"}
    seen["all_healthy"] = set(services) <= healthy
    # Files that are absent or say nothing sensible have no hashes, and nothing is like them.
    hashes = pairs(answers["hashes"][0])
    seen["applied"] = are_applied(seen["containers"], hashes, images)
    seen["containers"] = [{**entry, "applied": is_applied(entry, hashes, images)} for entry in seen["containers"]]
    return seen
