#!/usr/bin/env bash
# `rearank replay`, `rearank prompt` and what `rearank rank` does without a model.
# Usage: replay.sh REARANK
set -euo pipefail

here=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")")
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
export REARANK_MODEL=$work/none.gguf # whatever needs a model must fail here

# run EXPECTED_EXIT ARGUMENT…: data in out, messages in err.
run() {
    local wanted=$1
    shift
    expect "$wanted" "$*" "$rearank" "$@" </dev/null
}
absent() { [[ ! -e $1 ]]; }
lacks() { ! has "$1"; }

cat >c.jsonl <<'EOF'
{"qid": "q1", "query": "how long do fleas live", "hits": [{"docid": "a", "text": "Paris is a city."}, {"docid": "b", "text": "Fleas live for weeks.", "title": "Fleas"}, {"docid": "c", "text": "Dogs have fleas."}]}
{"qid": "q2", "query": "nothing to rank", "hits": [{"docid": "a", "text": "alone"}]}
EOF
cat >a.jsonl <<'EOF'
{"qid": "q2", "responses": []}
{"qid": "q1", "responses": ["<think>[1] is off</think>\n<answer>[2] > [3]</answer>"]}
EOF

run 0 replay --candidates c.jsonl --answers a.jsonl --format trec
shows "trec run" <<'EOF'
q1 Q0 b 1 3 rearank
q1 Q0 c 2 2 rearank
q1 Q0 a 3 1 rearank
q2 Q0 a 1 1 rearank
EOF
check "replay is quiet" silent
run 0 replay --candidates c.jsonl --answers a.jsonl --format tsv
shows "tsv run" <<'EOF'
q1	b	1	1
q1	c	2	0.666666667
q1	a	3	0.333333333
q2	a	1	1
EOF
run 0 replay --candidates c.jsonl --answers a.jsonl --format table --explain
shows "table" <<'EOF'
Query q1: how long do fleas live
rank  was  id  passage
   1    2  b   Fleas · Fleas live for weeks.
   2    3  c   Dogs have fleas.
   3    1  a   Paris is a city.

What the reasoning says
   3  a
      [1]: [1] is off

Window 1 of 1: ranks 1 to 3, answer repaired
  Reasoning
    [1] is off
  Answer
    [2] > [3]

Query q2: nothing to rank
rank  was  id  passage
   1    1  a   alone
EOF
run 0 replay --candidates c.jsonl --answers a.jsonl
if command -v python3 >/dev/null; then
    check "json" python3 - <<'PY'
import json
one, two = json.load(open("out"))
assert [r["id"] for r in one["results"]] == ["b", "c", "a"] and [r["index"] for r in one["results"]] == [1, 2, 0]
assert one["windows"][0]["reasoning"] == "[1] is off" and one["windows"][0]["permutation"] == [2, 3, 1]
assert one["windows"][0]["repaired"] is True and one["windows"][0]["truncated"] is False
assert one["options"] == {"window": 20, "step": 10, "depth": 100, "schedule": "sliding", "passes": 1, "think": True}
assert "explanations" not in one["results"][0] and "text" not in one["results"][0]
assert one["model"] is None and two["windows"] == [] and two["results"][0]["relevance_score"] == 1.0
PY
fi
data=$(realpath -- "$here/../data/report")
run 0 replay --candidates "$data/candidates.jsonl" --answers "$data/answers.jsonl" --window 8 --step 4 --format table --explain
check "what the last window said" has '      window 2, [3]: Now [3] is the most direct one: it repeats'
check "a window that was repaired" has 'Window 2 of 2: ranks 1 to 8, answer repaired'
check "no other of them" lacks 'Window 1 of 2'
check "no crowds beside better ones" lacks 'So the advice comes first'
check "no terminal codes" lacks $'\e'
check "how to get all" has 'more sentences, and the whole reasoning: --explain-all'
run 0 replay --candidates "$data/candidates.jsonl" --answers "$data/answers.jsonl" --window 8 --step 4 --format table --explain-all
check "all windows" has 'Window 1 of 2'
check "all sentences" has 'So the advice comes first'
check "nothing more to get" lacks 'explain-all'
run 0 replay --candidates c.jsonl --answers a.jsonl --explain --format jsonl
if command -v python3 >/dev/null; then
    check "explanations in json" python3 - <<'PY'
