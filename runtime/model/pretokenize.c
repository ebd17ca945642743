#include "runtime/model/pretokenize.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

/* Oniguruma's \s is exactly Unicode's White_Space; PCRE2's adds U+180E, so the set is written
 * out. */
#define SPACES \
    "\\x{09}-\\x{0d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define S "[" SPACES "]"
#define NOT_S "[^" SPACES "]"

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|
 * ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static const char pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
                              "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
                              "|\\p{N}"
                              "|\\x{20}?[^" SPACES "\\p{L}\\p{N}]+[\\r\\n]*"
                              "|" S "*[\\r\\n]+"
                              "|" S "+(?!" NOT_S ")"
                              "|" S "+";

struct rr_pretokenizer {
    pcre2_code *code;
    pcre2_match_context *context;
};

rr_status rr_pretokenizer_create(rr_pretokenizer **out, rr_diag *diag) {
    rr_status status = RR_OK;
    rr_pretokenizer *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the pre-tokenizer");
    }
    int error;
    PCRE2_SIZE at;
    /* every character starts a match, so anchoring forbids nothing and spares the search */
    made->code = pcre2_compile(
        (PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_ANCHORED, &error, &at, NULL);
    if (made->code == NULL) {
        char text[128] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof text);
        status = rr_fail(diag, error == PCRE2_ERROR_NOMEMORY ? RR_E_MEMORY : RR_E_INTERNAL,
            "pre-tokenization regex, offset %zu: %s", (size_t)at, text);
        goto fail;
    }
    /* where no JIT can be had (no support built in, no executable memory) pcre2_match interprets:
     * slower, same result */
    (void)pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE);
    made->context = pcre2_match_context_create(NULL);
    if (made->context == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for the pre-tokenizer");
        goto fail;
    }
    /* The limits stand against exponential patterns; ours walks back over a run of spaces at most
     * twice, and the default would refuse a run of ten million. */
    pcre2_set_match_limit(made->context, UINT32_MAX);
    *out = made;
    return RR_OK;
fail:
    rr_pretokenizer_destroy(&made);
    return status;
}

void rr_pretokenizer_destroy(rr_pretokenizer **pretokenizer) {
    if (*pretokenizer != NULL) {
        pcre2_match_context_free((*pretokenizer)->context);
        pcre2_code_free((*pretokenizer)->code);
        free(*pretokenizer);
        *pretokenizer = NULL;
    }
}

rr_status rr_pretokenize(const rr_pretokenizer *pretokenizer, const char *text, size_t bytes,
    rr_piece_fn piece, void *user, rr_diag *diag) {
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (match == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the pre-tokenizer");
    }
    rr_status status = RR_OK;
    for (size_t at = 0; at < bytes;) {
        /* without PCRE2_NO_UTF_CHECK each call would check the whole rest of the text */
        int n = pcre2_match(pretokenizer->code, (PCRE2_SPTR)text, bytes, at, PCRE2_NO_UTF_CHECK,
            match, pretokenizer->context);
        if (n == PCRE2_ERROR_JIT_STACKLIMIT) {
            n = pcre2_match(pretokenizer->code, (PCRE2_SPTR)text, bytes, at,
                PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, pretokenizer->context);
        }
        size_t end = n > 0 ? pcre2_get_ovector_pointer(match)[1] : at;
        if (end <= at) {
            char message[128] = "";
            pcre2_get_error_message(n, (PCRE2_UCHAR *)message, sizeof message);
            status = rr_fail(diag,
                n == PCRE2_ERROR_NOMEMORY || n == PCRE2_ERROR_HEAPLIMIT ? RR_E_MEMORY
                                                                        : RR_E_INTERNAL,
                "pre-tokenization at byte %zu: %s", at, message);
            break;
        }
        RR_TRY_GOTO(piece(user, text + at, end - at, diag));
        at = end;
    }
fail:
    pcre2_match_data_free(match);
    return status;
}
