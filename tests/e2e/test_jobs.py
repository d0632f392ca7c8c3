"""Jobs where things are large, full or down, and MLflow's client inside the network."""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest

from tests.e2e.conftest import ROOT, changed, job, launch, play
from tests.e2e.hosts import wait
from tests.e2e.minio_server import docker

HEADER = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)"
ROW = "5.1,3.5,1.4,0.2"
DOWNLOAD = """
import hashlib, pathlib, sys, mlflow
for name in sys.argv[2:]:
    got = mlflow.artifacts.download_artifacts(run_id=sys.argv[1], artifact_path=name, dst_path="/tmp/got")
    print(name, hashlib.file_digest(open(got, "rb"), "sha256").hexdigest())
"""


def in_job(platform: SimpleNamespace, *given: str) -> subprocess.CompletedProcess[str]:
    """Run the job image as a job runs: its user, the platform's network, the scripts in /job/code."""
    command = ["docker", "run", "--rm", "--network", platform.facts["network"], "--volume", f"{ROOT}/ml:/job/code:ro"]
    command += ["--env", f"MLFLOW_TRACKING_URI={platform.facts['engines'][0]['tracking_uri']}", *given]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_artifacts_download_inside_the_network_byte_for_byte(platform, trained, tmp_path: Path) -> None:
    """Through MLflow's own client; empty, small, and larger than what a client takes in one piece."""
    mlflow.set_tracking_uri(platform.mlflow_uri)
    sizes = {"empty.bin": 0, "small.bin": 5, "large.bin": 120_000_000}
    expected = {}
    for name, size in sizes.items():
        content = os.urandom(size)
        (tmp_path / name).write_bytes(content)
        expected[f"inside/{name}"] = hashlib.sha256(content).hexdigest()
    mlflow.MlflowClient().log_artifacts(trained, str(tmp_path), "inside")
    done = in_job(platform, platform.facts["job_image"], "python", "-c", DOWNLOAD, trained, *expected)
    assert done.returncode == 0, done.stderr
    assert dict(line.split() for line in done.stdout.splitlines()) == expected


def test_a_provision_leaves_a_running_job_alone(platform) -> None:
    command = job("train", platform.connection, "--cv", "0", "--experiment", "meanwhile", "--model-name", "meanwhile")
    find = ("ps", "--quiet", "--filter", "label=platform.job", "--filter", f"label=platform.name={platform.name}")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as training:
        wait(lambda: docker(*find) != "", "no job starts")
        container = docker(*find)
        docker("pause", container)
        try:
            provisioned = play("provision", platform.inventory)
        finally:
            docker("unpause", container)
        _, errors = training.communicate(timeout=120)
    assert changed(provisioned.stdout) == 0, provisioned.stdout
    assert training.returncode == 0, errors


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of 64 KB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Input whose predictions do not fit into 64 KB."""
    data = tmp_path / "rows.csv"
    data.write_text(f"{HEADER}\n" + f"{ROW}\n" * 5000)
    return data


@pytest.mark.usefixtures("trained")
def test_a_full_disk_on_the_host_keeps_the_old_predictions(platform, small_disk: Path, rows: Path) -> None:
    output = small_disk / "predictions.csv"
    output.write_text("old")
    done = launch("predict", platform.connection, "--input", str(rows), "--output", str(output))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "No space left on device" in done.stderr
    assert "free space or choose another --output" in done.stderr
    assert output.read_text() == "old"
    assert [path.name for path in small_disk.iterdir()] == ["predictions.csv"]


@pytest.mark.usefixtures("trained")
def test_a_full_disk_in_the_job_is_told_as_such(platform, rows: Path) -> None:
    script = "python /job/code/mlflow_pred.py --input /job/rows.csv --output /job/out/p.csv"
    done = in_job(
        platform,
        *("--tmpfs", "/job/out:size=64k,uid=10005", "--volume", f"{rows}:/job/rows.csv:ro"),
        *(platform.facts["job_image"], "sh", "-c"),
        f"echo old > /job/out/p.csv; {script}; status=$?; ls -A /job/out; cat /job/out/p.csv; exit $status",
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no space left in /job/out for p.csv" in done.stderr
    assert done.stdout.split() == ["p.csv", "old"]


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("service", ["mlflow", "gateway"])
def test_without_a_server_prediction_says_so(platform, tmp_path: Path, service: str) -> None:
    """Whether MLflow itself is down or the door to it."""
    container = f"{platform.name}-{service}-1"
    docker("stop", container)
    try:
        done = launch("predict", platform.connection, "--output", str(tmp_path / "p.csv"))
    finally:
        docker("start", container)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "error: MLflow does not answer at" in done.stderr
    assert "make status" in done.stderr
    assert not list(tmp_path.iterdir())
    deadline = time.monotonic() + 180
    while docker("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.mark.usefixtures("trained")
def test_a_csv_of_a_gigabyte_streams_through_a_job_of_little_memory(platform, tmp_path: Path) -> None:
    """The job may have half of what the file weighs; few long rows, because rows cost time and bytes do not."""
    count, filler = 20_000, "x" * 50_000
    data, output = tmp_path / "huge.csv", tmp_path / "out.csv"
    with data.open("w") as file:
        file.write(f"{HEADER},note\n")
        for _ in range(count):
            file.write(f"{ROW},{filler}\n")
    assert data.stat().st_size > 1_000_000_000
    connection = tmp_path / "platform.json"
    connection.write_text(json.dumps(platform.facts | {"job_memory": "512m"}))
    done = launch("predict", connection, "--input", str(data), "--output", str(output))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert f"Rows         {count}" in done.stdout
    with output.open() as file:
        assert sum(1 for _ in file) == count + 1
    assert output.stat().st_size > data.stat().st_size
    data.unlink()
    output.unlink()
