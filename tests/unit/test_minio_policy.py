"""Two policies are equal when they mean the same."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils import minio_policy


def policy(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


def test_order_and_repeats_do_not_matter() -> None:
    one = policy(Action=["s3:PutObject", "s3:GetObject", "s3:GetObject"], Resource=["arn:aws:s3:::b/*"])
    other = policy(Action=["s3:GetObject", "s3:PutObject"], Resource=["arn:aws:s3:::b/*"])
    assert minio_policy.normalised(one) == minio_policy.normalised(other)


def test_a_string_is_a_list_of_one() -> None:
    one = policy(Action="s3:GetObject", Resource="arn:aws:s3:::b/*")
    other = policy(Action=["s3:GetObject"], Resource=["arn:aws:s3:::b/*"])
    assert minio_policy.normalised(one) == minio_policy.normalised(other)


def test_a_single_statement_is_a_list_of_one() -> None:
    several = policy(Action="s3:GetObject")
    single = {"Version": "2012-10-17", "Statement": several["Statement"][0]}
    assert minio_policy.normalised(single) == minio_policy.normalised(several)


def test_the_order_of_statements_does_not_matter() -> None:
    both = [*policy(Action="s3:GetObject")["Statement"], *policy(Action="s3:PutObject")["Statement"]]
    assert minio_policy.normalised({"Statement": both}) == minio_policy.normalised({"Statement": both[::-1]})


def test_what_is_empty_is_not_there() -> None:
    assert minio_policy.normalised(policy(Action="s3:GetObject", Sid="", Resource=[])) == minio_policy.normalised(
        policy(Action="s3:GetObject")
    )


def test_conditions_are_compared_by_value() -> None:
    one = policy(Action="s3:ListBucket", Condition={"StringLike": {"s3:prefix": "a/*"}})
    same = policy(Action="s3:ListBucket", Condition={"StringLike": {"s3:prefix": ["a/*"]}})
    other = policy(Action="s3:ListBucket", Condition={"StringLike": {"s3:prefix": ["b/*"]}})
    assert minio_policy.normalised(one) == minio_policy.normalised(same)
    assert minio_policy.normalised(one) != minio_policy.normalised(other)


@pytest.mark.parametrize(
    "change", [{"Effect": "Deny"}, {"Action": ["s3:GetObject", "s3:PutObject"]}, {"Resource": "arn:aws:s3:::c/*"}]
)
def test_another_meaning_is_a_difference(change: dict[str, Any]) -> None:
    statement = {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    assert minio_policy.normalised(policy(**statement)) != minio_policy.normalised(policy(**{**statement, **change}))