import json
one, two = map(json.loads, open("out"))
assert [len(r["explanations"]) for r in one["results"]] == [0, 0, 1] and two["results"][0]["explanations"] == []
said = one["results"][2]["explanations"][0]
assert said == {"window": 0, "label": 1, "begin": 0, "end": 10, "named": 1, "text": "[1] is off"}
assert one["windows"][said["window"]]["reasoning"][said["begin"]:said["end"]] == said["text"]
assert one["results"][0]["title"] == "Fleas" and "title" not in one["results"][1]
assert one["results"][0]["text"] == "Fleas live for weeks."
PY
fi
run 0 replay --candidates c.jsonl --answers a.jsonl --format trec --output run.txt
check "nothing on standard output" test ! -s out
check "the file holds the run" test "$(wc -l <run.txt)" -eq 4
check "no temporary file stays" test "$(find . -name 'run.txt*' | wc -l)" -eq 1
cp run.txt expected.txt

# What an answer quotes in its thinking is none.
printf '%s\n' '{"qid": "q2", "responses": []}' \
    '{"qid": "q1", "responses": ["<think>As <answer>[1] > [2]</answer>, but [3]</think>\n<answer>[3] > [2] > [1]</answer>"]}' >quoted.jsonl
run 0 replay --candidates c.jsonl --answers quoted.jsonl --format table
check "the answer behind the thinking is read" test "$(grep -c '1    3  c \|2    2  b \|3    1  a ' out)" -eq 3
check "nothing is repaired" lacks 'repaired'

# Where ids stand in brackets, other numbers are none; those of prose are none either.
printf '%s\n' '{"qid": "q2", "responses": []}' \
    '{"qid": "q1", "responses": ["<answer>Rank 1: [3] (2 pages)\nRank 2: [1]\nRank 3: [2]</answer>"]}' >ranks.jsonl
run 0 replay --candidates c.jsonl --answers ranks.jsonl --format table
check "the ranks are no ids" test "$(grep -c '1    3  c \|2    1  a \|3    2  b ' out)" -eq 3
check "nothing is repaired there either" lacks 'repaired'
printf '%s\n' '{"qid": "q2", "responses": []}' '{"qid": "q1", "responses": ["I cannot rank these 3 passages."]}' >sorry.jsonl
run 0 replay --candidates c.jsonl --answers sorry.jsonl --format trec
check "a refusal lists nothing" test "$(cut -d ' ' -f 3 out | tr -d '\n')" = abca
run 0 replay --candidates c.jsonl --answers sorry.jsonl --format jsonl
check "and is flagged" has '"repaired":true'

# Digits that are not ASCII's.
for digits in '[３] > [２] > [１]' '③ > ② > ①' '[³] > [²] > [¹]' '【3】＞【2】＞【1】'; do
    printf '%s\n' '{"qid": "q2", "responses": []}' "{\"qid\": \"q1\", \"responses\": [\"<answer>$digits</answer>\"]}" >digits.jsonl
    run 0 replay --candidates c.jsonl --answers digits.jsonl --format jsonl
    check "$digits is whole" lacks '"repaired":true'
    run 0 replay --candidates c.jsonl --answers digits.jsonl --format trec
    check "$digits is read" test "$(cut -d ' ' -f 3 out | tr -d '\n')" = cbaa
done

# A pipe or device given as --output is written to, never replaced; a link is followed.
mkfifo pipe
timeout 60 cat pipe >piped.txt &
run 0 replay --candidates c.jsonl --answers a.jsonl --format trec --output pipe
check "the pipe is still one" test -p pipe
wait $!
check "the run went through it" cmp -s piped.txt expected.txt
: >target.txt
ln -s target.txt link.txt
run 0 replay --candidates c.jsonl --answers a.jsonl --format trec --output link.txt
check "the link is still one" test -L link.txt
check "the run is where it leads" cmp -s target.txt expected.txt

# A file that cannot be finished leaves what stood there.
run_small() ( # EXPECTED_EXIT ARGUMENT…: no file may grow beyond a KiB, as on a full disk
    trap '' XFSZ
    ulimit -f 1
    code=0
    "$rearank" "${@:2}" >/dev/null 2>"$work/small.err" || code=$?
    [[ $code -eq $1 ]]
)
check "a full disk is an error" run_small 1 replay --candidates c.jsonl --answers a.jsonl --output run.txt
cp small.err err
check "says what could not be written" says 'run.txt: cannot write: File too large'
check "the old file stands" cmp -s run.txt expected.txt
check "no temporary file stays behind" test "$(find . -name 'run.txt*' | wc -l)" -eq 1

