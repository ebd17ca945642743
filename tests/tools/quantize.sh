#!/usr/bin/env bash
# `rearank quantize` from outside: every type, the same file on any number of threads, what it refuses, no half files.
# Usage: quantize.sh REARANK
set -euo pipefail

# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"

run 0 synth tiny -t f16 -o in.gguf
for type in q4_0 q4_1 q5_0 q5_1 q8_0 q4_k q5_k q6_k f16 bf16 f32; do
    run 0 quantize in.gguf out.gguf --type "$type"
    check "$type: tells the file and its size" grep -q 'out.gguf: .* MiB, .* bits a weight' out
    # the file opens as a model and its vocabulary as a tokenizer
    printf 'the flowers' | "$rearank" tokenize -m out.gguf --format json >ids 2>err
    check "$type: its tokens" test "$(tr -d ' \n' <ids)" = "[83,442,1099,642,377,82]"
    run 0 quantize in.gguf again.gguf --type "$type" --threads 3
    check "$type: the same on three threads" cmp -s out.gguf again.gguf
done
run 0 quantize in.gguf out.gguf
check "quiet without a terminal" silent
run 0 quantize out.gguf again.gguf --type q4_1
check "says what is rounded twice" says 'are quantized already'
run 0 quantize in.gguf q8.gguf --embedding-type q8_0 --output-type q8_0
check "embedding and output have Q8_0 by default" cmp -s out.gguf q8.gguf
run 0 quantize in.gguf q5.gguf --output-type q5_0
check "and another type when it is asked for" test "$(stat -c %s q5.gguf)" -lt "$(stat -c %s out.gguf)"
run 2 quantize in.gguf other.gguf --embedding-type q5_0 --output-type q6_k
check "of a tied model they are one" says 'the output of this model is its embedding'
rm out.gguf again.gguf q8.gguf q5.gguf ids

run 2 quantize
run 2 quantize in.gguf
run 2 quantize in.gguf out.gguf --type q3_k
check "says what types there are" says 'q4_k'
run 2 quantize in.gguf in.gguf
run 1 quantize none.gguf out.gguf
check "names the file" says 'none.gguf'
head -c 100000 in.gguf >cut.gguf
run 2 quantize cut.gguf out.gguf
check "names the cut file" says 'cut.gguf'
run 1 quantize in.gguf no/such/folder/out.gguf
check "names the path" says 'no/such/folder'
if [[ -w /dev/full ]] && (ulimit -f 100) 2>/dev/null; then
    code=0
    (trap '' XFSZ && ulimit -f 100 && exec "$rearank" quantize in.gguf out.gguf) >out 2>err || code=$?
    check "a file that may not grow: exit $code" test "$code" -eq 1
    check "says so" says 'cannot write'
fi
check "leaves nothing behind" test "$(echo *)" = "cut.gguf err in.gguf out"

# A file as large as the disk would be refused before anything is written.
run 0 synth 7b -t f16 --hollow -o huge.gguf
if (($(df --output=avail -B 1 . | tail -n 1) < 30000000000)); then
    run 1 quantize huge.gguf out.gguf --type f32
    check "says what is free" says 'MiB are needed'
fi
"$rearank" quantize huge.gguf out.gguf --type q8_0 >out 2>err </dev/null &
pid=$!
written() { compgen -G '.*out.gguf*' >/dev/null || compgen -G 'out.gguf*' >/dev/null; }
await "$pid" written
kill -INT "$pid"
code=0
wait "$pid" || code=$?
check "interrupted: exit $code" test "$code" -eq 130
rm huge.gguf
check "leaves nothing behind" test "$(echo .[!.]* *)" = ".[!.]* cut.gguf err in.gguf out"

summary
