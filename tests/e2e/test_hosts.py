"""The engine on real hosts over SSH: bare ones, ones that have it, and what stands between a controller and a host."""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import NAME, changed, play
from tests.e2e.hosts import OTHER_PYTHON, PASSWORD, Host, Hosts, all_groups, docker, run

ENGINE = "../tests/e2e/engine"
LATE_PYTHON = "/usr/local/bin/late-python"
LATE = """#!/bin/sh
export LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 FAKETIME=-1h DONT_FAKE_MONOTONIC=1
exec /usr/bin/python3 "$@"
"""
LEAST = {"platform_name": NAME, "platform_min_disk_gb": 1, "platform_min_memory_mb": 500}


def inventory(hosts: Hosts, *members: Host, **variables: object) -> Path:
    """Write an inventory in which the first of `members` is the platform; the others are hosts beside it."""
    groups = {**all_groups(members[0]), "beside": list(members[1:])}
    return hosts.inventory(groups, name="-".join(member.name for member in members), **LEAST, **variables)


def mirror(host: Host) -> str:
    """Return the name of the archive the host takes its packages from."""
    return host.run("grep -rhoPm1 '(?<=://)[^/:]+' /etc/apt/sources.list.d | head -n 1").stdout.strip()


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
    assert host.run(f"docker run --rm {image} getent hosts {mirror(host)}", user="root").stdout


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
    present = {"log-opts": {"max-size": "7m"}, "debug": True}
    ready.run(f"mkdir -p /etc/docker; echo '{json.dumps(present)}' > /etc/docker/daemon.json")
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
    given = ("-e", f"ansible_become_password='{PASSWORD}'")
    play(ENGINE, site, *given)
    assert changed(play(ENGINE, site, *given).stdout) == 0


def test_a_user_without_sudo_is_told_whom_to_ask(hosts: Hosts, ready: Host) -> None:
    site = inventory(hosts, ready._replace(user="guest"))
    done = play(ENGINE, site, "-e", f"ansible_become_password='{PASSWORD}'", check=False)
    assert done.returncode != 0
    assert "guest is not in the sudoers file" in done.stdout and "ansible_user=root" in done.stdout


def test_a_host_without_python_is_told_how_to_get_it(hosts: Hosts) -> None:
    host = hosts.make("nopython", debian=12, python=None)
    site = inventory(hosts, host)
    done = play(ENGINE, site, check=False)
    assert done.returncode != 0 and "no Python at /usr/bin/python3" in done.stdout
    assert "ansible_python_interpreter" in done.stdout
    fix = re.search("apt-get install python3", done.stdout)
    assert fix
    host.run(f"apt-get update -q && {fix[0]} -qy --no-install-recommends")
    assert changed(play(ENGINE, site).stdout) == 0


def test_a_host_whose_clock_is_an_hour_late_is_told_before_anything_is_done(hosts: Hosts) -> None:
    """Its Python lives in the past; nothing else can without this machine's clock."""
    host = hosts.make("late", engine=False)
    host.run("apt-get update -q && apt-get install -qy --no-install-recommends libfaketime")
    host.run(f"cat > {LATE_PYTHON} << 'EOF'\n{LATE}EOF\nchmod +x {LATE_PYTHON}")
    done = play("provision", inventory(hosts, host._replace(python=LATE_PYTHON)), check=False)
    said = " ".join(done.stdout.split())
    assert done.returncode != 0 and re.search(r"The host's clock is 3[56]\d\d s slow", said), said
    assert "timedatectl set-ntp true" in said and changed(done.stdout) == 0
    assert host.run("command -v dockerd", check=False).returncode != 0


def test_a_changed_host_key_stops_everything(hosts: Hosts, ready: Host, tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other"))
    forged = tmp_path / "known_hosts"
    forged.write_text(f"{ready.address} {(tmp_path / 'other.pub').read_text()}")
    done = play(ENGINE, inventory(hosts, ready._replace(known_hosts=forged)), check=False)
    assert done.returncode != 0 and "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stdout
    assert "unreachable=1" in done.stdout


def test_a_dead_host_is_named_and_the_others_finish(hosts: Hosts, ready: Host) -> None:
    dead = hosts.make(f"dead-{ready.name}")
    site = inventory(hosts, ready, dead)
    dead.kill()
    done = play(ENGINE, site, check=False)
    assert done.returncode != 0 and f"fatal: [{dead.name}]: UNREACHABLE" in done.stdout
    assert re.search(rf"{ready.name} .*unreachable=0 +failed=0", done.stdout)
    dead.start()
    again = play(ENGINE, site).stdout
    assert len(re.findall("changed=0 +unreachable=0 +failed=0", again)) == 2


def test_unusual_ways_lead_to_a_host_too(hosts: Hosts, ready: Host) -> None:
    host = hosts.make(f"behind-{ready.name}", port=2222, jump=ready, python=OTHER_PYTHON)
    straight = host._replace(jump=None).run("true", check=False)
    assert straight.returncode == 255 and "refused" in straight.stderr
    assert changed(play(ENGINE, inventory(hosts, host)).stdout) == 0


def test_a_host_without_a_route_out_answers(hosts: Hosts) -> None:
    host = hosts.make("closed", internal=True)
    assert host.run(f"getent hosts {mirror(host)}", check=False).returncode != 0
    assert changed(play(ENGINE, inventory(hosts, host)).stdout) == 0
