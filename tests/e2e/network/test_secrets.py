"""Secrets are looked for wherever somebody who may not have them can look."""

import json
import subprocess
from pathlib import Path

from tests.e2e.conftest import ROOT, job, play
from tests.e2e.hosts import run, wait
from tests.e2e.network.conftest import Network, forms, watched


def test_a_secret_would_be_found_as_it_is_and_in_base64(network: Network) -> None:
    assert len(network.secrets) == 9 + 3
    for secret in network.secrets.values():
        assert network.leaks(f"x{secret}y") != []
    content = f"URL='postgresql://mlflow:{network.secrets['mlflow_database_password']}@postgres/mlflow'"
    assert network.leaks(forms(content)[0]) == ["mlflow_database_password"]
    for encoded in forms(content)[1:]:
        assert network.leaks(encoded) == ["mlflow_database_password"]


def test_a_provision_at_vvv_with_diff_shows_no_secret(network: Network) -> None:
    assert "EXEC" in network.said
    assert network.leaks(network.said) == []
    again = play("provision", network.inventory, "-vvv", "--diff", "--check")
    assert network.leaks(again.stdout + again.stderr) == []


def test_a_provision_shows_no_secret_in_a_list_of_processes(network: Network) -> None:
    everything = "\n".join(network.seen)
    for known in ("ansible-playbook", "docker compose", "docker run --rm --interactive", "mlflow_env server", "initdb"):
        assert known in everything, known
    assert network.leaks(everything) == []


def test_no_container_shows_a_secret(network: Network) -> None:
    names = " ".join(network.containers())
    for command in (f"docker inspect {names}", "ps -eo args", "cat /proc/[0-9]*/cmdline"):
        assert network.leaks(network.root(f"{command} | tr '\\0' ' '")) == [], command
    for name in network.containers():
        seen = network.root(f"docker top {name} -eo pid,args && docker logs {name} 2>&1")
        assert seen and network.leaks(seen) == [], name


def test_the_gateway_logs_no_signature(network: Network) -> None:
    """Who reads the log must not be able to open what an address was signed for."""
    path = "/mlflow/no-such-object"
    for signed in ("X-Amz-Credential=key&X-Amz-Signature=abc123", "x-amz-signature=abc123&x-amz-date=now"):
        assert network.call("s3", "GET", f"{path}?{signed}").status_code in (400, 403)
    lines = [line for line in network.root(f"docker logs {network.name}-gateway-1 2>&1").splitlines() if path in line]
    assert len(lines) >= 2 and not [line for line in lines if "abc123" in line]


def test_a_running_job_shows_no_secret(network: Network, tmp_path: Path) -> None:
    command = job("train", network.connection, "--n-estimators", "20", "--cv", "0")
    with watched() as seen, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as training:
        find = "docker ps --quiet --filter label=platform.job --filter label=platform.name=" + network.name
        wait(lambda: network.root(find) != "", "no job runs")
        shown = network.root(f"docker inspect $({find}); docker top $({find}) -eo pid,args")
        said, _ = training.communicate(timeout=300)
    assert training.returncode == 0, said
    assert "MLFLOW_TRACKING_URI=https://" in shown
    assert network.leaks(shown + said + "\n".join(seen)) == []


def test_no_image_carries_a_secret(network: Network, tmp_path: Path) -> None:
    """In no layer and in no line of its history; a host gives its images away with every bundle and push."""
    images = network.root("docker images --format '{{.Repository}}:{{.Tag}}'").split()
    assert {image.split(":")[0] for image in images} >= {f"platform/{name}" for name in ("mlflow", "minio", "job")}
    for image in images:
        assert network.leaks(network.root(f"docker history --no-trunc {image}")) == []
    patterns = tmp_path / "patterns"
    patterns.write_text("\n".join(form for found in network.forms().values() for form in found) + "\n")
    for wanted, status in ((patterns.read_text(), 1), ("MLFLOW_TRACKING_URI\n", 0)):
        patterns.write_text(wanted)
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            search = ["grep", "--text", "--only-matching", "--fixed-strings", f"--file={patterns}"]
            found = subprocess.run(search, stdin=saved.stdout, capture_output=True, check=False, timeout=300)
        assert found.returncode == status, found.stdout[:200]


def test_what_is_for_everybody_on_the_host_and_the_connection_file_hold_no_secret(network: Network) -> None:
    readable = f"find {network.directory} -type f -perm -o=r -exec cat {{}} +"
    found = network.root(readable)
    assert "COMPOSE_PROJECT_NAME" in found and "platform.config" in found
    assert network.leaks(found) == []
    assert network.leaks(network.connection.read_text()) == []
    assert json.loads(network.connection.read_text())["login"] == "job-login.ini"


def test_nothing_that_git_knows_holds_a_secret(network: Network) -> None:
    tracked = run("git", "-C", str(ROOT), "ls-files", "-z").stdout.split("\0")
    assert "Makefile" in tracked
    paths = [ROOT / name for name in tracked if name]
    text = "\n".join(path.read_text(errors="replace") for path in paths if path.exists())
    assert network.leaks(text) == []
    for kept in ("credentials/lab/secrets.yml", "credentials/lab/ca.key", "credentials/lab/tls/lab.key"):
        run("git", "-C", str(ROOT), "check-ignore", kept)
