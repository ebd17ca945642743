#!/usr/bin/env bash
# What files the program reads and writes: inputs that are packed, empty or no text.
# Usage: files.sh REARANK
set -euo pipefail

# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
export REARANK_CACHE=$work/cache
export REARANK_MODEL=$work/none.gguf # whatever needs a model must fail here

cat >c.jsonl <<'END'
{"qid": "q1", "query": "how long do fleas live", "hits": [{"docid": "a", "text": "Paris is a city.", "score": 2}, {"docid": "b", "text": "Fleas live for weeks.", "score": 1}]}
END
printf '{"qid": "q1", "responses": ["<answer>[2] > [1]</answer>"]}\n' >a.jsonl
printf 'q1 0 b 1\n' >qrels
printf 'q1 Q0 a 1 2 t\nq1 Q0 b 2 1 t\n' >run.trec
mkdir plain packed
printf 'q1 Q0 a 1 2 t\nq1 Q0 b 2 1 t\n' >plain/run.trec
printf '{"_id": "a", "text": "Paris is a city."}\n{"_id": "b", "text": "Fleas live for weeks."}\n' >plain/corpus.jsonl
printf 'q1\thow long do fleas live\n' >plain/queries.tsv
printf '{"text": "Paris is a city."}\n{"text": "Fleas live for weeks."}\n' >p.jsonl
for file in *.jsonl qrels run.trec; do gzip -k "$file"; done
for file in plain/*; do gzip -c "$file" >"packed/${file#plain/}.gz"; done

# Packed inputs give what they give unpacked, by every way in.
alike() { # ARGUMENT…: the same output with and without .gz where an @ stands
    run 0 "${@//@/}"
    mv out unpacked
    run 0 "${@//@/.gz}"
    check "the same from packed files: $*" cmp -s out unpacked
}
alike replay --candidates c.jsonl@ --answers a.jsonl@ -f trec
check "a run" test -s unpacked
alike prompt --candidates c.jsonl@
alike prompt -q fleas p.jsonl@
alike prompt --run run.trec@ --corpus plain/corpus.jsonl --queries plain/queries.tsv
run 0 prompt --data plain
mv out unpacked
run 0 prompt --data packed
check "a folder of packed files" cmp -s out unpacked
run 0 eval --qrels qrels --run run.trec
mv out unpacked
run 0 eval --qrels qrels.gz --run run.trec.gz
check "runs and judgements, and the run's name" cmp -s out unpacked
run 0 replay --candidates c.jsonl --answers a.jsonl --explain -o run.json
gzip -k run.json
run 0 report run.json -o page.html
run 0 report run.json.gz --qrels qrels.gz -o page2.html
check "a page from a packed run" grep -q -F 'Fleas live for weeks' page2.html
expect 0 "a packed standard input" "$rearank" prompt -q fleas - <p.jsonl.gz
check "is unpacked" has 'Fleas live for weeks'
cat c.jsonl.gz <(sed s/q1/q2/ c.jsonl | gzip) >two.jsonl.gz
run 2 replay --candidates two.jsonl.gz --answers a.jsonl
check "members are one text" says 'q2'

# What is damaged or no text is named.
head -c 60 c.jsonl.gz >cut.gz
{ cat c.jsonl.gz && echo more; } >more.gz
printf '\377\376r\0o\0s\0e\0s\0' >utf16.txt
printf 'roses\0tulips\n' >nul.txt
printf '\050\265\057\375 and so on' >p.zst
for case in 'cut.gz is cut off' 'more.gz something that is no gzip stands behind the end' 'utf16.txt is UTF-16 text' \
    'nul.txt holds a NUL byte (at byte 5)' 'p.zst is packed with zstd'; do
    file=${case%% *} message=${case#* }
    for arguments in "rank -q x $file" "rank -q x p.jsonl $file" "replay --candidates $file --answers a.jsonl" \
        "replay --candidates c.jsonl --answers $file" "eval --qrels $file run.trec" "eval --qrels qrels $file" \
        "prompt --run run.trec --corpus $file --queries plain/queries.tsv" "prompt --run run.trec --corpus p.jsonl --queries $file" \
        "report $file -o page.html" "readout info $file"; do
        # shellcheck disable=SC2086 # words
        run 2 $arguments
        check "$arguments: names it" says "$file: $message"
    done
done
run 2 tokenize -m c.jsonl.gz p.jsonl
check "a packed model is refused as such" says 'c.jsonl.gz: is packed with gzip, expected a GGUF model as it is: unpack it first'

# A JSON array is read as one, and a list of no passages is none.
printf '[\n{"id": "a", "text": "roses need water"},\n{"id": "b", "text": "tulips in May"}\n]\n' >p.json
run 0 prompt -q 'cut flowers' p.json
check "two passages" test "$(grep -c '^\[' out)" -eq 2
check "the second" has '[2] tulips in May'
printf '{\n"text": "one"\n}\n' >object.json
run 2 rank -q x object.json
check "says that it is an object" says 'object.json: found one JSON object over many lines, expected {"text"'
: >empty.jsonl
run 2 rank -q x empty.jsonl
check "says what an empty file lacks" says 'empty.jsonl: holds no passages, expected one a line'
run 2 rank -q x
check "so it does of standard input" says 'standard input: holds no passages'

# No output replaces an input or another output, by whatever name.
ln c.jsonl hard.jsonl
ln -s a.jsonl link.jsonl
ln -s not-yet dangling
mkdir folder
cp plain/* folder/
sums() { find . -type f ! -name out ! -name err ! -name before ! -name after -exec sha256sum {} + | sort -k 2; }
sums >before
refused() { # "A and B" ARGUMENT…
    run 2 "${@:2}"
    check "${*:2}: $1" says "$1 name the same file: "
}
replay=(replay --candidates c.jsonl --answers a.jsonl)
refused '--output and --candidates' "${replay[@]}" -o c.jsonl
refused '--output and --candidates' "${replay[@]}" -o hard.jsonl
refused '--output and --answers' "${replay[@]}" -o link.jsonl
refused '--output and --answers' "${replay[@]}" -o "$work/a.jsonl"
refused '--report and --answers' "${replay[@]}" --report ./a.jsonl
refused '--output and --report' "${replay[@]}" -o not-yet --report ./not-yet
refused '--output and RUN' report run.json -o run.json
refused '--output and --candidates' report run.json --candidates c.jsonl -o hard.jsonl
refused '--output and --passages' report run.json --passages p.jsonl -o p.jsonl
refused '--output and --qrels' report run.json --qrels qrels -o qrels
run_set=(--run run.trec --corpus p.jsonl --corpus plain/corpus.jsonl --queries plain/queries.tsv)
refused '--output and --run' replay "${run_set[@]/p.jsonl/folder}" --answers a.jsonl -o run.trec
refused '--output and --corpus' replay --data folder --answers a.jsonl -o folder/corpus.jsonl
refused '--report and --queries' replay --data folder --answers a.jsonl --report folder/queries.tsv
refused '--output and --run' rank --data folder -o folder/run.trec
refused '--output and the passages' rank -q x p.jsonl -o p.jsonl
refused '--log and the passages' rank -q x a.jsonl p.jsonl --log p.jsonl
refused '--journal and --candidates' rank --candidates c.jsonl --journal hard.jsonl
refused '--output and --readout' rank -q x p.jsonl --readout a.jsonl -o a.jsonl
refused '--output and --model' rank -q x p.jsonl -m run.json -o run.json
refused "the output's journal and --log" rank --candidates c.jsonl -o x --log x.journal
refused '--raw and --tokens' logits --tokens a.jsonl --raw a.jsonl
refused '--json and --model' bench -m run.json --json run.json
refused '--csv and --model' bench -m run.json --csv ./run.json
refused '--output and --qrels' readout fit -m run.json --candidates c.jsonl --qrels qrels -o qrels
refused '--store and --candidates' readout fit -m run.json --candidates c.jsonl --qrels qrels -o x --store hard.jsonl
# shellcheck disable=SC2094 # that it is one file is what is tried
expect 2 'its own standard input' "$rearank" report - -o run.json <run.json
check "says so" says '--output and RUN name the same file'
sums >after
check "nothing was touched" diff before after

# A look into a cache leaves no trace of itself.
expect 2 "no model" env -u REARANK_MODEL -u REARANK_CACHE -u XDG_CACHE_HOME HOME="$work/no-home" "$rearank" rank -q x p.jsonl
check "says that there is none" says 'no model: neither -m nor REARANK_MODEL names one'
check "made no home" test ! -e no-home
expect 2 "no model" env -u REARANK_MODEL REARANK_CACHE="$work/no-cache" "$rearank" rank -q x p.jsonl
check "made no cache" test ! -e no-cache

# A driver's file that is none.
printf '{"file_format_version": "1.0.0", "ICD": {"library_path": ' >driver.json
for file in driver.json no-driver.json; do
    export VK_DRIVER_FILES=$work/$file VK_ICD_FILENAMES=$work/$file # the second for loaders before 1.3.207
    run 1 devices
    says 'no Vulkan loader found' || check "names the file $file" says "VK_DRIVER_FILES is set to \"$work/$file\""
    says 'no Vulkan loader found' || check "and what the loader says of $file" says 'the loader says: '
    unset VK_DRIVER_FILES VK_ICD_FILENAMES
done

summary
