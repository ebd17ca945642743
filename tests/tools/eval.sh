#!/usr/bin/env bash
# `rearank eval` from outside: tables, JSON, LaTeX, several runs, messages, standard input.
# Usage: eval.sh REARANK
set -euo pipefail

# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"

# run EXPECTED_EXIT ARGUMENT…: data in out, messages in err; standard input is the caller's.
run() {
    local wanted=$1
    shift
    expect "$wanted" "eval $*" "$rearank" eval "$@"
}

cat >qrels <<'EOT'
q1 0 a 2
q1 0 b 0
q1 0 c 1
q2 0 a 1
q2 0 b 0
q3 0 c 1
EOT
cat >one.trec <<'EOT'
q1 Q0 b 1 3 t
q1 Q0 a 2 2 t
q1 Q0 c 3 1 t
q2 Q0 b 1 1 t
q2 Q0 a 2 1 t
q3 Q0 x 1 1 t
EOT
printf 'q1\ta\t1\t1\nq1\tc\t2\t0.5\nq2\ta\t1\t1\nq3\tc\t1\t1\n' >two.tsv
printf 'q1\ta\t1\nq2\ta\t1\nq3\tc\t1\n' >three.tsv

run 0 --qrels qrels --run one.trec </dev/null
shows "one run" <<'EOT'
measure           one
ndcg@10        0.4335
map            0.3611
mrr            0.3333
recall@100     0.6667
EOT
check "quiet" silent
run 0 --qrels qrels --run one.trec --run two.tsv -m mrr,num_ret --per-query </dev/null
shows "two runs" <<'EOT'
measure  query        one         two
mrr      q1        0.5000      1.0000
num_ret  q1             3           2
mrr      q2        0.5000      1.0000
num_ret  q2             2           1
mrr      q3        0.0000      1.0000
num_ret  q3             1           1
mrr      all       0.3333      1.0000
num_ret  all            6           4

Paired t-test, two-sided; * in the table: p < 0.05 against one

two - one, 3 queries
measure  difference         t         p
mrr         +0.6667     4.000    0.0572
EOT
run 0 --qrels qrels one.trec two.tsv three.tsv -m mrr --test all --digits 2 </dev/null
shows "three runs" <<'EOT'
measure      one       two     three
mrr         0.33      1.00      1.00

Paired t-test, two-sided, p after Bonferroni's correction; * in the table: p < 0.05 against one

two - one, 3 queries
measure  difference         t         p
mrr           +0.67     4.000    0.1716

three - one, 3 queries
measure  difference         t         p
mrr           +0.67     4.000    0.1716

three - two, 3 queries
measure  difference         t         p
mrr           +0.00     0.000    1.0000
EOT
run 0 --qrels qrels one.trec two.tsv -m mrr,num_q --bootstrap 1000 --digits 3 </dev/null
shows "intervals" <<'EOT'
measure       one        two
mrr         0.333      1.000
num_q           3          3

95 % intervals of the means, bootstrap of 1000 samples
measure           one           two
mrr      0.000, 0.500  1.000, 1.000

Paired t-test, two-sided; * in the table: p < 0.05 against one

two - one, 3 queries
measure  difference         t         p        interval
mrr          +0.667     4.000    0.0572    0.500, 1.000
EOT
run 0 --qrels qrels one.trec two.tsv -m mrr,num_q --bootstrap 1000 --digits 2 --format tex </dev/null
check "intervals in latex" has 'one & 0.33 {\scriptsize [0.00, 0.50]} & 3 '
run 0 --qrels qrels one.trec two.tsv -m mrr,num_q --bootstrap 1000 --format json </dev/null
if command -v python3 >/dev/null; then
    check "intervals in json" python3 - <<'PY'
