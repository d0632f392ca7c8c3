"""From a bare host to a platform that survives its operators: provision, dry run, jobs, clients, failures."""

import csv
import json
import os
import re
import socket
import stat
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import changed, launch, play, roles_that_change

SERVICES = ("postgres", "minio", "mlflow", "gateway")


def docker(*arguments: str) -> str:
    """Return what the Docker client prints."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=120).stdout


def wait_healthy(platform, seconds: int = 180) -> None:
    """Wait until every service of the platform is healthy again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = docker(
            "ps", "--filter", f"label=platform.name={platform.name}", "--format", "{{.Status}}"
        ).splitlines()
        if sum("(healthy)" in line for line in status) == len(SERVICES):
            return
        time.sleep(1)
    raise AssertionError(docker("ps", "--all"))


def test_a_dry_run_before_the_first_says_what_happens_and_does_nothing(platform) -> None:
    assert {"credentials", "stack", "object_store", "connection"} <= roles_that_change(platform.runs.dry)
    assert roles_that_change(platform.runs.dry) == roles_that_change(platform.runs.real)
    assert platform.runs.left_by_dry == []


def test_the_first_run_ends_with_a_summary(platform) -> None:
    assert platform.mlflow_uri in platform.runs.real
    assert "make train" in platform.runs.real


def test_a_second_run_changes_nothing_and_a_dry_run_foretells_it(platform) -> None:
    assert changed(play("provision", platform.inventory, "--check").stdout) == 0
    said = play("provision", platform.inventory).stdout
    assert changed(said) == 0
    assert "Start every service and wait until it is healthy" in "".join(re.findall(r"(?m)^TASK.*\nskipping", said))


def test_a_dry_run_foretells_the_roles_that_other_choices_change(platform) -> None:
    choices = ("platform_gateway_memory=200m", "platform_noncurrent_days=31", "platform_job_memory=3g")
    given = [argument for choice in choices for argument in ("-e", choice)]
    dry, real = (play("provision", platform.inventory, *check, *given).stdout for check in (["--check"], []))
    assert roles_that_change(dry) == roles_that_change(real) == {"stack", "object_store", "connection"}
    play("provision", platform.inventory)


def test_a_container_that_is_not_what_the_files_say_is_put_right(platform, tmp_path: Path) -> None:
    """As it is after a run that ended between writing the files and starting the services."""
    other = tmp_path / "other.yml"
    other.write_text("services: {gateway: {pids_limit: 99}}\n")
    files = [*(Path(f"/opt/{platform.name}/{name}.yml") for name in ("compose", *SERVICES)), other]
    docker("compose", *(f"--file={file}" for file in files), "up", "--detach", "--wait", "--no-deps", "gateway")
    limit = ("inspect", "--format", "{{.HostConfig.PidsLimit}}", f"{platform.name}-gateway-1")
    assert docker(*limit) == "99\n"
    assert changed(play("provision", platform.inventory, "--check").stdout) == 1
    assert changed(play("provision", platform.inventory).stdout) == 1
    assert docker(*limit) != "99\n"


def test_a_stopped_service_is_started_and_waited_for(platform) -> None:
    docker("stop", f"{platform.name}-gateway-1")
    assert changed(play("provision", platform.inventory).stdout) == 1
    wait_healthy(platform, seconds=1)


def test_every_container_is_hardened(platform) -> None:
    names = docker("ps", "--quiet", "--filter", f"label=platform.name={platform.name}").split()
    assert len(names) == len(SERVICES)
    for container in json.loads(docker("inspect", *names)):
        host = container["HostConfig"]
        assert container["Config"]["User"] not in ("", "0", "root")
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["Memory"] > 0 and host["PidsLimit"] > 0
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["LogConfig"]["Config"]["max-size"]
        assert host["RestartPolicy"]["Name"] == "unless-stopped"


