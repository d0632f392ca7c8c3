"""Write docs/reference.md from the argument specs of the roles."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
HEAD = """# Reference

Everything a site may choose, made by `make reference` from the roles' argument specs. Set these in the inventory or in
a `group_vars/all.yml` beside it. `exposure`, `image_source` and `image_registry` are short names of
`platform_exposure`, `platform_image_source` and `platform_image_registry`.

| variable | default | what it is |
|---|---|---|
"""


def reference() -> str:
    """Return the page's text."""
    spec = yaml.safe_load((ROOT / "ansible/roles/platform/meta/argument_specs.yml").read_text(encoding="utf-8"))
    options = spec["argument_specs"]["main"]["options"]
    rows = [f"| `{name}` | `{option['default']!s}` | {option['description']} |\n" for name, option in options.items()]
    return HEAD + "".join(row.replace("`` |", " |") for row in rows)


if __name__ == "__main__":
    (ROOT / "docs/reference.md").write_text(reference(), encoding="utf-8")
