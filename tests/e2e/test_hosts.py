"""The engine on real hosts over SSH: bare ones, ones that have it, and all that stands between a controller and a host."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import NAME, changed, play
from tests.e2e.hosts import OTHER_PYTHON, PASSWORD, Host, Hosts, all_groups, docker

ENGINE = "../tests/e2e/host/engine"
LEAST = {"platform_name": NAME, "platform_min_disk_gb": 1, "platform_min_memory_mb": 500}


def inventory(hosts: Hosts, *members: Host, **variables: object) -> Path:
    """Write an inventory in which every one of `members` computes, and the first does the rest as well."""
    groups = {**all_groups(members[0]), "compute": list(members)}
    return hosts.inventory(groups, name="-".join(member.name for member in members), **LEAST, **variables)


@pytest.mark.parametrize(("debian", "user"), [(12, "root"), (13, "operator")])
def test_a_bare_host_gets_an_engine_from_its_distribution(hosts: Hosts, debian: int, user: str) -> None:
    host = hosts.make(f"bare{debian}", debian=debian, engine=False, user=user)
    site = inventory(hosts, host, platform_docker_options={"labels": ["site=lab"]})

    dry = play(ENGINE, site, "--check")
    assert "the real run installs one" in dry.stdout
    assert host.run("command -v dockerd", check=False).returncode != 0

    play(ENGINE, site)
    seen = host.run("dpkg-query --show docker.io docker-compose", user="root").stdout
    assert f"+deb{debian}" in seen or debian == 13, seen
    version = host.run("docker compose version --short", user="root").stdout.strip()
    assert tuple(map(int, version.split(".")[:2])) >= (2, 18)
    # What the site wants of the engine counts from its first start.
    assert host.run("docker info --format '{{.Labels}}'", user="root").stdout.strip() == "[site=lab]"

    pid = host.engine_pid()
    assert pid
    assert changed(play(ENGINE, site).stdout) == 0
    assert changed(play(ENGINE, site, "--check").stdout) == 0
    assert host.engine_pid() == pid

    image = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "platform/base").splitlines()[0]
    host.load_images(image)
    assert host.run(f"docker run --rm {image} getent hosts deb.debian.org", user="root").stdout
