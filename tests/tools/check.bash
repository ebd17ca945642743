# Shared by the scripts of this folder, which source it with the program as "$1": a folder of their own, checks that are
# counted, the look at what a program said.
# shellcheck shell=bash

rearank=$(realpath -- "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A script of `set -e` that ends before its summary says where: many commands that fail, as one ended by SIGPIPE, say nothing.
set -E
ended() { # STATUS LINE COMMAND: in a subshell it is for the command around it to say
    [[ $BASHPID -ne $$ ]] || printf '%s:%d: ended with %d: %s\n' "${BASH_SOURCE[1]}" "$2" "$1" "$3" >&2
}
trap 'ended "$?" "$LINENO" "$BASH_COMMAND"' ERR
cd "$work"

n_done=0 n_failed=0
check() { # "what" COMMAND…
    n_done=$((n_done + 1))
    if ! "${@:2}"; then
        n_failed=$((n_failed + 1))
        printf 'failed: %s\n  stderr: %s\n' "$1" "$(tail -n 5 err)" >&2
    fi
}

# expect EXPECTED_EXIT NAME COMMAND…: data in out, messages in err; standard input is the caller's.
expect() {
    local wanted=$1 name=$2 code=0
    shift 2
    "$@" >out 2>err || code=$?
    check "$name exits with $wanted (found $code)" test "$code" -eq "$wanted"
}

# run EXPECTED_EXIT ARGUMENT…: the program, with nothing on standard input.
run() {
    local wanted=$1
    shift
    expect "$wanted" "$*" "$rearank" "$@" </dev/null
}

says() { grep -q -F -e "$1" err; }
has() { grep -q -F -e "$1" out; }
shows() { check "$1" diff - out; } # the expected output on standard input
silent() { [[ ! -s err ]]; }
larger() { [[ $(stat -c %s "$1" 2>/dev/null || echo 0) -gt $2 ]]; } # FILE BYTES

# await PID COMMAND…: returns once COMMAND succeeds, the process is gone or two minutes are over.
await() {
    local pid=$1 i
    shift
    for ((i = 0; i < 12000; i++)); do
        ! "$@" || break
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.01
    done
}

# The script's last line.
summary() {
    trap - ERR
    printf '%d checks, %d failed\n' "$n_done" "$n_failed"
    ((n_failed == 0))
}
