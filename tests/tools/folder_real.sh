#!/usr/bin/env bash
# The default model as Hugging Face folders: what is written as float32 shards gives the same logits and tokens as its GGUF
# file, bit for bit; what is rounded to BF16, and again at the start, the same best tokens nearly always.
# Usage: folder_real.sh REARANK (hf_folder lies beside it)     Exit 77 = skipped.
set -euo pipefail

# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
hf_folder=$(dirname -- "$rearank")/hf_folder
model=${REARANK_TEST_MODEL:-${REARANK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rearank}/models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf}
if [[ ! -x $hf_folder || ! -e $model ]]; then
    echo "skipped: no hf_folder beside $1, or no $model"
    exit 77
fi
if (($(df --output=avail -k . | tail -n 1) < 6 * 1024 * 1024)); then
    echo "skipped: less than 6 GiB are free in $work"
    exit 77
fi

printf 'What keeps cut flowers fresh? Clean water; bicycles do not. \xe6\x9d\xb1\xe4\xba\xac 42\n' >text
logits() { # MODEL NAME [OPTION…]
    run 0 logits -m "$1" -t tokens --context 64 --no-packed-cache --raw "$2" "${@:3}"
    sed -E 's/.*"top":\[\{"id":([0-9]+).*/\1/' out >"$2.top"
}
run 0 tokenize -m "$model" -f json text
cp out tokens
logits "$model" gguf --exact

check "a folder is written" "$hf_folder" "$model" f32 F32 3
run 0 tokenize -m f32 -f json text
check "the same tokens" cmp -s out tokens
logits f32 folder --exact
check "the same logits, bit for bit" cmp -s gguf folder
rm -rf f32 folder

check "a folder is written" "$hf_folder" "$model" bf16 BF16
logits bf16 folder --exact
check "BF16: the same best tokens" cmp -s gguf.top folder.top
logits bf16 folder --quantize q8_0
n_other=$(paste -d ' ' gguf.top folder.top | awk '$1 != $2' | wc -l)
check "BF16, rounded to q8_0: at most one other best token ($n_other)" test "$n_other" -le 1
summary
