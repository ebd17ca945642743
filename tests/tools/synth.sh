#!/usr/bin/env bash
# `rearank synth` from outside: the same file everywhere, every type, what it refuses, no half files.
# Usage: synth.sh REARANK
set -euo pipefail

# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"

synth() { # EXPECTED_EXIT ARGUMENT…
    local wanted=$1
    shift
    expect "$wanted" "synth $*" "$rearank" synth "$@" </dev/null
}
hash_is() { [[ $(sha256sum <"$1" | cut -c1-16) == "$2" ]]; }
only() { [[ $(echo *) == "$*" ]]; }

synth 0 tiny
check "names the file" test "$(cat out)" = synthetic-tiny-q4_0.gguf
check "the same file everywhere" hash_is synthetic-tiny-q4_0.gguf b0d6ca084ca4b2c9
check "quiet without a terminal" test ! -s err
synth 0 tiny -t q4_k_m --layers 3 --seed 5 -o b.gguf
check "the same mix everywhere" hash_is b.gguf 776caba00f451614
synth 0 tiny -t q4_k_m --layers 3 --seed 6 -o c.gguf
check "another seed, other weights" test "$(cmp b.gguf c.gguf | wc -l)" -eq 1
rm ./*.gguf

for type in q4_0 q4_1 q5_0 q5_1 q8_0 q4_k_s q4_k_m q5_k_s q5_k_m q6_k f16 bf16 f32; do
    synth 0 tiny --type "$type" --layers 1 -o m.gguf
    # the file opens as a model and its vocabulary as a tokenizer
    printf 'the flowers' | "$rearank" tokenize -m m.gguf --format json >ids 2>err
    check "$type: its tokens" test "$(tr -d ' \n' <ids)" = "[83,442,1099,642,377,82]"
done
printf '<|im_start|>a<|im_end|>' | "$rearank" tokenize -m m.gguf --special --format json >ids 2>err
check "its special tokens" test "$(tr -d ' \n' <ids)" = "[1635,64,1636]"
if command -v python3 >/dev/null; then
    # as exporters write it: the tokens of a chat without their type
    python3 - <<'PY'
import struct
data = bytearray(open("m.gguf", "rb").read())
key = b"tokenizer.ggml.token_type"
at = data.index(key) + len(key) + 4 + 4 + 8  # the value's type, the items' type, their number
for token in 1635, 1636:
    struct.pack_into("<i", data, at + 4 * token, 1)
open("normal.gguf", "wb").write(data)
PY
    printf '[{"role": "user", "content": "ab"}]' >chat.json
    "$rearank" tokenize -m m.gguf --chat --format json <chat.json >ids 2>err
    expect 0 "tokens typed normal" "$rearank" tokenize -m normal.gguf --chat --format json <chat.json
    check "the same ids" cmp -s out ids
    check "a warning tells which" says '<|im_end|> is token 1636 but has type 1 (normal), expected 3 (control)'
    check "for each of them" test "$(grep -c 'is taken for a control token' err)" -eq 2
    rm normal.gguf chat.json
fi
rm m.gguf ids

synth 0 7b --hollow -o m.gguf
check "a hollow 7B model is of full size" test "$(stat -c %s m.gguf)" -gt 4000000000
check "takes no room" test "$(du -k m.gguf | cut -f 1)" -lt 100000
check "opens" "$rearank" tokenize -m m.gguf </dev/null
rm m.gguf

synth 2
synth 2 8b
check "says what sizes there are" grep -q '0.5b|1.5b|3b|7b|14b|tiny' err
synth 2 tiny --type q3_k
check "says what types there are" grep -q 'q4_k_m' err
synth 2 tiny --layers 0
synth 2 tiny extra
synth 1 tiny -o no/such/folder/m.gguf
check "names the path" grep -q 'no/such/folder' err
check "leaves nothing behind" only err out
if [[ -w /dev/full ]] && (ulimit -f 100) 2>/dev/null; then
    code=0
    (trap '' XFSZ && ulimit -f 100 && exec "$rearank" synth tiny -o m.gguf) >out 2>err || code=$?
    check "a file that may not grow: exit $code" test "$code" -eq 1
    check "says so" grep -q 'cannot write' err
    check "no half file" only err out
fi

summary
