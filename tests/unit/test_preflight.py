"""Preflight: all findings at once, each with its fix."""

import os
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest
from module_utils import platform_lock
from module_utils.preflight_findings import about_access, about_choices, about_host, about_variables
from plays import results, run

ALPINE = {"id": "alpine", "version": "3", "name": "Alpine"}
MISSING = {"installed": False, "working": False, "error": "", "compose_version": ""}
DENIED = {**MISSING, "error": "permission denied on /var/run/docker.sock"}
KNOWN = ["platform_name", "platform_mlflow_port", "platform_exposure"]


def task(name: str, **more: Any) -> dict[str, Any]:
    """Return the task that preflight is, for a platform that asks for nothing."""
    arguments = {
        "platform_name": name,
        "platform_dir": f"/opt/{name}",
        "services": [],
        "volumes": {"postgres": f"{name}-postgres", "minio": f"{name}-minio"},
        "ports": [],
        "min_disk_gb": 0,
        "min_memory_mb": 0,
        "exposure": "loopback",
        "image_source": "build",
        "image_origin": {"registry": "", "user": "", "has_password": False, "ca": "", "digests": "", "bundle": ""},
        "images": {},
        "placement": {
            "host": "localhost",
            "address": "localhost",
            "exposure": "loopback",
            "groups": {group: ["localhost"] for group in ("database", "object_store", "tracking", "compute")},
            "recorded": "/nowhere/platform.json",
        },
        "known": KNOWN,
        "renamed": {"mlflow_port": "platform_mlflow_port"},
    }
    return {"preflight": {**arguments, **more}}


def choices(**more: Any) -> dict[str, Any]:
    """Return choices of which preflight has nothing to say."""
    return {key: value for key, value in task("mlflow", **more)["preflight"].items() if key not in ("known", "renamed")}


def host(**more: Any) -> dict[str, Any]:
    """Return a host of which preflight has nothing to say."""
    docker = {"installed": True, "working": True, "error": "", "compose_version": "2.26.1"}
    system = {"id": "debian", "version": "12", "name": "Debian 12"}
    seen: dict[str, Any] = {
        "lock": {"holder": None, "path": "/l"},
        "docker": docker,
        "os": system,
        "disk": {"/opt": 99.0},
    }
    seen |= {
        "namesakes": [],
        "memory_mb": 8000,
        "containers": [],
        "ports": [],
        "other_ports": [],
        "volumes": [],
        "euid": 0,
        "apt": True,
    }
    return {**seen, **more}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("platform_mlflow_prot", "Did you mean platform_mlflow_port?"),
        ("platform_zzz", "docs/reference.md"),
        ("plaform_exposure", "Did you mean platform_exposure?"),
        ("exposre", "Did you mean exposure?"),
        ("mlflow_port", "called platform_mlflow_port here"),
    ],
)
def test_a_wrong_variable_is_named_with_the_right_one(name: str, said: str) -> None:
    (finding,) = about_variables({name}, KNOWN, {"mlflow_port": "platform_mlflow_port"})
    assert name in finding and said in finding and "->" in finding


def test_variables_of_the_site_s_own_are_its_own_business() -> None:
    assert about_variables({"team", "my_ports", "docker_users", "exposure", *KNOWN}, KNOWN, {}) == []


def test_all_wrong_choices_are_found_at_once() -> None:
    ports = [{"name": "a", "port": 5000, "address": "127.0.0.1"}, {"name": "b", "port": "5000", "address": "127.0.0.1"}]
    ports += [{"name": "c", "port": 70000, "address": "127.0.0.1"}, {"name": "d", "port": "x", "address": "127.0.0.1"}]
    wrong = choices(ports=ports, exposure="vpn", platform_name="My Platform", min_disk_gb="much")
    findings = "\n".join(about_choices(wrong))
    for said in (
        "b and a are both 5000",
        "c is 70000",
        "d is x",
        "'vpn'; there is no third state",
        "'My Platform'",
        "'much'",
    ):
        assert said in findings
    assert about_choices(choices(exposure="network")) == []


@pytest.mark.parametrize("directory", ["/", "/srv", "//srv/", "mlflow", "opt/mlflow"])
def test_a_directory_that_cannot_be_the_platform_s_own_is_refused(directory: str) -> None:
    (finding,) = about_choices(choices(platform_dir=directory))
    assert f"platform_dir is {directory}. -> Give the platform a directory of its own" in finding


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"disk": {"/opt and /srv": 2.0}}, "2.0 GB are free at /opt and /srv. -> Make room for 8 GB"),
        ({"memory_mb": 100}, "100 MB of memory"),
        ({"lock": {"holder": "Another command is at work", "path": "/run/lock/x"}}, "remove /run/lock/x"),
        ({"docker": {"working": True, "error": "", "compose_version": "2.17.9"}}, "Compose is 2.17.9"),
        ({"docker": MISSING, "euid": 1000}, "without root"),
        ({"docker": MISSING, "os": ALPINE}, "Alpine is not a system"),
        ({"namesakes": ["mlflow-web-1"]}, "(the container mlflow-web-1) and would be replaced. -> Set platform_name"),
        ({"docker": DENIED, "euid": 7}, "permission denied on /var/run/docker.sock. -> Run as root"),
    ],
)
def test_what_a_host_lacks_is_named_with_its_fix(seen: dict[str, Any], said: str) -> None:
    (finding,) = about_host(host(**seen), choices(min_disk_gb=8, min_memory_mb=3000))
    assert said in finding


