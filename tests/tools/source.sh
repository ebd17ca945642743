#!/usr/bin/env bash
# `rank --run … --corpus … --queries …`, --data folders of each kind, and `eval --qrels FOLDER`, all without a model.
# Usage: source.sh REARANK
set -euo pipefail

# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
export REARANK_MODEL=$work/none.gguf # whatever needs a model must fail here

mkdir -p beir/qrels bright marco
printf 'q1 Q0 d2 1 5 bm25\nq1 Q0 d1 2 4 bm25\nq1 Q0 d3 3 3 bm25\nq2 Q0 d3 1 1 bm25\n' >beir/bm25.trec
printf '{"_id": "d1", "title": "Fleas", "text": "Fleas live for weeks."}\n{"_id": "d2", "title": "", "text": "Paris"}\n{"_id": "d3", "text": "Dogs"}\n' >beir/corpus.jsonl
printf '{"_id": "q1", "text": "fleas"}\n{"_id": "q2", "text": "dogs"}\n{"_id": "q3", "text": "never asked"}\n' >beir/queries.jsonl
printf 'query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t2\n' >beir/qrels/test.tsv
printf '{"qid": "q1", "responses": ["[2]"]}\n{"qid": "q2", "responses": []}\n' >answers.jsonl
cat >ranked <<'EOT'
q1 Q0 d1 1 3 rearank
q1 Q0 d2 2 2 rearank
q1 Q0 d3 3 1 rearank
q2 Q0 d3 1 1 rearank
EOT
run 0 replay --run beir/bm25.trec --corpus beir/corpus.jsonl --queries beir/queries.jsonl --answers answers.jsonl -f trec
shows "a run, a corpus, queries" <ranked
run 0 replay --data beir --answers answers.jsonl -f trec -o ours.trec
check "--data finds them" cmp -s ours.trec ranked
run 0 replay --run beir/bm25.trec --corpus beir --queries beir/ --answers answers.jsonl -f trec
shows "folders for files" <ranked
run 0 prompt --data beir --format json
check "title and text" has '[2] Title: Fleas Content: Fleas live for weeks.'
run 0 replay --data beir --limit-queries 1 --depth 2 --answers <(head -n 1 answers.jsonl) -f tsv
check "only the first query" test "$(wc -l <out)" -eq 3
check "what is behind the depth stays" grep -q -P '^q1\td3\t3\t' out
run 0 replay --data beir --limit-queries 1 --answers <(head -n 1 answers.jsonl) -f table
check "texts in the table" has 'Fleas · Fleas live for weeks.'
run 0 eval --qrels beir --run ours.trec -m mrr
check "judgements of a folder" grep -q '^mrr *1.0000$' out
run 0 eval --qrels beir --run beir/bm25.trec -m mrr
check "against the run" grep -q '^mrr *0.7500$' out

printf '0 Q0 a 1 3 t\n0 Q0 b 2 2 t\n0 Q0 c 3 1 t\n' >bright/run.trec
printf '{"id": "a", "content": "A"}\n{"id": "b", "content": "B"}\n{"id": "c", "content": "C"}\n' >bright/documents.jsonl
printf '{"query": "why", "reasoning": "", "id": "0", "excluded_ids": ["a"], "gold_ids": ["c"], "gold_answer": ""}\n' >bright/examples.jsonl
printf '{"qid": "0", "responses": ["[2]"]}\n' >answers.jsonl
run 0 replay --data bright --answers answers.jsonl -f trec
shows "BRIGHT without what is excluded" <<'EOT'
0 Q0 c 1 2 rearank
0 Q0 b 2 1 rearank
EOT
run 0 eval --qrels bright --run bright/run.trec -m mrr
check "excluded when measured, too" grep -q '^mrr *0.5000$' out

