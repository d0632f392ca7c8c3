#!/usr/bin/python
"""Ansible module: buckets, policies and users of MinIO, all in one run."""

from __future__ import annotations

from typing import Any

from ansible.module_utils import minio_bucket, minio_policy, minio_user
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.minio_client import CONNECTION_ARGUMENTS

DOCUMENTATION = r"""
module: minio_store
short_description: Make and repair buckets, policies and users of MinIO
description:
  - Brings buckets, policies and users to what is asked for, in this order, and policies to be removed last.
  - One run serves all, for starting Python and its MinIO client costs more than the questions do.
  - What is not named is left alone. A bucket is never removed.
options:
  endpoint: {description: Host and port of the server's S3 API., type: str, required: true}
  access_key: {description: Name of the server's root user., type: str, required: true}
  secret_key: {description: Password of the server's root user., type: str, required: true}
  secure: {description: Whether to use TLS., type: bool, default: false}
  ca_file: {description: "Certificates to trust instead of the public ones, where the module runs.", type: path}
  buckets:
    description: Buckets that are there.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: The bucket., type: str, required: true}
      object_lock:
        description:
          - Whether the bucket must have object lock, so that nobody can wipe its versions by force.
          - A bucket gets it when it is made or never; an existing bucket without it is refused.
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
      rule_id: {description: Name of the lifecycle rule., type: str, default: history}
  policies:
    description: Named policies. Documents that mean the same are equal, however they are ordered.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: The policy., type: str, required: true}
      document:
        description: The policy in the language of AWS. Needed when O(policies[].state=present).
        type: dict
      state:
        description: Whether the policy is there. One that is still in use is not removed.
        type: str
        choices: [present, absent]
        default: present
  users:
    description: Users, each with these policies and no others.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: "The user's access key, 3 to 20 characters.", type: str, required: true}
      secret:
        description:
          - The user's secret key, 8 to 40 characters. Needed when O(users[].state=present).
          - The secret of a user that is and stays disabled is neither verified nor changed.
        type: str
      policies: {description: The policies the user holds., type: list, elements: str, default: []}
      enabled: {description: Whether the user may do anything at all., type: bool, default: true}
      state: {description: Whether the user is there., type: str, choices: [present, absent], default: present}
requirements:
  - minio >= 7.2
attributes:
  check_mode: {description: Says what it would change., support: full}
  diff_mode: {description: "Shows each before and after, of a secret only whether it is right.", support: full}
author:
  - the platform's maintainers
"""

EXAMPLES = r"""
- name: Make what MLflow needs
  minio_store:
    endpoint: minio:9000
    access_key: "{{ minio_root_user }}"
    secret_key: "{{ minio_root_password }}"
    buckets:
      - {name: mlflow, object_lock: true, noncurrent_days: 30}
    users:
      - {name: "{{ s3_access_key }}", secret: "{{ s3_secret_key }}", policies: [readwrite]}
"""

RETURN = r"""
buckets:
  description: The buckets as they are now, or in check mode would be.
  returned: success
  type: list
  elements: dict
policies:
  description: The policies likewise; empty when absent.
  returned: success
  type: list
  elements: dict
users:
  description: The users likewise; empty when absent.
  returned: success
  type: list
  elements: dict
"""


def main() -> None:
    """Run the module."""
    present = [("state", "present", ["document"])]
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "buckets": {"type": "list", "elements": "dict", "default": [], "options": minio_bucket.OPTIONS},
            "policies": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": minio_policy.OPTIONS,
                "required_if": present,
            },
            "users": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": minio_user.OPTIONS,
                "required_if": [("state", "present", ["secret"])],
            },
        },
        supports_check_mode=True,
    )
    given = module.params
    kept = [policy for policy in given["policies"] if policy["state"] == "present"]
    removed = [policy for policy in given["policies"] if policy["state"] == "absent"]
    work = [("buckets", minio_bucket.ensure_bucket, entry) for entry in given["buckets"]]
    work += [("policies", minio_policy.ensure_policy, entry) for entry in kept]
    work += [("users", minio_user.ensure_user, entry) for entry in given["users"]]
    work += [("policies", minio_policy.ensure_policy, entry) for entry in removed]
    result: dict[str, Any] = {"changed": False, "buckets": [], "policies": [], "users": [], "diff": []}
    for kind, ensure, entry in work:
        before, after = ensure(module, entry)
        result[kind].append(after)
        if before != after:
            result["changed"] = True
            result["diff"].append({"before": before, "after": after, "before_header": f"{kind}: {entry['name']}"})
    module.exit_json(**result)


if __name__ == "__main__":
    main()
