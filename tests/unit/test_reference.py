"""The reference page, the argument specs and the defaults say the same."""

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
