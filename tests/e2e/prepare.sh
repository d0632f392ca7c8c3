#!/bin/sh
# Installs what the end-to-end tests need beside the project itself: a browser, ss, what makes test hosts and reaches them,
# and for the quickstart git and a Python of the system that makes virtual environments.
set -eu
missing=''
for program in chromium ss debootstrap ssh git; do command -v "$program" >/dev/null || missing=yes; done
if [ -n "$missing" ] || ! /usr/bin/python3 -c 'import ensurepip' 2>/dev/null; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
    chromium iproute2 debootstrap openssh-client git python3-venv
fi
# An engine that was stopped may still hold what an earlier run has left, to be removed first.
if command -v dockerd >/dev/null && ! docker version >/dev/null 2>&1; then
  start-stop-daemon --start --background --oknodo --pidfile /var/run/docker.pid --exec "$(command -v dockerd)"
  timeout 60 sh -c 'until docker version; do sleep 1; done' >/dev/null 2>&1
fi
