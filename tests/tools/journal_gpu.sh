#!/usr/bin/env bash
# `rearank rank` that is killed: --resume, the journal beside the output, refusals, --cache. With a small generated model.
# Usage: journal_gpu.sh REARANK (synth_model lies beside it)
set -euo pipefail

# shellcheck source=tests/tools/model.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/model.bash"
absent() { [[ ! -e $1 ]]; }

n_queries=40 n_blows=20 n_in_the_middle=3
tables=20480 # bytes that a journal's empty tables take
if [[ ${REARANK_TEST_FAST:-} == 1 ]]; then # a device on which a start takes long
    n_blows=3 n_in_the_middle=0
fi
for q in $(seq $n_queries); do
    printf '{"qid": "q%d", "query": "question %d", "hits": [{"docid": "a", "text": "Paris %d"}, {"docid": "b", "text": "Fleas"}, {"docid": "c", "text": "Dogs"}]}\n' \
        "$q" "$q" "$q"
done >c.jsonl
ranking=(rank --candidates c.jsonl --no-think --max-tokens 8 --window 2 --step 1 -f trec)

run 0 "${ranking[@]}" -o plain.trec --log plain.log
check "no journal stays" absent plain.trec.journal
check "nothing else stays" test "$(find . -name 'plain.*' | wc -l)" -eq 2
start=$(date +%s%N)
run 0 "${ranking[@]}" -o plain.trec --log plain.log
span=$((($(date +%s%N) - start) / 1000000))

# Killed at 20 (fast: 3) random moments of a run, which goes on from each: the end has the bytes of a run that was left alone.
# `most` moves to where queries are done, however fast the machine is meanwhile.
RANDOM=5
n_kills=0 n_partial=0 n_whole=0 most=$span
while ((n_kills < n_blows || (n_partial < n_in_the_middle && n_kills < 10 * n_blows))); do
    "$rearank" "${ranking[@]}" -o killed.trec --log killed.log --resume </dev/null >out 2>err &
    child=$!
    sleep "$(awk -v ms=$((RANDOM % (most + 1))) 'BEGIN {print ms / 1000}')"
    if kill -9 "$child" 2>/dev/null && ! wait "$child" 2>/dev/null; then
        n_kills=$((n_kills + 1))
        if larger killed.trec.journal $tables; then
            n_partial=$((n_partial + 1))
        else
            most=$((most + most / 16))
        fi
    else
        wait "$child" 2>/dev/null || true
        most=$((most - most / 8))
    fi
    if [[ -e killed.trec ]]; then # whole before the blow: compared, then begun anew
        n_whole=$((n_whole + 1))
        check "whole output $n_whole" cmp -s killed.trec plain.trec
        if absent killed.trec.journal; then
            check "whole log $n_whole" cmp -s killed.log plain.log
            rm -f killed.trec killed.log
        fi
    fi
done
run 0 "${ranking[@]}" -o killed.trec --log killed.log --resume
check "the run's bytes" cmp -s killed.trec plain.trec
check "the log's bytes" cmp -s killed.log plain.log
check "the journal is gone" absent killed.trec.journal
check "and what SQLite had beside it" absent killed.trec.journal-journal
check "some kills came in the middle ($n_partial of $n_kills)" test "$n_partial" -ge "$n_in_the_middle"

# A journal that is there: said what to do, or what differs. It is what a killed run leaves.
begun() { # `child` is a run that has a query in part.trec.journal, or was faster
    rm -f part.trec*
    "$rearank" "${ranking[@]}" -o part.trec </dev/null >out 2>err &
    child=$!
    await "$child" larger part.trec.journal $tables
}
for _ in {1..5}; do # this shell may sleep through a whole run
    begun
    kill -9 "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
    [[ ! -e part.trec.journal ]] || break
done
if [[ -e part.trec.journal ]]; then
    run 2 "${ranking[@]}" -o part.trec
    cp part.trec.journal kept # not before: the blow may have left a write for SQLite to undo
    check "says how to go on" says "part.trec.journal: holds "
    check "says --resume" says "of $n_queries queries of this very run, finished before it was stopped: --resume goes on from there; remove the file"
    run 2 "${ranking[@]}" -o part.trec --resume --max-tokens 9
    check "says which option differs" says '(max-tokens: 8 there, 9 now)'
    run 2 "${ranking[@]}" -o part.trec --resume --window 3 --step 1
    check "says that the window differs" says '(window: 2 there, 3 now)'
    sed 's/Paris 9"/Rome"/' c.jsonl >other.jsonl
    run 2 rank --candidates other.jsonl --no-think --max-tokens 8 --window 2 --step 1 -f trec -o part.trec --resume
    check "says that the candidates differ" says "(candidates: $n_queries queries "
    "$synth" other.gguf
    printf 'x' >>other.gguf
    run 2 "${ranking[@]}" -m other.gguf -o part.trec --resume
    check "says that the model differs" says '(model: '
    check "the journal is as it was" cmp -s part.trec.journal kept
    truncate -s 5000 part.trec.journal
    run 2 "${ranking[@]}" -o part.trec --resume
    check "says that it is damaged" says 'part.trec.journal: damaged, or no journal of rearank ('
    check "and leaves it" test "$(stat -c %s part.trec.journal)" -eq 5000
    cp kept part.trec.journal
    run 0 "${ranking[@]}" -o part.trec --resume
    check "goes on to the end" cmp -s part.trec plain.trec
    cp kept part.trec.journal
    run 0 rank --candidates c.jsonl --no-think --max-tokens 8 --window 2 --step 1 -f jsonl -o part.jsonl --journal part.trec.journal --resume
    check "another format is the same run" test "$(wc -l <part.jsonl)" -eq "$n_queries"
