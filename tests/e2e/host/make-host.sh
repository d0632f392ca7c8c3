#!/bin/sh
# Makes what test hosts are built on: Debian with sshd, sudo and Python, and of this machine its mirror and CA bundle.
# usage: make-host.sh IMAGE SUITE APT_SOURCES      needs root and debootstrap
set -eu
image=$1 suite=$2 sources=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM

# shellcheck disable=SC2046 # no mirror known means debootstrap's own default
debootstrap --variant=minbase --include=ca-certificates,iproute2,iptables,openssh-server,procps,python3,sudo \
  "$suite" "$root" $(sed -n 's/^URIs: //p' "$sources" | head -n 1)

if [ -s "$sources" ]; then
  rm -f "$root/etc/apt/sources.list"
  sed "s/^Suites: trixie/Suites: $suite/" "$sources" > "$root/etc/apt/sources.list.d/debian.sources"
fi
apt-config dump | sed -nE '/^Acquire::(Check|http|Retries)/p' > "$root/etc/apt/apt.conf.d/90host"
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
rm -rf "$root"/etc/ssh/ssh_host_* "$root"/etc/resolv.conf "$root"/etc/hostname "$root"/var/cache/apt/*.bin \
  "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --numeric-owner -C "$root" -c . | docker import - "$image"
