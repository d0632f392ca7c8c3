#!/usr/bin/python
"""Ansible module: all users of an MLflow server with logins, their passwords and what they may do."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.mlflow_client import WORKSPACE, MlflowError, Server
from ansible.module_utils.mlflow_permissions import (
    CREATE,
    Grants,
    complaints,
    in_words,
    surplus,
    wanted_roles,
    wanted_user,
)

DOCUMENTATION = r"""
module: mlflow_users
short_description: Bring the users of MLflow in step with a list
description:
  - Makes, changes and removes users of a server that runs with C(--app-name=basic-auth), so that there are those
    listed and no others.
  - What a user may do stands in a role of its own, C(user NAME); permissions that are not listed are taken away,
    other roles too.
  - MLflow gives whoever makes an experiment or a model MANAGE on it. Users who may create keep that; others lose it.
  - Passwords cannot be read. Each is tried, and set again where it does not open the server.
  - An experiment that is named here and does not exist is made, for MLflow knows permissions on experiments by id only.
  - That a user may create nothing is seen to by the server's authorization function, which looks for the role
    C(create).
options:
  server:
    description: Address of the server.
    type: str
    required: true
  ca_file:
    description: Certificates to trust instead of the public ones, where the module runs.
    type: path
  admin_user:
    description: An administrator's name.
    type: str
    default: admin
  admin_password:
    description: The administrator's password.
    type: str
    required: true
  users:
    description: Every user there shall be, O(admin_user) and O(keep) aside.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What the user logs in with.
        type: str
        required: true
      password:
        description: At least 12 characters.
        type: str
        required: true
      admin:
        description: Whether the user may do everything, users and permissions included.
        type: bool
        default: false
      read_only:
        description: Whether the user may read everything, and make, change or remove nothing.
        type: bool
        default: false
      create:
        description: Whether the user may make experiments and models. Default is what O(users[].read_only) is not.
        type: bool
      experiments:
        description: The permission (READ, USE, EDIT, MANAGE) on each experiment, by name; C(*) is all of them.
        type: dict
        default: {}
      models:
        description: The permission (READ, USE, EDIT, MANAGE) on each registered model, by name; C(*) is all of them.
        type: dict
        default: {}
  keep:
    description: Users who are neither changed nor removed.
    type: list
    elements: str
    default: [admin]
attributes:
  check_mode:
    description: Says what it would change.
    support: full
  diff_mode:
    description: Shows users, roles and experiments before and after, of a password only whether it is right.
    support: full
author:
  - the platform's maintainers
"""

EXAMPLES = r"""
- name: Let the team in
  mlflow_users:
    server: http://mlflow:5000
    admin_password: "{{ admin_password }}"
    users:
      - { name: jobs, password: "{{ jobs_password }}", experiments: { "*": EDIT }, models: { "*": EDIT } }
      - { name: alice, password: "{{ alice_password }}", experiments: { churn: MANAGE, fraud: READ } }
      - { name: auditor, password: "{{ auditor_password }}", read_only: true }
"""

RETURN = r"""
users:
  description: The users as they are now, or in check mode would be.
  returned: success
  type: dict
  sample: {alice: {admin: false, direct: {}, password: right, roles: [create, user alice]}}
