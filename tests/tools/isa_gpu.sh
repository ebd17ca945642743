#!/usr/bin/env bash
# `rearank isa`: on a driver that tells of its kernels a table, on another one a message; wrong names are refused.
# Usage: isa_gpu.sh REARANK
set -euo pipefail

rearank=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export REARANK_CACHE=$work/cache

fail() {
    echo "failed: $1" >&2
    cat "$work/err" >&2
    exit 1
}
code=0
"$rearank" isa >"$work/out" 2>"$work/err" || code=$?
if ((code != 0)); then
    ((code == 1)) || fail "exit $code, expected 1 beside a message"
    [[ ! -s $work/out ]] || fail "output beside an error"
    grep -q 'tells nothing of compiled kernels' "$work/err" || fail "the message does not say why"
    echo "this driver tells nothing of compiled kernels, and rearank isa says so"
    exit 0
fi
columns=$(head -n 1 "$work/out" | tr ',' '\n' | wc -l)
awk -F, -v n="$columns" 'NF != n { exit 1 } END { exit NR < 20 }' <(sed 's/"[^"]*"/x/g' "$work/out") ||
    fail "$(wc -l <"$work/out") lines of $columns columns"
[[ ! -e $work/cache ]] || fail "the pipeline cache was written"
code=0
"$rearank" isa --op nothing >"$work/out" 2>"$work/err" || code=$?
((code == 2)) || fail "an unknown op: exit $code, expected 2"
"$rearank" isa --op swiglu --listing >"$work/out" 2>"$work/err" || fail "no listing"
grep -q '^==== swiglu base' "$work/out" || fail "a listing without its head"
echo "$columns columns, validly filled; listings"
