#!/usr/bin/env bash
# The program's frame and `rearank tokenize` from outside: output, messages and exit codes, to the byte.
# Usage: cli.sh REARANK
# shellcheck disable=SC2016 # backquotes in the expected messages
set -euo pipefail

rearank=$(realpath -- "$1")
# a vocabulary without weights: 256 bytes in order, "he", "the", " the", then <|im_start|> 259, <|im_end|> 260
vocabulary=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")/../fuzz/corpus/tokenizer/vocabulary")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export REARANK_CACHE=$work/cache
unset REARANK_MODEL

n_done=0 n_failed=0
fail() {
    n_failed=$((n_failed + 1))
    printf 'failed: %s\n' "$1" >&2
}
# expect CODE [ARGUMENT…]: runs the program on standard input; output in out, messages in err.
expect() {
    local wanted=$1 code=0
    shift
    what="rearank $*"
    "$rearank" "$@" >out 2>err || code=$?
    n_done=$((n_done + 1))
    [[ $code -eq $wanted ]] || fail "$what: exit $code, expected $wanted: $(tail -n 1 err)"
}
same() { # FILE TEXT: the file holds exactly this (\-escapes as in printf)
    n_done=$((n_done + 1))
    printf '%b' "$2" >wanted
    cmp -s "$1" wanted || fail "$what: $1 is \"$(cat "$1")\", expected \"$2\""
}
says() { # TEXT in the messages
    n_done=$((n_done + 1))
    grep -qF -e "$1" err || fail "$what: \"$(cat err)\" lacks \"$1\""
}

# The frame.
expect 2
same out ''
same err 'rearank: no verb given; `rearank --help` lists all verbs\n'
expect 2 tokenzie
same out ''
same err 'rearank: there is no verb "tokenzie"; did you mean "tokenize"? `rearank --help` lists all verbs\n'
expect 2 xyzzy
same err 'rearank: there is no verb "xyzzy"; `rearank --help` lists all verbs\n'
expect 2 help xyzzy
expect 0 --version
grep -qE '^rearank [0-9]+\.[0-9]+\.[0-9]+$' out || fail "--version prints $(cat out)"
for words in --help -h help; do
    expect 0 "$words"
    same err ''
    grep -q '^  tokenize ' out || fail "$words does not list tokenize"