# A list longer than the default depth: said, unless a depth was asked for.
printf '{"qid": "q1", "query": "x", "hits": [' >deep.jsonl
for i in $(seq 101); do printf '{"docid": "%d", "text": "t"}%s' "$i" "$([[ $i == 101 ]] || echo ,)" >>deep.jsonl; done
printf ']}\n' >>deep.jsonl
printf '{"qid": "q1", "responses": ["[20]", "", "", "", "", "", "", "", ""]}\n' >deep_answers.jsonl
run 0 replay --candidates deep.jsonl --answers deep_answers.jsonl --format trec
check "says what is not ranked" says 'queries with more than 100 passages: 1; ranking their first 100; '
check "the rest stays behind" grep -q '^q1 Q0 101 101 ' out
run 0 replay --candidates deep.jsonl --answers deep_answers.jsonl --format trec --depth 100
check "says nothing when asked for" silent

# Answers that are missing or left over; nothing half written.
run 2 replay --candidates c.jsonl --answers a.jsonl --window 2 --step 1 --format trec --output half.txt
check "says what is missing" says 'a.jsonl:2: qid "q1" has 1 answers, expected 2'
check "no output file" absent half.txt
printf '{"qid": "q1", "responses": ["[1]", "[2]"]}\n' >long.jsonl
run 2 replay --candidates c.jsonl --answers long.jsonl
check "says what is left over" says 'long.jsonl:1: qid "q1" has 2 answers, expected 1'
# Other schedules: how many answers top-down partitioning needs shows as it goes.
printf '{"qid": "q1", "responses": ["[2] > [1]", "[2] > [1]"]}\n{"qid": "q2", "responses": []}\n' >top.jsonl
run 0 replay --candidates c.jsonl --answers top.jsonl --schedule topdown --window 2 --step 1 --format trec
check "the third beats the pivot" test "$(head -n 1 out)" = 'q1 Q0 c 1 3 rearank'
printf '{"qid": "q1", "responses": ["[2] > [1]", "[2] > [1]", "[1]"]}\n' >top.jsonl
run 2 replay --candidates c.jsonl --answers top.jsonl --schedule topdown --window 2 --step 1 --format trec
check "says what is left over there" says 'top.jsonl:1: qid "q1" has 3 answers, expected 2'
printf '{"qid": "q1", "responses": ["[3]", "[3]"]}\n' >twice.jsonl
run 0 replay --candidates c.jsonl --answers twice.jsonl --schedule single --passes 2 --window 2 --step 1 --format trec
check "one window over all, twice" test "$(grep -c '^q1 Q0 b 1 \|^q1 Q0 c 2 \|^q1 Q0 a 3 ' out)" -eq 3
run 2 replay --candidates c.jsonl --answers twice.jsonl --schedule zigzag
check "says which schedules there are" says 'sliding, topdown, single'
printf '{"qid": "q1", "responses": ["[1]"]}\n{"qid": "q9", "responses": []}\n' >other.jsonl
run 2 replay --candidates c.jsonl --answers other.jsonl
check "says which query is unknown" says 'other.jsonl:2: answers for qid "q9"'
printf '{"qid": "q1"\n' >broken.jsonl
run 2 replay --candidates broken.jsonl --answers a.jsonl
check "says where it is broken" says 'broken.jsonl:1: not JSON at column'
run 1 replay --candidates c.jsonl --answers absent.jsonl
check "says which file" says 'absent.jsonl: cannot open'
run 2 replay --candidates c.jsonl
check "says what option is missing" says '--answers FILE is missing'
run 1 replay --candidates c.jsonl --answers a.jsonl --output nowhere/run.txt
check "says where it cannot write" says 'nowhere/run.txt: cannot write in nowhere'
run 2 replay --candidates c.jsonl --answers a.jsonl --output ''
check "says that a name is needed" says 'found an empty name, expected the name of a file to write'
run 2 replay --candidates '' --answers a.jsonl
check "says that a name to read is needed" says 'found an empty name, expected the name of a file to read'
run 2 replay --candidates c.jsonl --answers a.jsonl --step 21
check "says what a step may be" says "--step: found 21, expected 1 to the window's 20"
printf '{"qid": "q 1", "query": "x", "hits": []}\n' >space.jsonl
run 2 replay --candidates space.jsonl --answers a.jsonl --format trec
check "says which id a TREC run cannot hold" says '"q 1" holds a space'
printf '{"qid": "#1", "query": "x", "hits": [{"docid": "d1", "text": "a"}, {"docid": "d2", "text": "b"}]}\n' >hash.jsonl
printf '{"qid": "#1", "responses": ["[2] > [1]"]}\n' >hash.answers
run 2 replay --candidates hash.jsonl --answers hash.answers --format trec
check "nor a qid that is a comment there" says 'qid "#1" starts with "#"'
printf 'query-id\tcorpus-id\tscore\n#1\td1\t1\n' >hash.qrels
for format in tsv jsonl; do
    run 0 replay --candidates hash.jsonl --answers hash.answers --format "$format" -o hash.run
    run 0 eval --qrels hash.qrels --run hash.run -m num_q,mrr
    check "a qid with # is measured out of $format" grep -q '^mrr *0.5000$' out
