#!/bin/sh
# Makes the base image without a registry: Debian from the host's own mirror, without what no container reads.
# usage: make-base.sh IMAGE APT_SOURCES      needs root, debootstrap and debian-archive-keyring
set -eu
image=$1 sources=$2
# Not in /tmp, which may be a tmpfs without devices: debootstrap refuses to work there.
root=$(mktemp -d -p /var/tmp)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM
suite=trixie
mirror=$(sed -n 's/^URIs: //p;' "$sources" | head -n 1)

# Without the keyring debootstrap would warn, and install what nobody has signed.
# shellcheck disable=SC2086 # no mirror known means debootstrap's own default
debootstrap --variant=minbase --force-check-gpg --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$suite" "$root" $mirror
cat > "$root/etc/dpkg/dpkg.cfg.d/slim" <<'EOF'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-exclude /usr/lib/*/gconv/*
EOF
# The point release is what debootstrap installed; its updates are what a container should start from.
if [ -n "$mirror" ]; then
  cp "$sources" "$root/etc/apt/sources.list.d/platform.sources"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  mkdir -p "$root/etc/ssl/certs"
  if [ -f /etc/ssl/certs/ca-certificates.crt ]; then cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
  chroot "$root" sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get upgrade -qy'
  rm -f "$root/etc/ssl/certs/ca-certificates.crt" "$root/etc/resolv.conf"
fi
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -type l -delete
find "$root/usr/share/doc" -type d -empty -delete
rm -rf "$root"/usr/lib/*/gconv "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/lintian/* "$root"/usr/share/locale/* \
  "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/cache/debconf/*-old "$root"/var/log/* "$root"/etc/hostname \
  "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
tar --numeric-owner -C "$root" -c . | docker import --change 'CMD ["bash"]' - "$image"