done
expect 0 help tokenize
same err ''
mv out usage
expect 0 tokenize --help
cmp -s out usage || fail "help tokenize and tokenize --help differ"
# every verb of the list has a usage text, and refuses what it does not know
for verb in $("$rearank" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    expect 0 "$verb" --help
    grep -q "^Usage: rearank $verb " out || fail "$verb --help prints no usage"
    expect 0 "$verb" --version
    same out "$("$rearank" --version)\n"
    expect 2 "$verb" --no-such-option
    same out ''
    says "rearank $verb: unknown option --no-such-option"
done

# check: what it refuses before it looks for a device.
for size in 16x16 16x16x x16x16x16 0x8x8 8x8x65 8x8x8x8 16X16X16 ''; do
    expect 2 check --coop "$size"
    says "--coop: found \"$size\", expected sides from 1 to 64 such as 16x16x16"
done
expect 2 check --format Q9_9
says 'no weight format is called Q9_9'

expect 0 pull --list
n_done=$((n_done + 1))
grep -q '^qwen2.5-coder-0.5b-instruct-q4_k_m *469 MiB ' out || fail "pull --list prints $(cat out)"

# tokenize: what it prints.
printf 'the the\n' >text
expect 0 tokenize -m "$vocabulary" text
same out '257\tthe\n258\t the\n10\t\\n\n'
same err ''
expect 0 tokenize -m "$vocabulary" --format json text
same out '[257,258,10]\n'
expect 0 tokenize "--model=$vocabulary" -fjson - <text
same out '[257,258,10]\n'
REARANK_MODEL=$vocabulary expect 0 tokenize -fjson <text
same out '[257,258,10]\n'
expect 0 tokenize -m "$vocabulary" --format=json </dev/null
same out '[]\n'
expect 0 tokenize -m "$vocabulary" </dev/null
same out ''
printf '\\\t\001\303\251' >text
expect 0 tokenize -m "$vocabulary" text
same out '92\t\\\\\n9\t\\t\n1\t\\x01\n195\t\\xc3\n169\t\\xa9\n'
printf '<|im_end|>' >text
expect 0 tokenize -m "$vocabulary" --format=json --special text
same out '[260]\n'
expect 0 tokenize -m "$vocabulary" --format=json text
same out '[60,124,105,109,95,101,110,100,124,62]\n'

# tokenize --chat: the template's tokens, the content's text, an open answer after a question.
printf '[{"role":"user","content":"the"}]' >chat
expect 0 tokenize -m "$vocabulary" --chat --format=json chat
same out '[259,117,115,101,114,10,257,260,10,259,97,115,115,105,115,116,97,110,116,10]\n'
printf '{"messages":[{"role":"user","content":"<|im_end|>"},{"role":"assistant","content":""}]}' >chat
expect 0 tokenize -m "$vocabulary" --chat --format=json chat
same out '[259,117,115,101,114,10,60,124,105,109,95,101,110,100,124,62,260,10,259,97,115,115,105,115,116,97,110,116,10,260,10]\n'

# tokenize: what it refuses.
expect 2 tokenize --formt json
same err 'rearank tokenize: unknown option --formt; did you mean --format?\nTry `rearank tokenize --help`.\n'
expect 2 tokenize --format yaml
same err 'rearank tokenize: --format: found "yaml", expected one of text, json\nTry `rearank tokenize --help`.\n'
expect 2 tokenize --format
says '--format needs a value'
expect 2 tokenize a b
says 'found 2 arguments, expected at most 1 (the first too many is "b")'
expect 2 tokenize --chat --special
says '--chat and --special exclude each other'
expect 2 tokenize text
same out ''
says "no model: neither -m nor REARANK_MODEL names one and there is no $work/cache/models/"
says 'rearank pull'
expect 1 tokenize -m none.gguf text
same out ''
says 'none.gguf: cannot open: No such file'
expect 2 tokenize -m . text
says 'config.json not found, expected in the folder of a model'
expect 2 tokenize -m text text
same out ''
says 'rearank tokenize: text: '
expect 2 tokenize -m "$vocabulary"_bad_types text
says 'tokenizer.ggml.token_type: token 0 has type 7, expected 1 to 6'
expect 2 tokenize -m "$vocabulary"_bad_merge text
says 'merge 3: found "he he"'
expect 1 tokenize -m "$vocabulary" none
says 'none: cannot open: No such file'
expect 2 tokenize -m "$vocabulary" --chat text
says 'rearank tokenize: text: byte 0: not JSON'
printf '[{"role":"tool","content":"x"}]' >chat
expect 2 tokenize -m "$vocabulary" --chat chat
same out ''
same err 'rearank tokenize: chat: message 0: "role": found tool, expected "system", "user" or "assistant"\n'

# A mapped file that shrinks while it is read: the kernel's signal becomes a message.
mkfifo held
"$rearank" tokenize -m "$vocabulary" held 2>err &
exec 9>held # opens when the program reads
kill -BUS $!
n_done=$((n_done + 1))
code=0
wait $! || code=$?
exec 9>&-
what='lost page'
[[ $code -eq 1 ]] || fail "$what: exit $code, expected 1"
says 'a file was cut or its disk went away while it was read'

# A full disk is an error; a reader that goes away is none of our business.
n_done=$((n_done + 3))
if [[ -c /dev/full ]]; then
    code=0
    "$rearank" --help >/dev/full 2>err || code=$?
    [[ $code -eq 1 ]] || fail "full disk: exit $code, expected 1"
    what='full disk' same err 'rearank: cannot write to standard output: No space left on device\n'
fi
code=0
"$rearank" --help >&- 2>err || code=$?
[[ $code -eq 1 ]] || fail "closed output: exit $code, expected 1"
expect 1 tokenize -m "$vocabulary" <&-
same out ''
same err 'rearank tokenize: standard input: is closed, expected something to read\n'
head -c 3000000 /dev/zero | tr '\0' 'a' >text
{ "$rearank" tokenize -m "$vocabulary" text 2>err || true; } | head -n 1 >/dev/null
[[ ! -s err ]] || fail "closed pipe: $(cat err)"

echo "$n_done checks, $n_failed failed"
[[ $n_failed -eq 0 ]]
