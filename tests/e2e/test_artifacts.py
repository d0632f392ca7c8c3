"""Artifacts: up through gateway and MLflow, down from MinIO, and judged by MLflow either way."""

import gzip
import hashlib
import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway_alone import ARTIFACTS, Gateway


def test_artifacts_download_from_the_host_byte_for_byte(platform, trained, tmp_path: Path) -> None:
    import mlflow

    mlflow.set_tracking_uri(platform.mlflow_uri)
    packed = gzip.compress(b"a,b\n1,2\n")
    for name, body in (("large.bin", os.urandom(3_000_000)), ("empty.bin", b""), ("a 50% ü.csv.gz", packed)):
        (tmp_path / name).write_bytes(body)
        mlflow.MlflowClient().log_artifact(trained, str(tmp_path / name), "probe")
        got = mlflow.artifacts.download_artifacts(
            run_id=trained, artifact_path=f"probe/{name}", dst_path=str(tmp_path / "got")
        )
        assert Path(got).read_bytes() == body
    # In pieces, as MinIO gives and MLflow does not; and a page elsewhere may not read it through its visitor's browser.
    where = f"{trained}/artifacts/probe/large.bin"
    experiment = mlflow.get_run(trained).info.experiment_id
    asked = urllib.request.Request(
        f"{platform.mlflow_uri}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{where}",
        headers={"Range": "bytes=5-8", "Origin": "http://evil.example"},
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert answer.status == 206 and answer.read() == (tmp_path / "large.bin").read_bytes()[5:9]
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    with urllib.request.urlopen(f"{platform.mlflow_uri}/api/3.0/mlflow/server-info", timeout=10) as answer:
        assert b"true" not in re.findall(rb'"multipart_\w+":\s*(\w+)', answer.read())


def test_a_body_of_any_size_streams_through(gateway: Gateway) -> None:
    block, count = os.urandom(1 << 20), 600

    def body() -> Iterator[bytes]:
        for _ in range(count):
            yield block

    digest = hashlib.md5()
    for part in body():
        digest.update(part)
    # The gateway has nowhere to put 600 MB: its file system is read-only, its tmpfs holds 64 MB, its memory is 256 MB.
    answer = gateway.ask("PUT", "mlflow", "/artifact", data=body()).json()
    assert (answer["size"], answer["md5"]) == (count << 20, digest.hexdigest())


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
def test_an_artifact_comes_from_minio_once_mlflow_has_signed_its_address(gateway: Gateway, prefix: str) -> None:
    origin = f"https://localhost:{gateway.ports['mlflow']}"
    path = f"{ARTIFACTS.replace('/api', prefix, 1)}/1/a%20file%25.csv.gz?download=1"
    headers = {"Origin": origin, "Cookie": "a=b", "X-Amz-Meta-A": "b", "Range": "bytes=1-"}
    answer = gateway.ask("GET", "mlflow", path, auth=("ada", "right"), headers=headers)
    seen = answer.json()
    assert seen["path"] == "/bucket/1/a%20file%25.csv.gz?signature=x"
    assert seen["headers"] == {"Host": "minio:9000", "Range": "bytes=1-", "Connection": "close"}
    assert not {"Content-Encoding", "X-Amz-Request-Id"} & set(answer.headers)
    for name, value in (
        ("Strict-Transport-Security", "max-age=31536000"),
        ("Cache-Control", "private, no-cache"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
    ):
        assert answer.headers[name] == value
    plain = gateway.ask("GET", "mlflow", path, auth=("ada", "right"), headers={"Range": "bytes=1-", "If-Range": '"a"'})
    assert not [name for name in plain.headers if name.startswith("Access-Control")]
    assert "Range" not in plain.json()["headers"]  # MinIO would not ask whether it is still the same


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/unsigned/file", None),
        ("GET", "/lost/a%20file?x=y", None),
        ("GET", "/short/file", None),
        ("GET", "?path=1", None),
        ("GET", "/1/file", "body"),
        ("PUT", "/1/file", "body"),
        ("DELETE", "/1/file", None),
    ],
)
def test_whatever_else_concerns_artifacts_is_mlflow_s_to_answer(
    gateway: Gateway, method: str, path: str, body: str | None
) -> None:
    seen = gateway.ask(method, "mlflow", ARTIFACTS + path, auth=("ada", "right"), data=body).json()
    assert seen["path"] == ARTIFACTS + path and seen["size"] == len(body or "")
    assert seen["headers"]["Authorization"] and seen["headers"]["Host"] == f"localhost:{gateway.ports['mlflow']}"


def test_the_inner_steps_to_an_artifact_are_nobody_s_to_ask_for(gateway: Gateway) -> None:
    for path, status in (("/.signed", 404), ("/api/2.0/mlflow-artifacts/presigned/1/file", 501)):
        assert gateway.ask("GET", "mlflow", path, auth=("ada", "right")).status_code == status


def test_guessing_a_password_at_an_artifact_is_slowed(forgetful: Gateway) -> None:
    tries = [forgetful.ask("GET", "mlflow", f"{ARTIFACTS}/1/file", auth=("ada", f"guess{n}")) for n in range(12)]
    assert [answer.status_code for answer in tries] == [401] * 10 + [429] * 2
    assert tries[0].headers["WWW-Authenticate"] == "Basic" and tries[0].json()["path"].endswith("/presigned/1/file")
