"""The filter `image_references`: names an image after what it is made of, so that it is rebuilt when that changes."""

import hashlib
from pathlib import Path


def image_references(
    inputs: dict[str, list[str]], root: str, versions: dict[str, str], arguments: dict[str, object]
) -> dict[str, str]:
    """Return `platform/<image>:<version>-<hash>` for every image in `inputs`.

    Args:
        inputs: for each image, the files it is built from, relative to `root`; `base` is part of all the others.
        root: the repository's directory.
        versions: for each image, the version its tag begins with.
        arguments: for some images, further build arguments that belong into the hash.

    Raises:
        OSError: an input file cannot be read.
    """
    references: dict[str, str] = {}
    for image in ["base", *(name for name in inputs if name != "base")]:
        digest = hashlib.sha256(f"{references.get('base')} {arguments.get(image)} {versions[image]}".encode())
        for name in inputs[image]:
            digest.update(f"\0{name}\0".encode() + (Path(root) / name).read_bytes())
        references[image] = f"platform/{image}:{versions[image]}-{digest.hexdigest()[:12]}"
    return references


def build_files(sources: list[str], directory: str) -> list[dict[str, object]]:
    """Return what `host_files` needs to put `sources` (paths in the repository) below `directory`, as they are."""
    return [{"src": source, "dest": f"{directory}/{source}", "template": False} for source in sources]


class FilterModule:
    """Ansible's entry to the filter."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"image_references": image_references, "build_files": build_files}
