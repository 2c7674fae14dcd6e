#!/usr/bin/env bash
# Packs a root file system as an OCI image layout, without a container engine: ROOT, OUT (a tar file), TAG.
# Same input, same bytes: times are those of SOURCE_DATE_EPOCH (1970 unless given).
set -euo pipefail
root=$1 out=$2 tag=$3
epoch=${SOURCE_DATE_EPOCH:-0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/oci/blobs/sha256
mkdir -p "$blobs"

# Puts a file among the blobs, and prints its digest and size.
store() {
    local digest
    digest=$(sha256sum "$1" | cut -d ' ' -f 1)
    mv "$1" "$blobs/$digest"
    printf 'sha256:%s %s\n' "$digest" "$(stat -c %s "$blobs/$digest")"
}

tar --sort=name --mtime="@$epoch" --numeric-owner --owner=0 --group=0 --format=posix \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -C "$root" -cf "$work/layer.tar" \
    --exclude=./var/lib/plumb .
tar --sort=name --mtime="@$epoch" --numeric-owner --owner=65532 --group=65532 --format=posix \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime -C "$root" -rf "$work/layer.tar" ./var/lib/plumb
diff_id=sha256:$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
gzip -n "$work/layer.tar"
read -r layer layer_size < <(store "$work/layer.tar.gz")
created=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
case $(uname -m) in aarch64) arch=arm64 ;; *) arch=amd64 ;; esac
cat >"$work/config" <<JSON
{"created":"$created","architecture":"$arch","os":"linux","config":{"User":"65532:65532","Entrypoint":["/usr/bin/plumb"],"Cmd":["--help"],"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["$diff_id"]},"history":[{"created":"$created","created_by":"deploy/pack.sh"}]}
JSON
read -r config config_size < <(store "$work/config")
cat >"$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"$config","size":$config_size},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"$layer","size":$layer_size}]}
JSON
read -r manifest manifest_size < <(store "$work/manifest")
cat >"$work/oci/index.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"$manifest","size":$manifest_size,"annotations":{"org.opencontainers.image.ref.name":"$tag"}}]}
JSON
printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
tar --sort=name --mtime="@$epoch" --numeric-owner --owner=0 --group=0 -C "$work/oci" -cf "$out" .
echo "$manifest"
