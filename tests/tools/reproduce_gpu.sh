#!/usr/bin/env bash
# `rearank reproduce` end to end with a small generated model on tiny data: the report, its figures, a second run from the cache.
# Usage: reproduce_gpu.sh REARANK (synth_model lies beside it)
set -euo pipefail

# shellcheck source=tests/tools/model.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/model.bash"

run() { # EXPECTED_EXIT ARGUMENT…
    local wanted=$1
    shift
    expect "$wanted" "reproduce $*" "$rearank" reproduce "$@" </dev/null
}

mkdir -p data/qrels bright
printf 'query-id\tcorpus-id\tscore\n' >data/qrels/test.tsv
for q in 1 2 3; do
    for d in 1 2 3; do
        printf 'q%d Q0 d%d %d %d bm25\n' $q $d $d $((9 - d)) >>data/bm25.trec
    done
    printf '{"_id": "q%d", "text": "question %d"}\n' $q $q >>data/queries.jsonl
    printf 'q%d\td%d\t1\n' $q $q >>data/qrels/test.tsv
    printf '{"_id": "d%d", "title": "T", "text": "passage %d"}\n' $q $q >>data/corpus.jsonl
done
run 0 nfc --data data -o out1 -- --max-tokens 5
cp out report.md
check "the report on standard output is the file" cmp -s out out1/report.md
check "its title" grep -q -F '# NFCorpus (BEIR): nDCG@10 of `' report.md
check "the published figure" grep -q -F '| REARANK-7B | 35.20 | ' report.md
check "not the whole set" grep -q -F "3 of the set's 323 queries" report.md
check "said so" grep -q -F 'Not the whole set: no comparison' report.md
check "no journal stays" test ! -e out1/ranked.jsonl.journal
check "the answers are there" test "$(wc -l <out1/answers.jsonl)" -eq 3
"$rearank" eval --qrels data --run out1/ranked.jsonl --run data/bm25.trec -m ndcg@10 -f json --digits 6 >eval.json
if command -v python3 >/dev/null; then
    check "report.json agrees with eval" python3 - <<'PY'
import json
report, runs = json.load(open("out1/report.json")), json.load(open("eval.json"))["runs"]
ours, first = (100 * run["mean"]["ndcg@10"] for run in runs)
assert abs(report["reranked"] - ours) < 1e-3 and abs(report["first_stage"] - first) < 1e-3, (report, ours, first)
assert report["name"] == "nfc" and report["published"]["rearank-7b"] == 35.2 and report["difference"] is None
assert report["n_queries"] == 3 and report["windows"] == 3 and report["prompt_tokens"] > 0 and report["model"]
assert set(report["per_query"]) == {"q1", "q2", "q3"} and report["interval"][0] <= report["reranked"] <= report["interval"][1]
PY
fi
run 0 nfc --data data -o out1 -- --max-tokens 5
check "again: the same report, from the cache" cmp -s out report.md
run 0 nfc --data data -o out2 --limit-queries 1 -- --max-tokens 5
check "a smoke run" grep -q -F "1 of the set's 323 queries" out

printf '0 Q0 a 1 3 t\n0 Q0 b 2 2 t\n0 Q0 c 3 1 t\n' >bright/run.trec
printf '{"id": "a", "content": "A"}\n{"id": "b", "content": "B"}\n{"id": "c", "content": "C"}\n' >bright/documents.jsonl
printf '{"query": "why", "id": "0", "excluded_ids": ["a"], "gold_ids": ["b"]}\n' >bright/examples.jsonl
run 0 bright-pony --data bright -o out3 -- --max-tokens 5
check "BRIGHT's first stage, without what is excluded" grep -q -F '| first stage (published: BM25, k1 0.9, b 0.4) | - | 100.00 |' out
check "two passages are left" test "$(grep -o '"rank"' out3/ranked.jsonl | wc -l)" -eq 2
run 2 nfc --data data -o out1 -- --no-such-option
check "what rank does not know" says 'no-such-option'
summary
