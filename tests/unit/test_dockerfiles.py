"""What every Dockerfile has to say, whichever image it makes."""

from pathlib import Path

import pytest
from plays import ROOT


@pytest.mark.parametrize("dockerfile", sorted(ROOT.glob("compose/*/dockerfile.*")), ids=lambda path: path.name)
def test_what_comes_from_a_package_index_depends_on_the_revision(dockerfile: Path) -> None:
    fetching = [stage for stage in dockerfile.read_text().split("\nFROM ") if "id=env" in stage]
    assert fetching
    for stage in fetching:
        assert "\nARG REVISION\n" in stage[: stage.index("id=env")], stage.splitlines()[0]
