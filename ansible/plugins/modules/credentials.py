#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does its work on the controller."""

DOCUMENTATION = """
module: credentials
short_description: Read the credentials file on the controller and fill its blanks
options:
  file: {description: The credentials file., type: path, required: true}
  volumes_exist: {description: Whether there is data; then nothing that locks it is made., type: bool, default: false}
  generate: {description: Whether what locks no data is made; if not it stays empty., type: bool, default: true}
  users: {description: MLflow's users; a password not given has the key user_NAME., type: list, elements: dict}
  site: {description: Values the site gives; they win and are not written., type: dict}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Read the credentials
  credentials:
    file: credentials/inventory/secrets.yml
"""

RETURN = """
values: {description: Every credential., returned: always, type: dict}
generated: {description: Keys that were or would be generated., returned: always, type: list, elements: str}
"""