done

# The candidate files of others.
printf '[{"query": "x", "hits": [{"content": "Title: Content: one", "qid": 7, "docid": 1, "score": 2.5}, {"content": "two", "docid": 2, "score": 2}]}]' >rankgpt.json
printf '[\n  {\n    "query": {"text": "x", "qid": 7},\n    "candidates": [{"docid": 1, "score": 2.5, "doc": {"contents": "one"}}, {"docid": 2, "score": 2, "doc": {"text": "two"}}]\n  }\n]' >rank_llm.json
for file in rankgpt rank_llm; do
    run 0 prompt --candidates $file.json --no-think
    check "the passage of $file" has '[1] one'
    run 0 eval --qrels <(echo '7 0 1 1') --run $file.json -m mrr
    check "the run of $file" has '1.0000'
done

# Prompts.
printf 'one  passage\n\n<|im_end|> two\n' >p.txt
run 0 prompt -q 'a query' p.txt --no-think
shows "rendered prompt" <<'EOF'
<|im_start|>system
You are RankGPT, an intelligent assistant that can rank passages based on their relevancy to the query.<|im_end|>
<|im_start|>user
I will provide you with 2 passages, each indicated by number identifier []. 
Rank the passages based on their relevance to query: a query.<|im_end|>
<|im_start|>assistant
Okay, please provide the passages.<|im_end|>
<|im_start|>user
[1] one passage<|im_end|>
<|im_start|>user
[2] <|im_end|> two<|im_end|>
<|im_start|>user
Search Query: a query. 
Rank the 2 passages above based on their relevance to the search query. The passages should be listed in descending order using identifiers. The most relevant passages should be listed first. The output format should be [] > [], e.g., [1] > [2]. Only response the ranking results, do not say any word or explain.<|im_end|>
<|im_start|>assistant
EOF
run 0 prompt --candidates c.jsonl --window 2 --step 1 --window-index 1 --format json
check "messages of the second window" has '"content": "[2] Title: Fleas Content: Fleas live for weeks."'
check "REARANK's prompt by default" has 'You are DeepRerank'
run 0 prompt --candidates c.jsonl --window 2 --step 1 --schedule single
check "the single window holds all" has '[3] Dogs have fleas.'
run 2 prompt --candidates c.jsonl --window 2 --step 1 --schedule topdown --window-index 1
check "says what is not known yet" says 'of which only the first is known before it is ranked'
run 2 prompt --candidates c.jsonl --window-index 1
check "says how many windows there are" says '3 passages make 1 window'
run 2 prompt --candidates c.jsonl --qid q7
check "says which query is unknown" says '"q7" is not among the candidates'

# Ranking what needs no model; a model that is not there.
run 2 rank -q x --format tsv
check "no passages are nothing to rank" says 'standard input: holds no passages, expected one a line'
printf 'alone\n' >one.txt
run 0 rank -q x one.txt --format tsv
shows "one passage" <<'EOF'
1	1	1	1
EOF
run 0 rank -q x one.txt
check "json when no terminal" has '"relevance_score": 1.0'
run 1 rank -q x p.txt
check "says which model is missing" says 'none.gguf'
run 2 rank p.txt
check "asks for a query" says 'nothing to rank by'
run 2 rank -q ' ' p.txt
check "a blank query" says 'the query is blank'
run 2 rank -q x --candidates c.jsonl
check "one or the other" says '--candidates brings its own queries'
run 1 rank -q x absent.txt
check "says which file" says 'absent.txt: cannot open'
run 2 rank -q x one.txt -o same.txt --log ./same.txt
check "two outputs, two files" says '--output and --log name the same file: same.txt'
check "nothing was written" absent same.txt
run 2 rank -q x p.txt --format xml
check "names the formats" says 'trec'

summary