def test_no_secret_is_visible_from_outside(platform) -> None:
    names = docker("ps", "--quiet", "--filter", f"label=platform.name={platform.name}").split()
    seen = docker("inspect", *names) + "".join(docker("top", name) for name in names) + platform.runs.real
    seen += "".join(docker("logs", name) for name in names)
    assert [key for key, value in platform.secrets.items() if value in seen] == []
    assert stat.S_IMODE(platform.credentials.stat().st_mode) == 0o600
    for path in Path(f"/opt/{platform.name}/secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o400 and path.stat().st_uid >= 10001


def test_ports_are_on_loopback_only(platform) -> None:
    ports = [int(uri.rsplit(":", 1)[1]) for uri in (platform.mlflow_uri, platform.s3_uri, platform.console_uri)]
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout
    for port in ports:
        assert re.findall(rf"(\S+):{port}\s", listening) == ["127.0.0.1"]


def images(platform) -> dict[str, str]:
    """Return the references of the platform's six images by their names; the base is known by its layers."""
    ours = ("ps", "--all", "--filter", f"label=platform.name={platform.name}", "--format", "{{.Image}}")
    found = {
        image.split("/")[1].split(":")[0]: image for image in [*docker(*ours).split(), platform.facts["job_image"]]
    }
    layers = ("image", "inspect", "--format", "{{json .RootFS.Layers}}")
    above = json.loads(docker(*layers, found["postgres"]))
    for base in docker("images", "--format", "{{.Repository}}:{{.Tag}}", "platform/base").split():
        below = json.loads(docker(*layers, base))
        if above[: len(below)] == below:
            found["base"] = base
    return found


def test_images_keep_to_their_sizes_and_carry_no_package_source(platform) -> None:
    most = {"base": 80, "postgres": 155, "minio": 190, "gateway": 90, "mlflow": 435, "job": 450}
    found = images(platform)
    assert found.keys() == most.keys()
    for name, megabytes in most.items():
        size = int(docker("image", "inspect", "--format", "{{.Size}}", found[name])) / 1e6
        assert size <= megabytes, (name, size)
        run = ("run", "--rm", "--network=none", "--entrypoint=find", found[name])
        assert docker(*run, "/etc/apt/sources.list.d", "-size", "+0", "-type", "f") == "", name


def test_training_registers_a_champion_and_prediction_uses_it(platform, trained) -> None:
    with open(platform.directory / "predictions.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    for row in rows:
        probabilities = [float(value) for key, value in row.items() if key.startswith("probability_")]
        assert sum(probabilities) == pytest.approx(1)


def test_a_local_file_travels_into_the_job(platform, trained, tmp_path: Path) -> None:
    data = tmp_path / "mine.csv"
    lines = [f"{i % 7},{i % 5},{'yes' if i % 7 > 3 else 'no'}" for i in range(200)]
    data.write_text("a,b,answer\n" + "\n".join(lines) + "\n")
    done = launch(
        "train",
        platform.connection,
        "--data",
        str(data),
        "--target",
        "answer",
        "--model-name",
        "mine",
        "--n-estimators",
        "20",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = launch("train", platform.connection, "--data", str(data), "--target", "reply")
    assert wrong.returncode != 0
    assert "reply" in wrong.stdout + wrong.stderr


def test_an_engine_error_names_the_holder_of_a_port(platform, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = play("provision", platform.inventory, "--check", "-e", f"platform_mlflow_port={port}", check=False)
    assert done.returncode != 0
    assert str(port) in done.stdout and "taken by" in done.stdout


def test_unknown_variables_and_dead_images_are_all_named_at_once(platform) -> None:
    wrong = ["-e", "platform_mlflow_prt=1", "-e", "platform_base_image=minio/minio:latest", "-e", "exposure=internet"]
    done = play("provision", platform.inventory, "--check", *wrong, check=False)
    assert done.returncode != 0
    for word in ("platform_mlflow_prt", "platform_mlflow_port", "withdrew", "internet"):
        assert word in done.stdout


def test_a_dry_run_foretells_another_root_password_and_does_not_try_it(platform) -> None:
    """The server knows it only once it has been started anew."""
    password = f"platform_minio_root_password={os.urandom(16).hex()}"
    said = play("provision", platform.inventory, "--check", "-e", password).stdout
    assert "MinIO would be started anew first" in said and "Services would be started or recreated" in said


def test_volumes_without_credentials_stop_a_provision(platform) -> None:
    kept = platform.credentials.rename(platform.credentials.with_suffix(".away"))
    try:
        done = play("provision", platform.inventory, check=False)
        assert not platform.credentials.exists()
    finally:
        kept.rename(platform.credentials)
    assert done.returncode != 0
    assert "destroy" in done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_comes_back_and_nothing_is_lost(platform, trained, service: str) -> None:
    identifier = docker("ps", "--quiet", "--filter", f"name=^{platform.name}-{service}-1$").strip()
    pid = int(docker("inspect", "--format", "{{.State.Pid}}", identifier))
    os.kill(pid, 9)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and int(docker("inspect", "--format", "{{.State.Pid}}", identifier)) in (0, pid):
        time.sleep(0.5)
    wait_healthy(platform)
    with urllib.request.urlopen(
        f"{platform.mlflow_uri}/api/2.0/mlflow/runs/get?run_id={trained}", timeout=30
    ) as answer:
        assert json.load(answer)["run"]["info"]["status"] == "FINISHED"


def test_a_start_interrupted_while_the_cluster_was_made_is_made_good(platform, tmp_path: Path) -> None:
    volume = f"{platform.name}-half-made"
    image = docker("inspect", "--format", "{{.Config.Image}}", f"{platform.name}-postgres-1").strip()
    secrets = [f"/opt/{platform.name}/secrets/{name}" for name in ("postgres_password", "mlflow_database_password")]
    mounts = [f"--volume={path}:/run/secrets/{Path(path).name}:ro" for path in secrets]
    run = ["run", "--rm", "--network=none", f"--volume={volume}:/var/lib/postgresql"]
    try:
        half = "mkdir /var/lib/postgresql/17.new; echo 17 > /var/lib/postgresql/17.new/PG_VERSION"
        docker(*run, "--entrypoint=sh", image, "-c", half)
        docker(*run, *mounts, image, "true")
        assert docker(*run, "--entrypoint=ls", image, "/var/lib/postgresql") == "17\n"
    finally:
        docker("volume", "rm", volume)


def test_somebody_s_project_of_the_same_name_is_refused_and_survives(platform) -> None:
    theirs = f"{platform.name}-theirs"
    labels = (f"--label=com.docker.compose.project={platform.name}", "--label=com.docker.compose.service=web")
    docker("run", "--detach", f"--name={theirs}", *labels, "--entrypoint=sleep", platform.facts["job_image"], "600")
    try:
        done = play("provision", platform.inventory, check=False)
        assert docker("inspect", "--format", "{{.State.Status}}", theirs) == "running\n"
    finally:
        docker("rm", "--force", theirs)
    assert done.returncode != 0
    assert f"{theirs}) and would be replaced. -> Set platform_name" in " ".join(done.stdout.split())


def test_an_operator_stops_starts_restarts_and_reads(platform) -> None:
    running = ("ps", "--quiet", "--filter", f"label=platform.name={platform.name}")
    play("stop", platform.inventory)
    assert docker(*running) == ""
    for verb in ("start", "restart"):
        play(verb, platform.inventory)
        wait_healthy(platform, seconds=5)
    plain: dict[str, Any] = {"ANSIBLE_STDOUT_CALLBACK": "plain"}
    assert platform.secrets["minio_root_password"] in play("credentials", platform.inventory, **plain).stdout
    said = play("logs", platform.inventory, "-e", "logs_service=postgres", "-e", "logs_lines=3", **plain).stdout
    assert said and {line.split("|")[0].strip() for line in said.splitlines()} == {"postgres-1"}
    wrong = play("logs", platform.inventory, "-e", "logs_service=mflow", check=False, **plain)
    assert wrong.returncode != 0 and "SERVICE is one of postgres, minio, gateway, mlflow." in wrong.stderr
    foretold = play("destroy", platform.inventory, "--check").stdout
    assert "Would be removed: 4 containers" in foretold and len(docker(*running).split()) == len(SERVICES)


def test_destroy_keeps_data_unless_told(platform, trained) -> None:
    play("destroy", platform.inventory)
    assert docker("volume", "ls", "--quiet", "--filter", f"label=platform.name={platform.name}").split()
    refused = play(
        "destroy", platform.inventory, "-e", "destroy_data=delete", "-e", "destroy_confirm=other", check=False
    )
    assert refused.returncode != 0
    play("provision", platform.inventory)
    with urllib.request.urlopen(
        f"{platform.mlflow_uri}/api/2.0/mlflow/runs/get?run_id={trained}", timeout=30
    ) as answer:
        assert json.load(answer)["run"]["info"]["run_id"] == trained
