"""What goes when a platform is deleted, and what stays; when MLflow is not waited for; its connections."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from module_utils.value_findings import MLFLOW_WORKERS
from plays import ROOT, run

GROUPS = ("database", "object_store", "tracking", "compute")
STACK = ROOT / "ansible/roles/stack"
NO_ENGINE = {"host": {"docker": {"working": False, "installed": False, "error": ""}}}


def inventory(directory: Path, **variables: Any) -> list[str]:
    """Return the options that give a play two hosts, head with every group and worker that only computes."""
    lines = [f"[{group}]\nhead\n" for group in GROUPS] + ["worker\n"]
    (directory / "hosts.ini").write_text("".join(lines))
    known: dict[str, Any] = {"platform_name": "lab", "platform_dir": str(directory / "site/lab")}
    known |= {"platform_credentials_dir": str(directory / "credentials"), "destroy_data": "delete", **variables}
    known |= {"_platform_group_services": dict.fromkeys(GROUPS, "none"), "ansible_connection": "local"}
    return ["-i", str(directory / "hosts.ini"), "-e", json.dumps(known)]


def fill(directory: Path) -> dict[str, Path]:
    """Make a platform's directories with something of somebody else's in each; return the files."""
    names = {"own": "site/lab/compose.yml", "secret": "site/lab/secrets/mlflow_env"}
    names |= {"built": "site/lab/build/compose/x", "theirs": "site/lab/secrets/theirs"}
    names |= {"key": "credentials/tls/head.key", "kept": "credentials/notes.txt"}
    names |= {"secrets": "credentials/secrets.yml", "ca": "credentials/ca.key"}
    files = {name: directory / path for name, path in names.items()}
    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return files


def delete(directory: Path, hosts: str, *before: dict[str, Any]) -> str:
    """Run what deletes a platform on `hosts`, as a play does where no engine is, and return what it said."""
    load = {"include_vars": str(STACK / "vars/main.yml")}
    tasks = [load, *before, {"include_tasks": str(STACK / "tasks/destroy.yml")}]
    options = [*inventory(directory, __preflight=NO_ENGINE), "--forks", "1"]  # both hosts have the one directory
    done = run(directory, tasks, *options, callback="default", hosts=hosts)
    assert (done.returncode == 0) is not bool(before), done.stdout + done.stderr
    return " ".join(done.stdout.split())


def test_only_what_is_the_platform_s_is_deleted(tmp_path: Path) -> None:
    files = fill(tmp_path)
    said = delete(tmp_path, "head:worker")
    assert "The credentials stay" not in said
    assert sorted(name for name, path in files.items() if path.exists()) == ["kept", "theirs"]
    for name in ("theirs", "kept"):
        files[name].unlink()
    delete(tmp_path, "head:worker")
    assert not (tmp_path / "site/lab").exists() and not (tmp_path / "credentials").exists()


def test_everything_that_is_written_below_the_platform_s_directory_is_deleted_with_it() -> None:
    own = yaml.safe_load((STACK / "vars/main.yml").read_text())["_stack_own_names"]
    texts = [(ROOT / f"ansible/roles/{role}/vars/main.yml").read_text() for role in ("stack", "certificates", "images")]
    written = set(re.findall(r"platform_dir(?: }}| ~ ')/([\w./-]+)", "".join(texts)))
    assert {"compose.yml", "ca.crt", "gateway/tls/tls.key", "build"} <= written
    assert written - set(own) == set()
    for number, name in enumerate(own):
        assert not {str(parent) for parent in Path(name).parents} & set(own[:number]), (
            f"{name} comes after its directory"
        )


@pytest.mark.parametrize("data", ["Delete", "", "all"])
def test_a_word_that_says_nothing_of_the_data_removes_nothing(tmp_path: Path, data: str) -> None:
    tasks = [{"include_tasks": str(STACK / "tasks/confirm.yml")}]
    done = run(tmp_path, tasks, *inventory(tmp_path, destroy_data=data), callback="default", hosts="head")
    said = " ".join(done.stdout.split())
    assert done.returncode != 0 and f"DATA is {data!r}; nothing was removed. Say DATA=keep, or DATA=delete" in said


def test_credentials_stay_while_a_host_has_not_been_cleared(tmp_path: Path) -> None:
    files = fill(tmp_path)
    said = delete(tmp_path, "worker")
    assert "nothing was deleted on head" in said
    assert not files["own"].exists() and files["secrets"].exists() and files["ca"].exists() and files["key"].exists()


def test_credentials_stay_where_a_host_failed(tmp_path: Path) -> None:
    files = fill(tmp_path)
    said = delete(tmp_path, "head:worker", {"fail": {"msg": "disk"}, "when": "inventory_hostname == 'head'"})
    assert "nothing was deleted on head" in said and files["secrets"].exists()


def test_an_engine_that_has_only_stopped_is_not_taken_for_none(tmp_path: Path) -> None:
    files = fill(tmp_path)
    stopped = {"host": {"docker": {"working": False, "installed": True, "error": "no answer"}}}
    tasks = [{"include_tasks": str(STACK / "tasks/destroy.yml")}]
    done = run(tmp_path, tasks, *inventory(tmp_path, __preflight=stopped), callback="default", hosts="head")
    assert done.returncode != 0 and "The engine does not answer (no answer)" in " ".join(done.stdout.split())
    assert files["own"].exists()


@pytest.mark.parametrize("failed", [True, False])
def test_mlflow_is_not_waited_for_where_its_bucket_could_not_be_made(tmp_path: Path, failed: bool) -> None:
    results = {"__stack_stores": {"failed": False}, "__object_store": {"failed": failed}}
    known = inventory(tmp_path, _platform_services=["mlflow"], _platform_host_of=dict.fromkeys(GROUPS, "head"))
    tasks: list[dict[str, Any]] = [{"include_vars": str(STACK / "vars/main.yml")}]
    tasks += [{"set_fact": results, "when": "inventory_hostname == 'head'"}]
    tasks += [{"include_tasks": str(STACK / "tasks/up.yml"), "vars": {"_stack_dry": True}}]
    done = run(tmp_path, tasks, *known, callback="default", hosts="head:worker")
    assert (done.returncode != 0) is failed
    refusal = "MLflow is not started, for head could not be provisioned."
    assert (refusal if failed else "Services would be started") in " ".join(done.stdout.split())


def test_every_file_that_stays_on_a_host_is_named_where_removing_is_told() -> None:
    tasks = "".join(path.read_text() for path in (ROOT / "ansible/roles").glob("*/tasks/*.yml"))
    files = set(re.findall(r"dest: (/etc/\S+)", tasks))
    page = (ROOT / "docs/operations.md").read_text()
    told = page[page.index("\n## Removing it\n") : page.index("\n## Two platforms on one host\n")]
    assert "/etc/apt/sources.list.d/docker.sources" in files and [file for file in files if file not in told] == []


def test_a_set_in_a_file_is_sorted_for_its_order_is_another_in_every_run() -> None:
    """Ansible's set filters hash: unsorted, they would have services recreated by a run that changes nothing."""
    for template in (ROOT / "compose").rglob("*.j2"):
        for line in template.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"\| (intersect|difference|union|symmetric_difference)\(", line) or "| sort" in line


def test_the_pools_of_as_many_workers_as_may_be_fit_into_postgresql_s_connections() -> None:
    compose = (ROOT / "compose/mlflow/compose.yml.j2").read_text()
    (size,) = re.findall(r"POOL_SIZE: \{\{ (.+) \}\}", compose)
    (overflow,) = re.findall(r"MAX_OVERFLOW: (\d+)", compose)
    (most,) = re.findall(r"^max_connections = (\d+)", (ROOT / "compose/postgres/postgresql.conf.j2").read_text(), re.M)
    pool = jinja2.Environment().compile_expression(size)
    sizes = [int(str(pool(_platform_mlflow_workers=workers))) for workers in range(1, MLFLOW_WORKERS + 1)]
    assert sizes[:4] == [10] * 4 and min(sizes) >= 1
    # Three pools a worker; three connections are kept for the superuser, and some for whoever starts.
    wanted = [3 * workers * (size + int(overflow)) for workers, size in enumerate(sizes, 1)]
    assert max(wanted) <= int(most) - 20
