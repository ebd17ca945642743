#!/usr/bin/env bash
# Cases that others reported, where a folder of them is at hand ($REARANK_SHARED/cases, else ../shared/cases): each one's own command.
# Usage: cases.sh REARANK     Exit 77 = skipped.
set -euo pipefail

cases=$(realpath -m -- "${REARANK_SHARED:-$(dirname -- "${BASH_SOURCE[0]}")/../../../shared}/cases")
if [[ ! -d $cases ]]; then
    echo "skipped: no $cases"
    exit 77
fi
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
mkdir bin
ln -s "$rearank" bin/rearank
export PATH=$work/bin:$PATH

# run_case NAME: its command in a copy of its folder; data in out, messages in err, the status in `code`.
run_case() {
    rm -rf "${work:?}/case"
    cp -r "$cases/$1" "$work/case"
    chmod -R u+w "$work/case"
    code=0
    (cd case && bash -o pipefail ./cmd) >out 2>err </dev/null || code=$?
}
prints() { diff - <(sed 's/<|im_end|>$//' out) >&2; } # of a prompt's turns
has_lines() { grep -c -F -e "$2" "$1" | grep -q -x -e "$3"; } # FILE TEXT COUNT
orders() { # QID DOCID…: the run in `out` has them in this order
    [[ "$(awk -v qid="$1" '$1 == qid { printf "%s ", $3 }' out)" == "${*:2} " ]]
}

for name in 01-run-scores-collapse-to-float 02-run-ties-lose-file-order; do
    run_case "$name"
    check "$name" prints <<<$'[1] passage number 1\n[2] passage number 2'
done
run_case 03-passages-file-is-a-json-array
check "03: both passages" prints <<<$'[1] roses need water\n[2] tulips in May'
run_case 04-qid-with-hash
check "04: refused by name" test "$code" -eq 2
check "04: names the id" says "#1"
run_case 05-tab-run-docid-with-space
check "05: fields between tabs" has_lines out 1.0000 2
run_case 06-answer-quoted-in-thinking
check "06: q1" orders q1 d3 d2 d1
check "06: q2" orders q2 d3 d2 d1
run_case 07-stray-number-in-answer
check "07: q1" orders q1 d3 d5 d1 d2 d4
check "07: q2" orders q2 d3 d5 d1 d2 d4
check "07: q3" orders q3 d1 d2 d3 d4 d5
run_case 08-other-digits-in-answer
for qid in q1 q2 q3; do
    check "08: $qid" orders "$qid" d3 d2 d1
done
run_case 09-output-replaces-input
check "09: the recorded answers are untouched" cmp -s case/answers.jsonl "$cases/09-output-replaces-input/answers.jsonl"
check "09: the run is still one" test "$(head -c 1 case/run.json)" = "["
check "09: both are told" has_lines err "same file" 2
if python3 -c 'import gguf' 2>/dev/null; then
    run_case 10-chat-tokens-typed-normal
    check "10: read" test "$code" -eq 0
    check "10: with a warning" says "<|im_end|>"
else
    echo "10 is left out: its model is made with the Python package gguf"
fi
run_case 11-eval-double-scores
check "11: doubles" grep -q -E '^mrr.*1\.0000' out
summary
