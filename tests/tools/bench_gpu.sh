#!/usr/bin/env bash
# `rearank bench` with a tiny synthetic model: files, single points, what it refuses, the dry run.
# Usage: bench_gpu.sh REARANK     Exit 77 = skipped.
set -euo pipefail

if ! command -v python3 >/dev/null; then
    echo "skipped: rearank bench's files are read with python3"
    exit 77
fi
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
export REARANK_CACHE=$work/cache REARANK_MODEL=$work/m.gguf

bench() { # EXPECTED_EXIT ARGUMENT…
    local wanted=$1
    shift
    expect "$wanted" "bench $*" "$rearank" bench "$@" </dev/null
}
file_says() { # FILE PYTHON_CONDITION: over `b`, the JSON
    python3 -c 'import json, sys; b = json.load(open(sys.argv[1])); sys.exit(0 if eval("(" + sys.argv[2] + ")") else 1)' "$1" "$2"
}

"$rearank" synth tiny -t q4_k_m -o m.gguf >/dev/null

# single points
bench 0 --prompt 40 --gen 6 --rounds 4 --json b.json --csv b.csv
check "nothing on standard error" test ! -s err
check "both rates stand at the top" file_says b.json \
    'b["prefill_tokens_per_s"]["n"] == 4 and b["prefill_tokens_per_s"]["prompt"] == 40 and
     b["decode_tokens_per_s"]["gen"] == 6 and b["decode_tokens_per_s"]["prompt"] == 40'
check "rates are in order" file_says b.json \
    'all(0 < r["min"] <= r["median"] <= r["max"] for r in (b["prefill_tokens_per_s"], b["decode_tokens_per_s"]))'
check "what was measured on what" file_says b.json \
    'b["model"]["path"].endswith("/m.gguf") and b["model"]["weight_bytes"] > 0 and b["device"]["name"] and
     b["device"]["type"] in ("discrete", "integrated", "virtual", "software", "other")'
check "times and rates agree" file_says b.json \
    'all(abs(p["tokens_per_s"]["max"] * p["time_ms"]["min"] / 1000 / {"prefill": 40, "decode": 6}[p["kind"]] - 1) < 1e-6
         for p in b["points"])'
check "a line a point" test "$(wc -l <b.csv)" -eq 3
bench 0 --batch 1-3,32 --gen 2 --rounds 2 --json b.json
check "batches" file_says b.json \
    '[p["rows"] for p in b["points"]] == [1, 2, 3, 32] and b["prefill_tokens_per_s"] is None and
     b["decode_tokens_per_s"]["rows"] == 1 and all(p["kind"] == "batch" and p["n"] == 2 for p in b["points"])'
bench 0 --prompt 40,300 --context 64 --rounds 1 --json b.json
check "what does not fit is skipped and said" file_says b.json \
    'b["points"][0]["n"] == 1 and b["points"][1]["n"] == 0 and "context" in b["points"][1]["note"]'
check "on the table too" grep -q 'prefill 300 .*skipped: needs a context of 300 tokens' out

bench 0 --prompt 40 --gen 4 --kernels --roofs --rounds 1 --json b.json
check "roofs" file_says b.json 'b["roofs"]["copy_gb_per_s"] > 0 and b["roofs"]["f32_gflop_per_s"] > 0'
check "shares of the roofs" file_says b.json 'all(p["roof_percent"] > 0 and p["roof"] for p in b["points"])'
check "kernels of both phases" file_says b.json \
    '{k["kind"] for k in b["kernels"]} == {"prefill", "decode"} and all(k["n"] > 0 for k in b["kernels"]) and
     sum(k["time_ms"] for k in b["kernels"]) > 0'
check "kernels on the table" grep -q '^argmax .*%' out
mkdir tmp
TMPDIR=$work/tmp bench 0 --start --json b.json
check "cold and again" file_says b.json \
    '[p["note"] for p in b["points"]] == ["cold", "again"] and all(p["time_ms"]["min"] > 0 for p in b["points"])'
check "leaves no folder behind" test "$(find tmp -mindepth 1 | wc -l)" -eq 0
ends_by_interrupt() { # a start that hangs
    TMPDIR=$work/tmp python3 - "$rearank" <<'EOF'
import os, signal, subprocess, sys, time

def start_of(parent):  # once it is a program of its own, not yet before that
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/cmdline") as words:
                if int(stat.read().rpartition(")")[2].split()[1]) == parent and "--first-token" in words.read().split("\0"):
                    return int(entry)
        except OSError:
            pass
    return None

bench = subprocess.Popen([sys.argv[1], "bench", "--start"], stdout=subprocess.DEVNULL)
child = None
while child is None and bench.poll() is None:
    child = start_of(bench.pid)
    time.sleep(0.01)
try:
    os.kill(child, signal.SIGSTOP)
    bench.send_signal(signal.SIGINT)
    code = bench.wait(timeout=30)
    sys.exit(0 if code == 130 and start_of(bench.pid) is None and not os.path.exists(f"/proc/{child}") else 1)
except subprocess.TimeoutExpired:
    os.kill(child, signal.SIGKILL)
    bench.kill()
    sys.exit(1)
EOF
}
check "an interrupt ends a start that hangs" ends_by_interrupt 2>err
check "leaves no folder behind then" test "$(find tmp -mindepth 1 | wc -l)" -eq 0

# the default set
if [[ ${REARANK_TEST_FAST:-} != 1 ]]; then
    bench 0 --rounds 1 --json b.json
    check "every kind" file_says b.json '{"prefill", "decode", "batch", "window"} <= {p["kind"] for p in b["points"] if p["n"]}'
fi

# what it refuses
for words in '--prompt 0' '--prompt x' '--prompt 1,' '--prompt 5-2' '--prompt 1-2-3' '--prompt 1-65' '--batch 33' '--gen 0' \
    '--rounds 65' '--rounds -1' 'extra'; do
    # shellcheck disable=SC2086 # options are words
    bench 2 $words
    check "$words gives no figures" test ! -s out
done
bench 1 -m none.gguf --prompt 4
bench 1 --prompt 4 --json no/such/folder/b.json
check "a file that cannot be written is found before measuring" test ! -s out
bench 2 --prompt 4 --device no-such-device
check "no such device" says no-such-device

# wider vectors of a software device: counted before they are tried; after three deaths in a row not asked for
for wide in "$REARANK_CACHE"/wide/*.txt; do
    if [[ -e $wide && -z ${LP_NATIVE_VECTOR_WIDTH:-} ]]; then
        check "what ended well is no death" test "$(cat "$wide")" = 0
        printf 3 >"$wide"
        bench 0 --prompt 4 --rounds 1 -v
        check "says why vectors are narrower" says "3 processes died with wider vectors"
        check "and which file remembers" says "$(basename -- "$wide")"
        check "takes the usual ones" grep -q '^device .*256 bits' out
        rm "$wide"
        bench 0 --prompt 4 --rounds 1
        check "tries again when told to" grep -q '^device .*512 bits' out
    fi
done

# the walk
bench 0 --dry-run
check "says that it walked" grep -q 'walked through' out
check "claims nothing" test "$(grep -cE 'tokens/s|GB/s|TFLOP' out)" -eq 0

summary
