#!/usr/bin/env bash
# tools/dev/gpu-report on the tiny synthetic model: the report's parts, with and without a llama.cpp, and failing steps.
# Usage: gpu_report_gpu.sh REARANK     Exit 77 = skipped.
set -euo pipefail

gpu_report=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")/../../tools/dev/gpu-report")
if ! command -v python3 >/dev/null; then
    echo "skipped: tools/dev/gpu-report needs python3"
    exit 77
fi
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
export REARANK_CACHE=$work/cache
unset REARANK_MODEL

# llama.cpp's benchmark: a millisecond a token
mkdir peer
cat >peer/llama-bench <<'PY'
#!/usr/bin/env python3
import json, sys
args = sys.argv[1:]
if "--list-devices" in args:
    print("Available devices:\n  Vulkan0: a device (1 MiB, 1 MiB free)")
    sys.exit(0)
p, n = (int(args[args.index(name) + 1]) for name in ("-p", "-n"))
print(json.dumps([{"build_commit": "abc", "build_number": 7, "n_prompt": p, "n_gen": n, "samples_ns": [(p or n) * 1000000]}]))
PY
chmod +x peer/llama-bench

report() { # EXPECTED_EXIT ARGUMENT…
    local wanted=$1
    shift
    expect "$wanted" "gpu-report $*" "$gpu_report" "$@" </dev/null
}

report 0 reports --rearank "$rearank" --quick --sizes tiny --type q4_k_m --peer peer --rounds 1 --models models
check "names one file" test -s "$(cat out)"
check "keeps the model" test -s models/synthetic-tiny-q4_k_m.gguf
check "what stands in it" python3 - "$(cat out)" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
assert r["device"]["name"] and r["rearank"].startswith("rearank "), r
assert r["check"]["cases"] > 10 and r["check"]["failed"] == 0, r["check"]
assert len(r["kernels"]) >= 1, r["kernels"]
tiny = r["models"]["tiny"]
assert tiny["bench"]["prefill_tokens_per_s"]["n"] == 2 and tiny["bench"]["kernels"], tiny
assert abs(tiny["peer"]["points"][0]["tokens_per_s"]["llama.cpp Vulkan"] - 1000) < 1e-6, tiny["peer"]
assert all(step["exit"] == 0 for step in r["steps"]), r["steps"]
assert "path" not in tiny["bench"]["model"]
PY
# a step that fails is kept, and the rest goes on
report 1 reports --rearank "$rearank" --quick --sizes none,tiny --peer nothing --rounds 1
check "the report names the failure" python3 - "$(cat out)" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
failed = [step for step in r["steps"] if step["exit"] != 0]
assert [step["name"] for step in failed] == ["synth none"] and "0.5b" in failed[0]["error"], failed
assert "bench" in r["models"]["tiny"] and "peer" not in r["models"]["tiny"]
PY
report 1 reports --rearank "$rearank" --device no-such-device
report 1 reports --rearank ./none

summary
