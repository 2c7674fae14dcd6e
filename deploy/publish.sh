#!/usr/bin/env bash
# Pushes the image and the chart of a release to a registry: DIST, VERSION, REPOSITORY and USER; the password is in TOKEN.
set -euo pipefail
dist=$1 version=$2 repository=$3 user=$4
skopeo copy --dest-username "$user" --dest-password "$TOKEN" \
    "oci-archive:$dist/plumb-$version-image.tar:$version" "docker://$repository:$version"
"${HELM:-target/tools/helm}" registry login "${repository%%/*}" --username "$user" --password-stdin <<<"$TOKEN"
"${HELM:-target/tools/helm}" push "$dist/plumb-$version.tgz" "oci://${repository%/*}/charts"
