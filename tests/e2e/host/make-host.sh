#!/bin/sh
# Makes the image of a bare Debian host for tests: sshd, sudo and Python, and of this machine its mirror and CA bundle.
# usage: make-host.sh IMAGE SUITE APT_SOURCES      needs root and debootstrap
set -eu
image=$1 suite=$2 sources=$3
here=$(dirname "$0")
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
apt-config dump | grep -E '^Acquire::(Check|http|Retries)' > "$root/etc/apt/apt.conf.d/90host"
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
rm -rf "$root"/etc/ssh/ssh_host_* "$root"/etc/resolv.conf "$root"/etc/hostname "$root"/var/cache/apt/*.bin \
  "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*

# Who may log in: root and two people with sudo, all by the key that the test mounts; one is asked for a password.
cat > "$root/etc/ssh/sshd_config.d/test.conf" <<'SSHD'
AuthorizedKeysFile /etc/ssh/authorized_keys
PasswordAuthentication no
UseDNS no
MaxStartups 100
SSHD
chroot "$root" useradd --create-home --shell /bin/bash --gid users operator
chroot "$root" useradd --create-home --shell /bin/bash --gid users careful
echo 'careful:correct horse' | chroot "$root" chpasswd
echo 'operator ALL=(ALL) NOPASSWD: ALL' > "$root/etc/sudoers.d/operator"
echo 'careful ALL=(ALL) ALL' > "$root/etc/sudoers.d/careful"
install -m 755 "$here/boot.sh" "$root/usr/local/sbin/boot"
tar --numeric-owner -C "$root" -c . | docker import --change 'CMD ["boot"]' - "$image"
