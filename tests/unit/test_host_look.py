"""What the module preflight sees of a host: ports and who holds them, mirrors, certificates, the engine."""

import json
import os
import socket
import sys
import time
from pathlib import Path

import pytest
from module_utils import host_engine, host_ports, host_system
from plays import ROOT


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


def test_a_certificate_that_was_written_and_not_yet_read_is_noticed(tmp_path: Path) -> None:
    for service in ("gateway", "postgres"):
        (tmp_path / service / "tls").mkdir(parents=True)
        (tmp_path / service / "tls/tls.crt").write_text("new")
    (tmp_path / "postgres/tls/loaded.crt").write_text("new")
    (tmp_path / "gateway/tls/loaded.crt").write_text("old")
    assert host_system.unread_certificates(str(tmp_path)) == ["gateway"]
    assert host_system.unread_certificates(str(tmp_path / "none")) == []


def test_a_job_is_no_service_though_compose_built_its_image() -> None:
    """A provision removes services that have moved away, and leaves a training alone."""
    built = "com.docker.compose.project=lab-build,com.docker.compose.service=job,platform.name=lab"
    said = {"Names": "lab-job-train-1", "Image": "platform/job:1", "State": "running", "Status": "Up", "Ports": ""}
    assert host_engine.container({**said, "Labels": f"{built},platform.job=train-1"})["service"] == ""
    assert host_engine.container({**said, "Labels": built})["service"] == "job"


def test_without_docker_there_is_nothing_to_see_and_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(ROOT))
    monkeypatch.setattr(host_engine, "ROOT", "/none")
    monkeypatch.setattr(host_engine, "OPTIONS", "/none")
    began = time.monotonic()
    seen = host_engine.look_at_engine("mlflow", "/opt/none", ["minio"], {"minio": "mlflow-minio"})
    assert not seen["docker"]["installed"] and seen["volumes"] == [] and time.monotonic() - began < 0.1


def test_an_engine_that_does_not_answer_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text(
        f"#!{sys.executable}\nimport sys\nsys.exit('Cannot connect to the Docker daemon')\n"
    )
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = host_engine.look_at_engine("mlflow", "/opt/none", ["minio"], {"minio": "mlflow-minio"})
    assert not seen["docker"]["working"] and "Cannot connect" in seen["docker"]["error"]


def test_what_a_stopped_engine_will_find_is_read_from_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a dry run on a host whose engine is stopped foretells images that are there, and new passwords."""
    (tmp_path / "daemon.json").write_text(json.dumps({"data-root": str(tmp_path)}))
    names = {"platform/minio": {"platform/minio:a": "sha256:1", "platform/minio@sha256:2": "sha256:1"}}
    (tmp_path / "image" / "overlay2").mkdir(parents=True)
    (tmp_path / "image" / "overlay2" / "repositories.json").write_text(
        json.dumps({"Repositories": names | {"debian": {"debian:13": "sha256:3"}}})
    )
    (tmp_path / "volumes" / "mlflow-minio" / "_data").mkdir(parents=True)
    (tmp_path / "volumes" / "mlflow-minio" / "_data" / ".written-by").write_text("fork\n")
    monkeypatch.setattr(host_engine, "OPTIONS", str(tmp_path / "daemon.json"))
    monkeypatch.setenv("PATH", str(ROOT))
    volumes = {"minio": "mlflow-minio", "postgres": "mlflow-postgres"}
    seen = host_engine.look_at_engine("mlflow", "/opt/none", ["minio"], volumes)
    assert seen["docker"]["root"] == str(tmp_path) and seen["images"] == ["platform/minio:a"]
    assert seen["volumes"] == ["mlflow-minio"] and seen["minio_written_by"] == "fork"


NONSENSE = ["", "[]", "null", '{"data-root": null}', '{"data-root": 1}', '{"Repositories": null}']


@pytest.mark.parametrize("said", NONSENSE)
def test_files_of_an_engine_that_make_no_sense_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    (tmp_path / "image" / "aufs").mkdir(parents=True)
    for path in (tmp_path / "daemon.json", tmp_path / "image" / "aufs" / "repositories.json"):
        path.write_text(said)
    monkeypatch.setattr(host_engine, "ROOT", str(tmp_path))
    monkeypatch.setattr(host_engine, "OPTIONS", str(tmp_path / "daemon.json"))
    found = host_engine.kept({"minio": "mlflow-minio"})
    assert found == {"root": str(tmp_path), "images": [], "volumes": [], "minio_written_by": None}


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
    assert host_engine.look_at_engine("mlflow", "/opt/none", ["web"], {})["namesakes"] == ["web-1"]


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
        host_engine.look_at_engine("mlflow", "/opt/none", ["minio"], {"minio": "mlflow-minio"})


SHA = "sha256:5ee"


def test_what_compose_would_leave_alone_is_told_from_what_it_would_not() -> None:
    said = {"Names": "lab-web-1", "Image": "platform/web:1", "State": "running", "Status": "Up (healthy)", "Ports": ""}
    labels = {"platform.name": "lab", "com.docker.compose.service": "web", "com.docker.compose.config-hash": "c0"}
    labels["com.docker.compose.image"] = SHA
    listed = ",".join(f"{name}={value}" for name, value in labels.items())
    web = host_engine.container({**said, "Labels": listed})
    hashes, images = {"web": "c0"}, {"platform/web:1": SHA}
    assert host_engine.are_applied([web], hashes, images)
    assert host_engine.are_applied([], {}, images)
    for containers, wanted, there in (
        ([web], {"web": "c1"}, images),
        ([web], hashes, {"platform/web:1": "sha256:another"}),
        ([web], hashes, {}),
        ([web], {**hashes, "new": "c2"}, images),
        ([web, web], hashes, images),
        ([web, {**web, "service": "gone"}], hashes, images),
        ([web], {}, images),
    ):
        assert not host_engine.are_applied(containers, wanted, there)
