#!/usr/bin/env bash
# Installs the Debian packages that building plumb needs: as root on Debian, or in CI; elsewhere it says how.
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v make >/dev/null || missing+=(make)
pkg-config --exists openssl 2>/dev/null || missing+=(pkg-config libssl-dev)
((${#missing[@]})) || exit 0
sudo=()
((EUID == 0)) || sudo=(sudo)
if command -v apt-get >/dev/null && { ((EUID == 0)) || [[ ${CI:-} == true ]]; }; then
    printf 'Installing %s.\n' "${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
else
    printf 'Something that building needs is missing. On Debian, this installs it:\n' >&2
    printf 'sudo apt-get install %s\n' "${missing[*]}" >&2
    exit 1
fi
