#!/usr/bin/env bash
# Makes everything that a release has, in OUT: the program with a checksum, the image, the chart, and a bill of materials.
# Takes PROGRAM (built already), VERSION and OUT. The release workflow and a test run it alike.
set -euo pipefail
program=$1 version=$2 out=$3
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

stated=$(sed -n '0,/^version = /s/^version = "\(.*\)"$/\1/p' Cargo.toml)
if [[ $version != "$stated" ]]; then
    echo "Cargo.toml says version $stated, and the release is to be $version." >&2
    exit 1
fi

platform=$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
name=plumb-$version-$platform
mkdir "$work/$name"
install -m 755 "$program" "$work/$name/plumb"
cp LICENSE README.md CHANGELOG.md "$work/$name/"
cp -r completions man "$work/$name/"
tar --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --numeric-owner --owner=0 --group=0 -C "$work" -cf - "$name" |
    gzip -n >"$out/$name.tar.gz"

deploy/root.sh "$program" "$work/root"
deploy/pack.sh "$work/root" "$out/plumb-$version-image.tar" "$version" >"$out/plumb-$version-image.digest"

# The chart's own version is the program's.
cp -rL charts/plumb "$work/chart"
sed -i "s/^version: .*/version: $version/; s/^appVersion: .*/appVersion: \"$version\"/" "$work/chart/Chart.yaml"
"${HELM:-helm}" package "$work/chart" --destination "$out" >/dev/null

cat crds/*.yaml | sed '1!s/^apiVersion: apiextensions/---\n&/' >"$out/plumb-$version-crds.yaml"
deploy/sbom.py "$version" >"$out/plumb-$version-sbom.cdx.json"
(cd "$out" && sha256sum plumb-* >SHA256SUMS)
