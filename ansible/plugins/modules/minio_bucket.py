#!/usr/bin/python
"""Ansible module: a bucket, whether it keeps history, and for how long."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.minio_client import CONNECTION_ARGUMENTS, connect, failing_with_a_fix

DOCUMENTATION = r"""
module: minio_bucket
short_description: Make a bucket that keeps its history
description:
  - Makes a bucket in MinIO and repairs its versioning and its lifecycle.
  - Never removes a bucket.
options:
  endpoint:
    description: Host and port of the server's S3 API.
    type: str
    required: true
  access_key:
    description: Name of the server's root user.
    type: str
    required: true
  secret_key:
    description: Password of the server's root user.
    type: str
    required: true
  secure:
    description: Whether to use TLS.
    type: bool
    default: false
  ca_file:
    description: Certificates to trust instead of the public ones, where the module runs.
    type: path
  name:
    description: The bucket.
    type: str
    required: true
  object_lock:
    description:
      - Whether the bucket must have object lock, so that nobody can wipe its versions by force.
      - A bucket gets it when it is made or never; the module refuses an existing bucket without it.
    type: bool
    default: false
  versioning:
    description: Whether overwritten and deleted objects are kept as versions. V(false) leaves it as it is.
    type: bool
    default: true
  noncurrent_days:
    description:
      - Days after which an old version is removed, and with the last one its delete marker.
      - The bucket then has this lifecycle rule and no other. Without it the lifecycle is left as it is.
    type: int
  rule_id:
    description: Name of the lifecycle rule.
    type: str
    default: history
requirements:
  - minio >= 7.2
attributes:
  check_mode:
    description: Says what it would change.
    support: full
  diff_mode:
    description: Shows the bucket before and after.
    support: full
author:
  - The platform's engineers (@platform)
"""

EXAMPLES = r"""
- name: Make the bucket for artifacts
  minio_bucket:
    endpoint: minio:9000
    access_key: "{{ minio_root_user }}"
    secret_key: "{{ minio_root_password }}"
    name: mlflow
    object_lock: true
    noncurrent_days: 30
"""

RETURN = r"""
bucket:
  description: The bucket as it is now, or in check mode would be.
  returned: success
  type: dict
  sample: {name: mlflow, object_lock: true, versioning: Enabled, lifecycle: []}
"""


def plain(value: Any) -> Any:
    """A lifecycle as plain data without what is not set, to compare and to show."""
    if is_dataclass(value):
        pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: plain(item) for name, item in pairs if item is not None}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, bool | int | str) or value is None else str(value)


def history_rule(rule_id: str, days: int) -> Any:
    """The lifecycle that gives old versions' space back. In this form the server returns it as it was given."""
    from minio.commonconfig import ENABLED, Filter
    from minio.lifecycleconfig import Expiration, LifecycleConfig, NoncurrentVersionExpiration, Rule

    rule = Rule(
        ENABLED,
        rule_filter=Filter(prefix=""),
        rule_id=rule_id,
        expiration=Expiration(expired_object_delete_marker=True),
        noncurrent_version_expiration=NoncurrentVersionExpiration(noncurrent_days=days),
    )
    return LifecycleConfig([rule])


def read_bucket(client: Any, name: str) -> dict[str, Any]:
    """The bucket as the server has it; empty when there is none."""
    from minio.error import S3Error

    try:
        versioning = client.get_bucket_versioning(name).status
    except S3Error as error:
        if error.code == "NoSuchBucket":
            return {}
        raise
    try:
        client.get_object_lock_config(name)
        locked = True
    except S3Error as error:
        if error.code != "ObjectLockConfigurationNotFoundError":
            raise
        locked = False
    lifecycle = client.get_bucket_lifecycle(name)
    return {
        "name": name,
        "object_lock": locked,
        "versioning": versioning or "never enabled",
        "lifecycle": plain(lifecycle.rules) if lifecycle else [],
    }


def wanted_bucket(options: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The bucket as it should be; what is not asked for stays as it is."""
    after = {
        "name": options["name"],
        "object_lock": before.get("object_lock", options["object_lock"]),
        "versioning": before.get("versioning", "Enabled" if options["object_lock"] else "never enabled"),
        "lifecycle": before.get("lifecycle", []),
    }
    if options["versioning"]:
        after["versioning"] = "Enabled"
    if options["noncurrent_days"]:
        after["lifecycle"] = plain(history_rule(options["rule_id"], options["noncurrent_days"]).rules)
    return after


def write_bucket(client: Any, options: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    from minio.commonconfig import ENABLED
    from minio.versioningconfig import VersioningConfig

    name = options["name"]
    if not before:
        client.make_bucket(name, object_lock=options["object_lock"])
        before = read_bucket(client, name)
    if before["versioning"] != after["versioning"]:
        client.set_bucket_versioning(name, VersioningConfig(ENABLED))
    if before["lifecycle"] != after["lifecycle"]:
        client.set_bucket_lifecycle(name, history_rule(options["rule_id"], options["noncurrent_days"]))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "name": {"type": "str", "required": True},
            "object_lock": {"type": "bool", "default": False},
            "versioning": {"type": "bool", "default": True},
            "noncurrent_days": {"type": "int"},
            "rule_id": {"type": "str", "default": "history"},
        },
        supports_check_mode=True,
    )
    options = module.params
    name, endpoint = options["name"], options["endpoint"]
    days = options["noncurrent_days"]
    if days is not None and days < 1:
        module.fail_json(
            msg=f"noncurrent_days is {days}: give at least 1, or leave it out to keep every version for ever."
        )
    client = connect(module)

    with failing_with_a_fix(module, f"Reading bucket {name}"):
        from minio.helpers import check_bucket_name

        check_bucket_name(name, strict=True)
        before = read_bucket(client, name)
    if before and options["object_lock"] and not before["object_lock"]:
        module.fail_json(
            msg=f"Bucket {name} at {endpoint} was made without object lock, which cannot be added later. Copy its "
            "objects elsewhere, remove it and run again; or name another bucket; or set object_lock: false.",
            code="ObjectLockConfigurationNotFoundError",
        )
    after = wanted_bucket(options, before)
    if after != before and not module.check_mode:
        with failing_with_a_fix(module, f"Changing bucket {name}"):
            write_bucket(client, options, before, after)
    module.exit_json(changed=after != before, bucket=after, diff={"before": before, "after": after})


if __name__ == "__main__":
    main()
