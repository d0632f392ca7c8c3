"""Measure a platform of its own: against bare Ansible, against a stock MLflow, at rest and under load.

Prints a table for docs/performance.md; everything it made is removed in the end, but a bundle stays in dist/.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform as machine
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import NoReturn

from bench import load
from bench.servers import (
    MIB,
    ROOT,
    Platform,
    anonymous,
    as_installed,
    awake,
    job,
    paused,
    peak,
    processes,
    resident,
    run,
    stock,
)
from tests.e2e.hosts import all_groups, lab

PLAYBOOK = [f"{ROOT}/.venv/bin/ansible-playbook"]
SECOND = "second `make provision`"
SECTIONS = ("provision", "jobs", "memory", "ssh", "bundle", "load", "transfer")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--inventory", type=Path, help="measure only the second provision of these hosts")
    parser.add_argument("--only", choices=SECTIONS, nargs="+", default=SECTIONS, help="which figures (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds; medians are shown (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="of load in each round (%(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="of load (%(default)s)")
    parser.add_argument("--megabytes", type=int, default=1000, help="of the artifact transferred (%(default)s)")
    parser.add_argument("--network", action="store_true", help="also load a platform with TLS and login")
    parser.add_argument("--name", default="bench", help="of the platform that is made and removed (%(default)s)")
    parser.add_argument("--first-port", type=int, default=26000, help="of the six it uses (%(default)s)")
    return parser.parse_args()


def row(figure: str, value: str, beside: str = "", goal: str = "") -> None:
    """Print one line of the table."""
    print(f"| {figure} | {value} | {beside} | {goal} |", flush=True)


def say(text: str) -> None:
    """Tell whoever waits what is being done."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def alternating(rounds: int, **measured: Callable[[], float]) -> dict[str, float]:
    """The median of each, measured one after the other in every round, so that a slow minute meets them all."""
    found: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(rounds):
        for name, measure in measured.items():
            found[name].append(measure())
            say(f"round {number + 1} of {rounds}: {name.replace('_', ' ')} {found[name][-1]:.2f}")
    return {name: median(values) for name, values in found.items()}


def again(
    inventory: Path, provision: Callable[[], float], rounds: int, goals: tuple[str, str], figure: str = SECOND
) -> None:
    """The second provision of an inventory's hosts, as a multiple of learning the least about them."""
    facts = functools.partial(run, [*PLAYBOOK, "-i", str(inventory), "bench/facts.yml"])
    took = alternating(rounds, facts_only=facts, second_provision=provision)
    row(figure, f"{took['second_provision']:.1f} s", f"facts only {took['facts_only']:.1f} s", goals[0])
    ratio = took["second_provision"] / took["facts_only"]
    row(f"{figure} against facts only", f"{ratio:.1f} times", "", goals[1])


def over_ssh(own: Platform, name: str, rounds: int) -> None:
    """The second provision over SSH of hosts that are containers with sshd and an engine: one, and three."""
    with tempfile.TemporaryDirectory() as directory, lab(f"{name}-ssh", Path(directory)) as hosts:
        all_in_one, stores, head = (hosts.make(host) for host in ("one", "stores", "head"))
        worker = hosts.make("worker")
        apart = {"database": [stores], "object_store": [stores], "tracking": [head], "compute": [worker]}
        for title, groups, goal in (
            ("one SSH host", all_groups(all_in_one), "<= 10 s"),
            ("three SSH hosts", apart, "<= 20 s"),
        ):
            for host in {host for members in groups.values() for host in members}:
                host.load_images(*own.images())
            inventory = hosts.inventory(groups, title.replace(" ", "-"), platform_name=name, exposure="network")
            provision = functools.partial(run, ["make", "provision", "ARGS=", f"INVENTORY={inventory}"])
            provision()
            again(inventory, provision, rounds, (goal, ""), f"{SECOND}, {title}")


