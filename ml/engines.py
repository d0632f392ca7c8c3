"""The Docker engines that jobs run on: the local one, or a remote one whose socket `ssh` forwards."""

from __future__ import annotations

import contextlib
import getpass
import grp
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from travel import JobError

if TYPE_CHECKING:
    from docker import DockerClient

Engine = dict[str, Any]

SOCKET = "/var/run/docker.sock"
FORWARD_SECONDS = 30
FIX = "make provision ARGS=--ask-become-pass as {user}, or sudo usermod -aG docker {user}, then log in again"
# A launcher has no terminal to ask on: keys only, and a host key that has changed is refused.
SSH = ["ssh", "-T", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=10"]
SSH += ["-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15", "-o", "ControlPath=none"]


def explain(host: str, text: str, local: bool) -> JobError:
    """What to do about an engine that cannot be used, from what Docker or ssh said of it."""
    if "denied" in text.lower() and "publickey" not in text:
        fix = "make provision lets the user who logs in there do so"
        if local:
            user = getpass.getuser()
            joined = any(group.gr_name == "docker" and user in group.gr_mem for group in grp.getgrall())
            fix = "log in again, for this login is older than its group docker" if joined else FIX.format(user=user)
        return JobError(f"this user may not use the Docker engine of {host}: {fix}")
    if local and ("FileNotFoundError" in text or "No such file" in text):
        return JobError("there is no Docker engine on this host: make provision installs it")
    if "publickey" in text:
        return JobError(f"{host} refuses this login ({text}): jobs need a key, ssh-copy-id brings it there")
    if "HOST IDENTIFICATION HAS CHANGED" in text or "Host key verification failed" in text:
        return JobError(f"{host} shows another host key than before: if that is right, ssh-keygen -R its address")
    return JobError(f"the Docker engine of {host} does not answer ({text[:200]}): make status, make provision")


@contextlib.contextmanager
def forwarded(engine: Engine) -> Iterator[str]:
    """The address of a local socket that leads to the remote engine, as long as the context lasts.

    Raises JobError when ssh cannot reach it.
    """
    with tempfile.TemporaryDirectory(prefix="platform-engine-") as folder:
        local = Path(folder, "docker.sock")
        # The remote `cat` ends when this process does, however it ends, and the tunnel with it.
        command = [*SSH, "-L", f"{local}:{SOCKET}", *engine["ssh"], "cat"]
        # A session of its own: Ctrl-C must reach the job through the tunnel, and not end the tunnel.
        tunnel = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + FORWARD_SECONDS
            while not local.exists():
                if tunnel.poll() is not None:
                    said = (tunnel.stderr.read() if tunnel.stderr else "").strip()
                    raise explain(engine["host"], said or f"ssh ended with status {tunnel.returncode}", local=False)
                if time.monotonic() > end:
                    raise explain(engine["host"], f"ssh has not connected for {FORWARD_SECONDS} s", local=False)
                time.sleep(0.02)
            yield f"unix://{local}"
        finally:
            tunnel.terminate()
            tunnel.communicate()


@contextlib.contextmanager
def connected(engine: Engine) -> Iterator[DockerClient]:
    """A client of the engine, which has answered.

    Raises JobError when it does not.
    """
    try:
        import docker
    except ImportError as error:
        raise JobError("the Python package docker is missing: make train and make predict bring it") from error
    with contextlib.ExitStack() as stack:
        local = engine["ssh"] is None
        address = None if local else stack.enter_context(forwarded(engine))
        try:
            if address:
                client = docker.DockerClient(base_url=address, version="auto", timeout=120)
            else:
                client = docker.from_env(version="auto", timeout=120)
        except Exception as error:
            raise explain(engine["host"], str(error), local) from error
        stack.callback(client.close)
        yield client


def load(client: DockerClient) -> float:
    """Running jobs for each core of the engine's host."""
    running = client.containers.list(filters={"label": "platform.job"}, ignore_removed=True)
    return len(running) / int(client.info()["NCPU"])


@contextlib.contextmanager
def told(engine: Engine) -> Iterator[None]:
    """Raise JobError for an engine that refuses something, or is lost, while the context lasts."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        said = str(error.explanation or error)
        fix = "make room there (docker system df)" if "no space left" in said.lower() else "make status says more"
        raise JobError(f"the Docker engine of {engine['host']} refuses ({said[:200]}): {fix}") from error
    except (DockerException, RequestException, ConnectionError) as error:
        raise explain(engine["host"], str(error), engine["ssh"] is None) from error


@contextlib.contextmanager
def chosen(engines: list[Engine], host: str | None) -> Iterator[tuple[Engine, DockerClient, list[str]]]:
    """The engine of the named host, else of the least busy one, a client of it, and a note on each that is down.

    Raises JobError when there is no such host, or no engine answers.
    """
    names = [engine["host"] for engine in engines]
    if host is not None and host not in names:
        raise JobError(f"no host {host} runs jobs: --host, one of: {', '.join(names)}")
    engines = [engine for engine in engines if host in (None, engine["host"])]
    with contextlib.ExitStack() as stack:
        answering: list[tuple[float, Engine, DockerClient]] = []
        failures: list[JobError] = []

        def ask(engine: Engine) -> None:
            own = contextlib.ExitStack()
            try:
                client = own.enter_context(connected(engine))
                answering.append((load(client) if len(engines) > 1 else 0.0, engine, client))
            except JobError as error:
                failures.append(error)
            stack.push(own)

        if len(engines) == 1:
            ask(engines[0])
        else:
            with ThreadPoolExecutor(len(engines)) as pool:
                list(pool.map(ask, engines))
        if not answering:
            raise JobError("; ".join(str(failure) for failure in failures)) from failures[0]
        _, engine, client = min(answering, key=lambda entry: (entry[0], names.index(entry[1]["host"])))
        with told(engine):
            yield engine, client, [f"{failure}" for failure in failures]
