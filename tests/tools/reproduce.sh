#!/usr/bin/env bash
# `rearank reproduce` up to the ranking: what is found and missing, the command, the first stage's figure. Needs no device.
# Usage: reproduce.sh REARANK
set -euo pipefail

shared=$(realpath -q -- "${REARANK_SHARED:-../shared}") || shared=
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
: >model.gguf
export REARANK_MODEL=$work/model.gguf

run() { # EXPECTED_EXIT ARGUMENT…
    local wanted=$1
    shift
    expect "$wanted" "reproduce $*" "$rearank" reproduce "$@" </dev/null
}

mkdir -p data/qrels
run 2 scifact --data data --dry-run
check "says what is missing" has 'run          MISSING: none of run.trec, bm25.trec'
check "and what else" has 'judgements   MISSING: none of qrels/test.tsv'
check "says so" says 'something is missing'
run 2 scifact --data data
check "does not begin" says 'data: found no run.trec, bm25.trec or candidates.jsonl; --dry-run shows all'
check "makes no folder" test ! -e reproduce-scifact
printf 'q1 Q0 d2 1 5 bm25\nq1 Q0 d1 2 4 bm25\n' >data/bm25.trec
printf '{"_id": "d1", "text": "x"}\n{"_id": "d2", "text": "y"}\n' >data/corpus.jsonl
printf '{"_id": "q1", "text": "z"}\n' >data/queries.jsonl
printf 'query-id\tcorpus-id\tscore\nq1\td1\t1\n' >data/qrels/test.tsv
run 0 scifact --data data --dry-run -o "out put" --limit-queries 3 -- --seed 5
check "the first stage is measured" has 'first stage  nDCG@10 63.09 over 1 queries; published: BM25 67.89 over 300'
check "the published figures" has 'published    REARANK-7B 75.02, RankGPT-4 74.95, Qwen2.5-7B 70.83'
check "the command" has "rearank rank --run data/bm25.trec --corpus data/corpus.jsonl --queries data/queries.jsonl --depth 100 --window 20 --step 10 --max-tokens 2048 --limit-queries 3 --format jsonl --output 'out put/ranked.jsonl'"
check "a model is not read because a readout is at hand, and what goes to rank" has '--resume --reason --seed 5'
check "nothing is made" test ! -e "out put"
run 0 scifact --data data --dry-run -- --score-mode=logits
check "the user's way" has '--resume --score-mode=logits'
REARANK_MODEL='' REARANK_CACHE=$work/none run 2 scifact --data data --dry-run
check "a model is missing" has 'model        MISSING: name one with -m'
run 0 bright-biology --data data --dry-run
check "no figure that the paper does not give" test "$(grep -c published out)" -eq 0
run 2 scifactt --data data
check "the nearest name" says 'there is no result "scifactt" to reproduce; did you mean "scifact"?'
run 2 scifact
check "asks for the data" says '--data FOLDER is missing'
run 1 scifact --data nowhere
check "says which folder" says 'nowhere: found no folder of this name'
run 0 --help
check "lists the results" has 'bright-theoremqa_theorems'

# Real first stages have the published figures.
if [[ -n $shared && -e $shared/data/README.md ]]; then
    for set in dl19:50.58:43 scifact:67.89:300; do
        IFS=: read -r name figure n <<<"$set"
        mkdir "$name"
        ln -s "$shared/data/$name.bm25.jsonl" "$name/candidates.jsonl"
        ln -s "$shared/data/$name.bm25.qrels" "$name/qrels.txt"
        run 0 "$name" --data "$name" --dry-run
        check "$name's first stage" has "first stage  nDCG@10 $figure over $n queries; published: BM25 $figure over $n"
        check "$name's candidates" has "rearank rank --candidates $name/candidates.jsonl"
    done
else
    echo "no shared data: the published first stages are not checked"
fi
summary
