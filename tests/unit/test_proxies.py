"""A site's proxy stands before the internet, and before nothing that is the platform's."""

import http.server
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import docker
import pytest
from plays import ROOT, run

sys.path.insert(0, str(ROOT / "ml"))

launch = importlib.import_module("launch")
quickstart = importlib.import_module("quickstart")
NOWHERE = "http://127.0.0.1:9"
REQUEST = """
import os, requests
print(requests.post(os.environ["ADDRESS"], timeout=20).status_code)
"""


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers as an engine does that has everything, and keeps what it was sent."""

    sent: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        """Answer as if what is asked for were there."""
        self.answer(200)

    def do_POST(self) -> None:
        """Keep what was sent, and say that it was made."""
        self.sent.append(self.rfile.read(int(self.headers["Content-Length"] or 0)))
        self.answer(201)

    def answer(self, status: int) -> None:
        """Answer in JSON."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"Id": "1", "Warnings": []}')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def engine() -> Iterator[str]:
    """The address of a server that answers as an engine does."""
    Recorder.sent.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("direct", ["", "corp.example"])
def test_what_quickstart_starts_reaches_its_server_past_a_proxy(
    engine: str, direct: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, NOWHERE)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", direct)
    environment = quickstart.environment()
    done = subprocess.run(
        [sys.executable, "-c", REQUEST],
        env=environment | {"ADDRESS": f"http://{engine}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "201\n", done.stderr
    assert direct in environment["no_proxy"]


def test_no_proxy_of_the_user_s_docker_enters_a_job(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": NOWHERE}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    platform: dict[str, Any] = dict.fromkeys((*launch.CONNECTION, "tracking_uri"), "x")
    platform |= {"ca": None, "job_pids": 9, "job_memory": "1g"}
    client = docker.DockerClient(base_url=f"tcp://{engine}", version="1.41")
    launch.create(client, platform, "train-1", ["true"])
    client.close()
    names = {entry.split("=")[0] for entry in json.loads(Recorder.sent[-1])["Env"]}
    assert "MLFLOW_TRACKING_URI" in names and not {name for name in names if name.lower().endswith("_proxy")}


def test_a_notebook_s_exports_go_past_a_proxy_and_keep_what_did_before(tmp_path: Path) -> None:
    uris = {"mlflow": "https://head.lab:5000", "s3": "https://store.lab:9000"}
    values = {"_platform_uris": uris, "_platform_tls": False, "platform_name": "p", "_report_mc_host": "x"}
    values["_credentials_values"] = {"mlflow_s3_access_key": "a", "mlflow_s3_secret_key": "b"}
    tasks = [
        {"include_vars": {"file": str(ROOT / "ansible/roles/report/vars/main.yml")}},
        {"debug": {"msg": "{{ _report_env }}"}},
    ]
    exports = run(tmp_path, tasks, "-e", json.dumps(values))
    assert exports.returncode == 0, exports.stderr
    shell = ["sh", "-euc", 'eval "$1"; echo "$no_proxy $NO_PROXY"', "sh", exports.stdout]
    for before in ({}, {"NO_PROXY": "corp"}, {"no_proxy": "corp"}):
        environment = {"PATH": "/bin:/usr/bin", **before}
        said = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True).stdout
        direct = ("corp," if before else "") + "head.lab,store.lab"
        assert said == f"{direct} {direct}\n"
