"""The package sources a build gets, from what real apt says of a host; and from Debian itself where it says nothing."""

import hashlib
import http.server
import os
import platform
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT

SCRIPT = ROOT / "compose/base/build-inputs.sh"
# Of an index with nothing in it apt does not tell.
PACKAGES = b"Package: a\nVersion: 1\nArchitecture: all\nFilename: a.deb\nSize: 1\n"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a directory."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[str]:
    """The address of a package archive with one package, for this host's release."""
    release = tmp_path / "archive/debian/dists" / platform.freedesktop_os_release()["VERSION_CODENAME"]
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    name = f"main/binary-{architecture}/Packages"
    (release / name).parent.mkdir(parents=True)
    (release / name).write_bytes(PACKAGES)
    (release / "Release").write_text(
        f"Suite: stable\nCodename: {release.name}\nComponents: main\nArchitectures: {architecture}\n"
        f"SHA256:\n {hashlib.sha256(PACKAGES).hexdigest()} {len(PACKAGES)} {name}\n"
    )
    handler = partial(Quiet, directory=str(tmp_path / "archive"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/debian"
        server.shutdown()
        thread.join()


def sources(tmp_path: Path, entry: str, before: str = "") -> list[str]:
    """Return address and suite of each source a build gets on a host whose one source is `entry`."""
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "sources.list").write_text(entry)
    (tmp_path / "apt.conf").write_text(
        f'Dir::State::lists "{tmp_path}/lists";\nDir::Cache "{tmp_path}";\n'
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "{tmp_path}/none";\n'
        'APT::Sandbox::User "root";\nAcquire::http::Proxy "false";\n'
    )
    (tmp_path / "none").mkdir()
    command = ["unshare", "--mount", "sh", "-ec", before + 'exec sh "$0" "$1"', str(SCRIPT), str(tmp_path / "inputs")]
    environment = os.environ | {"APT_CONFIG": str(tmp_path / "apt.conf")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "inputs/apt.sources").read_text()
    return [" ".join(found) for found in re.findall(r"(?m)^URIs: (\S+)\nSuites: (\S+)$", text)]


@pytest.mark.parametrize("slashes", ["//", ""])
def test_a_list_of_mirrors_stands_for_its_first(tmp_path: Path, archive: str, slashes: str) -> None:
    codename = platform.freedesktop_os_release()["VERSION_CODENAME"]
    (tmp_path / "debian.list").write_text(f"{archive}/\tpriority:1\n{archive}-far\n")
    entry = f"deb [trusted=yes] mirror+file:{slashes}{tmp_path}/debian.list {codename} main\n"
    assert sources(tmp_path, entry) == [f"{archive} trixie"]


def test_a_host_that_is_no_debian_takes_debian_from_debian(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    found = sources(tmp_path, "", before=f"mount --bind {tmp_path}/os-release /etc/os-release; ")
    assert [entry.split()[1] for entry in found] == ["trixie", "trixie-updates", "trixie-security"]


def test_a_debian_that_names_no_mirror_takes_debian_from_debian(tmp_path: Path) -> None:
    assert len(sources(tmp_path, "")) == 3
