"""Load on one MLflow from threads of this process, given its address, a CA file and a login."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests

PIECE_BYTES = 1 << 20
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Target:
    """Where MLflow answers, whom to trust, as whom to come, and by which name to call it (default: the address)."""

    uri: str
    ca: Path | None = None
    login: tuple[str, str] | None = None
    host: str | None = None

    def session(self) -> requests.Session:
        """A client of its own connection that waits and retries as little as a benchmark should."""
        session = requests.Session()
        session.trust_env = False
        session.auth = self.login
        if self.host:
            session.headers["Host"] = self.host
        session.verify = str(self.ca) if self.ca else True
        return session

    def call(self, session: requests.Session, path: str, body: object = None) -> dict[str, dict[str, dict[str, str]]]:
        """GET, or POST with a body, one route of MLflow's API; raises HTTPError for any refusal."""
        uri = f"{self.uri}/api/2.0/mlflow/{path}"
        timeout = TIMEOUT_SECONDS
        answer = session.post(uri, json=body, timeout=timeout) if body else session.get(uri, timeout=timeout)
        answer.raise_for_status()
        return answer.json() if answer.content else {}


def new_run(target: Target) -> str:
    """The id of a new run in the default experiment."""
    body = {"experiment_id": "0", "start_time": int(time.time() * 1000)}
    return target.call(target.session(), "runs/create", body)["run"]["info"]["run_id"]


def rate(target: Target, clients: int, seconds: float, work: Callable[[requests.Session], object]) -> float:
    """Requests a second over `seconds`, each client one request after the other on its own connection."""

    def client(session: requests.Session) -> tuple[int, float]:
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            work(session)
            count += 1
        return count, time.perf_counter() - begin

    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(target.session()) for _ in range(clients)]
        pool = stack.enter_context(ThreadPoolExecutor(clients))
        list(pool.map(work, sessions))  # connections and logins stand before the clock starts
        done = list(pool.map(client, sessions))
    return sum(count / took for count, took in done)


def get_experiment(target: Target, clients: int, seconds: float) -> float:
    """Requests a second of the smallest question there is."""
    return rate(target, clients, seconds, lambda s: target.call(s, "experiments/get?experiment_id=0"))


def log_batch(target: Target, clients: int, seconds: float) -> float:
    """Requests a second of ten metrics each, all of one run."""
    run, steps = new_run(target), itertools.count()

    def batch(session: requests.Session) -> None:
        step, now = next(steps), int(time.time() * 1000)
        metrics = [{"key": f"m{key}", "value": step, "timestamp": now, "step": step} for key in range(10)]
        target.call(session, "runs/log-batch", {"run_id": run, "metrics": metrics})

    return rate(target, clients, seconds, batch)


def transfer(target: Target, megabytes: int) -> tuple[float, float]:
    """Seconds to upload an artifact of this size and seconds to download it; raises ValueError if its size changed."""
    uri = f"{target.uri}/api/2.0/mlflow-artifacts/artifacts/bench/large.bin"
    block = bytes(range(256)) * (PIECE_BYTES // 256)

    def body() -> Iterator[bytes]:
        yield from itertools.repeat(block, megabytes)

    with target.session() as session:
        begin = time.perf_counter()
        session.put(uri, data=body(), timeout=TIMEOUT_SECONDS).raise_for_status()
        up = time.perf_counter() - begin
        begin = time.perf_counter()
        with session.get(uri, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            answer.raise_for_status()
            size = sum(len(piece) for piece in answer.iter_content(PIECE_BYTES))
        down = time.perf_counter() - begin
    if size != megabytes * PIECE_BYTES:
        raise ValueError(f"{uri} came back with {size} bytes instead of {megabytes * PIECE_BYTES}")
    return up, down
