"""What kind of machine this is: system, memory, free space, package mirror, proxies, CA bundle, certificates."""

from __future__ import annotations

import filecmp
import glob
import os
import re
import shutil
from collections.abc import Iterator


def os_release(path: str = "/etc/os-release") -> dict[str, str]:
    """Return id, version, codename and name of the host's system; `unknown` where it does not say."""
    values: dict[str, str] = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                key, _, value = line.strip().partition("=")
                values[key] = value.strip("\"'")
    return {
        "id": values.get("ID", "unknown"),
        "version": values.get("VERSION_ID", "0"),
        "codename": values.get("VERSION_CODENAME", ""),
        "name": values.get("PRETTY_NAME", "an unknown system"),
    }


def memory_mb() -> int:
    """Return the host's memory in MiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1048576


def free_gb(*paths: str) -> dict[str, float]:
    """Return the free space in GB where each path is, or would be made; paths on one file system share an entry."""
    found: dict[int, tuple[list[str], float]] = {}
    for path in paths:
        there = os.path.abspath(path)
        while not os.path.exists(there):
            there = os.path.dirname(there)
        names, _ = found.setdefault(os.stat(there).st_dev, ([], round(shutil.disk_usage(there).free / 1e9, 1)))
        names.append(path)
    return {" and ".join(names): free for names, free in found.values()}


def unread_certificates(directory: str) -> list[str]:
    """Return the services below the platform's directory whose certificate is not the one they have read last."""
    found = []
    for service in ("gateway", "postgres"):
        present, read = (f"{directory}/{service}/tls/{name}.crt" for name in ("tls", "loaded"))
        if os.path.exists(present) and not (os.path.exists(read) and filecmp.cmp(present, read, shallow=False)):
            found.append(service)
    return found


def apt_mirror(directory: str = "/etc/apt", name: str = "debian") -> str | None:
    """Return the first http address from which this host takes section `main`, security updates aside, or None.

    Args:
        directory: where the package sources are described.
        name: the distribution; an address that bears its name is preferred.
    """
    addresses: list[str] = []
    for path in [f"{directory}/sources.list", *sorted(glob.glob(f"{directory}/sources.list.d/*"))]:
        if os.path.isfile(path) and not os.path.basename(path).startswith("platform-"):
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read()
            if path.endswith(".sources"):
                addresses += _deb822(text)
            elif path.endswith(".list"):
                addresses += _one_line(text)
    addresses = [entry.rstrip("/") for entry in addresses if "security" not in entry]
    return next((entry for entry in addresses if f"/{name}" in entry), None) or next(iter(addresses), None)


def _deb822(text: str) -> Iterator[str]:
    """Yield the addresses of section `main` in deb822 text."""
    for paragraph in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = dict(re.findall(r"(?m)^([\w-]+):[ \t]*(.*(?:\n[ \t]+\S.*)*)", paragraph))
        wanted = "deb" in fields.get("Types", "").split() and "main" in fields.get("Components", "").split()
        if wanted and fields.get("Enabled", "yes").strip().lower() != "no":
            yield from (address for entry in fields.get("URIs", "").split() for address in _mirrors(entry))


def _one_line(text: str) -> Iterator[str]:
    """Yield the addresses of section `main` in one-line text."""
    for match in re.finditer(r"(?m)^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+\s+([^#\n]*)", text):
        if "main" in match[2].split():
            yield from _mirrors(match[1])


def _mirrors(entry: str) -> Iterator[str]:
    """Yield the http addresses an entry stands for: itself, or those in the file of a `mirror+file:` entry."""
    path = re.sub(r"^mirror\+file:(//(?=/))?", "", entry)
    if entry.startswith("http"):
        yield entry
    elif path != entry and os.path.isfile(path):
        with open(path, encoding="utf-8", errors="replace") as stream:
            yield from re.findall(r"(?m)^\s*(http\S+)", stream.read())
