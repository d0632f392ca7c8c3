#!/usr/bin/env python3
"""Run training or prediction in a job container: files travel in, messages stream, results travel out."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import engines
import travel
from travel import JobError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

HERE = Path(__file__).resolve().parent
SCRIPTS = {"train": "mlflow_experiment.py", "predict": "mlflow_pred.py"}
STAY_OUTSIDE = {"launch.py", "engines.py", "travel.py", "quickstart.py"}
STOP_SECONDS = 30  # what a job gets to mark its run, before it is killed
ABANDONED_SECONDS = 3600  # after which another controller's finished container is nobody's
KILLED = 137
RUN_LEFT = 3  # as tracking.py has it, which stays inside
CONNECTION = (
    "platform_name",
    "engines",
    "network",
    "job_image",
    "public_uri",
    "job_memory",
    "job_pids",
)
ENVIRONMENT = {
    "HOME": "/job/home",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "PYTHONUNBUFFERED": "1",
}


def read_platform(path: Path) -> dict[str, Any]:
    """The connection file that provision wrote."""
    try:
        platform: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise JobError(f"no {path}, so no platform is known here: make provision, or PLATFORM=its file") from error
    except PermissionError as error:
        raise JobError(f"{path} belongs to another user: call make as the one who provisioned") from error
    except (OSError, ValueError) as error:
        raise JobError(f"{path} cannot be read ({error}): make provision writes it anew") from error
    missing = [name for name in CONNECTION if not platform.get(name)]
    if missing:
        raise JobError(f"{path} lacks {', '.join(missing)}: make provision writes it anew")
    for name in ("login", "ca"):
        platform[name] = path.parent / platform[name] if platform.get(name) else None
        if platform[name] and not platform[name].is_file():
            raise JobError(f"no {platform[name]}, which jobs log in with: make provision writes it anew")
    return platform


def labels(platform: dict[str, Any], job: str) -> dict[str, str]:
    """The labels by which a job's container is found, and by whom it was started."""
    return {
        "platform.name": platform["platform_name"],
        "platform.job": job,
        "platform.launcher": f"{socket.gethostname()}/{os.getpid()}",
    }


def create(client: DockerClient, platform: dict[str, Any], job: str, command: list[str]) -> Container:
    """A job container, not started; raises JobError when image or network is missing."""
    from docker.errors import APIError, ImageNotFound, NotFound
    from docker.types import Mount

    environment = ENVIRONMENT | {
        "MLFLOW_TRACKING_URI": platform["tracking_uri"],
        "MLFLOW_PUBLIC_URI": platform["public_uri"],
        "PLATFORM_JOB": job,
    }
    if platform["ca"]:
        environment["MLFLOW_TRACKING_SERVER_CERT_PATH"] = "/job/ca.crt"
    try:
        client.networks.get(platform["network"])
    except NotFound as error:
        raise JobError(f"the engine has no network {platform['network']}: make provision, or make start") from error
    try:
        return client.containers.create(
            platform["job_image"],
            command,
            name=f"{platform['platform_name']}-job-{job}",
            cap_drop=["ALL"],
            environment=environment,
            init=True,
            labels=labels(platform, job),
            mem_limit=platform["job_memory"],
            mounts=[Mount("/job", None, type="volume")],  # type: ignore[arg-type]
            network=platform["network"],
            pids_limit=int(platform["job_pids"]),
            read_only=True,
            security_opt=["no-new-privileges"],
            tmpfs={"/tmp": "size=2g,mode=1777"},
            use_config_proxy=False,  # the proxies of ~/.docker/config.json lead away from the platform
            user=f"{travel.JOB_UID}:{travel.JOB_UID}",
            working_dir="/job",
        )
    except ImageNotFound as error:
        raise JobError(f"the engine has no image {platform['job_image']}: make provision builds it") from error
    except APIError as error:
        raise JobError(f"the engine refuses the job container: {error.explanation or error}") from error


def code() -> dict[str, Path]:
    """The scripts that travel into a job."""
    return {f"code/{path.name}": path for path in sorted(HERE.glob("*.py")) if path.name not in STAY_OUTSIDE}


def trust(platform: dict[str, Any]) -> dict[str, Path]:
    """What a job logs in with, where MLflow's client looks for it; a file, which `docker inspect` does not show."""
    files = {"home/.mlflow/credentials": platform["login"], "ca.crt": platform["ca"]}
    return {name: path for name, path in files.items() if path}


def interrupted(_number: int, _frame: Any) -> NoReturn:
    """Make SIGTERM the same as Ctrl-C."""
    raise KeyboardInterrupt


def follow(container: Container) -> int:
    """Start the container, pass on what it says, and return its exit status; Ctrl-C stops it first.

    A second Ctrl-C kills the job at once.
    """
    said = container.attach(stream=True, logs=True, demux=True)
    try:
        container.start()
        for out, err in said:
            for text, stream in ((out, sys.stdout), (err, sys.stderr)):
                if text:
                    stream.buffer.write(text)
                    stream.flush()
    except KeyboardInterrupt:
        print("stopping the job", file=sys.stderr)
        try:
            container.stop(timeout=STOP_SECONDS)
        except KeyboardInterrupt:
            container.kill()
    return int(container.wait()["StatusCode"])


