#!/usr/bin/python
"""Ansible module: a user of the object store, its secret and its policies."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.minio_client import (
    CONNECTION_ARGUMENTS,
    admin_code,
    connect_admin,
    failing_with_a_fix,
    s3_client,
)

DOCUMENTATION = r"""
module: minio_user
short_description: Make or remove a user of MinIO
description:
  - Makes a user with this secret and these policies and no others, or removes it.
  - A server never tells a secret. Whether it is still right is found by listing buckets with it.
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
    description: The user's access key, 3 to 20 characters.
    type: str
    required: true
  secret:
    description:
      - The user's secret key, 8 to 40 characters. Needed when O(state=present).
      - The secret of a user that is and stays disabled is neither verified nor changed.
    type: str
  policies:
    description: The policies the user holds; others are taken away.
    type: list
    elements: str
    default: []
  enabled:
    description: Whether the user may do anything at all.
    type: bool
    default: true
  state:
    description: Whether the user is there.
    type: str
    choices: [present, absent]
    default: present
requirements:
  - minio >= 7.2
attributes:
  check_mode:
    description: Says what it would change.
    support: full
  diff_mode:
    description: Shows the user before and after, of its secret only whether it is right.
    support: full
author:
  - The platform's engineers (@platform)
"""

EXAMPLES = r"""
- name: Let MLflow in
  minio_user:
    endpoint: minio:9000
    access_key: "{{ minio_root_user }}"
    secret_key: "{{ minio_root_password }}"
    name: "{{ s3_access_key }}"
    secret: "{{ s3_secret_key }}"
    policies: [mlflow]
"""

RETURN = r"""
user:
  description: The user as it is now, or in check mode would be; empty when it is absent.
  returned: success
  type: dict
  sample: {name: mlflow, enabled: true, policies: [mlflow], secret: right}
"""


def read_user(module: AnsibleModule, admin: Any) -> dict[str, Any]:
    """The user as the server has it; empty when there is none."""
    from minio.error import MinioAdminException

    name = module.params["name"]
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
    if module.params["state"] == "present":
        user["secret"] = secret_state(module) if user["enabled"] else "unknown"
    return user


def secret_state(module: AnsibleModule) -> str:
    """Whether the user's secret is the one given: a server that knows it lists buckets, or denies that."""
    from minio.error import S3Error

    try:
        s3_client(module, module.params["name"], module.params["secret"]).list_buckets()
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


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "name": {"type": "str", "required": True},
            "secret": {"type": "str", "no_log": True},
            "policies": {"type": "list", "elements": "str", "default": []},
            "enabled": {"type": "bool", "default": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["secret"])],
        supports_check_mode=True,
    )
    options = module.params
    name, endpoint = options["name"], options["endpoint"]
    if name == options["access_key"]:
        module.fail_json(
            msg=f"User {name} is the root user of {endpoint}, whose secret only the server's own settings change: "
            "choose another name.",
            code="XMinioInvalidIAMCredentials",
        )
    admin = connect_admin(module)

    with failing_with_a_fix(module, f"Reading user {name}"):
        before = read_user(module, admin)
    after = wanted_user(options, before)
    if after != before and not module.check_mode:
        with failing_with_a_fix(module, f"Changing user {name}"):
            write_user(admin, options, before, after)
    module.exit_json(changed=after != before, user=after, diff={"before": before, "after": after})


if __name__ == "__main__":
    main()
