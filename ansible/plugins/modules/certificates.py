#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does its work on the controller."""

DOCUMENTATION = """
module: certificates
short_description: Look at a host's certificate and at the platform's CA on the controller
description:
  - Says what has to be made and why; makes nothing.
options:
  directory: {description: Where the controller keeps CA and certificates., type: path, required: true}
  host: {description: The host's name in the inventory., type: str, required: true}
  names: {description: What the host is called., type: list, elements: str, required: true}
attributes:
  check_mode: {support: full}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Look at the certificate
  certificates:
    directory: credentials/inventory
    host: lab
    names: [lab.example.org, localhost]
"""

RETURN = """
files:
  description: The files ca, ca_key, certificate and private_key on the controller.
  returned: always
  type: dict
ca_reason: {description: Why the CA has to be made; none if the one there will do., returned: always, type: str}
reason: {description: Why the certificate has to be made; none if the one there will do., returned: always, type: str}
alternative_names: {description: The names as a request has them., returned: always, type: list, elements: str}
"""