else
    check "a run was caught in the middle" false
fi

# Ctrl-C: what is finished is kept, and said to be. (A full disk: tests/rerank/keep/test_journal.c.)
begun
code=0
kill -INT "$child" 2>/dev/null || true
wait "$child" || code=$?
if [[ -e part.trec.journal ]]; then
    check "exits with 130 after Ctrl-C" test "$code" -eq 130
    check "says how to go on after Ctrl-C" says 'finished queries that part.trec.journal keeps: '
else
    check "ended before it was interrupted" cmp -s part.trec plain.trec
    check "with 0, or 130 where it was about to (found $code)" test "$code" -eq 0 -o "$code" -eq 130
fi
run 0 "${ranking[@]}" -o part.trec --resume
check "goes on after Ctrl-C" cmp -s part.trec plain.trec

# Names, and where there is no journal.
run 2 "${ranking[@]}" --resume
check "says what --resume needs" says '--resume needs the --output FILE or --journal FILE'
run 2 "${ranking[@]}" -o x.trec --journal ./x.trec
check "two files" says '--journal and --output name the same file'
run 2 "${ranking[@]}" -o x.trec --log x.trec.journal
check "the journal has its name for itself" says "the output's journal and --log name the same file: x.trec.journal"
run 2 "${ranking[@]}" --journal x.journal --report ./x.journal
check "the report is no journal" says '--journal and --report name the same file: x.journal'
run 1 "${ranking[@]}" -o x.trec --journal nowhere/journal
check "says where a journal cannot be" says 'nowhere/journal: cannot open'
run 0 "${ranking[@]}" -o /dev/null
check "no journal beside a device" absent /dev/null.journal

# The cache: the second run asks the model nothing, and brings the first one's times.
run 0 rank --candidates c.jsonl --no-think --max-tokens 8 --window 2 --step 1 -f json --cache cache
cp out first.json
start=$(date +%s%N)
run 0 rank --candidates c.jsonl --no-think --max-tokens 8 --window 2 --step 1 -f json --cache cache
check "the same bytes, times and all" cmp -s out first.json
check "in less time than the run took" test $((($(date +%s%N) - start) / 1000000)) -lt "$span"
head -n 1 c.jsonl | sed 's/"qid": "q/"qid": "other/' >renamed.jsonl
run 0 rank --candidates renamed.jsonl --no-think --max-tokens 8 --window 2 --step 1 -f trec --cache cache
check "by content, not by id" test "$(wc -l <out)" -eq 3
run 0 rank --candidates renamed.jsonl --max-tokens 9 --window 2 --step 1 -f jsonl --cache cache
printf 'junk of any kind, long enough to be read as a head of a file.........................................\n' >cache/rankings.sqlite
run 2 "${ranking[@]}" --cache cache
check "says that the cache is damaged" says 'cache/rankings.sqlite: damaged, or no cache of rearank ('

# Queries that met their deadline are kept nowhere: --resume, or the same cache, with more time ranks them. The query of one passage has
# no windows, so that it is never late.
{ head -n 2 c.jsonl && printf '{"qid": "one", "query": "one", "hits": [{"docid": "a", "text": "alone"}]}\n'; } >few.jsonl
few=(rank --candidates few.jsonl --no-think --max-tokens 8 --window 2 --step 1 -f trec)
run 0 "${few[@]}" -o few.trec --log few.log
run 0 "${few[@]}" -o late.trec --log late.log --deadline 1e-6
check "the output is there" test "$(wc -l <late.trec)" -eq 7
check "the journal stays" test -s late.trec.journal
check "it is said" says 'late.trec.journal keeps the 1 queries that had time enough: the same command with --resume and another --deadline ranks the 2 others'
cp late.trec late.was
run 2 "${few[@]}" -o late.trec --log late.log --deadline 5
check "says --resume" says 'late.trec.journal: holds 1 of 3 queries of this very run'
run 0 "${few[@]}" -o late.trec --log late.log --deadline 1e-6 --resume
check "no more time, the same again" cmp -s late.trec late.was
run 0 "${few[@]}" -o late.trec --log late.log --deadline 1e6 --resume
check "with more time the run's bytes" cmp -s late.trec few.trec
check "and the log's" cmp -s late.log few.log
check "then the journal goes" absent late.trec.journal
check "and nothing is said" silent
head -n 2 few.jsonl >late.jsonl
run 0 rank --candidates late.jsonl --no-think --max-tokens 8 --window 2 --step 1 -f trec -o all.trec --deadline 1e-6
check "a journal of nothing goes" absent all.trec.journal
rm -rf cache
run 0 "${few[@]}" --cache cache --deadline 1e-6
cmp -s out late.was || check "late with a cache" false
run 0 "${few[@]}" --cache cache
check "what is late is not in the cache" cmp -s out few.trec
run 0 "${few[@]}" --cache cache --deadline 1e-6
check "what is in the cache is not late" cmp -s out few.trec
printf 'kills: %d, with several queries done: %d, runs that were whole before: %d\n' "$n_kills" "$n_partial" "$n_whole"
summary
