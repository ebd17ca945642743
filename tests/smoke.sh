#!/usr/bin/env bash
# The program on one Vulkan driver with validation and synchronization validation on; any message fails.
# Usage: smoke.sh DRIVER_JSON BUILD_FOLDER
set -euo pipefail

driver=$1 build=$2
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
export VK_DRIVER_FILES=$driver VK_ICD_FILENAMES=$driver # the second for loaders before 1.3.207
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# run NAME COMMAND…: standard output to NAME.out; fails on a non-zero exit or a message of validation.
run() {
    local name=$1
    shift
    if ! "$@" >"$work/$name.out" 2>"$work/$name.err"; then
        tail -n 20 "$work/$name.out" "$work/$name.err" >&2
        echo "smoke: $name failed on $driver" >&2
        exit 1
    fi
    if grep -E 'Vulkan validation:|VUID-|SYNC-HAZARD' "$work/$name.out" "$work/$name.err" >&2; then
        echo "smoke: validation complains in $name on $driver" >&2
        exit 1
    fi
}

run devices "$build/rearank" devices
cat "$work/devices.out"
run check "$build/rearank" check --validation
tail -n 1 "$work/check.out"
"$build/synth_model" "$work/model.gguf"
head -n 4 "$here/../samples/passages.jsonl" >"$work/passages.jsonl"
query=$(<"$here/../samples/query.txt")
run rank "$build/rearank" rank -m "$work/model.gguf" --validation --no-think --no-strict --max-tokens 24 --format tsv \
    -q "$query" "$work/passages.jsonl"
run strict "$build/rearank" rank -m "$work/model.gguf" --validation --strict --no-think --format tsv \
    -q "$query" "$work/passages.jsonl"
n_ranked=$(wc -l <"$work/rank.out")
if ((n_ranked < 4)); then
    cat "$work/rank.out" >&2
    echo "smoke: found $n_ranked ranked passages, expected 4" >&2
    exit 1
fi
echo "smoke: devices, check and rank are well, validation is silent"
