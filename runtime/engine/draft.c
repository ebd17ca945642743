/* The longest earlier match of the last tokens. */
#include "runtime/engine/draft.h"

#include <string.h>

typedef struct match {
    const int32_t *next; /* what followed */
    size_t n_next;
    size_t length;
} match;

/* How many tokens before `text + at` equal the last ones of `tokens` [n], up to
 * RR_DRAFT_MAX_MATCH. */
static size_t common_suffix(const int32_t *text, size_t at, const int32_t *tokens, size_t n) {
    size_t most = at < n ? at : n;
    most = most < RR_DRAFT_MAX_MATCH ? most : RR_DRAFT_MAX_MATCH;
    size_t length = 0;
    while (length < most && text[at - 1 - length] == tokens[n - 1 - length]) {
        length++;
    }
    return length;
}

/* Looks behind positions [1, end) of a text for something longer than `best`; the last of the
 * longest. */
static void look(
    const int32_t *text, size_t n_text, size_t end, const int32_t *tokens, size_t n, match *best) {
    const int32_t last = tokens[n - 1];
    for (size_t at = end; at-- > 1;) {
        if (text[at - 1] != last) {
            continue;
        }
        size_t length = common_suffix(text, at, tokens, n);
        if (length > best->length) {
            *best = (match){.next = text + at, .n_next = n_text - at, .length = length};
            if (length == RR_DRAFT_MAX_MATCH) {
                return;
            }
        }
    }
}

uint32_t rr_draft(void *user, const int32_t *tokens, size_t n, int32_t *out, uint32_t max) {
    const rr_draft_sources none = {0};
    const rr_draft_sources *sources = user != NULL ? user : &none;
    const size_t min_match = sources->min_match != 0 ? sources->min_match : 2;
    if (n == 0 || max == 0) {
        return 0;
    }
    match best = {.length = min_match - 1};
    look(tokens, n, n, tokens, n, &best);
    for (size_t i = sources->n; i-- > 0;) {
        look(sources->texts[i].ids, sources->texts[i].n, sources->texts[i].n, tokens, n, &best);
    }
    if (best.next == NULL) {
        return 0;
    }
    size_t count = best.length * RR_DRAFT_TOKENS_PER_MATCHED;
    count = count < max ? count : max;
    count = count < best.n_next ? count : best.n_next;
    memcpy(out, best.next, count * sizeof *out);
    return (uint32_t)count;
}
