#!/bin/sh
# What a test host does at every start, for it has no systemd: name server, host keys, engine if it has one, sshd.
set -eu
# Docker's own name server is on the loopback, where a nested container's questions would not get to.
# shellcheck disable=SC2086 # one line for each
if [ -n "${NAMESERVERS:-}" ]; then printf 'nameserver %s\n' $NAMESERVERS > /etc/resolv.conf; fi
if [ -n "${ONLY_FROM:-}" ]; then iptables -A INPUT -p tcp --dport "$SSH_PORT" ! -s "$ONLY_FROM" -j REJECT; fi
ssh-keygen -A
mkdir -p /run/sshd
if [ -x /usr/sbin/dockerd ]; then /usr/sbin/dockerd >> /var/log/dockerd.log 2>&1 & fi
exec /usr/sbin/sshd -D -e -p "${SSH_PORT:-22}"
