#!/bin/sh
# Makes a virtual environment from a hashed lock, with the newest Python found (3.11 or later); does nothing if it is made.
# usage: venv.sh DIRECTORY LOCK [BUNDLE]      with a bundle the packages are its wheels, and nothing is downloaded
set -eu
directory=$1 lock=$2 bundle=${3:-}
here=$(dirname "$0")
stamp=$directory/.made-from
if [ -f "$stamp" ] && cmp -s "$lock" "$stamp" && "$directory/bin/python" -c '' 2>/dev/null; then exit 0; fi

best='' newest=0
for python in python3.14 python3.13 python3.12 python3.11 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
  version=$("$python" -c 'import sys, ssl, sqlite3; print(sys.version_info[0] * 100 + sys.version_info[1])' 2>/dev/null) || continue
  if [ "$version" -gt "$newest" ] && [ "$version" -le 314 ]; then newest=$version best=$python; fi
done
if [ "$newest" -lt 311 ]; then
  echo "No Python 3.11 or later found. On Debian or Ubuntu: apt-get install python3 python3-venv" >&2
  echo "On Ubuntu 22.04, whose python3 is older, from its component universe: apt-get install python3.11 python3.11-venv" >&2
  exit 1
fi

# usage: COMMAND || no_packages
no_packages() {
  if [ -n "$bundle" ]; then
    echo "$bundle does not hold the packages of this version: make the bundle with the version you provision with." >&2
  else
    cat >&2 <<'EOF'
The packages could not be downloaded; the reason stands above. If the package index does not answer from here, name one
that does:   export PIP_INDEX_URL=https://... UV_DEFAULT_INDEX=https://...
or a proxy:  export https_proxy=http://...
or provision from a bundle, without internet:  make provision BUNDLE=file
EOF
  fi
  exit 1
}

set --
if [ -n "$bundle" ]; then
  wheels=$(mktemp -d)
  trap 'rm -rf "$wheels"' EXIT
  tar -xf "$bundle" -C "$wheels" --strip-components 1 wheels
  set -- --no-index --find-links "$wheels"
fi

# The installer is a locked package like the others; it gets a directory of its own.
uv=$(dirname "$directory")/.venv-uv
if ! cmp -s "$here/uv.txt" "$uv/.made-from"; then
  rm -rf "$uv"
  if ! "$best" -m venv "$uv" 2>"$uv.log"; then
    cat "$uv.log" >&2
    echo "$best cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3.$((newest - 300))-venv" >&2
    rm -rf "$uv" "$uv.log"
    exit 1
  fi
  rm -f "$uv.log"
  "$uv/bin/python" -m pip install --quiet "$@" --require-hashes --requirement "$here/uv.txt" || no_packages
  cp "$here/uv.txt" "$uv/.made-from"
fi

# A name would be looked up again, and might then be found in another environment on the PATH.
best=$("$best" -c 'import sys; print(sys._base_executable)')
echo "Making $directory with $("$best" --version) (some seconds, and what the download takes) ..." >&2
"$uv/bin/uv" venv --quiet --clear --python "$best" "$directory"
"$uv/bin/uv" pip install --quiet "$@" --python "$directory/bin/python" --compile-bytecode --require-hashes --requirement "$lock" || no_packages
cp "$lock" "$stamp"
