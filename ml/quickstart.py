#!/usr/bin/env python3
"""Train and predict against an MLflow of one's own on SQLite: no Docker, no root."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
STATE = HERE.parent / ".quickstart"
READY_SECONDS = 180
STOP_SECONDS = 15


def environment() -> dict[str, str]:
    """The environment of what is started here: no proxy stands before 127.0.0.1, and Python may keep bytecode.

    Without the bytecode every start takes three times as long.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    direct = ",".join(filter(None, (kept.get("no_proxy") or kept.get("NO_PROXY"), "127.0.0.1")))
    return kept | {"no_proxy": direct, "NO_PROXY": direct}


def answers(port: int) -> bool:
    """Whether an MLflow on this loopback port answers a query that reaches its database."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search",
        data=b'{"max_results":1}',
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def command_of(pid: int) -> str:
    """The command line of a process, empty when there is none."""
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True).stdout


def database() -> str:
    """The server's store; it is in its command line, by which the process is known to be ours."""
    return f"sqlite:///{STATE / 'mlflow.db'}"


def known_server() -> dict[str, int]:
    """Pid and port of the server that was started last; empty when it is not running, or the pid is another's now."""
    try:
        server: dict[str, int] = json.loads((STATE / "server.json").read_text())
        return server if database() in command_of(server["pid"]) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def free_port() -> int:
    """The port used last time if it is free, for the sake of bookmarks, else any."""
    try:
        last = int(json.loads((STATE / "server.json").read_text())["port"])
    except (OSError, ValueError, KeyError, TypeError):
        last = 0
    for port in (last, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("error: no free port on 127.0.0.1: end a program that listens there")


def start_server() -> int:
    """Start the server in a session of its own, wait until it answers, and return its port."""
    port = free_port()
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        database(),
        "--artifacts-destination",
        str(STATE / "artifacts"),
    ]
    with (STATE / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command,
            cwd=STATE,
            env=environment() | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    part = STATE / "server.json.part"
    part.write_text(json.dumps({"pid": server.pid, "port": port}))
    part.replace(STATE / "server.json")
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise SystemExit(f"error: the MLflow server ended at once: its reason is at the end of {STATE}/server.log")
        if answers(port):
            return port
        time.sleep(0.1)
    stop()
    raise SystemExit(f"error: the MLflow server was not ready in {READY_SECONDS} s: see {STATE}/server.log")


def start() -> None:
    """Have a server, train, predict, and say where everything is."""
    try:
        STATE.mkdir(exist_ok=True)
    except OSError as error:
        raise SystemExit(f"error: {STATE} cannot be made ({error.strerror}): clone to where you may write") from error
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = known_server()
        if server and not answers(server["port"]):
            stop()
            server = {}
        port = server["port"] if server else start_server()
    address = f"http://127.0.0.1:{port}"
    predictions = STATE / "predictions.csv"
    known = environment() | {"MLFLOW_TRACKING_URI": address, "MLFLOW_PUBLIC_URI": address}
    known.pop("PLATFORM_JOB", None)
    for script in (["mlflow_experiment.py"], ["mlflow_pred.py", "--output", str(predictions)]):
        status = subprocess.run([sys.executable, str(HERE / script[0]), *script[1:]], env=known).returncode
        if status:
            raise SystemExit(status)
    print(f"UI           {address}\nStop         make quickstart-stop")


def stop() -> None:
    """End the server if it runs and is ours; everything it stored stays."""
    server = known_server()
    if not server:
        print("no quickstart server is running")
        return
    os.killpg(server["pid"], signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    while known_server() and time.monotonic() < end:
        time.sleep(0.1)
    if known_server():
        os.killpg(server["pid"], signal.SIGKILL)
    print("the quickstart server is stopped; its data stays in .quickstart/")


def main() -> None:
    """Start or stop, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("start", "stop"))
    try:
        start() if parser.parse_args().verb == "start" else stop()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
