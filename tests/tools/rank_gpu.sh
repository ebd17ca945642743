#!/usr/bin/env bash
# `rearank rank` and `rearank logits` with a small generated model: streams, logs, interrupts, refusals.
# Usage: rank_gpu.sh REARANK (synth_model lies beside it)
set -euo pipefail

# shellcheck source=tests/tools/model.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/model.bash"

# Where nobody says how to rank, the way is told in one line, and nothing else.
way_alone() {
    [[ $(cat err) == "rearank rank: ranking by what the model reasons and then answers under a grammar: there is no readout for its model, which was not trained to rank; --reason, --strict and --score-mode choose another way" ]]
}

cat >c.jsonl <<'EOF'
{"qid": "q1", "query": "fleas", "hits": [{"docid": "a", "text": "Paris"}, {"docid": "b", "text": "Fleas live."}, {"docid": "c", "text": "Dogs"}]}
{"qid": "q2", "query": "one", "hits": [{"docid": "a", "text": "alone"}]}
{"qid": "q3", "query": "dogs", "hits": [{"docid": "a", "text": "Rome"}, {"docid": "c", "text": "Dogs"}]}
EOF
run 0 rank --candidates c.jsonl --max-tokens 8 --window 2 --step 1 --format trec --log log.jsonl
check "every passage has its line" test "$(wc -l <out)" -eq 6
check "no terminal, the way alone on standard error" way_alone
cp out ranked
run 0 replay --candidates c.jsonl --answers log.jsonl --window 2 --step 1 --format trec
check "the log replays to the same ranking" cmp -s out ranked
run 0 rank --candidates c.jsonl --max-tokens 8 --window 2 --step 1 --format trec --output run.txt
check "--output holds the same" cmp -s run.txt ranked
check "--output leaves standard output alone" test ! -s out

# Whatever the schedule, any number of jobs writes the same bytes (measurements excluded), and the log replays to them.
n_docs=7
{
    for q in 1 2; do
        printf '{"qid": "q%d", "query": "word %d", "hits": [' $q $q
        for d in $(seq $n_docs); do printf '{"docid": "d%d", "text": "t%d%d"}%s' "$d" $q "$d" "$([[ $d == "$n_docs" ]] || echo ,)"; done
        printf ']}\n'
    done
} >many.jsonl
plain() { sed -E 's/"(prompt_ms|generate_ms|time_ms|reused_tokens|shared_tokens)":[0-9.e+-]+/"\1":0/g' out; }
same() { # JOBS OPTION…
    local jobs=$1
    shift
    run 0 rank --candidates many.jsonl --max-tokens 8 --window 4 --step 2 --format jsonl --jobs 1 --log one.jsonl "$@"
    plain >one
    run 0 rank --candidates many.jsonl --max-tokens 8 --window 4 --step 2 --format jsonl --jobs "$jobs" --log log.jsonl -v "$@"
    check "-v tells what was saved" says "windows with $jobs jobs in"
    plain >several
    check "$*: $jobs jobs write the same" cmp -s one several
    check "$*: $jobs jobs log the same" cmp -s one.jsonl log.jsonl
}
same 3 --schedule sliding --temperature 1
same 4 --schedule topdown --passes 2
run 0 replay --candidates many.jsonl --answers log.jsonl --window 4 --step 2 --format jsonl --schedule topdown --passes 2
check "the log replays to the same ranking" \
    cmp -s <(grep -o '"results":.*"windows"' several | grep -o '"id":"[^"]*"') <(grep -o '"results":.*"windows"' out | grep -o '"id":"[^"]*"')
