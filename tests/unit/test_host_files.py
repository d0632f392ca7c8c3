"""The module `host_files` and its action: all files of a host in one run."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from plays import ROOT, results, run

ME = {"owner": os.getuid(), "group": os.getgid()}


def task(tmp_path: Path, **more: Any) -> dict[str, Any]:
    """Return a task that writes a directory, a rendered template and a secret."""
    arguments: dict[str, Any] = {
        "root": str(tmp_path / "repository"),
        "directories": [{"path": str(tmp_path / "host"), "mode": "0750"}],
        "files": [
            {"src": "compose/a.j2", "dest": str(tmp_path / "host/a")},
            {"content": "p4ssw0rd", "dest": str(tmp_path / "host/secret"), "mode": "0400", "secret": True, **ME},
        ],
    }
    return {"host_files": {**arguments, **more}, "vars": {"things": ["x", "y"], "name": "{{ 'n' }}ame"}}


def template(tmp_path: Path, text: str) -> Path:
    """Write a template into the repository of the test."""
    path = tmp_path / "repository/compose/a.j2"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("here", [False, True])
def test_check_apply_check_apply_changes_only_where_something_is_to_do(tmp_path: Path, here: bool) -> None:
    template(tmp_path, "{% for thing in things %}\n{{ name }}: {{ thing }}\n{% endfor %}\n\n")
    step = task(tmp_path, here=here)
    done = results(tmp_path, [{**step, "check_mode": True}, step, {**step, "check_mode": True}, step])
    assert [entry["changed"] for entry in done] == [True, True, False, False]
    assert done[1]["changed_files"] == [str(tmp_path / "host"), str(tmp_path / "host/a"), str(tmp_path / "host/secret")]
    assert (tmp_path / "host/a").read_text() == "name: x\nname: y\n\n"
    assert (tmp_path / "host").stat().st_mode & 0o7777 == 0o750
    assert (tmp_path / "host/a").stat().st_mode & 0o7777 == 0o644
    assert (tmp_path / "host/secret").read_text() == "p4ssw0rd"
    assert (tmp_path / "host/secret").stat().st_mode & 0o7777 == 0o400


def test_the_controller_s_own_files_are_written_whatever_host_the_play_is_at(tmp_path: Path) -> None:
    template(tmp_path, "x")
    nowhere = {"ansible_connection": "ssh", "ansible_host": "192.0.2.1", "ansible_become": True}
    step = task(tmp_path, here=True)
    (done,) = results(tmp_path, [{**step, "vars": {**step["vars"], **nowhere}}])
    assert done["changed"] and (tmp_path / "host/a").read_text() == "x"
    assert (tmp_path / "host/a").stat().st_uid == os.getuid()


def test_what_the_controller_s_files_lack_is_said(tmp_path: Path) -> None:
    (done,) = results(tmp_path, [{"host_files": {"here": True, "files": [{"content": "x", "mod": "0644"}]}}])
    assert done["failed"] and "dest" in done["msg"] and "mod" in done["msg"]


def test_it_renders_as_the_builtin_template_does(tmp_path: Path) -> None:
    text = "{% if true %}\n  a: {{ name }}\n{% endif %}\nb: '{{ things }}'\nc: \\n {{ '\\\\d' }}\n{# gone #}\nlast"
    path = template(tmp_path, text)
    builtin = {
        "template": {"src": str(path), "dest": str(tmp_path / "builtin"), "lstrip_blocks": True},
        "vars": task(tmp_path)["vars"],
    }
    results(tmp_path, [task(tmp_path), builtin])
    assert (tmp_path / "host/a").read_bytes() == (tmp_path / "builtin").read_bytes()


def test_a_drifted_mode_or_content_is_repaired_and_shown(tmp_path: Path) -> None:
    template(tmp_path, "right\n")
    assert run(tmp_path, [task(tmp_path)]).returncode == 0
    (tmp_path / "host/a").write_text("wrong\n")
    (tmp_path / "host").chmod(0o700)
    done = run(tmp_path, [task(tmp_path)], "--diff", callback="default")
    assert "-wrong" in done.stdout and "+right" in done.stdout
    assert "mode 0700" in done.stdout and "mode 0750" in done.stdout


@pytest.mark.parametrize("here", [False, True])
def test_a_secret_is_in_no_output_even_when_its_task_fails(tmp_path: Path, here: bool) -> None:
    template(tmp_path, "x")
    (tmp_path / "file").write_text("")
    good = run(tmp_path, [task(tmp_path, here=here)], "--diff", "-vvvv", callback="default")
    assert "content is secret and has changed" in good.stdout
    broken = task(tmp_path, here=here)
    broken["host_files"]["files"][0]["dest"] = str(tmp_path / "file/below")
    bad = run(tmp_path, [broken], "--diff", "-vvvv", callback="default")
    assert bad.returncode != 0
    for done in (good, bad):
        assert "p4ssw0rd" not in done.stdout + done.stderr
        assert "cDRzc3cwcmQ" not in done.stdout + done.stderr  # the same in base64


def test_an_undefined_variable_is_named_with_its_template(tmp_path: Path) -> None:
    path = template(tmp_path, "{{ platform_nonsense }}")
    (done,) = results(tmp_path, [task(tmp_path)])
    assert str(path) in done["msg"] and "platform_nonsense" in done["msg"]


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    (done,) = results(tmp_path, [task(tmp_path)])
    assert f"cannot read {tmp_path}/repository/compose/a.j2: No such file" in done["msg"]


def test_a_mode_that_yaml_has_eaten_is_refused(tmp_path: Path) -> None:
    (done,) = results(
        tmp_path, [{"host_files": {"files": [{"content": "", "dest": str(tmp_path / "a"), "mode": 420}]}}]
    )
    assert 'Write four octal digits in quotes: "0644".' in done["msg"]


def test_what_was_turned_off_is_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone.yml"
    gone.write_text("x")
    step = {"host_files": {"remove": [str(gone)]}}
    done = results(tmp_path, [{**step, "check_mode": True}, step, step])
    assert [entry["changed"] for entry in done] == [True, True, False]
    assert not gone.exists()


def test_a_directory_that_holds_something_else_stays(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "shared/theirs").mkdir(parents=True)
    (done,) = results(tmp_path, [{"host_files": {"remove": [str(tmp_path / "own"), str(tmp_path / "shared")]}}])
    assert done["changed_files"] == [str(tmp_path / "own")] and (tmp_path / "shared/theirs").exists()


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    program = (
        "import sys, signal; sys.path.insert(0, sys.argv[1]); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from host_files import write\n"
        "import os; write(sys.argv[2], b'x' * 100000, 0o644, os.getuid(), os.getgid())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "ansible/plugins/module_utils"), str(tmp_path / "a")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OSError" in done.stderr
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_no_space_left_comes_with_what_to_do() -> None:
    from module_utils.host_files import advice

    assert "no space left" in advice(errno.ENOSPC)
    assert advice(errno.EISDIR) == ""


def test_who_may_not_write_learns_what_helps_where_the_file_is(tmp_path: Path) -> None:
    """Nobody, root included, can make anything below /sys."""
    step = {"files": [{"content": "x", "dest": "/sys/platform/file"}]}
    on_host, here = results(tmp_path, [{"host_files": step}, {"host_files": {**step, "here": True}}])
    assert "Run as root or with sudo" in on_host["msg"]
    owner = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert f"it and its directory must be {owner}'s: make them so with chown" in here["msg"]
    assert "sudo" not in here["msg"]