def from_bundle(own: Platform, name: str) -> None:
    """A bundle, and from it to a trained model on a host without internet that is a Debian 12 without an engine."""
    file = own.bundle()
    with tempfile.TemporaryDirectory() as directory, lab(f"{name}-closed", Path(directory)) as hosts:
        host = hosts.make("closed", debian=12, engine=False, internal=True)
        inventory = hosts.inventory(all_groups(host), platform_name=name)
        given = ["ARGS=", f"INVENTORY={inventory}", f"PLATFORM={hosts.directory}/credentials-lab/platform.json"]
        took = run(["make", "provision", *given, f"BUNDLE={file}"]), run(["make", "train", *given])
    row("bundle", f"{file.stat().st_size / 1e6:.0f} MB")
    told = f"provision {took[0]:.0f} s, train {took[1]:.0f} s"
    row("closed Debian 12 without an engine, bundle to trained model", f"{sum(took):.0f} s", told)


def jobs(own: Platform, rounds: int) -> None:
    """Training and prediction against the tutorial's on a stock server, the servers' memory, and what is left."""

    def job_pair() -> float:
        return own.make("train") + own.make("predict")

    with stock(own, "stock") as (server, target), as_installed(own) as installed:

        def stock_pair(image: str) -> float:
            return sum(job(own, target, f"tutorial_{verb}.py", image=image)[0] for verb in ("train", "predict"))

        precompiled = functools.partial(stock_pair, own.facts["job_image"])
        job_pair(), precompiled()  # what has just started, and reads its files for the first time, is slower
        took = alternating(
            rounds, own=job_pair, stock=functools.partial(stock_pair, installed), precompiled=precompiled
        )
        mlflow = own.service("mlflow")
        memory, stock_memory = resident(mlflow) / MIB, resident(server) / MIB
        counts = processes(mlflow), processes(server)
    row("train + predict, `make` included", f"{took['own']:.1f} s", f"stock {took['stock']:.1f} s")
    row("train + predict against stock", f"{took['stock'] / took['own']:.1f} times as fast", "", ">= 3 times")
    beside = f"stock {took['precompiled']:.1f} s"
    row("the same, stock's packages compiled too", f"{took['precompiled'] / took['own']:.1f} times as fast", beside)
    row("MLflow server's memory", f"{memory:.0f} MiB", f"stock {stock_memory:.0f} MiB")
    row("MLflow server's memory against stock", f"{memory / stock_memory:.2f}", "", "<= 0.33")
    row("MLflow server's processes", str(counts[0]), f"stock {counts[1]}")
    parts = [json.loads(job(own, own.jobs(), "parts.py")[1]) for _ in range(rounds)]
    start = median(own.make("train", "ARGS=--help") for _ in range(rounds))
    row("`make train ARGS=--help`: all but the training", f"{start:.2f} s")
    first = median(float(job(own, own.jobs(), "first_line.py", repr(time.time()))[1]) for _ in range(rounds))
    row("container start to the script's first line", f"{first:.2f} s", "", "<= 1.5 s")
    row("imports alone", f"{median(part['imports'] for part in parts):.2f} s")
    row("fit and cross-validation alone", f"{median(part['fit'] for part in parts):.2f} s")
    calls = f"{parts[-1]['calls']} calls"
    row("waiting for MLflow in a training", f"{median(part['tracking'] for part in parts):.2f} s", calls)


def memory(own: Platform) -> None:
    """What all containers of the platform hold at rest."""
    held = {str(container.name).split("-")[-2]: resident(container) / MIB for container in own.containers()}
    each = ", ".join(f"{name} {size:.0f}" for name, size in sorted(held.items()))
    row("memory of all containers at rest", f"{sum(held.values()):.0f} MiB", each, "<= 1331 MiB (1.3 GiB)")


def ways(own: Platform, network: Platform | None) -> dict[str, load.Target]:
    """The ways to MLflow that are compared."""
    found = {"gateway": own.gateway(), "direct": own.direct()}
    return found | ({"TLS, login and gateway": network.gateway()} if network else {})


def under_load(own: Platform, network: Platform | None, rounds: int, clients: int, seconds: float) -> None:
    """Requests a second by each way, and of stock basic-auth, whose many processes rest while it is not asked."""
    with stock(own, "stock-auth", "--app-name=basic-auth") as (server, target), paused(server):
        as_jobs = {"the same as `jobs`": network.gateway("jobs")} if network else {}
        targets = ways(own, network) | as_jobs | {"stock basic-auth": target}
        for name, work, goal in (
            ("get-experiment", load.get_experiment, ">= 150/s"),
            ("log-batch", load.log_batch, ">= 80 %"),
        ):
            measured: dict[str, Callable[[], float]] = {
                way: functools.partial(work, at, clients, seconds) for way, at in targets.items()
            }
            measured["stock basic-auth"] = functools.partial(awake, server, measured["stock basic-auth"])
            rates = alternating(rounds, **measured)
            for way, rate in rates.items():
                share = "" if way == "direct" else f"{rate / rates['direct']:.0%} of direct"
                row(f"{name}, {clients} clients, {way}", f"{rate:.0f}/s", share, goal if "TLS" in way else "")


