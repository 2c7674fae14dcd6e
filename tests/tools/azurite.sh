#!/usr/bin/env bash
# Puts Azurite, which serves Azure Blob Storage to the tests, into OUTDIR/azurite, unless this very version is there.
# Needs npm, and no root.
set -euo pipefail
out=${1:?give the folder that azurite goes to}
version=3.37.0

stamp=$out/azurite/.version
server=$out/azurite/node_modules/azurite/dist/src/blob/main.js
[[ -e $stamp && $(<"$stamp") == "$version" && -e $server ]] && exit 0

rm -rf "$out/azurite"
mkdir -p "$out/azurite"
echo '{"private": true}' >"$out/azurite/package.json"
npm install --prefix "$out/azurite" --silent --no-audit --no-fund --no-package-lock --ignore-scripts "azurite@$version"
echo "$version" >"$stamp"
