"""How jobs travel: arguments rewritten, tar streams made and unpacked, errors in words."""

from __future__ import annotations

import io
import json
import socketserver
import sys
import tarfile
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "ml"))

import engines
import launch
import travel


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_data_file_travels_in_and_its_argument_follows(here: Path) -> None:
    (here / "my.csv").write_text("a\n1\n")
    inside, files, output = travel.rewrite("train", ["--n-estimators", "5", "--data=my.csv", "--target", "a=b"])
    assert inside == ["--n-estimators", "5", "--data", "/job/in/my.csv", "--target", "a=b"]
    assert files == {"in/my.csv": Path("my.csv")}
    assert output is None


def test_predictions_travel_out_to_the_default_name() -> None:
    assert travel.rewrite("predict", []) == (["--output", "/job/out/predictions.csv"], {}, Path("predictions.csv"))


def test_predictions_travel_out_to_the_name_given(here: Path) -> None:
    inside, _, output = travel.rewrite("predict", [f"--output={here}/p.parquet", "--version", "3"])
    assert inside == ["--output", "/job/out/p.parquet", "--version", "3"]
    assert output == here / "p.parquet"


def test_help_brings_nothing_back() -> None:
    assert travel.rewrite("predict", ["--help"]) == (["--help"], {}, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "none.csv"], "no file none.csv"),
        (["--input", "."], "is a directory"),
        (["--output", "none/p.csv"], "mkdir -p none"),
        (["--output", "."], "is a directory"),
    ],
)
def test_a_file_that_cannot_travel_is_told_before_anything_starts(arguments: list[str], message: str) -> None:
    with pytest.raises(travel.JobError, match=message):
        travel.rewrite("predict", arguments)


def test_the_tar_stream_is_a_tar_that_belongs_to_the_job(here: Path) -> None:
    (here / "a.csv").write_bytes(b"x" * 700)
    (here / ("ü" * 60)).write_bytes(b"")
    packed = b"".join(travel.pack({"in/a.csv": here / "a.csv", "in/" + "ü" * 60: here / ("ü" * 60)}))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert [member.name for member in tar] == ["code", "home", "in", "out", "in/a.csv", "in/" + "ü" * 60]
        assert {member.uid for member in tar} == {10005}
        file = tar.extractfile("in/a.csv")
        assert file is not None and file.read() == b"x" * 700


def stream(name: str, content: bytes) -> list[bytes]:
    """A tar with one file, in odd pieces, as an engine sends it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    whole = buffer.getvalue()
    return [whole[at : at + 777] for at in range(0, len(whole), 777)]


def test_a_result_is_put_in_its_place(here: Path) -> None:
    travel.unpack(stream("p.csv", b"y" * 5000), here / "p.csv")
    assert (here / "p.csv").read_bytes() == b"y" * 5000


def test_a_result_that_breaks_off_leaves_the_old_one(here: Path) -> None:
    (here / "p.csv").write_text("old")
    with pytest.raises(travel.JobError):
        travel.unpack(stream("p.csv", b"y" * 5000)[:4], here / "p.csv")
    assert [path.name for path in here.iterdir()] == ["p.csv"]
    assert (here / "p.csv").read_text() == "old"


def test_the_scripts_travel_and_the_launcher_stays() -> None:
    names = {name.removeprefix("code/") for name in launch.code()}
    assert {"mlflow_experiment.py", "mlflow_pred.py", "mlflow_reap.py", "tables.py", "tracking.py"} <= names
    assert not names & {"launch.py", "engines.py", "travel.py", "quickstart.py"}


def test_without_a_connection_file_the_way_to_one_is_named(here: Path) -> None:
    with pytest.raises(travel.JobError, match="make provision"):
        launch.read_platform(here / "platform.json")


def test_a_connection_file_that_lacks_something_is_told(here: Path) -> None:
    (here / "platform.json").write_text('{"platform_name": "mlflow"}')
    with pytest.raises(travel.JobError, match="lacks engines, network, job_image"):
        launch.read_platform(here / "platform.json")


def test_an_engine_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with (
        pytest.raises(travel.JobError, match="the Docker engine of h does not answer"),
        engines.chosen([{"host": "h", "ssh": None, "tracking_uri": "http://gateway:5000"}], None),
    ):
        pass


def test_a_host_that_runs_no_jobs_is_told_with_those_that_do() -> None:
    known = [{"host": name, "ssh": None, "tracking_uri": "http://gateway:5000"} for name in ("a", "b")]
    with pytest.raises(travel.JobError, match="no host c runs jobs: --host, one of: a, b"), engines.chosen(known, "c"):
        pass


def test_a_host_that_ssh_cannot_reach_is_told_and_no_tunnel_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    remote = {"host": "far", "ssh": ["-p", "1", "127.0.0.1"], "tracking_uri": "https://far:5000"}
    with (
        pytest.raises(travel.JobError, match="the Docker engine of far does not answer"),
        engines.chosen([remote], None),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


class Engine(BaseHTTPRequestHandler):
    """Answers as an engine does until a job's files arrive, for which it has no space; a lost one hangs up before."""

    protocol_version = "HTTP/1.1"
    lost = False

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        while "Transfer-Encoding" in self.headers and (size := int(self.rfile.readline(), 16)):
            self.rfile.read(size + 2)
        status, body = 200, {"ApiVersion": "1.41", "Id": "0" * 12, "State": {"ExitCode": 0}, "Labels": {}}
        if self.lost and "/version" not in self.path:
            self.close_connection = True
            return
        if self.command == "PUT":
            status, body = 500, {"message": "write /job/in/x: no space left on device"}
        content = json.dumps([] if "/containers/json" in self.path else body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def address_string(self) -> str:
        return "engine"


@pytest.mark.parametrize(
    ("lost", "said"),
    [(False, r"refuses \(.*no space left on device\): make room"), (True, "engine of h does not answer")],
)
def test_an_engine_that_fails_in_the_midst_of_a_job_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, lost: bool, said: str
) -> None:
    handler = type("Handler", (Engine,), {"lost": lost})
    monkeypatch.setenv("DOCKER_HOST", f"unix://{here}/docker.sock")
    platform: dict[str, Any] = dict.fromkeys(launch.CONNECTION, "x")
    platform |= {"job_pids": 9, "job_memory": "1g", "login": None, "ca": None}
    platform["engines"] = [{"host": "h", "ssh": None, "tracking_uri": "http://gateway:5000"}]
    with socketserver.ThreadingUnixStreamServer(f"{here}/docker.sock", handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(travel.JobError, match=said):
            launch.launch(platform, None, "train", [])
        server.shutdown()


def test_a_login_travels_as_a_file_and_a_lost_one_is_told(here: Path) -> None:
    described = dict.fromkeys(launch.CONNECTION, "x") | {"login": "job-login.ini", "ca": None}
    (here / "platform.json").write_text(json.dumps(described))
    with pytest.raises(travel.JobError, match=r"job-login.ini, which jobs log in with: make provision"):
        launch.read_platform(here / "platform.json")
    (here / "job-login.ini").write_text("[mlflow]\n")
    platform = launch.read_platform(here / "platform.json")
    assert launch.trust(platform) == {"home/.mlflow/credentials": here / "job-login.ini"}