printf '1\tp1\t1\n1\tp2\t2\n' >marco/run.tsv
printf 'p1\tone\np2\ttwo\np3\tthree\n' >marco/collection.tsv
printf '1\twhat is it\n2\tother\n' >marco/queries.tsv
printf '1\t0\tp2\t1\n' >marco/qrels.tsv
printf '{"qid": "1", "responses": ["[2] > [1]"]}\n' >answers.jsonl
run 0 replay --data marco --answers answers.jsonl -f tsv -o marco.tsv
run 0 eval --qrels marco --run marco.tsv -m mrr@10
check "MS MARCO" grep -q '1.0000$' out

# What is missing or odd.
run 2 rank --run beir/bm25.trec --queries beir/queries.jsonl
check "says what a run needs" says '--corpus FILE is missing: a run needs its passages'
run 2 rank --data beir -q x
check "one or the other" says '--data brings its own queries and passages: leave out -q'
run 2 rank --data beir --candidates x.jsonl
check "one input" says 'leave out --candidates'
run 1 rank --data nowhere
check "says which folder" says 'nowhere: found no folder of this name'
mkdir empty
run 2 rank --data empty
check "says which names are looked for" says 'empty: found none of run.trec, bm25.trec, run.tsv'
run 2 eval --qrels empty --run ours.trec
check "also of judgements" says 'empty: found none of qrels/test.tsv'
head -n 2 beir/corpus.jsonl >short.jsonl
run 2 rank --data beir --corpus short.jsonl
check "says which passage is missing and how many" says \
    'beir/bm25.trec:3: passage "d3" is not in short.jsonl; missing: 1 of 3 passages. --skip-missing goes on without them'
printf '{"qid": "q1", "responses": ["[2]"]}\n{"qid": "q2", "responses": []}\n' >answers.jsonl
run 0 replay --data beir --corpus short.jsonl --skip-missing --answers answers.jsonl -f trec
check "the rest is ranked" test "$(wc -l <out)" -eq 2
check "and said" says 'left out, since their texts are missing: 0 queries, 1 passages'
printf '{"_id": "d1", "text": "x"}\n{"_id": "d2", "text": null}\n{"_id": "d3", "text": "y"}\n' >null.jsonl
run 2 rank --data beir --corpus null.jsonl
check "says which text is null" says 'beir/bm25.trec:1: passage "d2" has null for its text in null.jsonl:2; missing: 1 of 3 passages'
run 0 replay --data beir --corpus null.jsonl --skip-missing --answers answers.jsonl -f trec
check "the others are ranked" test "$(wc -l <out)" -eq 3
check "and the one is named" says 'missing: 0 queries, 1 passages; passage "d2" has null for its text in null.jsonl:2'
printf '{"qid": "q1", "query": "x", "hits": [{"docid": "a", "text": null}, {"docid": "b", "text": "y"}, {"docid": "c", "text": ""}]}\n' \
    >null.candidates
run 2 replay --candidates null.candidates --answers answers.jsonl -f trec
check "says which candidate's text is null" says 'null.candidates:1: hits[0]."docid" "a": its text is null, expected a text; --skip-missing'
run 0 replay --candidates null.candidates --skip-missing --answers <(head -n 1 answers.jsonl) -f trec
check "the other candidates are ranked" test "$(wc -l <out)" -eq 2
check "and that one is named" says 'left out, since their texts are null: 1 passages (such as "a" in null.candidates:1)'
printf 'd1\told\nd2\ttwo\nd3\tthree\nd1\tnew\n' >twice.tsv
run 0 prompt --data beir --corpus twice.tsv
check "the last text of an id counts" has '[2] new'
check "and that is said" says 'of which the last counts: 1 (such as "d1" in twice.tsv:4, before in line 1)'
printf '{"_id": "d1", "text": "x"}\n{"_id": "d2", "text": 5}\n' >bad.jsonl
run 2 rank --data beir --corpus bad.jsonl
check "says where a corpus is broken" says 'bad.jsonl:2: "text": found a JSON'
summary