"""


class Users:
    """The users and roles of a server: read once, then changed step by step."""

    def __init__(self, module: AnsibleModule) -> None:
        options = module.params
        self.options = options
        self.server = Server(options["server"], options["admin_user"], options["admin_password"], options["ca_file"])
        kept = {options["admin_user"], *options["keep"]}
        self.listed = {user["name"]: user for user in options["users"]}
        self.users = {
            user["username"]: user
            for user in self.server.call("GET", "/2.0/mlflow/users/list")["users"]
            if user["username"] not in kept
        }
        # Those of the kept users are theirs.
        ours = {f"user {name}" for name in kept}
        self.roles = {
            role["name"]: role
            for role in self.server.call("GET", "/3.0/mlflow/roles/list", workspace=WORKSPACE)["roles"]
            if role["name"] == CREATE or (role["name"].startswith("user ") and role["name"] not in ours)
        }
        named = sorted({name for user in options["users"] for name in user["experiments"]} - {"*"})
        found = {name: self.server.experiment_id(name) for name in named}
        self.missing = [name for name, number in found.items() if number is None]
        self.ids = {"*": "*"} | {name: number for name, number in found.items() if number is not None}

    def before(self) -> dict[str, Any]:
        """What there is, as far as this module is concerned."""
        return {
            "experiments": sorted(set(self.ids) - {"*"}),
            "roles": {name: self._said(role["permissions"]) for name, role in sorted(self.roles.items())},
            "users": {name: self._user(user) for name, user in sorted(self.users.items())},
        }

    def after(self) -> dict[str, Any]:
        """What there should be."""
        roles = wanted_roles(self.options["users"], self.ids)
        return {
            "experiments": sorted({*self.ids, *self.missing} - {"*"}),
            "roles": {name: in_words(grants, self._names()) for name, grants in sorted(roles.items())},
            "users": {name: wanted_user(user) for name, user in sorted(self.listed.items())},
        }

    def _names(self) -> dict[str, str]:
        return {number: name for name, number in self.ids.items()}

    def _said(self, permissions: list[dict[str, Any]]) -> dict[str, str]:
        grants = {(grant["resource_type"], grant["resource_pattern"]): grant["permission"] for grant in permissions}
        return in_words(grants, self._names())

    def _surplus(self, user: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = self.listed.get(user["username"])
        creates = wanted is not None and (wanted["admin"] or CREATE in wanted_user(wanted)["roles"])
        direct = [role for role in user["roles"] if role["name"] == f"__user_{user['id']}__"]
        return [grant for role in direct for grant in surplus(role, creates)]

    def _user(self, user: dict[str, Any]) -> dict[str, Any]:
        name, wanted = user["username"], self.listed.get(user["username"])
        state = {
            "admin": user["is_admin"],
            "roles": sorted(role["name"] for role in user["roles"] if not role["name"].startswith("__user_")),
            "direct": self._said(self._surplus(user)),
        }
        if wanted:
            options = self.options
            tried = Server(options["server"], name, wanted["password"], options["ca_file"])
            state["password"] = "right" if tried.is_let_in() else "wrong"
        return state

    def apply(self, before: dict[str, Any]) -> None:
        """Bring the server in step: first what is taken away, then what is given."""
        call = self.server.call
        for name in sorted(set(self.users) - set(self.listed)):
            call("DELETE", "/2.0/mlflow/users/delete", username=name)
        for name in self.missing:
            made = call("POST", "/2.0/mlflow/experiments/create", name=name)
            self.ids[name] = str(made["experiment_id"])
        wanted = wanted_roles(self.options["users"], self.ids)
        for name in sorted(set(self.roles) - set(wanted)):
            call("DELETE", "/3.0/mlflow/roles/delete", role_id=self.roles[name]["id"])
        for name in sorted(self.listed):
            self._take(name, before["users"].get(name), set(wanted))
        for name, grants in sorted(wanted.items()):
            self._set_role(name, grants)
        for name, user in sorted(self.listed.items()):
            self._give(name, user, before["users"].get(name))

    def _take(self, name: str, before: dict[str, Any] | None, roles: set[str]) -> None:
        """Take from a user what it should not have."""
        if before is None:
            return
        user, after = self.users[name], wanted_user(self.listed[name])
        if before["admin"] and not after["admin"]:
            self.server.call("PATCH", "/2.0/mlflow/users/update-admin", username=name, is_admin=False)
        for grant in self._surplus(user):
            self.server.call("DELETE", "/3.0/mlflow/roles/permissions/remove", role_permission_id=grant["id"])
        for role in user["roles"]:
            # A role of ours that is not wanted any more has just gone, with all who held it.
            gone = role["name"] in self.roles and role["name"] not in roles
            if role["name"] in before["roles"] and role["name"] not in after["roles"] and not gone:
                self.server.call("DELETE", "/3.0/mlflow/roles/unassign", username=name, role_id=role["id"])

    def _set_role(self, name: str, grants: Grants) -> None:
        """Make a role permit this and nothing else."""
        call = self.server.call
        if name not in self.roles:
            self.roles[name] = call("POST", "/3.0/mlflow/roles/create", workspace=WORKSPACE, name=name)["role"]
        role = self.roles[name]
        there = {(grant["resource_type"], grant["resource_pattern"]): grant for grant in role["permissions"]}
        for key, grant in there.items():
            if grant["permission"] != grants.get(key):
                call("DELETE", "/3.0/mlflow/roles/permissions/remove", role_permission_id=grant["id"])
        for key, level in grants.items():
            if key not in there or there[key]["permission"] != level:
                added = {"resource_type": key[0], "resource_pattern": key[1], "permission": level}
                call("POST", "/3.0/mlflow/roles/permissions/add", role_id=role["id"], **added)

    def _give(self, name: str, user: dict[str, Any], before: dict[str, Any] | None) -> None:
        """Make a user, or give it what it should have."""
        call, after = self.server.call, wanted_user(user)
        if before is None:
            call("POST", "/2.0/mlflow/users/create", username=name, password=user["password"])
            before = {"admin": False, "roles": [], "password": "right"}
        if before["password"] == "wrong":
            call("PATCH", "/2.0/mlflow/users/update-password", username=name, password=user["password"])
        for role in after["roles"]:
            if role not in before["roles"]:
                call("POST", "/3.0/mlflow/roles/assign", username=name, role_id=self.roles[role]["id"])
        if after["admin"] and not before["admin"]:
            call("PATCH", "/2.0/mlflow/users/update-admin", username=name, is_admin=True)


def main() -> None:
    user = {
        "name": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "admin": {"type": "bool", "default": False},
        "read_only": {"type": "bool", "default": False},
        "create": {"type": "bool"},
        "experiments": {"type": "dict", "default": {}},
        "models": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(
        argument_spec={
            "server": {"type": "str", "required": True},
            "ca_file": {"type": "path"},
            "admin_user": {"type": "str", "default": "admin"},
            "admin_password": {"type": "str", "required": True, "no_log": True},
            "users": {"type": "list", "elements": "dict", "required": True, "options": user},
            "keep": {"type": "list", "elements": "str", "default": ["admin"]},
        },
        supports_check_mode=True,
    )
    wrong = complaints(module.params)
    if wrong:
        module.fail_json(msg=f"The list of users cannot be used: {'; '.join(wrong)}.")
    try:
        users = Users(module)
        before, after = users.before(), users.after()
        if before != after and not module.check_mode:
            users.apply(before)
    except MlflowError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=before != after, users=after["users"], diff={"before": before, "after": after})


if __name__ == "__main__":
    main()
