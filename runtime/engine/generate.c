/* Generating: one token after another behind a session's timeline. Owns: the choice of the next one, and when to stop. */
#include <stdlib.h>

#include "runtime/base/thread.h"
#include "runtime/engine/scheduler.h"

/* One call in progress. */
typedef struct generation {
    rr_session *session;
    const rr_generate_params *params;
    bool sampled;
    uint64_t rng;
    rr_candidate *scratch; /* [n_vocab] when sampled */
} generation;

static bool is_end(const rr_engine *engine, int32_t id) {
    return engine->tokenizer != NULL &&
           (id == rr_tokenizer_im_end(engine->tokenizer) || id == rr_tokenizer_end_of_text(engine->tokenizer));
}

/* What follows the timeline, by the results of its last token: the logits when sampled, else their arg max. */
static int32_t choose_next(generation *g) {
    const rr_session *session = g->session;
    if (!g->sampled) {
        return session->best;
    }
    return rr_sample(session->logits, session->engine->model->config.n_vocab, g->params->temperature, g->params->top_p,
                     &g->rng, g->scratch);
}

/* Puts `id` behind the timeline and computes its results. */
static rr_status advance(generation *g, int32_t id, rr_diag *diag) {
    rr_request request = {
        .session = g->session, .family = RR_DECODE, .tokens = &id, .n = 1, .with_logits = g->sampled};
    return rr_scheduler_run(g->session->engine, &request, 1, diag);
}

/* The results of the timeline's last token, where they are not there yet. */
static rr_status begin(generation *g, rr_diag *diag) {
    const float *ignored;
    if (g->sampled || !g->session->best_ready) {
        return rr_session_logits(g->session, &ignored, diag);
    }
    return RR_OK;
}

static rr_status generate(generation *g, rr_tokens *out, rr_generate_result *found, rr_diag *diag) {
    const rr_generate_params *params = g->params;
    const rr_engine *engine = g->session->engine;
    RR_TRY(begin(g, diag));
    while (params->max_tokens == 0 || found->n_tokens < params->max_tokens) {
        if (rr_session_take_cancel(g->session)) {
            return rr_fail(diag, RR_E_CANCELLED, "cancelled");
        }
        int32_t id = choose_next(g);
        if (!params->ignore_end && is_end(engine, id)) {
            found->stop = RR_STOP_END;
            return RR_OK;
        }
        rr_tokens_push(out, id);
        if (out->failed) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for generated tokens");
        }
        found->n_tokens++;
        if (params->on_token != NULL && !params->on_token(params->user, id)) {
            found->stop = RR_STOP_CALLER;
            return RR_OK;
        }
        if (g->session->n_tokens >= engine->limits.n_context) {
            found->stop = RR_STOP_CONTEXT;
            return RR_OK;
        }
        if (params->max_tokens == 0 || found->n_tokens < params->max_tokens) {
            RR_TRY(advance(g, id, diag));
        }
    }
    return RR_OK;
}

rr_status rr_session_generate(rr_session *session, const rr_generate_params *params, rr_tokens *out,
                              rr_generate_result *result, rr_diag *diag) {
    if (session->n_tokens == 0) {
        return rr_fail(diag, RR_E_USAGE, "nothing to continue: sync first");
    }
    const uint64_t begin_ns = rr_time_ns();
    generation g = {.session = session, .params = params, .sampled = params->temperature > 0.0f, .rng = params->seed};
    rr_generate_result found = {.stop = RR_STOP_MAX_TOKENS};
    if (g.sampled) {
        g.scratch = malloc(session->engine->model->config.n_vocab * sizeof *g.scratch);
        if (g.scratch == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for sampling");
        }
    }
    rr_scheduler_enter(session);
    rr_status status = generate(&g, out, &found, diag);
    rr_scheduler_leave(session);
    free(g.scratch);
    found.time_ns = rr_time_ns() - begin_ns;
    if (result != NULL) {
        *result = found;
    }
    return status;
}
