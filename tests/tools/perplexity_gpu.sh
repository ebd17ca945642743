#!/usr/bin/env bash
# `rearank perplexity` with a small generated model: the figure that follows from the log-probabilities of `rearank logits`,
# and what is refused. Usage: perplexity_gpu.sh REARANK (synth_model lies beside it)
set -euo pipefail

# shellcheck source=tests/tools/model.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/model.bash"

for i in {1..12}; do
    printf 'The %d flowers keep fresh in clean water, and the dogs have fleas.\n' "$i"
done >text
run 0 tokenize -f json text
cp out tokens
n=$(tr -cd , <tokens | wc -c)
run 0 perplexity text --length 64 --exact --json
# the same from log-probabilities: pieces of 64 tokens, of each the tokens 33 to 63 by those before
pieces=$(((n + 1) / 64))
for ((p = 0; p < pieces; p++)); do
    tr -d '[] \n' <tokens | tr , '\n' | sed -n "$((p * 64 + 1)),$((p * 64 + 64))p" | paste -s -d, | sed 's/.*/[&]/' >piece
    "$rearank" logits -t piece --exact --top 0 2>/dev/null | sed -n '33,63p' | sed -E 's/.*"next_logprob":([^,]*),.*/\1/'
done >logprobs
expected=$(awk '{sum += $1; n++} END {printf "%.6f of %d", exp(-sum / n), n}' logprobs)
found=$(sed -E 's/.*"perplexity":([0-9.]+),.*"tokens":([0-9]+),.*/\1 \2/' out)
check "perplexity $found, expected $expected" awk -v found="$found" -v expected="$expected" 'BEGIN {
    split(found, f); split(expected, e)
    exit !(f[2] == e[3] && f[1] / e[1] < 1.00001 && e[1] / f[1] < 1.00001)
}'
check "tells its pieces" has "\"pieces\":$pieces,\"length\":64"
run 0 perplexity text --length 64 --pieces 1
check "in words" has 'of 31 tokens in 1 pieces of 64'
run 2 perplexity text --length 4096
check "says how long the text is" says "found $((n + 1)) tokens"
run 2 perplexity
run 1 perplexity none
check "names the text" says none
printf '\0' >binary
run 2 perplexity binary
summary
