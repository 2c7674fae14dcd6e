#!/usr/bin/env bash
# Builds the Kubernetes control plane that the operator's tests run against, with Go, from the modules of `go.mod`, and
# prints the folder it is in: below the user's cache, named by the hash of `go.sum`. Built already, it takes no time.
# `--where` only prints the folder. KUBEBUILDER_ASSETS, where it is set, is the folder, and nothing is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
    printf '%s\n' "$KUBEBUILDER_ASSETS"
    exit 0
fi

hash=$(sha256sum go.sum | cut -c 1-16)
out=${XDG_CACHE_HOME:-$HOME/.cache}/plumb/kube-$hash
if [[ ${1:-} == --where ]]; then
    printf '%s\n' "$out"
    exit 0
fi

command -v go >/dev/null || {
    echo "Go 1.25 or newer is missing; it builds the Kubernetes API server that the tests of the operator need." >&2
    exit 1
}
version=$(sed -n 's/^require k8s.io\/kubernetes v\([0-9.]*\)$/\1/p' go.mod)
version_package=k8s.io/component-base/version
stamp="-X $version_package.gitVersion=v$version -X $version_package.gitMajor=${version%%.*}"
stamp+=" -X $version_package.gitMinor=$(cut -d . -f 2 <<<"$version")"

export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false -p=${GO_JOBS:-2}"
mkdir -p "$out"
# One builds, others wait for it.
exec 9>"$out/.lock"
flock 9
build() {
    [[ -x $out/$1 ]] && return
    echo "Building $1 (kept in $out)." >&2
    go build -trimpath -ldflags "-s -w $stamp" -o "$out/.$1" "$2"
    mv "$out/.$1" "$out/$1"
}
build etcd go.etcd.io/etcd/server/v3
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
printf '%s\n' "$out"
