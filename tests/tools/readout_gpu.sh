#!/usr/bin/env bash
# `rearank readout` and rankings that are read, with a small generated model: the same bytes twice, killed and resumed; which way is taken
# and said; refusals.
# Usage: readout_gpu.sh REARANK (synth_model lies beside it)
# shellcheck disable=SC2016 # backquotes in the expected messages
set -euo pipefail

# shellcheck source=tests/tools/model.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/model.bash"
absent() { [[ ! -e $1 ]]; }
both_say() { grep -q -F -e "$1" out && grep -q -F -e "$2" out; }

n_queries=14 n_blows=5 n_in_the_middle=2
tables=12288 # bytes that a store's empty table takes
if [[ ${REARANK_TEST_FAST:-} == 1 ]]; then # a device on which a start takes long
    n_queries=10 n_blows=2 n_in_the_middle=0
fi
for q in $(seq $n_queries); do
    printf '{"qid": "q%d", "query": "question %d", "hits": [' "$q" "$q"
    for d in {1..9}; do printf '%s{"docid": "d%d", "text": "text %d of %d", "score": %d.5}' "${sep:-}" "$d" "$d" "$q" $((20 - d)) && sep=', '; done
    printf ']}\n' && sep=''
    for d in {1..9}; do printf 'q%d 0 d%d %d\n' "$q" "$d" $(((d * q + d * d) % 3)) >&3; done
done >c.jsonl 3>c.qrels
fit=(readout fit --candidates c.jsonl --qrels c.qrels --size 5 --licence 'none "at all"')

# The same command twice.
start=$(date +%s%N)
run 0 "${fit[@]}" -o one.json
span=$((($(date +%s%N) - start) / 1000000))
check "nothing is said" silent
check "a line of figures" grep -q -E -e "^c\.jsonl +$n_queries  ([01]\.[0-9]{4}   [01]\.[0-9]{4} *){4}$" out
check "the penalty" grep -q -e '^penalty 0\.' out
cp out figures
check "no store stays" test "$(find . -name 'one.*' | wc -l)" -eq 1
run 0 "${fit[@]}" -o two.json
check "the same bytes" cmp -s one.json two.json
check "the same figures" cmp -s out figures
run 0 "${fit[@]}" -o seed.json --seed 2
check "another seed fits to other windows" bash -c '! cmp -s one.json seed.json'

# Killed at random moments, it goes on from each: the end has the bytes of a run that was left alone. `most` moves to where windows are
# read, however fast the machine is meanwhile.
RANDOM=7
n_kills=0 n_partial=0 n_whole=0 most=$span
while ((n_kills < n_blows || (n_partial < n_in_the_middle && n_kills < 10 * n_blows))); do
    "$rearank" "${fit[@]}" -o killed.json </dev/null >out 2>err &
    child=$!
    sleep "$(awk -v ms=$((RANDOM % (most + 1))) 'BEGIN {print ms / 1000}')"
    if kill -9 "$child" 2>/dev/null && ! wait "$child" 2>/dev/null; then
        n_kills=$((n_kills + 1))
        if larger killed.json.readings $tables; then
            n_partial=$((n_partial + 1))
        else
            most=$((most + most / 16))
        fi
    else
        wait "$child" 2>/dev/null || true
        most=$((most - most / 8))
    fi
    if [[ -e killed.json ]]; then # whole before the blow: compared, then begun anew
        n_whole=$((n_whole + 1))
        check "whole readout $n_whole" cmp -s killed.json one.json
        rm -f killed.json*
    fi
done
run 0 "${fit[@]}" -o killed.json
check "the run's bytes" cmp -s killed.json one.json
check "the store is gone" test "$(find . -name 'killed.*' | wc -l)" -eq 1
check "some kills came in the middle ($n_partial of $n_kills)" test "$n_partial" -ge "$n_in_the_middle"

# Ctrl-C says how to go on.
"$rearank" "${fit[@]}" -o part.json </dev/null >out 2>err &
child=$!
await "$child" larger part.json.readings $tables
code=0
kill -INT "$child" 2>/dev/null || true
wait "$child" || code=$?
if absent part.json; then
    check "exits with 130 after Ctrl-C ($code)" test "$code" -eq 130
    check "the store stays" test -s part.json.readings
    run 0 "${fit[@]}" -o part.json -v
    check "goes on after Ctrl-C" grep -q -E -e " $n_queries windows, ([1-9]|[1-9][0-9]) of them kept from before;" err
fi
check "to the same bytes" cmp -s part.json one.json

