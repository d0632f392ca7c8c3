"""The callback `plain`: what a shell reads is what debug tasks say."""

from pathlib import Path

from plays import run


def test_only_debug_messages_reach_standard_output(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        [
            {"command": "echo not this", "changed_when": False},
            {"debug": {"msg": "export A=\"b c\"\nexport D='e'\n"}},
            {"debug": {"msg": {"key": [1, "ü"]}}},
            {"debug": {"msg": "{{ item }}"}, "loop": ["one", "two"]},
        ],
    )
    assert done.stdout == 'export A="b c"\nexport D=\'e\'\n{"key": [1, "ü"]}\none\ntwo\n'
    assert done.returncode == 0


def test_a_failure_goes_to_standard_error_with_its_host(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        [
            {"fail": {"msg": "not this"}, "ignore_errors": True},
            {"fail": {"msg": "no space at /opt"}},
        ],
    )
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == "localhost: no space at /opt"
    assert done.returncode != 0


def test_a_hidden_failure_stays_hidden(tmp_path: Path) -> None:
    done = run(tmp_path, [{"fail": {"msg": "the password is hunter2"}, "no_log": True}])
    assert "hunter2" not in done.stdout + done.stderr
    assert "localhost: " in done.stderr


def test_every_failed_item_of_a_loop_is_named_once(tmp_path: Path) -> None:
    done = run(tmp_path, [{"fail": {"msg": "{{ item }} failed"}, "loop": ["one", "two"]}])
    assert [line for line in done.stderr.splitlines() if line.startswith("localhost")] == [
        "localhost: one failed",
        "localhost: two failed",
    ]
