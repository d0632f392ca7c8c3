#!/bin/sh
# Writes what a build needs of this host and no image may keep: package sources, CA bundle, proxy and index settings.
# usage: build-inputs.sh DIRECTORY      the files become build secrets
set -eu
# shellcheck disable=SC1091 # the host's own description of itself
. /etc/os-release
umask 077
mkdir -p "$1"
cd "$1"

# Debian's archive as the host reaches it: "URI suite" lines of the host's own configuration.
: > apt.sources
if [ "$ID" = debian ]; then
  # shellcheck disable=SC2016 # apt-get expands these
  list() { apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sort -u; }
  targets=$(list)
  # apt tells only of indexes it has fetched, and a new host may have fetched none.
  if [ -z "$targets" ]; then
    apt-get update -q > /dev/null
    targets=$(list)
  fi
  for suite in '' -updates -security; do
    uri=$(echo "$targets" | awk -v want="$VERSION_CODENAME$suite" '$2 == want && $3 == "main" { print $1; exit }')
    [ -n "$uri" ] || continue
    printf 'Types: deb\nURIs: %s\nSuites: trixie%s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n' \
      "${uri%/}" "$suite" >> apt.sources
  done
fi

: > ca.crt
for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
  if [ -s "$bundle" ]; then cat "$bundle" > ca.crt; break; fi
done

: > build.env
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY PIP_INDEX_URL PIP_EXTRA_INDEX_URL UV_DEFAULT_INDEX \
    UV_INDEX_URL UV_INDEX GOPROXY GONOSUMDB GOSUMDB; do
  value=$(printenv "$name" || true)
  [ -n "$value" ] || continue
  printf "export %s='%s'\n" "$name" "$(printf %s "$value" | sed "s/'/'\\\\''/g")" >> build.env
done
[ ! -s ca.crt ] || printf 'export %s=/run/secrets/ca\n' SSL_CERT_FILE PIP_CERT >> build.env
