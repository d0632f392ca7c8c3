"""What preflight has to say of where images come from: each finding names what is wrong and what to do."""

from __future__ import annotations

import os
import re
from typing import Any

DEAD = {
    r"((index\.)?docker\.io/)?minio/(minio|mc|console)": "MinIO withdrew its images in September 2026",
    r"quay\.io/minio/.*": "MinIO withdrew its images in September 2026",
    r"((index\.)?docker\.io/)?bitnami/.*": "Bitnami withdrew its free images",
}


def about_images(choices: dict[str, Any]) -> list[str]:
    """Return findings about images: dead ones, and a source that lacks what it needs."""
    findings = []
    for name, image in choices["images"].items():
        if reason := _dead(str(image).split("@", 1)[0]):
            findings.append(f"{name} is {image}: {reason}. -> Leave it out; the default is maintained.")
    source, origin = choices["image_source"], choices["image_origin"]
    findings += _about_registry(origin)
    if source == "registry" and not origin["registry"]:
        findings.append(
            "image_source is 'registry', and none is named."
            " -> Set platform_image_registry, for example registry.example.com/mlflow."
        )
    elif source == "registry" and not os.path.isfile(origin["digests"]):
        findings.append(
            f"There is no {origin['digests']}, which names what the registry has."
            " -> Fill it with `make push`, or copy the file from the controller that did."
        )
    elif source == "archive" and not os.path.isfile(origin["bundle"]):
        what = f"no file {origin['bundle']}" if origin["bundle"] else "none is named"
        findings.append(f"image_source is 'archive', and {what}. -> Make a bundle (make bundle), then BUNDLE=file.")
    elif source not in ("build", "registry", "archive"):
        findings.append(f"image_source is {source!r}. -> Make it `build`, `registry` or `archive`.")
    return findings


def _about_registry(origin: dict[str, Any]) -> list[str]:
    """Return findings about the registry and its login."""
    findings = []
    registry = str(origin["registry"])
    if "://" in registry:
        findings.append(f"platform_image_registry is {registry}. -> Leave out {registry.split('://')[0]}://.")
    elif reason := registry and _dead(f"{registry}/minio"):
        findings.append(f"platform_image_registry is {registry}: {reason}. -> Name a registry of your own.")
    if origin["user"] and not origin["has_password"]:
        findings.append("platform_image_registry_user has no password. -> Set platform_image_registry_password.")
    if origin["ca"] and not os.path.isfile(origin["ca"]):
        findings.append(f"platform_image_registry_ca is {origin['ca']}, which is no file here. -> Correct the path.")
    return findings


def _dead(image: str) -> str | None:
    """Return why an image is not to be had any more, or None."""
    return next((reason for pattern, reason in DEAD.items() if re.fullmatch(rf"{pattern}(:.*)?", image)), None)
