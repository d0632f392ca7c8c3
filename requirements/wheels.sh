#!/bin/sh
# Downloads what a controller without internet needs: the installer and the controller's lock, for every Python it may have.
# usage: wheels.sh DIRECTORY      wheels for x86_64; needs the installer that venv.sh keeps in .venv-uv
set -eu
wheels=$1
here=$(dirname "$0")
uv=$here/../.venv-uv/bin
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
mkdir -p "$wheels"
for version in 3.11 3.12 3.13 3.14; do
  # Which lines of a lock count for another Python only uv can say: pip asks the one it runs under.
  cat "$here/uv.txt" "$here/controller.txt" | "$uv/uv" pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --python-version "$version" --python-platform x86_64-manylinux_2_28 - > "$lock"
  "$uv/python" -m pip download --quiet --dest "$wheels" --no-deps --require-hashes --only-binary :all: --python-version "$version" \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --requirement "$lock"
done