same 4 --schedule sliding --context 2048 --kv-tokens 2048
check "-v tells that there was little room" grep -q 'room for 2048 tokens instead of 8192: windows wait' err
run 2 rank --candidates many.jsonl --context 1024 --kv-tokens 1000 --jobs 2
check "says how much room is the least" grep -q 'a KV cache of 1000 tokens: expected at least the context, 1024' err
printf 'Paris\nFleas live.\n' >p.txt
run 2 rank -q fleas --context 64 p.txt
check "says what does not fit" grep -q -e 'the context holds 64: make the window smaller' err
run 2 rank -q fleas --device nothing-like-it p.txt
check "says which devices there are" grep -q -F 'device "nothing-like-it" matches 0 devices, expected exactly one' err
LC_ALL=C sed 's/qwen2/llama/g' model.gguf >llama.gguf
run 2 rank -m llama.gguf -q fleas p.txt --output llama.json
check "says which models it runs" grep -q -F 'llama.gguf: found a model of architecture "llama", expected "qwen2"; use a' err
check "no file of a run that failed" test ! -e llama.json
run 0 rank -q fleas --max-tokens 8 --temperature 1 --seed 5 --no-think --format jsonl p.txt
cp out drawn
run 0 rank -q fleas --max-tokens 8 --temperature 1 --seed 5 --no-think --format jsonl p.txt
check "the same seed draws the same" diff <(grep -o '"answer":"[^"]*"' drawn) <(grep -o '"answer":"[^"]*"' out)

# Answers: strict by default for this model, free, to a depth, from logits.
run 0 rank -q fleas --think-budget 5 --format jsonl p.txt
check "a strict answer is whole, and flagged where its thinking was cut" \
    grep -q -e '"answer":"\[[12]\] > \[[12]\]".*"repaired":false,"truncated":true,"listed":2' out
run 0 rank -q fleas --max-tokens 5 --format jsonl p.txt
check "strict is the default, --max-tokens a limit to the budget" \
    grep -q -e '"answer":"\[[12]\] > \[[12]\]".*"repaired":false,"truncated":true,"listed":2' out
run 0 rank -q fleas --no-strict --max-tokens 5 --format jsonl p.txt
check "--no-strict leaves the answer to the model" grep -q -e '"truncated":true' out
check "which writes none" bash -c '! grep -q -e "\"answer\":\"\[[12]\] > \[[12]\]\"" out'
run 0 rank -q fleas --answer-depth 1 --think-budget 0 --format jsonl p.txt
check "a depth that was asked for is no repair" grep -q -e '"answer":"\[[12]\]".*"repaired":false,"truncated":true,"listed":1' out
run 0 rank -q fleas --score-mode logits --format jsonl p.txt
check "logits alone rank" grep -q -e '"repaired":false,"truncated":false,"listed":2.*"generated_tokens":0' out
run 2 rank -q fleas --no-strict --think-budget 5 p.txt
check "says what excludes what" grep -q -F -e '--think-budget is for strict answers: leave out it or --no-strict' err
run 2 rank -q fleas --score-mode logits --strict p.txt

# Deadlines: none that is met changes anything; one that is over at once leaves all as it was; the ranking is whole either way.
run 0 rank --candidates many.jsonl --max-tokens 8 --window 4 --step 2 --format jsonl
plain >whole
check "nothing is said of a ranking but the way" way_alone
check "which is not late" test "$(grep -c -e '"late":true' out)" -eq 0
for none in 0 1e9; do
    run 0 rank --candidates many.jsonl --max-tokens 8 --window 4 --step 2 --format jsonl --deadline $none
    plain >timed
    check "--deadline $none changes nothing" cmp -s whole timed
    check "--deadline $none says nothing more" way_alone
done
for bad in -1 -1e-9 nan NAN inf -inf 1e10 1e300 1e999 '' 1s 0x; do
    run 2 rank --candidates many.jsonl --deadline "$bad"
    check "--deadline '$bad' is refused" says '--deadline: found '
