#!/usr/bin/env bash
# Looks through everything below a folder, and fails where a secret of a test is in it: all of them contain one mark,
# which is looked for as it is, in hex, and in base64 at each place in a longer text.
set -euo pipefail

folder=$1
mark=correct-horse
patterns=("$mark")
hex=$(printf %s "$mark" | od -An -v -tx1 | tr -d ' \n')
patterns+=("$hex" "${hex^^}")
for before in '' x xx; do
    # Digits that hold bits of what is before or after the mark are not its own.
    first=$(((${#before} * 8 + 5) / 6)) last=$(((${#before} + ${#mark}) * 8 / 6))
    encoded=$(printf %s "$before$mark" | base64 -w 0)
    patterns+=("${encoded:first:last-first}")
done

arguments=()
for pattern in "${patterns[@]}"; do arguments+=(-e "$pattern"); done
files=$(find "$folder" -type f | wc -l)
if ((files == 0)); then
    echo "$folder has no file: nothing was looked through." >&2
    exit 1
fi
if grep --recursive --text --fixed-strings --only-matching "${arguments[@]}" "$folder" >&2; then
    echo "A secret is in what the tests printed or left behind." >&2
    exit 1
fi
echo "$files outputs and files of the tests: no secret in ${#patterns[@]} spellings." >&2
