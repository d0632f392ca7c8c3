"""A named policy of MinIO: documents that mean the same are equal, however they are ordered."""

from __future__ import annotations

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.minio_client import admin_code, connect_admin, failing_with_a_fix

OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "document": {"type": "dict"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
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


def ensure_policy(module: AnsibleModule, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bring one policy to what `options` say, or in check mode only look; return it as it was and as it is.

    Fails the module with a sentence that names the fix.
    """
    name, endpoint = options["name"], module.params["endpoint"]
    present = options["state"] == "present"
    admin = connect_admin(module)

    with failing_with_a_fix(module, f"Reading policy {name}"):
        found = read_policy(admin, name)
        used_by = holders(admin, name) if found and not present else []
    if used_by:
        module.fail_json(
            msg=f"Policy {name} at {endpoint} is held by {', '.join(used_by)} (XMinioIAMPolicyInUse): "
            "take it from them with its users' policies first.",
            code="XMinioIAMPolicyInUse",
        )
    before = normalised(found) if found else {}
    after = normalised(options["document"]) if present else {}
    if after != before and not module.check_mode:
        with failing_with_a_fix(module, f"Changing policy {name}"):
            if present:
                admin.policy_add(name, policy=options["document"])
            else:
                admin.policy_remove(name)
    return before, after
