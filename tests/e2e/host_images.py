"""The images of the test hosts: Debian by debootstrap, users and settings of sshd, and an engine for those with one."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "host"
SUITES = {12: "bookworm", 13: "trixie"}


def run(*command: str, seconds: int = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command that has to succeed, within bounded time."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, **options)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done


def docker(*arguments: str, seconds: int = 120) -> str:
    """Return what the Docker client prints."""
    return run("docker", *arguments, seconds=seconds).stdout.strip()


def image_of(debian: int, engine: bool, sources: Path) -> str:
    """Return the image of such a host; it is made once, and again when what it is made of has changed."""
    inputs = [HERE / "make-host.sh", sources, Path("/etc/ssl/certs/ca-certificates.crt")]
    base = f"platform-test/debian:{debian}-{content(*inputs)}"
    image = f"platform-test/host:{debian}-{content(*inputs, *sorted(HERE.iterdir()))}{'-engine' if engine else ''}"
    if docker("images", "--quiet", image):
        return image
    if not docker("images", "--quiet", base):
        run(str(HERE / "make-host.sh"), base, SUITES[debian], str(sources), seconds=900)
    compose = sources.read_text().split("\n\n")[0] if debian < 13 else ""
    given = {"BASE": base, "ENGINE": "yes" if engine else "no", "COMPOSE_SOURCES": compose}
    arguments = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
    file = str(HERE / "dockerfile.host")
    run("docker", "build", "--quiet", "--tag", image, "--file", file, *arguments, str(HERE), seconds=900)
    return image


def content(*paths: Path) -> str:
    """Return a short hash of the files that exist."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths if path.exists())).hexdigest()[:12]
