#!/usr/bin/env bash
# Encrypts `plain/` anew, by the real `sops` (3.11.0), which has to be on the PATH. The keys are good for nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

one=$(grep -o 'age1.*' keys.txt) two=$(grep -o 'age1.*' other-keys.txt) three=$(grep -o 'age1.*' third-keys.txt)
config=$(mktemp)
trap 'rm -f "$config"' EXIT

# make NAME FROM [RULE]: encrypts to the first key, or as a creation rule says.
make() {
    printf 'creation_rules: [{%s}]\n' "${3:-age: $one}" >"$config"
    sops --disable-version-check --config "$config" encrypt "plain/$2" >"$1"
}

make values.yaml plain.yaml
make values.json plain.json "age: '$two,$one'"
make encrypted-suffix.yaml suffix.yaml "age: $one, encrypted_suffix: _secret"
make unencrypted-suffix.yaml plain.yaml "age: $one, unencrypted_suffix: _plain, mac_only_encrypted: true"
make encrypted-regex.yaml regex.yaml "age: $one, encrypted_regex: '^(data|stringData)\$'"
make mac-only-encrypted.yaml regex.yaml "age: $one, encrypted_regex: '^(data|stringData)\$', mac_only_encrypted: true"
make unencrypted-regex.yaml plain.yaml "age: $one, unencrypted_regex: '^(user|port|ratio|since|on|octal|note.*)\$'"
make encrypted-comment.yaml comments.yaml "age: $one, encrypted_comment_regex: 'secret:'"
make unencrypted-comment.yaml plain.yaml "age: $one, unencrypted_comment_regex: 'Changed every'"
make documents.yaml multi.yaml
make key-groups.yaml regex.yaml "shamir_threshold: 2, key_groups: [{age: [$one]}, {age: [$two, $three]}, {age: [$three]}]"
make whole whole