@contextlib.contextmanager
def job_container(
    client: DockerClient,
    platform: dict[str, Any],
    job: str,
    command: list[str],
    files: dict[str, Path],
) -> Iterator[Container]:
    """A container with the files, scripts and login in /job, removed in the end unless `clear` has to end its run."""
    container = create(client, platform, job, command)
    try:
        container.put_archive("/job", travel.pack(files | code() | trust(platform)))
        yield container
    finally:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        container.reload()
        if container.attrs["State"]["ExitCode"] != RUN_LEFT:  # 0 while it runs
            container.remove(force=True, v=True)
        signal.signal(signal.SIGINT, before)


def reap(client: DockerClient, platform: dict[str, Any], jobs: Sequence[str]) -> bool:
    """Mark the runs these jobs left RUNNING as KILLED, from a job container: only there is MLflow known."""
    command = ["python", "/job/code/mlflow_reap.py", *jobs]
    with job_container(client, platform, f"reap-{secrets.token_hex(4)}", command, {}) as container:
        return follow(container) == 0


def abandoned(container: Container) -> bool:
    """Whether the launcher that started this container is gone, so that nobody will fetch its result."""
    host, _, pid = container.labels.get("platform.launcher", "/0").partition("/")
    if host == socket.gethostname():
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False
    state = container.attrs["State"]
    finished = state["FinishedAt"] if state["Status"] != "created" else container.attrs["Created"]
    ended = datetime.fromisoformat(re.sub(r"\.\d+", "", finished).replace("Z", "+00:00"))
    return time.time() - ended.timestamp() > ABANDONED_SECONDS


def clear(client: DockerClient, platform: dict[str, Any]) -> None:
    """Remove job containers whose launcher died, and end their runs."""
    from docker.errors import NotFound

    filters: dict[str, str | list[str] | bool] = {
        "label": [f"platform.name={platform['platform_name']}", "platform.job"],
        "status": ["exited", "created", "dead"],
    }
    found = client.containers.list(all=True, filters=filters, ignore_removed=True)
    gone = [container for container in found if abandoned(container)]
    jobs = [job for container in gone if not (job := container.labels["platform.job"]).startswith("reap-")]
    if jobs:
        print(f"ending the runs of {len(jobs)} job(s) that an earlier call left behind", file=sys.stderr)
        if not reap(client, platform, jobs):
            return  # their containers are all that is known of them
    for container in gone:
        with contextlib.suppress(NotFound):
            container.remove(force=True, v=True)


def launch(platform: dict[str, Any], host: str | None, verb: str, given: Sequence[str]) -> int:
    """Run the job on the host named, or the least busy one, and return its exit status."""
    arguments, files, output = travel.rewrite(verb, given)
    with engines.chosen(platform["engines"], host) as (engine, client, notes):
        for note in notes:
            print(f"note: {note}", file=sys.stderr)
        if len(platform["engines"]) > 1:
            print(f"Host         {engine['host']}", flush=True)
        there = platform | {"tracking_uri": engine["tracking_uri"]}
        return run(client, there, verb, arguments, files, output)


def run(
    client: DockerClient,
    platform: dict[str, Any],
    verb: str,
    arguments: list[str],
    files: dict[str, Path],
    output: Path | None,
) -> int:
    """Run the job on this engine, bring its output home, and return its exit status."""
    from docker.errors import NotFound

    clear(client, platform)
    job = f"{verb}-{secrets.token_hex(4)}"
    command = ["python", f"/job/code/{SCRIPTS[verb]}", *arguments]
    with job_container(client, platform, job, command, files) as running:
        status = follow(running)
        if status == 0 and output:
            try:
                stream, _ = running.get_archive(f"/job/out/{output.name}")
            except NotFound as error:
                raise JobError(f"the job left no {output.name}: see its messages above") from error
            travel.unpack(stream, output)
            print(f"Predictions  {output.absolute()}")
        if status == KILLED:
            running.reload()
            why = (
                f"it took more memory than its {platform['job_memory']}: set platform_job_memory, then make provision"
                if running.attrs["State"].get("OOMKilled")
                else "start it again"
            )
            print(f"error: the job was killed: {why}", file=sys.stderr)
    if status == RUN_LEFT:
        print("note: the next job ends it, if it can: make train, or make predict", file=sys.stderr)
    if status == KILLED and verb == "train":
        reap(client, platform, [job])
    return status


def main() -> int:
    """Run the verb; 2 when it cannot be started, else the job's exit status."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--platform", type=Path, required=True, metavar="FILE", help="platform.json of the inventory")
    parser.add_argument("--host", help="the inventory's host to run on (default: the least busy of group compute)")
    parser.add_argument("verb", choices=SCRIPTS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed to the script")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupted)
    try:
        return launch(read_platform(given.platform), given.host, given.verb, given.arguments)
    except JobError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
