#!/bin/sh
# Installs what the end-to-end tests need beside the project itself: a browser, and ss.
set -eu
if ! command -v chromium >/dev/null || ! command -v ss >/dev/null; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium iproute2
fi
