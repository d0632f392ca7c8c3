#!/bin/sh
# Compiles every group of pyproject.toml to a hashed lock beside this script; needs uv on the PATH.
set -eu
cd "$(dirname "$0")/.."
compile() {
  group=$1
  shift
  uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate "$@" \
    --group "$group" --output-file "requirements/$group.txt"
}
for group in controller quickstart dev uv; do compile "$group" --universal --python-version 3.11; done
for group in mlflow-image job-image; do compile "$group" --python-version 3.13 --python-platform x86_64-manylinux_2_28; done
compile mlflow-server --python-version 3.13 --python-platform x86_64-manylinux_2_28 --no-deps