done
run 2 rank --candidates many.jsonl --deadline
for jobs in 1 3; do
    run 0 rank --candidates many.jsonl --max-tokens 8 --window 4 --step 2 --format jsonl --deadline 1e-6 --jobs $jobs --log late.jsonl -v
    check "$jobs jobs, no time: every query is flagged" test "$(grep -c -e '"late":true,"time_ms"' out)" -eq 2
    check "$jobs jobs, no time: every window is flagged" test "$(grep -o -e '"late":true,"prompt_tokens"' out | wc -l)" -eq 6
    check "$jobs jobs, no time: the order is as it was" \
        test "$(grep -o -e '"results":.*"windows"' out | grep -o -e '"id":"[^"]*"' | tr -dc '0-9\n' | tr -d '\n')" = 12345671234567
    check "it is said" says 'warning: queries that met their --deadline of 1e-06 s: 2 of 2; windows that stay as they were: 6 of 6'
    check "-v says which" says 'query "q2" met its deadline: of 3 windows 3 stay as they were'
    check "-v counts windows" says 'of 6 windows 0 changed the order shown (0 turned it round), 0 repeated it, 6 are late'
done
run 0 rank --candidates many.jsonl --max-tokens 8 --window 4 --step 2 --format table --deadline 1e-6 --report late.html
check "the table says so" test "$(grep -c -F 'The deadline came first: of 3 windows 3 are as they were.' out)" -eq 2
check "the page says so" test "$(grep -o -F '>late: as it was<' late.html | wc -l)" -eq 6
# One query has far more windows than it has time for, beside one that has time enough.
{
    printf '{"qid": "long", "query": "fleas", "hits": [{"docid": "d1", "text": "t1"}'
    for d in {2..2000}; do printf ', {"docid": "d%d", "text": "t%d"}' "$d" "$d"; done
    printf ']}\n'
    head -n 1 c.jsonl
} >two.jsonl
start=$(date +%s%N)
run 0 rank --candidates many.jsonl --limit-queries 1 --max-tokens 8 --window 2 --step 1 --depth 0 --format jsonl # three times its windows
enough=$(($(date +%s%N) - start))
run 0 rank --candidates c.jsonl --limit-queries 1 --max-tokens 8 --window 2 --step 1 --depth 0 --format jsonl
plain >alone
seconds=$(awk -v ns=$enough 'BEGIN {print 1 + 2 * ns / 1e9}')
run 0 rank --candidates two.jsonl --max-tokens 8 --window 2 --step 1 --depth 0 --format jsonl --deadline "$seconds" --jobs 3 --log two.log
took=$({ grep -o -e '"late":true,"time_ms":[0-9.e+]*' out || true; } | cut -d: -f3 | awk '{print $1 / 1000}')
plain | sed -n 2p >beside
check "a query beside a late one is what it is alone" cmp -s alone beside
check "the other one is late" test "$(grep -c -e '"late":true,"time_ms"' out)" -eq 1
check "some windows were ranked" grep -q -e '"late":false,"prompt_tokens"' out
check "it ended with its time ($took s, $seconds s were given)" awk -v a="$took" -v b="$seconds" 'BEGIN {exit !(a < 2 * b + 3)}'
grep -o -e '"results":.*"windows"' out | grep -o -e '"id":"[^"]*"' | cut -d'"' -f4 >order
check "every passage has its place" test "$(head -n 2000 order | sort -u | wc -l)" -eq 2000
run 0 replay --candidates two.jsonl --answers two.log --window 2 --step 1 --depth 0 --format trec
check "the log of late windows replays to the same order" cmp -s order <(cut -d' ' -f3 out)

# A model that says [1] > [2] > … whatever it is shown: told once (test_tally.c: when).
"$synth" flat.gguf flat
run 0 rank -m flat.gguf --candidates many.jsonl --think-budget 2 --window 4 --step 2 --format trec -v
check "an echo is told" says 'warning: all 6 answers repeat the order in which the passages were shown ([1] > [2] > [3] ...): this model ranked'
check "and what to do" says 'take another model, or try --score-mode read or logits (docs/quality.md)'
check "once" test "$(grep -c -F 'warning: ' err)" -eq 1
check "-v counts" says 'of 6 windows 0 changed the order shown (0 turned it round), 6 repeated it, 0 are late'
run 0 rank -m flat.gguf --candidates many.jsonl --score-mode logits --window 4 --step 2 --format trec
check "not to try what was tried" says 'take another model, or fit a readout and try --score-mode read (docs/quality.md)'

# A second model guesses: one that is always right, and one that is hardly ever; the answers stay what they are.
"$synth" other.gguf 2
for mode in --strict --no-strict; do
    run 0 rank --candidates many.jsonl $mode --max-tokens 24 --window 4 --step 2 --format jsonl --jobs 2
    plain >alone
    for draft in model.gguf other.gguf; do
        run 0 rank --candidates many.jsonl $mode --max-tokens 24 --window 4 --step 2 --format jsonl --jobs 2 --draft-model $draft
        plain >guessed
        check "$mode: $draft guesses and changes nothing" cmp -s alone guessed
    done
    run 0 rank --candidates many.jsonl $mode --max-tokens 24 --window 4 --step 2 --format jsonl --plain -v
    check "$mode: --plain tells its passes" grep -q 'passes over the model: [0-9]* with prompt tokens' err
    plain >guessed
    check "$mode: --plain changes nothing" cmp -s alone guessed
done
run 2 rank -q fleas p.txt --draft-model model.gguf --no-drafts
check "says what excludes a draft model" says '--draft-model guesses, --no-drafts leaves nothing to guess'
run 2 rank -q fleas p.txt --plain --jobs 2
check "says that a plain loop has one window at a time" says '--plain is one window after another, --jobs 2 several at once'
run 2 rank -q fleas p.txt --draft-model model.gguf --temperature 1
LC_ALL=C sed 's/<|endoftext|>/<|endoftexu|>/' model.gguf >stranger.gguf
run 2 rank -q fleas p.txt --draft-model stranger.gguf
check "says that the families differ" says "is another in the draft model's vocabulary than in the model's"
run 1 rank -q fleas p.txt --draft-model absent.gguf
check "says which file is absent" says 'absent.gguf: cannot open'

# logits: rows, raw rows, and what it refuses.
echo '[1,2,3]' >ids.json
run 0 logits --tokens ids.json --top 2 --raw raw.bin
check "a row a token" test "$(wc -l <out)" -eq 3
check "no next token after the last" grep -q '^{"position":2,"id":3,"next_logprob":null,' out
check "raw holds whole float32 rows" test "$(stat -c %s raw.bin)" -eq $((3 * 320 * 4))
run 2 logits --tokens - # standard input is empty
check "says that it is empty" grep -q -F -e '-: is empty, expected a JSON array of token ids' err
echo '[1,320]' >ids.json
run 2 logits --tokens ids.json --raw raw2.bin
check "says which id is too large" grep -q -F "ids.json: item 1: found token id 320, expected 0 to 319" err
check "no raw file" test "$(find . -name 'raw2.bin*' | wc -l)" -eq 0
run 1 logits --tokens ids.json --raw nowhere/raw.bin
check "says where raw cannot be written" grep -q -F 'nowhere/raw.bin: cannot write in nowhere' err
printf '[1%s]\n' "$(printf ',1%.0s' {1..4000})" >ids.json
{ "$rearank" logits --tokens ids.json --top 10 2>err || true; } | head -n 1 >/dev/null
check "a reader that goes away is no error to tell" test ! -s err

if command -v python3 >/dev/null; then
    cat >terminal.py <<'PY'
"""Runs a command with standard error on a terminal of 100 columns; SIGINT once it shows `wait_for`. Prints exit, errors."""
import fcntl, os, pty, signal, struct, subprocess, sys, termios

wait_for, command = sys.argv[1].encode(), sys.argv[2:]
ours, theirs = pty.openpty()
fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=open("out", "wb"), stderr=theirs,
                         env={**os.environ, "TERM": "xterm"})
