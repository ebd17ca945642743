#!/usr/bin/env bash
# `rearank serve` with a small generated model: addresses, streams, hostile and vanishing clients, keys, signals; and the
# recorded requests of real clients, where a folder of them is at hand ($REARANK_SHARED/cases/serve, else ../shared's).
# Usage: serve_gpu.sh REARANK (synth_model lies beside it)     Exit 77 = skipped.
set -euo pipefail

tests=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
cases=$(realpath -m -- "${REARANK_SHARED:-$tests/../../../shared}/cases/serve")
if ! command -v python3 >/dev/null; then
    echo "skipped: no python3"
    exit 77
fi
if "$1" serve --port 0 --model /dev/null 2>&1 | grep -q 'this build has no server'; then
    echo "skipped: a build without libmicrohttpd"
    exit 77
fi
# shellcheck source=tests/tools/model.bash
source "$tests/model.bash"

server=
stop_server() { [[ -z $server ]] || kill -9 "$server" 2>/dev/null || true; }
trap 'stop_server; rm -rf "$work"' EXIT

# start OPTION…: a server on a free port, in `server` and `port`; its messages in err, its log in log.
start() {
    : >err
    "$rearank" serve --port 0 --max-tokens 24 --think-budget 8 "$@" >log 2>err </dev/null &
    server=$!
    await "$server" grep -q 'ready: ' err
    port=$(sed -n 's|.*listening at http://[^ ]*:\([0-9]*\).*|\1|p' err)
    check "it listens" test -n "$port"
}
# stop WANTED_STATUS: by SIGTERM
stop() {
    local code=0
    kill -TERM "$server"
    wait "$server" || code=$?
    server=
    check "SIGTERM ends it with $1 (found $code)" test "$code" -eq "$1"
}
speaks() { python3 "$tests/serve_client.py" "$port" "$@"; }

start --jobs 2
check "told what it serves" says "windows at once"
for part in pages shapes extension stream hostile disconnects repeats same; do
    check "$part" speaks "$part"
done
check "a line a request" grep -q '"route":"rerank","status":200' log
check "and none of its texts" test "$(grep -c -e bees -e nectar log)" -eq 0
check "each line is JSON" python3 -c 'import json; [json.loads(x) for x in open("log")]'
if [[ -f $cases/run.py ]]; then
    check "recorded requests of real clients" python3 "$cases/run.py" "http://127.0.0.1:$port"
else
    echo "left out: no $cases"
fi

# What was asked before the signal is answered, and the server ends then.
body=$(python3 -c 'import json; print(json.dumps({"query": "q", "documents": ["word %d" % i for i in range(60)], "rearank": {"mode": "strict"}}))')
python3 - "$port" "$body" >answer <<'EOT' &
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=120)
c.request("POST", "/v1/rerank", sys.argv[2])
r = c.getresponse()
print(r.status, len(r.read()))
EOT
client=$!
sleep 1
stop 0
wait "$client"
check "what was asked is answered" grep -q '^200 ' answer

# A full queue.
start --jobs 1 --queue 3
check "busy" speaks busy
stop 0

# Keys.
printf '# people\nfirst-key\n\n  second-key \n' >keys
start --api-key-file keys
status() { python3 - "$port" "$@" <<'EOT'
import http.client, sys
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
c.request("GET", sys.argv[2], None, dict(x.split(": ", 1) for x in sys.argv[3:]))
print(c.getresponse().status)
EOT
}
check "no key" test "$(status /v1/models)" = 401
check "a wrong key" test "$(status /v1/models 'Authorization: Bearer first')" = 401
check "a right key" test "$(status /v1/models 'Authorization: Bearer first-key')" = 200
check "the other, in the other header" test "$(status /v1/models 'X-Api-Key: second-key')" = 200
check "health wants none" test "$(status /health)" = 200
stop 0

run 2 serve --host 0.0.0.0 --port 0
check "others need a key" says "API key"
run 2 serve --host 'no such host' --port 0 --api-key-file keys
: >empty
run 2 serve --api-key-file empty --port 0
check "a file without keys" says "found no key"
run 2 serve --port 70000
run 2 serve --mode read --port 0
run 2 serve --window 4 --step 6 --port 0
check "options of windows are checked before anything is opened" says "--step: found 6"
summary
