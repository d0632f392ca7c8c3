#!/bin/sh
# Writes what a build needs of this host and no image may keep: package sources, CA bundle, proxy and index settings.
# usage: build-inputs.sh DIRECTORY      the files become build secrets
set -eu
# shellcheck disable=SC1091 # the host's own description of itself
. /etc/os-release
umask 077
mkdir -p "$1"
cd "$1"

# usage: source_of URI SUITE
source_of() {
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n' \
    "$1" "$2" >> apt.sources
}

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
    # A list of mirrors is this host's file; a build has its first one.
    case $uri in
      mirror+file:*)
        mirrors=${uri#mirror+file:}
        mirrors=${mirrors#//}
        uri=$(awk '/^[[:space:]]*http/ { print $1; exit }' "${mirrors%/}")
        ;;
    esac
    case $uri in http*) source_of "${uri%/}" "trixie$suite" ;; esac
  done
fi
# A host that is no Debian, or knows none of its mirrors, takes Debian from where debootstrap does by default.
if [ ! -s apt.sources ]; then
  command -v debootstrap > /dev/null || apt-get install -qqy --no-install-recommends debootstrap > /dev/null
  uri=$(sed -n 's/^DEF_MIRROR="\(.*\)"$/\1/p' "$(command -v debootstrap)")
  for suite in trixie trixie-updates; do source_of "$uri" "$suite"; done
  source_of "$uri-security" trixie-security
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
