#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does its work on the controller."""

DOCUMENTATION = """
module: bundle
short_description: Pack a bundle on the controller, verify one, or copy one of its members to the host
options:
  file: {description: The bundle, on the controller., type: path, required: true}
  directory: {description: Pack what is below this directory of the controller., type: path}
  images: {description: The references that are packed and the digests of their layers., type: dict}
  member: {description: Copy this member to the host., type: str}
  dest: {description: Where to on the host., type: path}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Verify every member
  bundle:
    file: dist/platform.tar
"""

RETURN = """
manifest:
  description: What is in the bundle - images (digests of the layers by reference), members (SHA-256 by name).
  returned: when it is packed or verified
  type: dict
"""
