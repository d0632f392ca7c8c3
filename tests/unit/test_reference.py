"""The reference page, the argument specs and the defaults say the same."""

import re
from pathlib import Path

import yaml
from reference import reference

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "ansible" / "roles"


def test_the_reference_is_made_from_the_argument_specs() -> None:
    assert (ROOT / "docs/reference.md").read_text(encoding="utf-8") == reference(), "run `make reference`"


def test_every_role_has_argument_specs_that_equal_its_defaults() -> None:
    for role in sorted(path for path in ROLES.iterdir() if path.is_dir()):
        spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
        options = spec["argument_specs"]["main"].get("options") or {}
        defaults_file = role / "defaults/main.yml"
        defaults = yaml.safe_load(defaults_file.read_text(encoding="utf-8")) if defaults_file.exists() else {}
        assert {name: option["default"] for name, option in options.items()} == defaults, role.name


def test_a_number_is_judged_by_preflight_which_knows_a_fix() -> None:
    spec = yaml.safe_load((ROLES / "platform/meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = spec["argument_specs"]["main"]["options"]
    numbers = {name: option["type"] for name, option in options.items() if type(option["default"]) is int}
    files = ("preflight/tasks/main.yml", "preflight/vars/main.yml")
    judged = "".join((ROLES / file).read_text(encoding="utf-8") for file in files)
    judged += "".join(re.findall(r"name: platform_\w+_port", (ROLES / "platform/vars/main.yml").read_text()))
    assert set(numbers.values()) == {"raw"} and [name for name in numbers if name not in judged] == []