@pytest.mark.parametrize(
    ("met", "said"),
    [
        ("The module interpreter '/usr/bin/python3' was not found.", "apt-get install python3"),
        ("Missing sudo password", "--ask-become-pass"),
        ("Sorry.\nguest is not in the sudoers file.\n", "guest is not in the sudoers file. -> Let the user"),
        ("/bin/sh: 1: sudo: not found", "apt-get install sudo"),
    ],
)
def test_what_keeps_a_host_from_being_looked_at_is_named_with_its_fix(met: str, said: str) -> None:
    finding = about_access(met)
    assert finding and said in finding and "->" in finding


def test_what_nobody_knows_a_fix_of_is_left_as_it_is() -> None:
    assert about_access("No space left on device") is None


def test_a_bare_debian_with_root_and_a_working_engine_elsewhere_are_fine() -> None:
    missing = {"installed": False, "working": False, "error": "", "compose_version": ""}
    assert about_host(host(docker=missing), choices()) == []
    assert about_host(host(os={"id": "fedora", "version": "43", "name": "Fedora"}), choices()) == []


def test_a_port_is_taken_only_by_others_and_only_at_the_same_address() -> None:
    wanted = choices(ports=[{"name": "platform_mlflow_port", "port": 5000, "address": "127.0.0.1"}])
    proxy = {"port": 5000, "address": "0.0.0.0", "owner": "docker-proxy (process 7)"}
    ours = {"ports": [{"port": 5000, "address": "127.0.0.1"}]}
    assert about_host(host(ports=[proxy], containers=[ours]), wanted) == []
    assert about_host(host(ports=[{**proxy, "address": "10.0.0.1"}]), wanted) == []
    theirs = [{"port": 5000, "address": "0.0.0.0", "container": "registry"}]
    (finding,) = about_host(host(ports=[proxy], other_ports=theirs), wanted)
    assert "Port 5000 (platform_mlflow_port) is taken by the container registry" in finding


@pytest.fixture
def name() -> str:
    return f"unit-{uuid.uuid4().hex[:8]}"


def test_the_real_host_is_looked_at_and_the_lock_is_taken(tmp_path: Path, name: str) -> None:
    held = {"owner": "{{ result_0.host.lock.owner }}", "python": "{{ result_0.host.python }}"}
    done, back, dry, look = results(
        tmp_path,
        [
            task(name),
            {"platform_lock": {"name": name, **held}},
            {**task(name), "check_mode": True},
            {
                "preflight": {
                    "platform_name": name,
                    "platform_dir": "/opt",
                    "services": [],
                    "volumes": {"minio": "x"},
                    "judge": False,
                }
            },
        ],
    )
    assert not done.get("failed"), done
    seen = done["host"]
    assert seen["cores"] == os.cpu_count() and seen["memory_mb"] > 100 and seen["volumes"] == []
    assert seen["lock"]["holder"] is None and seen["lock"]["owner"]["start"]
    assert not back.get("failed") and dry["host"]["lock"]["holder"] is None and look["host"]["cores"]
    assert not os.path.exists(seen["lock"]["path"])


def test_findings_come_all_at_once_wrapped_and_give_the_lock_back(tmp_path: Path, name: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ports = [{"name": "platform_mlflow_port", "port": listener.getsockname()[1], "address": "127.0.0.1"}]
        wrong = task(name, ports=ports, exposure="vpn", images={"platform_base_image": "minio/minio"})
        done = run(tmp_path, [wrong], "-e", "platform_mlflow_prot=1 mlflow_port=2")
    assert done.returncode != 0
    for said in (
        "5 finding(s)",
        f"(process {os.getpid()})",
        "minio/minio",
        "vpn",
        "platform_mlflow_prot",
        "mlflow_port is",
    ):
        assert said in " ".join(done.stderr.split())
    assert max(len(line) for line in done.stderr.splitlines()) <= 80
    assert not os.path.exists(platform_lock.lock_path(name))


def test_a_certificate_of_the_site_s_own_is_judged_with_the_rest(tmp_path: Path, name: str) -> None:
    given = {"certificate": str(tmp_path / "a.crt"), "private_key": "", "ca": str(tmp_path / "ca.crt")}
    (done,) = results(tmp_path, [task(name, exposure="lan", certificate=given, names=["lab"])])
    said = " ".join(done["msg"].split())
    assert said.startswith("4 finding(s)") and "'lan'" in said and "platform_tls_private_key is empty" in said
    assert f"platform_tls_certificate {tmp_path}/a.crt cannot be read" in said


def test_two_provisions_at_once_are_one_too_many(tmp_path: Path, name: str) -> None:
    path, somebody = platform_lock.lock_path(name), platform_lock.owner_of(os.getpid(), "somebody")
    try:
        platform_lock.take(path, somebody)
        hold = {"preflight": {**task(name)["preflight"], "judge": False, "hold": True}}
        done, dry, other = results(tmp_path, [task(name), {**task(name), "check_mode": True}, hold])
        for result in (done, dry, other):
            assert result["failed"]
            assert f"somebody on {os.uname().nodename} (process {os.getpid()})" in " ".join(result["msg"].split())
            assert path in result["msg"]
        assert os.path.exists(path)
    finally:
        platform_lock.give_back(path, somebody)
