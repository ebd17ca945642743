#!/usr/bin/env bash
# `rearank adapter` and --adapter, with a small generated model and adapters of random values: both forms give the same logits,
# factors and several adapters, what is refused, and that nothing is answered from what was ranked without the adapter.
# Usage: adapter_gpu.sh REARANK (synth_model and random_adapter lie beside it)
set -euo pipefail

# shellcheck source=tests/tools/model.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/model.bash"
random_adapter=$(dirname -- "$rearank")/random_adapter
if [[ ! -x $random_adapter ]]; then
    echo "skipped: no random_adapter beside $1"
    exit 77
fi
differ() { ! cmp -s "$1" "$2"; }

"$random_adapter" model.gguf peft 8
"$random_adapter" model.gguf other.gguf 3 0.1
printf 'What keeps cut flowers fresh?' >text
run 0 tokenize -f json text
cp out tokens
logits() { # NAME [OPTION…]
    run 0 logits -t tokens --context 64 --raw "$1" "${@:2}"
}

# forms
run 0 adapter info -m model.gguf peft
check "info shows ranks" has 'rank           8'
run 0 adapter convert peft a.gguf
run 0 adapter convert a.gguf again/deep
check "there and back: the same values" cmp -s peft/adapter_model.safetensors again/deep/adapter_model.safetensors
check "and settings" cmp -s peft/adapter_config.json again/deep/adapter_config.json
logits plain
logits with --adapter peft
logits with-file --adapter a.gguf
logits as-one --adapter again/deep:1
check "an adapter changes the logits" differ plain with
check "a file gives those of the folder" cmp -s with with-file
check "a factor of 1 is none" cmp -s with as-one
logits half --adapter peft:0.5
logits halves --adapter peft:0.25 --adapter a.gguf:0.25
logits both --adapter peft --adapter other.gguf
check "a factor counts" differ half with
check "a second adapter counts" differ both with
check "several are added up" test "$(wc -c <halves)" -eq "$(wc -c <half)"
mkdir with:2 && cp peft/* with:2
logits colon --adapter with:2
check "a path with a colon that is there is a path" cmp -s colon with
run 0 info -m model.gguf --adapter peft:0.5
check "info names it" grep -q 'adapter *peft × 0.5' out

# what is refused
run 2 logits -t tokens --raw x --adapter peft:
check "no factor" says 'a colon and a finite number'
run 2 logits -t tokens --raw x --adapter peft:much
check "no number" says 'found "peft:much"'
run 2 logits -t tokens --raw x --adapter peft:inf
check "not finite" says 'a finite number'
run 1 logits -t tokens --raw x --adapter absent
check "absent" says 'absent'
run 2 logits -t tokens --raw peft/adapter_config.json --adapter text
check "no adapter" says 'text'
mkdir dora && cp peft/* dora && sed -i 's/"bias"/"use_dora": true,\n  "bias"/' dora/adapter_config.json
run 2 logits -t tokens --raw x --adapter dora
check "DoRA is refused by name" says 'use_dora'
mkdir cut && cp peft/* cut && truncate -s -4 cut/adapter_model.safetensors
run 2 logits -t tokens --raw x --adapter cut
check "a cut file" says 'cut'
"$(dirname -- "$rearank")/synth_model" larger.gguf
run 2 logits -t tokens --raw x -m model.gguf --adapter peft --adapter larger.gguf
check "a model is no adapter" says 'general.type'
check "nothing was written" test ! -e x

# what is kept of a ranking belongs to its adapters
printf '{"qid": "q", "query": "q", "hits": [{"docid": "a", "text": "Paris"}, {"docid": "b", "text": "Fleas"}, {"docid": "c", "text": "Dogs"}]}\n' >c.jsonl
ranking=(rank --candidates c.jsonl --reason --max-tokens 8 --window 2 --step 1 -f json --cache kept)
# times are in the output: equal bytes come from the cache
run 0 "${ranking[@]}"
cp out without
run 0 "${ranking[@]}" --adapter peft
cp out ranked
run 0 "${ranking[@]}" --adapter a.gguf:1
check "the same values by another file are the same adapter" cmp -s out ranked
run 0 "${ranking[@]}" --adapter peft:0.5
check "another factor is another one" differ out ranked
run 0 "${ranking[@]}"
check "none is none" cmp -s out without
summary
