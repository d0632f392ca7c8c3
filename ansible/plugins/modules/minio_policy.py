#!/usr/bin/python
"""Ansible module: a named policy of the object store."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.minio_client import CONNECTION_ARGUMENTS, admin_code, connect_admin, failing_with_a_fix

DOCUMENTATION = r"""
module: minio_policy
short_description: Make or remove a policy of MinIO
description:
  - Makes a named policy say what its document says, or removes it.
  - Documents that mean the same are equal, however they are ordered.
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
    description: The policy.
    type: str
    required: true
  document:
    description: The policy in the language of AWS. Needed when O(state=present).
    type: dict
  state:
    description: Whether the policy is there. One that is still in use is not removed.
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
    description: Shows the policy before and after.
    support: full
author:
  - The platform's engineers (@platform)
"""

EXAMPLES = r"""
- name: Let readers read
  minio_policy:
    endpoint: minio:9000
    access_key: "{{ minio_root_user }}"
    secret_key: "{{ minio_root_password }}"
    name: readers
    document:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Action: s3:GetObject
          Resource: arn:aws:s3:::mlflow/*
"""

RETURN = r"""
document:
  description: The policy as it is now, or in check mode would be; empty when it is absent.
  returned: success
  type: dict
"""

LISTS = ("Action", "NotAction", "Resource", "NotResource")


def normalised(document: dict[str, Any]) -> dict[str, Any]:
    """The document as the server would tell it: lists sorted and without repeats, a single string a list."""
    statements = document.get("Statement", [])
    if isinstance(statements, dict):
        statements = [statements]
    return {
        **{key: value for key, value in document.items() if value not in ("", None)},
        "Statement": sorted(
            (_statement(entry) for entry in statements), key=lambda entry: json.dumps(entry, sort_keys=True)
        ),
    }


def _statement(entry: dict[str, Any]) -> dict[str, Any]:
    entry = {key: value for key, value in entry.items() if value not in ("", None, [], {})}
    for key in LISTS:
        if key in entry:
            entry[key] = _sorted_list(entry[key])
    if "Condition" in entry:
        entry["Condition"] = {
            operator: {name: _sorted_list(value) for name, value in operands.items()}
            for operator, operands in entry["Condition"].items()
        }
    principal = entry.get("Principal")
    if isinstance(principal, dict):
        entry["Principal"] = {name: _sorted_list(value) for name, value in principal.items()}
    return entry


def _sorted_list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return sorted({item if isinstance(item, str) else json.dumps(item) for item in values})


def read_policy(admin: Any, name: str) -> dict[str, Any]:
    """The policy as the server has it; empty when there is none."""
    from minio.error import MinioAdminException

    try:
        return json.loads(admin.policy_info(name))
    except MinioAdminException as error:
        if admin_code(error)[0] == "XMinioAdminNoSuchPolicy":
            return {}
        raise


def holders(admin: Any, name: str) -> list[str]:
    """Users and groups that hold the policy."""
    mappings = json.loads(admin.get_policy_entities([], [], [name])).get("policyMappings") or []
    return sorted({who for mapping in mappings for kind in ("users", "groups") for who in mapping.get(kind) or []})


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "name": {"type": "str", "required": True},
            "document": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["document"])],
        supports_check_mode=True,
    )
    name, endpoint = module.params["name"], module.params["endpoint"]
    present = module.params["state"] == "present"
    admin = connect_admin(module)

    with failing_with_a_fix(module, f"Reading policy {name}"):
        found = read_policy(admin, name)
        used_by = holders(admin, name) if found and not present else []
    if used_by:
        module.fail_json(
            msg=f"Policy {name} at {endpoint} is held by {', '.join(used_by)} (XMinioIAMPolicyInUse): "
            "take it from them with minio_user first.",
            code="XMinioIAMPolicyInUse",
        )
    before = normalised(found) if found else {}
    after = normalised(module.params["document"]) if present else {}
    if after != before and not module.check_mode:
        with failing_with_a_fix(module, f"Changing policy {name}"):
            if present:
                admin.policy_add(name, policy=module.params["document"])
            else:
                admin.policy_remove(name)
    module.exit_json(changed=after != before, document=after, diff={"before": before, "after": after})


if __name__ == "__main__":
    main()
