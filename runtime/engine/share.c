/* Copies of KV between sessions. Owns: which session to copy from, and the copy. */
#include "runtime/engine/share.h"

#include <string.h>

#include "runtime/engine/graph.h"
#include "runtime/engine/scheduler.h"

/* Fewer tokens than this are computed with the rest of their chunk. */
enum { WORTH_TOKENS = 16 };
/* Bytes copied in a submit, which must stay short. */
static const uint64_t SUBMIT_BYTES = (uint64_t)256 << 20;

const rr_session *rr_share_find(const rr_engine *engine, const rr_session *session, const int32_t *tokens, size_t n,
                                size_t *end) {
    const size_t begin = session->n_tokens;
    if (session->n_prompt != begin) {
        return NULL; /* generated tokens before it: their KV, and so all behind, is not what a prompt's would be */
    }
    const rr_session *best = NULL;
    size_t longest = begin + WORTH_TOKENS - 1;
    for (uint32_t i = 0; i < engine->limits.n_sessions; i++) {
        const rr_session *other = engine->sessions[i];
        size_t most = other != NULL && other->n_prompt < n ? other->n_prompt : n - 1;
        if (other == NULL || other == session || most <= longest ||
            memcmp(other->tokens, tokens, longest * sizeof *tokens) != 0) {
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

rr_status rr_share_copy(rr_engine *engine, const rr_vk_buffer *from, const rr_session *to, size_t begin, size_t end,
                        rr_diag *diag) {
    const rr_qwen2_config *c = &engine->model->config;
    const uint64_t row_bytes = (uint64_t)c->head_size * 2, plane_bytes = row_bytes * engine->limits.n_context;
    const uint64_t bytes = (end - begin) * row_bytes;
    const uint64_t n_planes = (uint64_t)c->n_layers * 2 * c->n_kv_heads;
    for (uint64_t plane = 0; plane < n_planes && bytes > 0;) {
        RR_TRY(rr_vk_begin(engine->commands, diag));
        for (uint64_t copied = 0; plane < n_planes && copied < SUBMIT_BYTES; plane++, copied += bytes) {
            uint64_t at = plane * plane_bytes + begin * row_bytes;
            rr_vk_copy(engine->commands, from, at, &engine->slots[to->slot], at, bytes);
        }
        rr_vk_barrier(engine->commands);
        RR_TRY(rr_vk_submit(engine->commands, diag));
        RR_TRY(rr_vk_wait(engine->commands, 0, diag));
    }
    return RR_OK;
}
