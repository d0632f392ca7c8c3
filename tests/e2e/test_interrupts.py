"""Ctrl-C at any moment, and two operators at once: the next provision always ends in a whole platform."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from tests.e2e.conftest import ROOT, changed, job, play, provision_until, status_of
from tests.e2e.minio_server import docker

NOWHERE = "http://127.0.0.1:9/simple"


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C, and once more if that is not enough; return exit status and what was said after the first.

    Ansible can wait for ever for a worker that ended while it held the lock of the results' queue.
    """
    os.killpg(process.pid, signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    return process.returncode, said


def containers(name: str, *filters: str) -> list[str]:
    """Return the status of every container that bears the platform's name."""
    return docker(
        *("ps", "--all", "--filter", f"label=platform.name={name}", "--format", "{{.Status}}"),
        *(part for given in filters for part in ("--filter", given)),
    ).splitlines()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose job image has a lock of one package, so that it is another image and quickly built."""
    root = tmp_path_factory.mktemp("checkout")
    for directory in ("ansible", "compose", "ml", "requirements"):
        shutil.copytree(ROOT / directory, root / directory)
    shutil.copy(ROOT / "ansible.cfg", root)
    lock = root / "requirements/job-image.txt"
    (one,) = re.findall(r"^cycler==(?:.*\\\n)+.*\n", lock.read_text(), re.MULTILINE)
    lock.write_text(f"# {uuid.uuid4()}, which no build cache has seen\n{one}")
    (root / "compose/job/warm.py").write_text('import os\n\nos.mkdir("/opt/matplotlib")\n')
    return root


def test_a_build_without_its_index_says_so_and_the_next_one_completes(second, checkout: Path) -> None:
    refused = play(
        "provision", second.inventory, check=False, root=checkout, PIP_INDEX_URL=NOWHERE, UV_DEFAULT_INDEX=NOWHERE
    )
    assert refused.returncode != 0
    assert "The images could not be built" in refused.stdout
    assert "No matching distribution found for uv" in refused.stdout
    assert "run `make provision` again: what is built stays built" in refused.stdout
    assert not Path(f"/opt/{second.name}/build/inputs").exists()
    assert not Path(f"/run/lock/platform-{second.name}.lock").exists()
    with provision_until(second, "images : Build job", root=checkout) as process:
        time.sleep(1)
        assert interrupt(process)[0] != 0
    play("provision", second.inventory, root=checkout)
    docker("rmi", json.loads(second.connection.read_text())["job_image"])
    assert sum("(healthy)" in status for status in containers(second.name)) == 4


# How long each may go on after its beginning: what is quick is interrupted at once, what waits in the midst of it.
STAGES = {
    "preflight : Look at the host": 0.0,
    "credentials : Read the credentials": 0.0,
    "stack : Write Compose files": 0.2,
    "stack : Start what holds data": 1.5,
    "object_store : Make the bucket, with": 0.5,
    "stack : Start every service and wait": 2.0,
    "connection : Keep on the controller": 0.0,
}


def test_a_provision_interrupted_at_every_stage_is_finished_by_the_next(second) -> None:
    """From nothing; each run goes on where the one before was stopped."""
    play("destroy", second.inventory, "-e", "destroy_data=delete", "-e", f"destroy_confirm={second.name}")
    for task, seconds in STAGES.items():
        for _ in range(3):
            # A run that lost its first Ctrl-C may have gone on to the end: there is always something left to do.
            docker("rm", "--force", f"{second.name}-mlflow-1")
            with provision_until(second, task) as process:
                time.sleep(seconds)
                status, said = interrupt(process)
            if status != 0:
                break
            # Python drops an interrupt that comes while it forks, says so, and Ansible goes on; press it again.
            assert "Exception ignored in" in said and "KeyboardInterrupt" in said, said
        assert status != 0, said
    play("provision", second.inventory)
    assert sum("(healthy)" in status for status in containers(second.name)) == 4
    after = play("provision", second.inventory, "--check").stdout
    assert changed(after) == 0, after


def test_a_root_password_whose_change_was_interrupted_reaches_the_store(second) -> None:
    """Its file is written and MinIO healthy with the old one: the next run must not take that for settled."""
    play("provision", second.inventory)
    password = ("-e", f"platform_minio_root_password={uuid.uuid4().hex}")
    with provision_until(second, "stack : Start what holds data", *password) as process:
        assert interrupt(process)[0] != 0
    dry = play("provision", second.inventory, "--check", *password).stdout
    assert "MinIO would be started anew first" in dry and changed(dry) > 0
    play("provision", second.inventory, *password)
    assert changed(play("provision", second.inventory, "--check", *password).stdout) == 0


def test_of_two_provisions_at_once_the_second_says_who_holds_the_lock(platform) -> None:
    with provision_until(platform, "docker_engine") as first:
        first.send_signal(signal.SIGSTOP)
        try:
            second = play("provision", platform.inventory, check=False)
        finally:
            first.send_signal(signal.SIGCONT)
        status, said = status_of(first)
        assert status == 0, said
    assert second.returncode != 0
    assert "Another command is at work on this platform" in second.stdout
    assert f"(process {first.pid})" in " ".join(second.stdout.split())


def begun(platform: SimpleNamespace, verb: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a job in a session of its own and wait until its container runs."""
    process = subprocess.Popen(
        job(verb, platform.connection, *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while not containers(platform.name, "label=platform.job", "status=running"):
        assert process.poll() is None, status_of(process)
        time.sleep(0.2)
    return process


def running(platform: SimpleNamespace, experiment: str) -> str:
    """Wait for the run of an experiment and return its id."""
    client = MlflowClient(platform.mlflow_uri)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = client.get_experiment_by_name(experiment)
        runs = client.search_runs([found.experiment_id]) if found else []
        if runs:
            return str(runs[0].info.run_id)
        time.sleep(0.2)
    raise AssertionError(f"no run in {experiment}")


def test_ctrl_c_in_training_ends_the_run_and_its_container(platform) -> None:
    process = begun(platform, "train", "--experiment", "interrupted", "--n-estimators", "100000")
    run = running(platform, "interrupted")
    os.killpg(process.pid, signal.SIGINT)
    status, said = status_of(process)
    assert status in (130, 143), said
    assert "stopping the job" in said
    assert MlflowClient(platform.mlflow_uri).get_run(run).info.status == "KILLED"
    assert containers(platform.name, "label=platform.job") == []


def test_a_killed_job_is_told_and_its_run_marked(platform) -> None:
    process = begun(platform, "train", "--experiment", "killed", "--n-estimators", "100000")
    run = running(platform, "killed")
    identifier = docker(
        *("ps", "--quiet", "--filter", f"label=platform.name={platform.name}", "--filter", "label=platform.job")
    )
    docker("kill", "--signal", "KILL", identifier)
    status, said = status_of(process)
    assert status == 137, said
    assert "error: the job was killed: start it again" in said
    assert MlflowClient(platform.mlflow_uri).get_run(run).info.status == "KILLED"
    assert containers(platform.name, "label=platform.job") == []


@pytest.mark.usefixtures("trained")
def test_ctrl_c_in_prediction_leaves_the_old_file_and_no_container(platform, tmp_path: Path) -> None:
    output = tmp_path / "predictions.csv"
    output.write_text("old")
    process = begun(platform, "predict", "--output", str(output))
    os.killpg(process.pid, signal.SIGINT)
    status, said = status_of(process)
    assert status in (130, 143), said
    assert output.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]
    assert containers(platform.name, "label=platform.job") == []
