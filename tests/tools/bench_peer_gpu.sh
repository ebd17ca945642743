#!/usr/bin/env bash
# tools/dev/bench-peer with a tiny synthetic model and a llama.cpp of our own making, whose times are known.
# Usage: bench_peer_gpu.sh REARANK     Exit 77 = skipped.
set -euo pipefail

bench_peer=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")/../../tools/dev/bench-peer")
if ! command -v python3 >/dev/null; then
    echo "skipped: tools/dev/bench-peer needs python3"
    exit 77
fi
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
export REARANK_CACHE=$work/cache
unset REARANK_MODEL

peer() { # EXPECTED_EXIT ARGUMENT…
    local wanted=$1
    shift
    expect "$wanted" "bench-peer $*" "$bench_peer" --rearank "$rearank" "$@" </dev/null
}

"$rearank" synth tiny -o m.gguf >/dev/null
mkdir -p other/bin
# 100 ms a prompt token, 200 ms a generated one; 10 ms on the CPU; slower in the second round
cat >other/bin/llama-bench <<'PY'
#!/usr/bin/env python3
import json, os, sys
args = sys.argv[1:]
if "--list-devices" in args:
    print("Available devices:\n  Vulkan0: a device (1 MiB, 1 MiB free)")
    sys.exit(0)
value = lambda name: args[args.index(name) + 1]
n = int(value("-p")) or int(value("-n"))
with open("calls", "a") as log:
    log.write(os.environ.get("GGML_VK_VISIBLE_DEVICES", "-") + " " + " ".join(args) + "\n")
each = 10 if value("-dev") == "none" else 100 if int(value("-p")) else 200
ns = n * each * 1000000 * (1 + open("calls").read().count("\n") // 12)
print("noise")
print(json.dumps([{"build_commit": "abc", "build_number": 7, "n_prompt": int(value("-p")), "n_gen": int(value("-n")),
                   "samples_ns": [ns]}]))
PY
chmod +x other/bin/llama-bench

peer 0 m.gguf --peer other --rounds 2 --points prefill-16,decode,sessions-3 --json b.json
check "every point has its line" test "$(grep -cE '^(prefill 16|decode|decode, 3 sessions) .*x' out)" -eq 3
check "rates of the other's best times, and their ratio to ours" python3 - <<'PY'
import json
b = json.load(open("b.json"))
rate = {p["kind"]: p["tokens_per_s"] for p in b["points"]}
near = lambda a, b: abs(a / b - 1) < 1e-6
assert near(rate["prefill"]["llama.cpp Vulkan"], 10) and near(rate["decode"]["llama.cpp Vulkan"], 5), rate
assert near(rate["sessions"]["llama.cpp Vulkan"], 5) and near(rate["decode"]["llama.cpp CPU"], 100), rate
for p in b["points"]:
    for who, ratio in p["ratio"].items():
        assert near(ratio, p["tokens_per_s"]["rearank"] / p["tokens_per_s"][who]), p
    assert all(len(times) == 2 for times in p["ns_per_token"].values())
assert b["llama_cpp"] == "abc (7)" and b["rounds"] == 2
PY
check "the same device" test "$(grep -v -- '-dev none' calls | cut -d' ' -f1 | sort -u)" = \
    "$("$rearank" devices --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["picked"])')"
rm calls
REARANK_MODEL=m.gguf peer 0 --peer other --rounds 1 --points decode --no-cpu --wrap "env A=b"
check "without the CPU" test "$(grep -c 'CPU' out)" -eq 0

# what it refuses
peer 1 m.gguf --peer nothing
check "says what is missing and how to get it" says "GGML_VULKAN"
peer 1 none.gguf --peer other
check "names the model" says "none.gguf"
peer 1 --peer other
check "says how to fetch one" says "rearank pull"
peer 1 m.gguf --peer other --device no-such-device
check "names the device" says "no-such-device"
peer 2 m.gguf --peer other --points prefill
peer 2 m.gguf --peer other --points sessions-33
peer 2 m.gguf --peer other --rounds 0
printf '#!/bin/sh\necho "  (none)"\n' >other/bin/llama-bench
peer 1 m.gguf --peer other
check "a llama.cpp without Vulkan" says "sees no Vulkan device"
printf '#!/bin/sh\necho broken >&2\nexit 3\n' >other/bin/llama-bench
peer 1 m.gguf --peer other
check "a llama.cpp that fails" says "broken"
code=0
"$bench_peer" --rearank ./none m.gguf --peer other >out 2>err || code=$?
check "without our program" test "$code" -eq 1

summary