def transferred(own: Platform, network: Platform | None, rounds: int, megabytes: int) -> None:
    """A large artifact up and down by each way, and the memory gateway and MLflow take for it."""
    watched = [platform.service(name) for platform in (own, network) if platform for name in ("gateway", "mlflow")]
    rest = {str(container.name): anonymous(container) for container in watched}
    downs: dict[str, list[float]] = {}

    def once(way: str, target: load.Target) -> float:
        up, down = load.transfer(target, megabytes)
        downs.setdefault(way, []).append(down)
        return up

    with peak(watched) as most:
        targets = ways(own, network)
        ups = alternating(rounds, **{way: functools.partial(once, way, at) for way, at in targets.items()})
    for way, up in ups.items():
        down = median(downs[way])
        shares = f"{ups['direct'] / up:.0%} and {median(downs['direct']) / down:.0%} of direct"
        figure = f"{megabytes} MiB up and down, {way}"
        goal = ("", ">= 70 %")[way != "direct"]
        row(figure, f"{megabytes / up:.0f} and {megabytes / down:.0f} MiB/s", shares if goal else "", goal)
    for name, size in most.items():
        row(f"memory of {name} meanwhile, at most", f"{size / MIB:.0f} MiB", f"{rest[name] / MIB:.0f} MiB before")


@contextlib.contextmanager
def platform(name: str, first_port: int, exposure: str) -> Iterator[Platform]:
    """A platform that was not there before and is not there afterwards."""
    made = Platform(name, first_port, exposure)
    made.destroy()
    try:
        yield made
    finally:
        say(f"removing {name}")
        made.destroy()


def all_figures(given: argparse.Namespace) -> None:
    """Every figure asked for, on a platform of its own."""
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(platform(given.name, given.first_port, "loopback"))
        say("first provision and training")
        took = own.make("provision"), own.make("train")
        if "provision" in given.only:
            told = f"provision {took[0]:.0f} s, train {took[1]:.0f} s"
            row("images present to trained model", f"{sum(took):.0f} s", told, "<= 60 s")
            again(own.inventory, functools.partial(own.make, "provision"), given.rounds, ("<= 8 s here", "<= 4 times"))
        if "memory" in given.only:
            memory(own)
        if "jobs" in given.only:
            jobs(own, given.rounds)
        if "ssh" in given.only:
            over_ssh(own, given.name, given.rounds)
        if "bundle" in given.only:
            from_bundle(own, given.name)
        network = None
        if given.network and {"load", "transfer"} & set(given.only):
            network = stack.enter_context(platform(f"{given.name}-tls", given.first_port + 3, "network"))
            network.make("provision")
        if "load" in given.only:
            under_load(own, network, given.rounds, given.clients, given.seconds)
        if "transfer" in given.only:
            transferred(own, network, given.rounds, given.megabytes)


def stop(number: int, _frame: object) -> NoReturn:
    """Turn a signal into an exit, so that what was made is removed."""
    raise SystemExit(128 + number)


def main() -> None:
    """Measure what the command line asks for."""
    given = arguments()
    signal.signal(signal.SIGTERM, stop)
    load_average = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{date.today()}, {os.cpu_count()} cores, {machine.platform()}, load before: {load_average}\n")
    print("| figure | here | beside it | goal |\n|---|---|---|---|", flush=True)
    if given.inventory:
        command = ["make", "provision", "ARGS=", f"INVENTORY={given.inventory}"]
        goals = ("<= 8 s here, <= 10 s over SSH, <= 20 s for three hosts", "<= 4 times here")
        again(given.inventory, functools.partial(run, command), given.rounds, goals)
    else:
        all_figures(given)
    print(f"\nload after: {', '.join(f'{value:.1f}' for value in os.getloadavg())}")


if __name__ == "__main__":
    main()
