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


@pytest.fixture(scope="module", params=[12, 13])
def ready(request: pytest.FixtureRequest, hosts: Hosts) -> Host:
    """A host that came with an engine."""
    return hosts.make(f"ready{request.param}", debian=request.param)


def test_a_working_engine_is_used_as_it_is(hosts: Hosts, ready: Host) -> None:
    look = "dpkg-query --show; ls -lR /etc/apt /etc/docker 2>&1; pidof dockerd"
    before = ready.run(look).stdout
    assert changed(play(ENGINE, inventory(hosts, ready), "--check").stdout) == 0
    assert changed(play(ENGINE, inventory(hosts, ready)).stdout) == 0
    assert ready.run(look).stdout == before


def test_options_join_those_of_a_running_engine_and_wait_for_its_next_start(hosts: Hosts, ready: Host) -> None:
    ready.run("""mkdir -p /etc/docker; echo '{"log-opts": {"max-size": "7m"}, "debug": true}' > /etc/docker/daemon.json""")
    pid = ready.engine_pid()
    wanted = {"log-opts": {"max-file": "3"}, "labels": ["site=lab"]}
    site = inventory(hosts, ready, platform_docker_options=wanted)

    assert changed(play(ENGINE, site, "--check").stdout) == 1
    done = play(ENGINE, site)
    assert changed(done.stdout) == 1 and "count from its next start" in done.stdout
    written = json.loads(ready.run("cat /etc/docker/daemon.json").stdout)
    assert written == {"log-opts": {"max-size": "7m", "max-file": "3"}, "debug": True, "labels": ["site=lab"]}
    assert changed(play(ENGINE, site).stdout) == 0
    assert ready.engine_pid() == pid

    ready.restart_engine()
    assert ready.run("docker info --format '{{.Labels}}'").stdout.strip() == "[site=lab]"


def test_options_that_the_engine_would_refuse_are_not_written(hosts: Hosts, ready: Host) -> None:
    before = ready.run("cat /etc/docker/daemon.json", check=False).stdout
    done = play(ENGINE, inventory(hosts, ready, platform_docker_options={"no-such-option": 1}), check=False)
    assert done.returncode != 0 and "no-such-option" in done.stdout
    assert ready.run("cat /etc/docker/daemon.json", check=False).stdout == before


def test_a_stopped_engine_is_started_and_nothing_installed(hosts: Hosts, ready: Host) -> None:
    ready.stop_engine()
    before = ready.run("dpkg-query --show; ls -lR /etc/apt").stdout
    assert "the real run starts it" in play(ENGINE, inventory(hosts, ready), "--check").stdout
    play(ENGINE, inventory(hosts, ready))
    assert ready.engine_pid()
    assert ready.run("dpkg-query --show; ls -lR /etc/apt").stdout == before
    assert changed(play(ENGINE, inventory(hosts, ready)).stdout) == 0


def test_sudo_with_a_password_works_once_it_is_given(hosts: Hosts, ready: Host) -> None:
    site = inventory(hosts, ready._replace(user="careful"))
    without = play(ENGINE, site, check=False)
    assert without.returncode != 0 and "--ask-become-pass" in without.stdout
    wrong = play(ENGINE, site, "-e", "ansible_become_password=wrong", check=False)
    assert wrong.returncode != 0 and "--ask-become-pass" in wrong.stdout
    assert changed(play(ENGINE, site, "-e", f"ansible_become_password='{PASSWORD}'").stdout) == 0


def test_a_user_without_sudo_is_told_whom_to_ask(hosts: Hosts, ready: Host) -> None:
    done = play(ENGINE, inventory(hosts, ready._replace(user="guest")), "-e", f"ansible_become_password='{PASSWORD}'", check=False)
    assert done.returncode != 0 and "guest" in done.stdout and "sudo" in done.stdout
