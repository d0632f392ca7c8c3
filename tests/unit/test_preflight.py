"""Preflight: all findings at once, each with its fix."""

import json
import os
import socket
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from module_utils import host_engine, host_ports, host_system, platform_lock
from module_utils.preflight_findings import about_access, about_choices, about_host, about_variables
from plays import ROOT, results, run

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


def test_the_listener_of_a_port_is_known_by_name_and_process() -> None:
    with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
        for listener, address in ((four, "127.0.0.1"), (six, "::")):
            listener.bind((address, 0))
            listener.listen()
        seen = {(entry["port"], entry["address"]): entry["owner"] for entry in host_ports.listeners()}
        for listener, address in ((four, "127.0.0.1"), (six, "::")):
            assert seen[listener.getsockname()[1], address].endswith(f"(process {os.getpid()})")


def test_published_ports_are_read_from_docker_s_words() -> None:
    text = "127.0.0.1:5000->5000/tcp, 0.0.0.0:9000-9001->9000-9001/tcp, :::8080->80/tcp, [::1]:81->81/tcp, 6379/tcp"
    seen = [(entry["address"], entry["port"]) for entry in host_engine.published(text)]
    assert seen == [("127.0.0.1", 5000), ("0.0.0.0", 9000), ("0.0.0.0", 9001), ("::", 8080), ("::1", 81)]


def test_the_mirror_is_the_one_of_section_main(tmp_path: Path) -> None:
    assert host_system.apt_mirror(str(tmp_path)) is None
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/docker.list").write_text(
        "deb [arch=amd64] https://download.docker.com/linux/debian trixie stable\n"
    )
    (tmp_path / "sources.list.d/old.sources").write_text(
        "Enabled: no\nTypes: deb\nURIs: http://off/debian\nComponents: main\n"
    )
    (tmp_path / "sources.list.d/z.sources").write_text(
        "Types: deb\n# a comment\nURIs: http://apt.local/debian-security\nComponents: main\n\n"
        "Types: deb deb-src\nURIs: cdrom:x\n http://apt.local/debian/\nSuites: trixie\nComponents: main contrib\n"
    )
    assert host_system.apt_mirror(str(tmp_path)) == "http://apt.local/debian"
    (tmp_path / "sources.list").write_text(
        "deb-src http://no/debian x main\ndeb [trusted=yes] http://one.local/debian x main # c\n"
    )
    assert host_system.apt_mirror(str(tmp_path)) == "http://one.local/debian"


@pytest.mark.parametrize("slashes", ["//", ""])
def test_a_mirror_list_stands_for_its_first_address(tmp_path: Path, slashes: str) -> None:
    mirrors, listed = tmp_path / "debian.list", f"mirror+file:{slashes}{tmp_path}/debian.list"
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/cloud.sources").write_text(
        f"Types: deb\nURIs: {listed}\nSuites: trixie\nComponents: main\n"
    )
    assert host_system.apt_mirror(str(tmp_path)) is None
    mirrors.write_text("# near\nhttps://apt.near/debian/\tpriority:1\nhttps://apt.far/debian\n")
    assert host_system.apt_mirror(str(tmp_path)) == "https://apt.near/debian"
    (tmp_path / "sources.list.d/cloud.sources").unlink()
    (tmp_path / "sources.list").write_text(f"deb {listed} trixie main\n")
    assert host_system.apt_mirror(str(tmp_path)) == "https://apt.near/debian"


@pytest.fixture
def name() -> str:
    return f"unit-{uuid.uuid4().hex[:8]}"


def test_the_real_host_is_looked_at_and_the_lock_is_taken(tmp_path: Path, name: str) -> None:
    done, back, dry, look = results(
        tmp_path,
        [
            task(name),
            {"platform_lock": {"name": name, "owner": "{{ result_0.host.lock.owner }}"}},
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


def test_a_certificate_that_was_written_and_not_yet_read_is_noticed(tmp_path: Path) -> None:
    for service in ("gateway", "postgres"):
        (tmp_path / service / "tls").mkdir(parents=True)
        (tmp_path / service / "tls/tls.crt").write_text("new")
    (tmp_path / "postgres/tls/loaded.crt").write_text("new")
    (tmp_path / "gateway/tls/loaded.crt").write_text("old")
    assert host_system.unread_certificates(str(tmp_path)) == ["gateway"]
    assert host_system.unread_certificates(str(tmp_path / "none")) == []


def test_two_provisions_at_once_are_one_too_many(tmp_path: Path, name: str) -> None:
    path = platform_lock.lock_path(name)
    try:
        platform_lock.take(path, platform_lock.owner_of(os.getpid(), "somebody"))
        hold = {"preflight": {**task(name)["preflight"], "judge": False, "hold": True}}
        done, dry, other = results(tmp_path, [task(name), {**task(name), "check_mode": True}, hold])
        for result in (done, dry, other):
            assert result["failed"]
            assert f"somebody on {os.uname().nodename} (process {os.getpid()})" in " ".join(result["msg"].split())
            assert path in result["msg"]
        assert os.path.exists(path)
    finally:
        platform_lock.give_back(path)


def test_without_docker_there_is_nothing_to_see_and_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(ROOT))
    began = time.monotonic()
    seen = host_engine.look_at_engine("mlflow", ["minio"], {"minio": "mlflow-minio"})
    assert not seen["docker"]["installed"] and seen["volumes"] == [] and time.monotonic() - began < 0.1


def test_an_engine_that_does_not_answer_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text(
        f"#!{sys.executable}\nimport sys\nsys.exit('Cannot connect to the Docker daemon')\n"
    )
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = host_engine.look_at_engine("mlflow", ["minio"], {"minio": "mlflow-minio"})
    assert not seen["docker"]["working"] and "Cannot connect" in seen["docker"]["error"]


def test_somebody_s_project_of_the_same_name_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    information = '{"ServerVersion": "26", "DockerRootDir": "/var/lib/docker"}'
    line = {"Names": "web-1", "Image": "x", "State": "running", "Status": "Up", "Ports": ""}
    project = "com.docker.compose.project=mlflow,com.docker.compose.service=web"
    lines = [line | {"Labels": project}, line | {"Names": "ours-1", "Labels": f"{project},platform.name=mlflow"}]
    (tmp_path / "docker").write_text(
        f"#!{sys.executable}\nimport sys\nsaid = {{'info': {information!r}, 'volume': '[]'}}\n"
        f"said['ps'] = {chr(10).join(map(json.dumps, lines))!r}\nprint(said.get(sys.argv[1], ''))\n"
    )
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert host_engine.look_at_engine("mlflow", ["web"], {})["namesakes"] == ["web-1"]


def test_an_engine_that_answers_only_in_part_leads_to_no_conclusion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Volumes that are not seen would let new passwords be generated over old data."""
    information = '{"ServerVersion": "26", "DockerRootDir": "/var/lib/docker"}'
    (tmp_path / "docker").write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"if sys.argv[1] == 'info': print('{information}')\n"
        "elif sys.argv[1] == 'volume': sys.exit('the daemon is shutting down')\n"
    )
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(host_engine.EngineError, match="docker volume inspect: the daemon is shutting down"):
        host_engine.look_at_engine("mlflow", ["minio"], {"minio": "mlflow-minio"})
