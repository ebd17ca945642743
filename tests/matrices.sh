#!/usr/bin/env bash
# The kernels for matrix units, executed: Mesa 26's software device has them, and takes any size. Every variant with that device's own
# size, attention with those of AMD's, Intel's and NVIDIA's units too, and a whole model on the graph that a GPU with matrix units
# runs, its bits with it, all with validation. The last line is `N passed, N failed, N skipped`.
# Usage: matrices.sh BUILD_FOLDER        Needs tools/dev/mesa-next fetch.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=$(cd -- "$1" && pwd)
mesa=$root/tools/dev/mesa-next
export REARANK_TEST_VALIDATION=1
cd "$root"
passed=0 failed=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# one "name" COMMAND…: shows the end of what it said, all of it where it failed.
one() {
    local status=0 started=$SECONDS
    "$mesa" run "${@:2}" >"$output" 2>&1 </dev/null || status=$?
    if ((status == 0)) && ! grep -E 'Vulkan validation:|VUID-|SYNC-HAZARD' "$output"; then
        passed=$((passed + 1))
        echo "$1: $(tail -n 1 "$output") ($((SECONDS - started)) s)"
    else
        failed=$((failed + 1))
        cat "$output"
        echo "FAILED: $1 (status $status)"
    fi
}

# check SIZE OP VARIANT CAPABILITY OPTION…: a size of "own" is what the device lists.
check() {
    local options=("${@:5}")
    [[ $1 == own ]] || options+=(--coop "$1")
    one "$2/$3 $1 ${*:5}" "$build/rearank" check --validation --op "$2" --variant "$3" --caps "+$4,-cpu" "${options[@]}"
}

"$mesa" run "$build/rearank" devices --format json >"$output"
if ! grep -q '"coop"' "$output"; then
    echo "skipped: Mesa $("$mesa" version) has no software device with matrices"
    echo '0 passed, 0 failed, 1 skipped'
    exit 0
fi
check own attention_prefill coop coop
check own matmul_q8_prefill coop_f16 coop
check own matmul_q8_prefill coop coop-int8
# AMD and NVIDIA, Intel. Their products take this device's compiler minutes a kernel, and are not among what a change waits for.
for size in 16x16x16 8x16x16; do
    check "$size" attention_prefill coop coop
done

# The graph of GPUs: with int8 matrices, and with f16 ones in their place.
export REARANK_TEST_FAST=1 REARANK_CAPS=+coop,+coop-int8,+dot,-cpu
one "whole model, int8 matrices" "$build/engine_truth_q8"
REARANK_CAPS=+coop,-coop-int8,+dot,-cpu one "whole model, f16 matrices" "$build/engine_truth_q8"
printf '%d passed, %d failed, 0 skipped\n' "$passed" "$failed"
((failed == 0))
