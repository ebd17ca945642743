#!/usr/bin/env bash
# A report in a real browser: loaded, used and pictured at the width of a desk and of a phone, light and dark, with scripts and
# without. Skipped where there is no Chromium (package chromium). REARANK_TEST_PICTURES=FOLDER keeps the pictures.
# Usage: report_browser.sh REARANK
set -euo pipefail

here=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")")
data=$here/../data/report
# shellcheck source=tests/tools/check.bash
source "$here/check.bash"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [[ -z $browser ]]; then
    echo "skipped: a look at reports needs Chromium (package chromium)"
    exit 77
fi
: >err

# browse WIDTH HEIGHT OPTION… PAGE: what the browser prints in out, its log in err.
browse() {
    local size=$1,$2
    timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --user-data-dir="$work/profile" \
        --force-device-scale-factor=1 --window-size="$size" --enable-logging=stderr --virtual-time-budget=5000 "${@:3}" >out 2>err </dev/null
}
quiet_console() { ! grep -E 'CONSOLE|Uncaught|Refused to|Content Security Policy' err | grep -v -F '"probe '; }

# probe PAGE WIDTH: the page, with report_probe.js in it, at that width; each finding is a check.
probe() {
    local page=$1 width=$2 line n=0
    { sed '/^<\/body>$/,$d' "$page" && printf '<script nonce="rearank">\n' && sed "s/WIDTH/$width/" "$here/report_probe.js" &&
        printf '</script>\n</body>\n</html>\n'; } >probe.html
    # in a frame, since a window may not be as narrow as a phone
    printf '<!doctype html><title>frame</title><iframe src="probe.html" width="%d" height="900" frameborder="0"></iframe>\n' "$width" >frame.html
    check "$page at $width loads" browse 1400 1000 --screenshot="$work/probe.png" "file://$work/frame.html"
    check "$page at $width: nothing else on the console" quiet_console
    cp err log
    while IFS= read -r line; do
        case $line in
            ok:*) n=$((n + 1)) && check "$line" true ;;
            failed:*) check "$page at $width: $line" false ;;
        esac
    done < <(sed -n 's/.*"probe \(.*\)\.", source.*/\1/p' log)
    check "$page at $width: the probe came to its end" grep -q -F '"probe end."' log
    check "$page at $width: it found $n things right" test "$n" -ge 18
}

# big_endian OFFSET FILE: four bytes as a number.
big_endian() { od -An -tu1 -j "$1" -N 4 "$2" | awk '{print (($1 * 256 + $2) * 256 + $3) * 256 + $4}'; }

# picture NAME PAGE WIDTH HEIGHT OPTION…: a picture of that size that is not blank.
picture() {
    local name=$1 page=$2 width=$3 height=$4
    check "$name is taken" browse "$width" "$height" --screenshot="$work/$name.png" "${@:5}" "file://$work/$page"
    check "$name is as wide as asked" test "$(big_endian 16 "$name.png")" -eq "$width"
    check "$name is not blank" test "$(stat -c %s "$name.png")" -gt 20000
    check "$name: nothing on the console" quiet_console
}

"$rearank" replay --candidates "$data/candidates.jsonl" --answers "$data/answers.jsonl" --window 8 --step 4 --explain --format json --output many.json
"$rearank" report many.json --qrels "$data/qrels.txt" -o many.html 2>/dev/null
head -n 1 "$data/candidates.jsonl" >one.candidates
head -n 1 "$data/answers.jsonl" >one.answers
"$rearank" replay --candidates one.candidates --answers one.answers --window 8 --step 4 --explain --format json --output one.json
"$rearank" report one.json --qrels "$data/qrels.txt" -o one.html
{
    printf '{"qid": "h", "query": "a hundred passages", "hits": ['
    for i in $(seq 100); do printf '{"docid": "d%d", "text": "Passage number %d of a hundred, as long as passages are that someone cut out of a page."}%s' "$i" "$i" "$([[ $i == 100 ]] || echo ,)"; done
    printf ']}\n'
} >hundred.candidates
answer='[20] > [3] > [7]'
printf '{"qid": "h", "responses": ["%s", "%s", "%s", "%s", "%s", "%s", "%s", "%s", "%s"]}\n' "$answer" "$answer" "$answer" "$answer" "$answer" "$answer" "$answer" "$answer" "$answer" >hundred.answers
"$rearank" replay --candidates hundred.candidates --answers hundred.answers --explain --format json --output hundred.json
"$rearank" report hundred.json -o hundred.html

head -n 1 "$data/read.jsonl" >read.jsonl
"$rearank" report read.jsonl -o read.html

for page in many one hundred read; do
    probe $page.html 1280
    probe $page.html 390
done
light=--blink-settings=preferredColorScheme=1 dark=--blink-settings=preferredColorScheme=0
picture desk-light one.html 1280 1600 $light
picture desk-dark one.html 1280 1600 $dark
picture phone-light one.html 390 2400 $light
picture phone-dark one.html 390 2400 $dark
picture many-light many.html 1280 900 $light
picture many-phone-dark many.html 390 900 $dark
picture hundred-light hundred.html 1280 2600 $light
picture hundred-phone-light hundred.html 390 3200 $light
picture read-light read.html 1280 1600 $light
picture read-dark read.html 1280 1600 $dark
picture read-phone-light read.html 390 2400 $light
picture read-phone-dark read.html 390 2400 $dark
check "light and dark differ" bash -c '! cmp -s desk-light.png desk-dark.png'
sed 's/^<script nonce="rearank">$/<script type="text\/plain">/' one.html >no-script.html
check "there was a script" bash -c '! cmp -s one.html no-script.html'
picture no-script no-script.html 1280 1600 $light
# On a busy machine a picture may be taken before the page is painted: then both are taken again.
looks_same() {
    for _ in 1 2 3; do
        ! cmp -s desk-light.png no-script.png || return 0
        picture desk-light one.html 1280 1600 $light
        picture no-script no-script.html 1280 1600 $light
    done
    cmp -s desk-light.png no-script.png
}
check "without scripts it looks the same" looks_same
if [[ -n ${REARANK_TEST_PICTURES:-} ]]; then
    mkdir -p "$REARANK_TEST_PICTURES"
    cp ./*.png "$REARANK_TEST_PICTURES"
fi
summary
