#!/usr/bin/env bash
# `rearank report`: what it reads, what it says of what is missing, where the page goes.
# Usage: report.sh REARANK
set -euo pipefail

data=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")/../data/report")
samples=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")/../../samples")
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
export REARANK_MODEL=$work/none.gguf # whatever needs a model must fail here

# run EXPECTED_EXIT ARGUMENT…: data in out, messages in err.
run() {
    local wanted=$1
    shift
    expect "$wanted" "$*" "$rearank" "$@" </dev/null
}
# page TEXT: the page holds it.
page() { grep -q -F -e "$1" page.html; }
no_page() { [[ ! -e page.html ]]; }
replay() { "$rearank" replay --candidates "$data/candidates.jsonl" --answers "$data/answers.jsonl" --window 8 --step 4 "$@"; }

replay --format json --output run.json
replay --format json --explain --output texts.json
replay --format jsonl --explain --output texts.jsonl

run 0 report texts.json -o page.html
check "quiet" silent
check "nothing on standard output" test ! -s out
check "texts" page 'A spoon of sugar and some lemon juice'
check "no note" bash -c '! grep -q class=\"note\" page.html'
check "no grades" bash -c '! grep -q -F relevance\ grade page.html'
run 0 report texts.jsonl
check "lines give the same page" diff <(sed s/texts.json.*// page.html) <(sed s/texts.json.*// out)
rm page.html

# The same page while ranking, whatever the format.
run 0 report texts.json -o page.html
run 0 replay --candidates "$data/candidates.jsonl" --answers "$data/answers.jsonl" --window 8 --step 4 --format tsv --report direct.html
check "the run is as asked for" test "$(wc -l <out)" -eq 20
check "the page is that of the run" diff <(sed 's/ · texts.json//; s/[0-9]* ms<//; s/<dt>Time.*//' page.html) <(sed 's/[0-9]* ms<//; s/<dt>Time.*//' direct.html)
run 2 replay --candidates "$data/candidates.jsonl" --answers "$data/answers.jsonl" --window 8 --step 4 --output x --report x
check "two files are two names" says 'name the same file'
run 1 replay --candidates "$data/candidates.jsonl" --answers "$data/answers.jsonl" --window 8 --step 4 --report nowhere/x
check "says where no page can be" says 'nowhere/x: cannot write'
run 0 rank -q x "$samples/query.txt" --report page.html --format tsv
check "one query, one passage" page '<h1 dir="auto">x</h1>'
rm page.html

run 0 report run.json -o page.html
check "says that texts are missing" says 'run.json: queries without texts of passages: 4 of 4; rank with --explain'
check "so does the page" page 'holds no texts of passages'
run 0 report run.json --candidates "$data/candidates.jsonl" -o page.html
check "texts from the candidates" page 'A spoon of sugar and some lemon juice'
check "quiet again" silent
head -n 1 "$data/candidates.jsonl" >other.jsonl
run 0 report run.json --candidates other.jsonl -o page.html
check "says what is still missing" says '3 of 4'

# The one query of `rank -q`: no qid, passages of a file.
head -n 1 texts.jsonl | sed 's/"qid":"flowers",//; s/"text":"[^"]*",//g; s/"title":"[^"]*",//g' >one.jsonl
run 0 report one.jsonl --passages "$samples/passages.jsonl" --qrels "$data/qrels.txt" -o page.html
check "texts from the passages" page 'A spoon of sugar and some lemon juice'
check "no qid, several judged queries" says 'one.jsonl: queries without judgements in'
check "says why" says 'the run has no qid'
grep '^flowers ' "$data/qrels.txt" >one.qrels
run 0 report one.jsonl --passages "$samples/passages.jsonl" --qrels one.qrels -o page.html
check "the judgements' only query" page '0.5213 → 1.0000'

# A run whose windows were read from the model (rerank/report/read_back.h); made by test_report.c's own reader.
run 0 report "$data/read.jsonl" -o page.html
check "scores" page 'relevance <b>0.996</b>'
check "words" page '>longer</mark>'
check "the sentence" page '<span class="drew" title="the sentence that drew most'
check "how it was ranked" page 'read in one pass</dd>'
check "that nothing was written" page 'The order was read from the model in one pass'
check "quiet about texts" silent
head -n 1 "$data/read.jsonl" | sed 's/"text":"[^"]*",//g; s/"title":"[^"]*",//g' >bare.jsonl
run 0 report bare.jsonl --candidates "$data/candidates.jsonl" -o page.html
check "scores without the run's texts" page 'relevance <b>0.996</b>'
check "texts of the candidates, without words" bash -c 'grep -q -F "To keep cut flowers fresh longer, change" page.html && ! grep -q "<mark" page.html'
sed 's/"passage_chars":90/"passage_chars":9/' "$data/read.jsonl" >short.jsonl
run 2 report short.jsonl -o none.html
check "says which words stand outside of what was shown" says 'expected a whole number from 0 to 9'
rm page.html

run 0 report texts.json --qrels "$data/qrels.txt" -o page.html --title 'A & B'
check "title" page '<title>A &amp; B</title>'
check "grades" page 'title="relevance grade">3<'
check "which are not judged" says 'queries without judgements in'
"$rearank" eval --qrels "$data/qrels.txt" --run texts.json --metrics ndcg@10 --format json >eval.json 2>err
if command -v python3 >/dev/null; then
    check "nDCG@10 is eval's" python3 - <<'PY'
import json, re
page = open("page.html").read()
for qid, values in json.load(open("eval.json"))["runs"][0]["per_query"].items():
    number = {"flowers": 1, "cjk-rtl": 3}[qid]
    query = page[page.index(f'id="q{number}"'):]
    assert re.search(r"→ ([0-9.]+) ", query).group(1) == f'{values["ndcg@10"]:.4f}'
PY
fi
rm page.html

expect 0 "a pipe" "$rearank" report - <texts.json
check "a page from a pipe" has 'A spoon of sugar and some lemon juice'
expect 2 "an empty pipe" "$rearank" report - </dev/null
check "says that nothing came" says 'found nothing'
run 2 report
check "asks for a run" says 'report'
run 2 report run.json --candidates a --passages b -o page.html
check "one or the other" says 'give one of them'
run 1 report absent.json -o page.html
check "says which file" says 'absent.json: cannot open'
run 1 report run.json -o nowhere/page.html
check "says where it cannot write" says 'nowhere/page.html: cannot write in nowhere'
run 2 report "$data/candidates.jsonl" -o page.html
check "says what is no run" says '"results" is missing'
printf '{"query": 1' >broken.json
run 2 report broken.json -o page.html
check "says where it is broken" says 'not JSON at'
run 1 report run.json --qrels absent.qrels -o page.html
check "says which judgements" says 'absent.qrels'
check "no page after errors" no_page

summary
