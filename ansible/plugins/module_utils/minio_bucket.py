"""A bucket of MinIO: whether it is there, keeps history, and for how long."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.minio_client import connect, failing_with_a_fix

OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "object_lock": {"type": "bool", "default": False},
    "versioning": {"type": "bool", "default": True},
    "noncurrent_days": {"type": "int"},
    "rule_id": {"type": "str", "default": "history"},
}


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


def ensure_bucket(module: AnsibleModule, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bring one bucket to what `options` say, or in check mode only look; return it as it was and as it is.

    Fails the module with a sentence that names the fix.
    """
    name, endpoint = options["name"], module.params["endpoint"]
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
    return before, after