os.close(theirs)
shown, sent = b"", False
while True:
    try:
        piece = os.read(ours, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if wait_for and wait_for in shown and not sent:
        child.send_signal(signal.SIGINT)
        sent = True
open("err", "wb").write(shown)
print(child.wait())
PY
    code=$(python3 terminal.py "" "$rearank" rank --candidates c.jsonl --strict --max-tokens 30 --format tsv --jobs 1)
    check "a terminal changes nothing (found $code)" test "$code" -eq 0
    check "standard output holds data only" test "$(wc -l <out)" -eq 6
    check "shows progress" grep -q -a 'window 1 of 2, query 1 of 3 | prompt [0-9]* of [0-9]* tokens' err
    check "shows speed" grep -q -a 'tokens/s' err
    check "shows the time left" grep -q -a 'about .* left' err
    check "only our own escapes reach the terminal" python3 - <<'PY'
import re
shown = open("err", "rb").read()
rest = re.sub(rb"\x1b\[(K|1A)", b"", shown)
sys_ok = not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", rest)
rest.decode("utf-8")
# no row is wider than the terminal: rows end at a newline or a carriage return
rows = [len(row.decode("utf-8")) for row in re.split(rb"[\r\n]+", rest)]
raise SystemExit(0 if sys_ok and 60 < max(rows) < 100 else 1)
PY
    code=$(python3 terminal.py "" "$rearank" rank --candidates many.jsonl --jobs 1 --window 4 --step 2 --deadline 1e-6 --format tsv)
    check "a deadline ends well on a terminal (found $code)" test "$code" -eq 0
    check "it is told once a query" test "$(grep -c -a -e '-- the deadline came: windows 1 to 3 stay as they were' err)" -eq 2
    # A third query of dozens of windows, so that no machine is through with it when its first line of progress shows.
    python3 - >late.jsonl <<'PY'
import json
for line in list(open("c.jsonl"))[:2]:
    print(line, end="")
print(json.dumps({"qid": "q3", "query": "fleas", "hits": [{"docid": f"d{i}", "text": f"t{i}"} for i in range(60)]}))
PY
    code=$(python3 terminal.py 'query 3 of 3' "$rearank" rank --candidates late.jsonl --depth 0 --window 2 --step 1 --jobs 1 --max-tokens 30 --format tsv --log part.jsonl)
    check "Ctrl-C exits with 130 (found $code)" test "$code" -eq 130
    check "finished queries are kept" test "$(wc -l <out)" -eq 4
    check "and logged" test "$(wc -l <part.jsonl)" -eq 2
    check "it says so" grep -q -a 'interrupted: 2 of 3 queries are done' err
    code=$(python3 terminal.py 'query 3 of 3' "$rearank" rank --candidates late.jsonl --depth 0 --window 2 --step 1 --jobs 1 --max-tokens 30)
    check "Ctrl-C in JSON exits with 130 (found $code)" test "$code" -eq 130
    check "the list is whole and holds the finished queries" python3 - <<'PY'
import json
raise SystemExit([query["qid"] for query in json.load(open("out"))] != ["q1", "q2"])
PY
    code=$(python3 terminal.py 'query 3 of 3' "$rearank" rank --candidates late.jsonl --depth 0 --window 2 --step 1 --jobs 1 --max-tokens 30 --output half.json)
    check "Ctrl-C with --output exits with 130 (found $code)" test "$code" -eq 130
    check "no half file" test "$(find . -name 'half.json*' ! -name half.json.journal | wc -l)" -eq 0
    check "a journal with the finished queries" grep -q -a -F 'half.json.journal keeps: 2; the same command with --resume' err
    run 0 rank --candidates late.jsonl --depth 0 --window 2 --step 1 --max-tokens 30 --output half.json --resume
    check "goes on from there" test "$(python3 -c 'import json; print(len(json.load(open("half.json"))))')" -eq 3

    # Several jobs show one line of progress, and end as cleanly: the query of one passage is done before any answer.
    code=$(python3 terminal.py "" "$rearank" rank --candidates many.jsonl --jobs 2 --window 4 --step 2 --max-tokens 8 --format tsv)
    check "a terminal changes nothing with several jobs (found $code)" test "$code" -eq 0
    check "standard output holds data only with several jobs" test "$(wc -l <out)" -eq $((2 * n_docs))
    check "shows the progress of all" grep -q -a '[0-9]* of 6 windows, [0-9] of 2 queries | 2 jobs' err
    check "no text of a single window" test "$(grep -c -a -e '-- window' err)" -eq 0
    # Two queries of dozens of windows, so that no machine is through with them when the first window is done.
    python3 - >long.jsonl <<'PY'
import json
for qid, passages in ("q1", 60), ("q2", 1), ("q3", 60):
    print(json.dumps({"qid": qid, "query": "fleas", "hits": [{"docid": f"d{i}", "text": f"t{i}"} for i in range(passages)]}))
PY
    code=$(python3 terminal.py ' left' "$rearank" rank --candidates long.jsonl --depth 0 --window 2 --step 1 --jobs 3 --max-tokens 30 --format tsv --log part3.jsonl)
    check "Ctrl-C with several jobs exits with 130 (found $code)" test "$code" -eq 130
    check "the finished query is kept" test "$(wc -l <out)" -eq 1
    check "and logged" grep -q '^{"qid":"q2",' part3.jsonl
    check "it says how many" grep -q -a 'interrupted: 1 of 3 queries are done' err
fi

summary
