/* The regular expressions of rank_pattern and alpha_pattern. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "runtime/model/adapter_internal.h"

/* Enough for any pattern that somebody writes; the names are short. */
enum { MAX_PATTERN_BYTES = 1024, MATCH_LIMIT = 100000 };

static rr_status compile(const char *place, rr_text pattern, pcre2_code **out, rr_diag *diag) {
    char whole[MAX_PATTERN_BYTES + 16];
    int error = 0;
    PCRE2_SIZE at = 0;
    if (pattern.bytes > MAX_PATTERN_BYTES) {
        return rr_fail(diag, RR_E_INPUT, "%s: a pattern of %zu bytes found, at most %d expected",
            place, pattern.bytes, MAX_PATTERN_BYTES);
    }
    snprintf(whole, sizeof whole, "^(.*\\.)?(%.*s)$", (int)pattern.bytes, pattern.data);
    *out = pcre2_compile((PCRE2_SPTR)whole, PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
    if (*out == NULL) {
        char text[128] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof text);
        return rr_fail(diag, RR_E_INPUT, "%s: pattern \"%s\": no regular expression: %s", place,
            rr_text_show(pattern).text, text);
    }
    return RR_OK;
}

rr_status rr_adapter_matches(
    const char *place, rr_text pattern, const char *module, bool *out, rr_diag *diag) {
    pcre2_code *code = NULL;
    RR_TRY(compile(place, pattern, &code, diag));
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(code, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    rr_status status = RR_OK;
    if (match == NULL || context == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory for a pattern", place);
    } else {
        pcre2_set_match_limit(context, MATCH_LIMIT);
        const int found =
            pcre2_match(code, (PCRE2_SPTR)module, strlen(module), 0, 0, match, context);
        *out = found >= 0;
        if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
            status = rr_fail(diag, RR_E_INPUT, "%s: pattern \"%s\" takes too long to match", place,
                rr_text_show(pattern).text);
        }
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return status;
}
