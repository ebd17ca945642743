/* Owns: the choice of the session whose KV another one shares. */
#include "runtime/engine/shared_prefix.h"

#include <string.h>

/* Fewer tokens than this are computed with the rest of their chunk. */
enum { WORTH_TOKENS = 16 };

const rr_session *rr_shared_prefix_find(const rr_engine *engine, const rr_session *session,
    const int32_t *tokens, size_t n, size_t *end) {
    const size_t begin = session->n_tokens;
    if (session->n_prompt != begin) {
        /* generated tokens before it: their KV, and so all behind, is not what a prompt's would
         * be */
        return NULL;
    }
    const rr_session *best = NULL;
    size_t longest = begin + WORTH_TOKENS - 1;
    for (uint32_t i = 0; i < engine->limits.n_sessions; i++) {
        const rr_session *other = engine->sessions[i];
        size_t most = other != NULL && other->n_prompt < n ? other->n_prompt : n - 1;
        if (other == NULL || other == session || other->n_layers < session->n_layers ||
            most <= longest || memcmp(other->tokens, tokens, longest * sizeof *tokens) != 0) {
            continue;
        }
        size_t common = longest;
        while (common < most && other->tokens[common] == tokens[common]) {
            common++;
        }
        if (common > longest) {
            longest = common;
            best = other;
        }
    }
    if (best != NULL) {
        *end = longest;
    }
    return best;
}