import json
d = json.load(open("out"))
assert d["bootstrap"] == {"samples": 1000, "level": 0.95}
assert d["runs"][0]["interval"] == {"mrr": [0.0, 0.5]} and d["runs"][1]["interval"] == {"mrr": [1.0, 1.0]}
assert d["comparisons"][0]["interval"] == [0.5, 1.0]
PY
fi
run 2 --qrels qrels one.trec --bootstrap 10 </dev/null
run 0 --qrels qrels one.trec two.tsv -m mrr,map,num_q --format tex </dev/null
shows "latex" <<'EOT'
\begin{tabular}{lrrr}
\toprule
run & mrr & map & num\_q \\
\midrule
one & 0.3333 & 0.3611 & 3 \\
two & \textbf{1.0000} & \textbf{1.0000} & 3 \\
\bottomrule
\end{tabular}
% dagger: p < 0.05 against the first run, paired t-test, two-sided
EOT
run 0 --qrels qrels one.trec two.tsv three.tsv -m mrr,num_q --format json </dev/null
if command -v python3 >/dev/null; then
    check "json" python3 - <<'PY'
import json
d = json.load(open("out"))
assert d["measures"] == ["mrr", "num_q"] and d["qrels"] == "qrels" and d["level"] == 1
one, two, three = d["runs"]
assert one["run"] == "one.trec" and one["queries"] == 3 and one["mean"]["num_q"] == 3
assert abs(one["mean"]["mrr"] - 1 / 3) < 1e-12 and one["per_query"]["q1"]["mrr"] == 0.5 and two["mean"]["mrr"] == 1
assert [(c["baseline"], c["run"], c["measure"]) for c in d["comparisons"]] == [("one.trec", "two.tsv", "mrr"), ("one.trec", "three.tsv", "mrr")]
c = d["comparisons"][0]
assert c["queries"] == 3 and c["df"] == 2 and abs(c["difference"] - 2 / 3) < 1e-12 and abs(c["t"] - 4) < 1e-9
assert abs(c["p"] - 0.0571909584) < 1e-9 and abs(c["p_corrected"] - 2 * c["p"]) < 1e-12
PY
fi

run 0 --qrels qrels --run - <one.trec
check "standard input" has 'ndcg@10        0.4335'
run 0 --qrels <(cat qrels) --run <(cat one.trec) -m map </dev/null
check "pipes" has '0.3611'
printf 'q1 Q0 a 1 0.81234567890123 t\nq1 Q0 x 2 0.81234566 t\n' >close.trec
run 0 --qrels qrels --run close.trec -m mrr </dev/null
check "scores that only doubles tell apart" has '1.0000'
run 0 --help </dev/null
check "says which trec_eval" has 'The rules are those of trec_eval 10'
printf 'q9 Q0 a 1 1 t\nq1 Q0 a 1 1 t\n' >part.trec
run 0 --qrels qrels --run part.trec -m map </dev/null
check "says what is left out" says 'part.trec: queries without judgements, left out: 1 (such as "q9")'
check "says what lacks" says 'part.trec: judged queries that the run lacks: 2; left out; --complete counts them as 0'
check "its mean" has '0.5000'
run 0 --qrels qrels --run part.trec -m map -c </dev/null
check "the mean over all" has '0.1667'
run 0 --qrels qrels --run one.trec -m map -l 2 -M 1 -J </dev/null

printf 'q1 Q0 a 1 1 t\nq1 Q0 a 2 0 t\n' >twice.trec
run 2 --qrels qrels --run twice.trec </dev/null
check "a repeat" says 'twice.trec:2: query "q1" has the passage "a" twice (first in line 1)'
printf 'q1 Q0 a 1 1 t\nq1 Q0 b 2' >cut.trec
run 2 --qrels qrels --run cut.trec </dev/null
check "a cut file" says 'cut.trec:2: found "q1 Q0 b 2", expected "qid Q0 docid rank score tag"'
check "nothing half printed" test ! -s out
run 2 --qrels one.trec --run one.trec </dev/null
check "a run is no qrels" says 'one.trec:1: found '
printf 'q9 Q0 a 1 1 t\n' >other.trec
run 2 --qrels qrels --run other.trec </dev/null
check "nothing in common" says 'no query of the run is judged'
run 1 --qrels qrels --run absent.trec </dev/null
check "says which file" says 'absent.trec: cannot open'
run 2 --qrels qrels --run one.trec -m ndgc@10 </dev/null
check "says which measure" says 'there is no measure "ndgc@10"'
run 2 --run one.trec </dev/null
check "asks for judgements" says '--qrels FILE is missing'
run 2 --qrels qrels </dev/null
check "asks for a run" says '--run FILE is missing'
run 2 --qrels - --run - </dev/null
check "one standard input" says 'can be only one of the files'

summary
