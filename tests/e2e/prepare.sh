#!/bin/sh
# Installs what the end-to-end tests need beside the project itself: a browser, ss, and for the quickstart git and a
# Python of the system that makes virtual environments.
set -eu
if ! command -v chromium >/dev/null || ! command -v ss >/dev/null || ! command -v git >/dev/null \
  || ! /usr/bin/python3 -c 'import ensurepip' 2>/dev/null; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium iproute2 git python3-venv
fi
