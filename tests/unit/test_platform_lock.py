"""The lock: one command at a time."""

import fcntl
import json
import os
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from module_utils import platform_lock
from plays import results


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "platform-test.lock")


def me() -> dict[str, object]:
    return platform_lock.owner_of(os.getpid(), "me")


def test_a_free_lock_is_taken_and_given_back(path: str) -> None:
    assert platform_lock.take(path, me()) is None
    assert json.loads(Path(path).read_text())["pid"] == os.getpid()
    assert platform_lock.take(path, me()) is None  # the same play may ask again
    assert platform_lock.give_back(path, me())
    assert not os.path.exists(path)
    assert not platform_lock.give_back(path, me())


def test_a_live_holder_is_named(path: str) -> None:
    platform_lock.take(path, platform_lock.owner_of(os.getppid(), "somebody"))
    holder = platform_lock.take(path, me())
    assert holder is not None
    sentence = platform_lock.describe(holder)
    assert f"somebody on {os.uname().nodename} (process {os.getppid()}) since 20" in sentence
    assert not platform_lock.give_back(path, me())
    assert platform_lock.look(path, me()) == holder


def test_a_dead_holder_of_this_machine_is_taken_over(path: str) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        platform_lock.take(path, platform_lock.owner_of(child.pid, "somebody"))
        assert platform_lock.look(path, me()) is not None
        child.communicate(b"\n")
    assert platform_lock.take(path, me()) is None


def test_a_number_that_another_process_has_now_is_no_holder(path: str) -> None:
    platform_lock.take(path, {**platform_lock.owner_of(os.getppid(), "somebody"), "start": "1"})
    assert platform_lock.take(path, me()) is None


@pytest.mark.parametrize(("age", "free"), [(60, False), (platform_lock.STALE_AFTER + 60, True)])
def test_another_controller_is_believed_for_two_hours(path: str, age: int, free: bool) -> None:
    other = {**me(), "boot_id": "another", "pid": 4194999, "since": time.time() - age}
    Path(path).write_text(json.dumps(other))
    assert (platform_lock.take(path, me()) is None) is free


def test_a_process_of_a_container_with_the_same_kernel_is_not_looked_for_here(path: str) -> None:
    other = {**me(), "pid_namespace": "pid:[1]", "pid": 4194999, "since": time.time()}
    Path(path).write_text(json.dumps(other))
    assert platform_lock.take(path, me()) is not None
    assert platform_lock.take(path, me(), dead=other) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_file_that_names_nobody_is_taken_over(path: str, text: str) -> None:
    Path(path).write_text(text)
    assert platform_lock.take(path, me()) is None


def test_a_link_put_into_its_place_is_not_followed(path: str, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("{}")
    os.symlink(tmp_path / "victim", path)
    with pytest.raises(OSError, match="symbolic"):
        platform_lock.take(path, me())


def test_a_pipe_put_into_its_place_is_not_waited_at(path: str) -> None:
    os.mkfifo(path)
    for ask in (platform_lock.look, platform_lock.take, platform_lock.give_back):
        with pytest.raises(OSError, match="no regular file is there, which is nobody's lock; remove it"):
            ask(path, me())


def test_a_file_that_somebody_will_not_let_go_of_is_not_waited_for_without_end(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform_lock, "PATIENCE", 0.2)
    platform_lock.take(path, me())
    with open(path, encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        for ask in (platform_lock.take, platform_lock.give_back):
            with pytest.raises(TimeoutError, match="another process has held it"):
                ask(path, me())
    assert platform_lock.give_back(path, me())


def test_only_its_owner_can_open_the_file_and_so_hold_it(path: str) -> None:
    platform_lock.take(path, me())
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_of_many_at_once_one_gets_it(path: str) -> None:
    Path(path).write_text(json.dumps({**me(), "start": "1", "since": 0}))  # a dead one's, for all to take over
    owners = [platform_lock.owner_of(pid, "x") for pid in (os.getpid(), os.getppid())]
    for _ in range(50):
        with ThreadPoolExecutor(len(owners)) as pool:
            taken = list(pool.map(lambda owner: platform_lock.take(path, owner), owners))
        assert taken.count(None) == 1
        assert platform_lock.give_back(path, owners[taken.index(None)])


def test_the_task_gives_back_what_its_owner_holds_and_nothing_else(tmp_path: Path) -> None:
    name = f"unit-{uuid.uuid4().hex[:8]}"
    path = platform_lock.lock_path(name)
    platform_lock.take(path, me())
    back = {"platform_lock": {"name": name, "owner": me(), "python": sys.executable}}
    other = {"platform_lock": {**back["platform_lock"], "owner": {**me(), "pid": os.getppid()}}}
    there = {"stat": {"path": path}}
    steps = [{**back, "check_mode": True}, other, there, back, there, back]
    done = results(tmp_path, steps)
    assert [entry["changed"] for entry in done if "stat" not in entry] == [False] * 4
    assert [entry["stat"]["exists"] for entry in done if "stat" in entry] == [True, False]


def test_a_lock_that_cannot_be_given_back_is_named_with_the_reason(tmp_path: Path) -> None:
    name = f"unit-{uuid.uuid4().hex[:8]}"
    path = Path(platform_lock.lock_path(name))
    path.mkdir()
    try:
        (done,) = results(tmp_path, [{"platform_lock": {"name": name, "owner": me(), "python": sys.executable}}])
    finally:
        path.rmdir()
    assert done["failed"] and "Is a directory" in done["msg"] and path.name in done["msg"]
