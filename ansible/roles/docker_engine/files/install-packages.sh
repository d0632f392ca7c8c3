#!/bin/sh
# Installs PACKAGEs from a verified archive of packages alone: no other source of the host is seen, and none is changed.
# usage: install-packages.sh ARCHIVE PACKAGE...      ARCHIVE as make-packages.sh makes it
set -eu
archive=$1
shift
root=$(mktemp -d -p /var/tmp)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/parts" "$root/packages"
tar -C "$root/packages" -xf "$archive"
echo "deb [trusted=yes] file:$root/packages ./" > "$root/bundle.list"
cat > "$root/apt.conf" <<CONF
Dir::State::lists "$root/lists";
Dir::Cache "$root";
Dir::Etc::sourcelist "$root/bundle.list";
Dir::Etc::sourceparts "$root/parts";
Dir::Etc::preferences "$root/none";
Dir::Etc::preferencesparts "$root/parts";
APT::Sandbox::User "root";
CONF
export APT_CONFIG="$root/apt.conf" DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -qy --no-install-recommends install "$@"
