"""A bundle: one tar file. Its first member, manifest.json, names the images and the SHA-256 of every other member."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import IO, Any

MANIFEST = "manifest.json"
BLOCK = 1 << 20


class BundleError(Exception):
    """A bundle cannot be used; the message says why and what to do."""


def pack(directory: Path, file: Path, images: dict[str, list[str]]) -> dict[str, Any]:
    """Write everything below `directory` to the bundle `file`, its checksum to `file`.sha256; return the manifest.

    Args:
        directory: what becomes the members.
        file: the bundle; it is there whole or not at all.
        images: for each reference that the bundle carries, the digests of its layers.
    """
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    manifest = {"images": images, "members": {name: _digest(directory / name) for name in names}}
    text = json.dumps(manifest, indent=2).encode() + b"\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.part")
    with tarfile.open(unfinished, "w") as tar:
        first = tarfile.TarInfo(MANIFEST)
        first.size = len(text)
        tar.addfile(first, io.BytesIO(text))
        for name in names:
            with open(directory / name, "rb") as stream:
                member = tarfile.TarInfo(name)
                member.size = os.fstat(stream.fileno()).st_size
                tar.addfile(member, stream)
    os.replace(unfinished, file)
    file.with_name(f"{file.name}.sha256").write_text(f"{_digest(file)}  {file.name}\n", encoding="utf-8")
    return manifest


def verify(file: Path) -> dict[str, Any]:
    """Return the manifest of a bundle in which every member is what the manifest says.

    Raises:
        BundleError: it cannot be read, or a member is damaged, missing or not in the manifest.
    """
    try:
        with tarfile.open(file, "r:") as tar:
            manifest = _manifest(tar, file)
            wanted = manifest["members"]
            found = {member.name: tar.extractfile(member) for member in tar if member.name != MANIFEST}
            wrong = [f"{name} is missing" for name in wanted if name not in found]
            for name, stream in found.items():
                if name not in wanted:
                    wrong.append(f"{name} is not in the manifest")
                elif not stream or _hash(stream) != wanted[name]:
                    wrong.append(f"{name} is damaged")
    except (OSError, tarfile.TarError) as error:
        raise BundleError(f"The bundle {file} cannot be read: {error}. Copy it again.") from error
    if wrong:
        named = ", ".join(sorted(wrong))
        raise BundleError(f"The bundle {file} is not what was packed: {named}. Nothing of it was used. Copy it again.")
    return manifest


def extract(file: Path, name: str, target: Path) -> None:
    """Write the member `name` of a bundle to `target`.

    Raises:
        BundleError: there is no such member, or it is not what the manifest says.
    """
    with tarfile.open(file, "r:") as tar:
        wanted = _manifest(tar, file)["members"].get(name)
        member = next((entry for entry in tar if entry.name == name), None)
        stream = tar.extractfile(member) if member else None
        if not wanted or not stream:
            raise BundleError(f"The bundle {file} has no member {name}.")
        digest = hashlib.sha256()
        with open(target, "wb") as output:
            while block := stream.read(BLOCK):
                digest.update(block)
                output.write(block)
    if digest.hexdigest() != wanted:
        raise BundleError(f"The bundle {file} is not what was packed: {name} is damaged. Copy it again.")


def _manifest(tar: tarfile.TarFile, file: Path) -> dict[str, Any]:
    """Return the manifest, which is the first member.

    Raises:
        BundleError: it is not, or not one of ours.
    """
    first = tar.next()
    stream = tar.extractfile(first) if first and first.name == MANIFEST else None
    try:
        manifest = json.load(stream) if stream else {}
    except ValueError as error:
        raise BundleError(f"The bundle {file} is not what was packed: {MANIFEST} is damaged. Copy it again.") from error
    if not isinstance(manifest, dict) or not {"images", "members"} <= set(manifest):
        raise BundleError(f"{file} is not a bundle of this platform. Make one with: make bundle")
    return manifest


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as stream:
        return _hash(stream)


def _hash(stream: IO[bytes]) -> str:
    """Return the SHA-256 of what is left in a stream."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()
