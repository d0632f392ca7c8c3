"""A user of MinIO, its secret and its policies.

A server never tells a secret: whether it is still right is found by listing buckets with it.
"""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.minio_client import admin_code, connect_admin, failing_with_a_fix, s3_client

OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "secret": {"type": "str", "no_log": True},
    "policies": {"type": "list", "elements": "str", "default": []},
    "enabled": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def read_user(module: AnsibleModule, options: dict[str, Any], admin: Any) -> dict[str, Any]:
    """The user as the server has it; empty when there is none."""
    from minio.error import MinioAdminException

    name = options["name"]
    try:
        info = json.loads(admin.user_info(name))
    except MinioAdminException as error:
        if admin_code(error)[0] == "XMinioAdminNoSuchUser":
            return {}
        raise
    user = {
        "name": name,
        "enabled": info["status"] == "enabled",
        "policies": sorted(filter(None, info.get("policyName", "").split(","))),
    }
    if options["state"] == "present":
        user["secret"] = secret_state(module, options) if user["enabled"] else "unknown"
    return user


def secret_state(module: AnsibleModule, options: dict[str, Any]) -> str:
    """Whether the user's secret is the one given: a server that knows it lists buckets, or denies that."""
    from minio.error import S3Error

    try:
        s3_client(module, options["name"], options["secret"]).list_buckets()
    except S3Error as error:
        if error.code == "SignatureDoesNotMatch":
            return "wrong"
        if error.code != "AccessDenied":
            raise
    return "right"


def wanted_user(options: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The user as it should be."""
    if options["state"] == "absent":
        return {}
    stays_disabled = bool(before) and not before["enabled"] and not options["enabled"]
    return {
        "name": options["name"],
        "enabled": options["enabled"],
        "policies": sorted(set(options["policies"])),
        "secret": "unknown" if stays_disabled else "right",
    }


def write_user(admin: Any, options: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    name = options["name"]
    if not after:
        admin.user_remove(name)
        return
    # Its policies come before the user can log in with a new secret: nothing is ever wider than wanted.
    if before and before["policies"] != after["policies"]:
        admin.policy_set(",".join(after["policies"]), user=name)
    if before.get("secret") != after["secret"]:
        admin.user_add(name, options["secret"])
        if not after["enabled"]:
            admin.user_disable(name)
    elif before["enabled"] and not after["enabled"]:
        admin.user_disable(name)
    if not before and after["policies"]:
        admin.policy_set(",".join(after["policies"]), user=name)


def ensure_user(module: AnsibleModule, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bring one user to what `options` say, or in check mode only look; return it as it was and as it is.

    Fails the module with a sentence that names the fix.
    """
    name, endpoint = options["name"], module.params["endpoint"]
    if name == module.params["access_key"]:
        module.fail_json(
            msg=f"User {name} is the root user of {endpoint}, whose secret only the server's own settings change: "
            "choose another name.",
            code="XMinioInvalidIAMCredentials",
        )
    admin = connect_admin(module)

    with failing_with_a_fix(module, f"Reading user {name}"):
        before = read_user(module, options, admin)
    after = wanted_user(options, before)
    if after != before and not module.check_mode:
        with failing_with_a_fix(module, f"Changing user {name}"):
            write_user(admin, options, before, after)
    return before, after
