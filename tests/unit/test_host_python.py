"""What runs on a host runs with the host's own Python, which inventories/lab/hosts.ini lets be 3.9."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from module_utils.host_engine import pairs
from plays import ROOT

PLUGINS = ROOT / "ansible/plugins"
OLDEST = (3, 9)
# Of the other modules some are action plugins alone, the rest run with the MLflow image's Python.
MODULES = ("host_files", "preflight")


def on_hosts() -> list[Path]:
    """Return the files of which a host runs some: the modules, what they import, and what gives back the lock."""
    utilities = {"platform_lock"}
    for module in MODULES:
        text = (PLUGINS / f"modules/{module}.py").read_text(encoding="utf-8")
        utilities |= set(re.findall(r"^from ansible\.module_utils\.(\w+) import", text, re.MULTILINE)) - {"basic"}
    files = [PLUGINS / f"modules/{module}.py" for module in MODULES]
    return files + [PLUGINS / f"module_utils/{utility}.py" for utility in sorted(utilities)]


def too_new(text: str) -> list[str]:
    """Return what in `text` Python 3.9 would refuse when it is run, though it may well read it."""
    tree = ast.parse(text, feature_version=OLDEST)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [f"line {call.lineno}: zip(strict=)" for call in calls if "strict" in [word.arg for word in call.keywords]]
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id in ("isinstance", "issubclass"):
            found += [f"line {call.lineno}: X | Y" for part in call.args[1:] if isinstance(part, ast.BinOp)]
    return found + ([] if "\nfrom __future__ import annotations\n" in text else ["annotations that are evaluated"])


@pytest.mark.parametrize("path", on_hosts(), ids=lambda path: path.stem)
def test_what_runs_on_a_host_is_valid_for_the_oldest_python_there_may_be(path: Path) -> None:
    assert too_new(path.read_text(encoding="utf-8")) == []


def test_what_is_too_new_would_be_found() -> None:
    future = '"""Text."""\nfrom __future__ import annotations\n'
    assert too_new(f"{future}def f(a: int | None): ...\n") == []
    for text in (f"{future}zip(a, b, strict=True)\n", f"{future}isinstance(a, str | int)\n", "a: int | None\n"):
        assert len(too_new(text)) == 1, text
    with pytest.raises(SyntaxError):
        too_new("match a:\n    case 1: pass\n")


@pytest.mark.parametrize("path", on_hosts(), ids=lambda path: path.stem)
def test_the_linter_knows_of_each_that_it_is_read_by_an_old_python(path: Path) -> None:
    ruff = [str(Path(sys.executable).with_name("ruff")), "check", "--stdin-filename", str(path), "-"]
    done = subprocess.run(
        ruff, input="match 1:\n    case _: pass\n", capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert "Cannot use `match` statement on Python 3.9" in done.stdout, done.stdout


def test_a_line_that_is_no_pair_is_passed_over() -> None:
    assert pairs("platform/base:13 sha256:1\n\nplatform/job:1\na warning of many words\npostgres 2\n") == {
        "platform/base:13": "sha256:1",
        "postgres": "2",
    }