# A store of one's own serves other fits over the same windows, of the same model only.
run 0 "${fit[@]}" --store kept.sqlite -v
check "figures alone" cmp -s out figures
check "nothing was there" says " $n_queries windows, 0 of them kept from before;"
run 0 "${fit[@]}" --store kept.sqlite --without states -o bare.json -v
check "all is there" says " $n_queries windows, $n_queries of them kept from before; 0 tokens in 0 s"
check "the store stays" test -s kept.sqlite
cp model.gguf copy.gguf
printf 'x' >>copy.gguf
run 0 "${fit[@]}" --store kept.sqlite -m copy.gguf -v
check "another file is another model" says " $n_queries windows, 0 of them kept from before;"
run 0 "${fit[@]}" --store kept.sqlite --passage-chars 5 -v
check "another prompt is read anew" says " $n_queries windows, 0 of them kept from before;"
run 0 readout fit --candidates c.jsonl --qrels c.qrels --candidates c.jsonl --qrels c.qrels --limit 3 --limit 5 --size 5 --per-query 2 --store kept.sqlite
check "limits, a set each" bash -c '[[ $(grep -o -E "^c\.jsonl +[0-9]+" out | tr -s " " | cut -d" " -f2 | tr "\n" " ") == "6 10 " ]]'

# What is in one.
run 0 readout info one.json
check "its model" grep -q -E -e '^model +synthetic \(fingerprint [0-9a-f]{16}, 2 layers\)$' out
check "its prompt" has 'rearank, 1000 characters a passage'
check "what is read" both_say 'layers 1 to 2, 4 heads, 16 weights' 'behind layer 1, 256 weights'
check "the licence" has 'none \"at all\"'
check "the windows" has "\"windows\":$n_queries"
run 0 readout info bare.json
check "no states" bash -c '! grep -q -e "^states" out'
check "what was left out" has '"without":"states"'
run 2 readout info c.jsonl
check "says what it is not" says 'c.jsonl: no readout: '
run 1 readout info nowhere.json
check "says what is not there" says 'nowhere.json: '
run 2 readout info
run 2 readout info one.json two.json
run 2 readout
check "says what there is" says 'expected `rearank readout fit` or `rearank readout info`'
run 0 readout --help
check "helps" has '`rearank readout fit --help` tells how one is made'

# Rankings by it.
read_way=(rank --candidates c.jsonl --limit-queries 3 --window 4 --step 2 --readout one.json)
plain() { sed -E 's/"(prompt_ms|generate_ms|time_ms|reused_tokens|shared_tokens)":[0-9.e+-]+/"\1":0/g' out; }
run 0 "${read_way[@]}" -f jsonl --jobs 1 -v
check "-v says which way and why" says "ranking by what the model's attention and hidden states say of the passages, without writing (--readout)"
plain >alone
check "the way is in the output" has '"way":"read"'
check "nothing is generated" bash -c '! grep -q -E -e "\"generated_tokens\":[1-9]" out'
falls() { # each query's scores fall, within 0 and 1
    grep -o -E -e '"rank":[0-9]+,"relevance_score":[0-9.e+-]+' out | sed -E 's/"rank":([0-9]+),"relevance_score":/\1 /' | awk '
        {if ($2 <= 0 || $2 > 1 || ($1 > 1 && $2 >= above)) exit 1; above = $2; n++}
        END {exit n != 27}'
}
check "scores fall" falls
run 0 "${read_way[@]}" -f jsonl --jobs 3
plain >several
check "jobs write the same" cmp -s alone several
check "what was chosen is not explained" silent
run 0 "${read_way[@]}" -f jsonl --orders 3
check "other orders, other scores" bash -c '! cmp -s <(grep -o "relevance_score.*" out) <(grep -o "relevance_score.*" alone)'
run 0 "${read_way[@]}" -f jsonl --passage-chars 3
check "less of each passage, other scores" bash -c '! cmp -s <(grep -o "relevance_score.*" out) <(grep -o "relevance_score.*" alone)'
run 0 "${read_way[@]}" -f trec --score-mode read --schedule topdown
check "topdown ranks all" test "$(wc -l <out)" -eq 27
run 0 "${read_way[@]}" -f jsonl --then-reason --think-budget 2
check "the model reasons at the end" test "$(grep -o -E -e '"generated_tokens":[1-9]' out | wc -l)" -eq 3
run 0 "${read_way[@]}" -f jsonl --deadline 1e-6
check "a deadline that is over" test "$(grep -o -e '"late":true,"time_ms"' out | wc -l)" -eq 3
run 0 "${read_way[@]}" -f json --cache cache
cp out first.json
run 0 "${read_way[@]}" -f json --cache cache
check "from the cache, scores and times" cmp -s out first.json
sed -E 's/"slope": [^,]*/"slope": 0.015625/' one.json >flatter.json
run 0 rank --candidates c.jsonl --limit-queries 3 --window 4 --step 2 --readout flatter.json -f json --cache cache
check "another readout is another ranking" bash -c '! cmp -s <(grep -o "relevance_score.*" out) <(grep -o "relevance_score.*" first.json)'

