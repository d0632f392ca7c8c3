"""What the module mlflow_users wants of users and roles: the list it is given, in MLflow's terms."""

from __future__ import annotations

from collections import Counter
from typing import Any

CREATE = "create"
LEVELS = ("READ", "USE", "EDIT", "MANAGE")
READABLE = ("experiment", "registered_model", "prompt")
Grants = dict[tuple[str, str], str]


def complaints(options: dict[str, Any]) -> list[str]:
    """What is wrong with the list of users, each with its fix."""
    users, protected = options["users"], {options["admin_user"], *options["keep"]}
    counted = Counter(user["name"] for user in users)
    found = [f"user {name} is listed {count} times: once is enough" for name, count in counted.items() if count > 1]
    for user in users:
        name = user["name"]
        if name in protected:
            found.append(f"user {name} is kept as it is: list it no more, or take it from `keep`")
        if len(user["password"]) < 12:
            found.append(f"the password of {name} has {len(user['password'])} characters: MLflow wants 12 or more")
        if user["read_only"] and (user["admin"] or user["create"] or user["experiments"] or user["models"]):
            found.append(f"user {name} is read_only and given more: leave one of them out")
        for thing, level in [*user["experiments"].items(), *user["models"].items()]:
            if level not in LEVELS:
                found.append(f"{level!r} of {name} on {thing!r} is no permission: use one of {', '.join(LEVELS)}")
    return found


def in_words(grants: Grants, names: dict[str, str]) -> dict[str, str]:
    """Permissions as a person reads them: experiments by name where it is known."""
    return {
        f"{kind} {names.get(which, which) if kind == 'experiment' else which}": level
        for (kind, which), level in sorted(grants.items())
    }


def wanted_roles(users: list[dict[str, Any]], ids: dict[str, str]) -> dict[str, Grants]:
    """Every role of ours, and what it permits."""
    roles: dict[str, Grants] = {CREATE: {}}
    for user in users:
        if user["admin"]:
            continue
        grants: Grants = {(kind, "*"): "READ" for kind in READABLE} if user["read_only"] else {}
        grants |= {("experiment", ids.get(name, name)): level for name, level in user["experiments"].items()}
        grants |= {("registered_model", name): level for name, level in user["models"].items()}
        roles[f"user {user['name']}"] = grants
    return roles


def wanted_user(user: dict[str, Any]) -> dict[str, Any]:
    """The user as it should be."""
    creates = not user["read_only"] and user["create"] is not False
    roles = [] if user["admin"] else [*([CREATE] if creates else []), f"user {user['name']}"]
    return {"admin": user["admin"], "password": "right", "roles": roles, "direct": {}}


def surplus(role: dict[str, Any], creates: bool) -> list[dict[str, Any]]:
    """What was granted to a user directly, save for what MLflow grants the maker of a thing."""
    return [
        grant
        for grant in role["permissions"]
        if not (creates and grant["permission"] == "MANAGE" and grant["resource_pattern"] != "*")
    ]
