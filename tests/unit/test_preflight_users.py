"""What preflight says of platform_users before anything is changed."""

from typing import Any

import pytest
from module_utils.preflight_findings import about_users

ALICE = {"name": "alice", "experiments": {"churn": "EDIT", "*": "READ"}, "models": {"m": "USE"}, "create": False}


def test_sound_users_are_no_finding() -> None:
    assert (
        about_users([ALICE, {"name": "b.o-b@x", "read_only": True, "create": False}, {"name": "c", "admin": True}])
        == []
    )


@pytest.mark.parametrize(
    ("users", "said"),
    [
        ([ALICE, ALICE], "platform_users has 'alice' 2 times. -> List each user once."),
        ([{"name": "admin"}], "platform_users, 'admin': the platform has a user of this name. -> Choose another."),
        ([{"name": "jobs"}], "platform_users, 'jobs': the platform has a user of this name. -> Choose another."),
        ([{"name": "a:b"}], "platform_users, 'a:b': that is no name. -> Use letters, digits"),
        ([{"experiments": {}}], "platform_users, '': that is no name."),
        ([{"name": "a", "readonly": True}], "there is no key 'readonly'. -> Use name, password, experiments,"),
        ([{"name": "a", "password": "short"}], "the password is not of 12 to 128 characters. -> Leave it out"),
        ([{"name": "a", "experiments": {"e": "WRITE"}}], "'WRITE' on 'e' is no permission. -> Use READ, USE,"),
        ([{"name": "a", "models": ["m"]}], "models is no mapping. -> Write models: {NAME: READ}."),
        ([{**ALICE, "read_only": True}], "it is read_only and has experiments, models. -> Leave one of them out."),
    ],
)
def test_each_mistake_is_named_with_its_fix(users: list[dict[str, Any]], said: str) -> None:
    findings = about_users(users)
    assert len(findings) == 1 and said in findings[0], findings