# Which way, where nobody says how, and what excludes what.
run 0 rank --candidates c.jsonl --limit-queries 1 --think-budget 2 --depth 3 -f trec
check "a way that was chosen is not explained" silent
run 0 rank --candidates c.jsonl --limit-queries 1 --max-tokens 8 --depth 3 -f trec
check "one line" test "$(wc -l <err)" -eq 1
check "says which way and why" says 'rearank rank: ranking by what the model reasons and then answers under a grammar: there is no readout for its model'
check "says how to choose" says '--reason, --strict and --score-mode choose another way'
LC_ALL=C sed 's/synthetic/rearank7B/' model.gguf >rearank.gguf
run 0 rank -m rearank.gguf --candidates c.jsonl --limit-queries 1 --max-tokens 8 --depth 3 -f trec
check "a model named Rearank reasons" says 'ranking by what the model reasons and writes freely: its model was trained to reason and rank'
for way in '--score-mode read' '--orders 2' '--passage-chars 9' '--then-reason'; do
    # shellcheck disable=SC2086 # two words
    run 2 rank --candidates c.jsonl $way
    check "$way: says what there is not" says "${way% *}"
    check "$way: says what to do" says 'no readout for the model "synthetic" comes with this program: `rearank readout fit` makes one, --readout FILE names one, --reason ranks without'
done
"$synth" other.gguf 2
sed 's/"name": "synthetic"/"name": "Tiny A"/' one.json >named.json
run 2 rank -m other.gguf --candidates c.jsonl --readout named.json -o none.trec
check "says whose it is" says 'named.json: a readout of the model "Tiny A", not of "synthetic" (fingerprints '
check "nothing is written" absent none.trec
sed -E 's/"digest": "[^"]*"/"digest": "0"/' one.json >wording.json
run 2 rank --candidates c.jsonl --readout wording.json
check "says that the prompt is another" says 'wording.json: a readout of a prompt of other wording ("0"): fit it anew'
run 1 rank --candidates c.jsonl --readout nowhere.json
check "says what is not there" says 'nowhere.json: '
for way in --reason --strict --no-strict '--think-budget 5' '--score-mode answer' '--score-mode logits' '--draft-model other.gguf'; do
    # shellcheck disable=SC2086 # two words
    run 2 rank --candidates c.jsonl --readout one.json $way
    check "$way: says what excludes what" grep -q -E -e "(${way%% *}.* and --readout|--readout and $way) rank in two ways: leave out one of them" err
done
run 2 rank --candidates c.jsonl --readout one.json --no-think
check "says what cannot be read" says '--no-think is another prompt than the one that is read'
run 0 rank --candidates c.jsonl --limit-queries 1 --no-think --max-tokens 8 --depth 3 -f trec
check "--no-think answers" silent
run 2 rank --candidates c.jsonl --readout one.json --schedule topdown --then-reason

# Values.
for bad in '--orders 0' '--orders 65' '--orders x' '--passage-chars 0' '--score-mode none'; do
    # shellcheck disable=SC2086 # two words
    run 2 rank --candidates c.jsonl $bad
    check "$bad is refused" says "${bad% *}: "
done
for bad in '--size 1' '--size 101' '--per-query 0' '--passage-chars 0' '--limit x' '--limit -1' '--limit 9999999999' '--without heads' '--seed x'; do
    # shellcheck disable=SC2086 # two words
    run 2 "${fit[@]}" -o bad.json $bad
    check "$bad is refused" says "${bad% *}: "
done
run 2 readout fit --candidates c.jsonl -o bad.json
check "says what is missing" says 'found 1 --candidates and 0 --qrels'
run 2 "${fit[@]}" --limit 1 --limit 2 -o bad.json
check "says how many limits" says '--limit: found 2'
run 2 "${fit[@]}"
check "says that nothing would be left" says 'nowhere to write'
run 2 "${fit[@]}" -o bad.json --store ./bad.json
check "two files" says '--output and --store name the same file: bad.json'
run 1 "${fit[@]}" -o nowhere/bad.json
check "says where nothing can be" says 'nowhere/bad.json'
printf 'junk of any kind, long enough to be read as a head of a file.........................................\n' >junk
run 2 "${fit[@]}" -o bad.json --store junk
check "says what is no store" says 'junk: damaged, or no file of readings'
check "and leaves it" test "$(wc -c <junk)" -eq 102
run 2 "${fit[@]}" -o bad.json --context 64
check "says what does not fit" says 'context'
sed 's/ [012]$/ 1/' c.qrels >equal.qrels
run 2 readout fit --candidates c.jsonl --qrels equal.qrels --size 5 -o bad.json
check "says that nothing tells passages apart" says 'no windows to learn from'
check "no readout of a run that failed" absent bad.json
printf 'kills: %d, with some windows read: %d, runs that were whole before: %d\n' "$n_kills" "$n_partial" "$n_whole"
summary
