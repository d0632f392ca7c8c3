#!/bin/sh
# Makes a small package repository for a Debian release: PACKAGEs, all they need, and what is in DIRECTORY already.
# usage: make-packages.sh RELEASE SOURCES DIRECTORY PACKAGE...      SOURCES as build-inputs.sh writes them; needs apt-utils
# The archive is DIRECTORY.tar.
set -eu
release=$1 sources=$2 directory=$3
shift 3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/lists/partial" "$root/parts" "$directory/partial"
sed "s/trixie/$release/" "$sources" > "$root/debian.sources"
# With nothing installed, as apt is told here, everything a package needs is downloaded, whatever a host has.
: > "$root/status"
cat > "$root/apt.conf" <<CONF
Dir::State::status "$root/status";
Dir::State::lists "$root/lists";
Dir::Cache "$root";
Dir::Cache::archives "$directory";
Dir::Etc::sourcelist "$root/debian.sources";
Dir::Etc::sourceparts "$root/parts";
Dir::Etc::preferences "$root/none";
Dir::Etc::preferencesparts "$root/parts";
APT::Sandbox::User "root";
CONF
export APT_CONFIG="$root/apt.conf"
apt-get -q update
apt-get -qy --no-install-recommends --download-only install "$@"
rm -rf "$directory/partial" "$directory/lock"
cd "$directory"
apt-ftparchive packages . > Packages
tar -cf "$directory.tar" .
