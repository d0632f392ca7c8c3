#!/usr/bin/python
"""Documentation of the action plugin of the same name, which has the host's Python do its work without a module."""

DOCUMENTATION = """
module: platform_lock
short_description: Give back a platform's lock on its host
description:
  - One command at a time. The module preflight takes the lock; this gives it back at the end, good or bad.
  - A lock that somebody else holds by now is left alone.
options:
  name: {description: The platform's name., type: str, required: true}
  owner: {description: Who took it, as C(host.lock.owner) of the module preflight., type: dict, required: true}
  python: {description: Python on the host, as C(host.python) of the module preflight., type: path, required: true}
attributes:
  check_mode: {support: full, details: [a dry run takes no lock and gives none back]}
author: [the platform's maintainers]
"""

EXAMPLES = """
- name: Let the next provision begin
  platform_lock:
    name: mlflow
    owner: "{{ __preflight.host.lock.owner }}"
    python: "{{ __preflight.host.python }}"
"""
