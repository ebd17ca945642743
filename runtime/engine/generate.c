/* Generating: one token after another behind a session's timeline. Owns: the choice of the next
 * one, and when to stop. */
#include <stdlib.h>

#include "runtime/base/thread.h"
#include "runtime/engine/sample.h"
#include "runtime/engine/scheduler.h"
#include "runtime/engine/session_call.h"

/* One call in progress. */
typedef struct generation {
    rr_session *session;
    const rr_generate_params *params;
    bool sampled;
    uint64_t rng;
    rr_candidate *scratch; /* [n_vocab] when sampled */
    /* The rows of the last pass: the token that was chosen, then drafted ones, and the arg max
     * behind each. Rows from `used` on are computed but not in the timeline; they hold as long as
     * what is chosen is what was drafted. */
    int32_t rows[RR_DECODE_ROWS], best[RR_DECODE_ROWS];
    uint32_t n_rows, used;
    rr_generate_result found;
} generation;

static bool is_end(const rr_engine *engine, int32_t id) {
    return engine->tokenizer != NULL && rr_tokenizer_is_end(engine->tokenizer, id);
}

/* What follows the timeline, by the results of its last token: the logits when sampled, else their
 * arg max. */
static int32_t choose_next(generation *g) {
    const rr_session *session = g->session;
    if (!g->sampled) {
        return session->best;
    }
    return rr_sample(session->logits, session->engine->compute->model->config.n_vocab,
        g->params->temperature, g->params->top_p, &g->rng, g->scratch);
}

/* How many tokens to draft behind one that is about to be put behind the timeline. */
static uint32_t depth_of_drafts(const generation *g) {
    enum { DEFAULT_DEPTH = 15 };
    const rr_session *session = g->session;
    const rr_generate_params *params = g->params;
    if (params->draft == NULL || g->sampled) {
        return 0;
    }
    uint32_t max = params->draft_depth != 0 ? params->draft_depth : DEFAULT_DEPTH;
    max = max < RR_DECODE_ROWS ? max : RR_DECODE_ROWS - 1;
    /* the last token that may be generated needs no row, and the one before it shows it */
    size_t room = session->n_most - session->n_tokens - 1;
    size_t left = params->max_tokens != 0 ? params->max_tokens - g->found.n_tokens - 1 : room;
    size_t least = room < left ? room : left;
    max = least < max ? (uint32_t)least : max;
    if (params->draft_always) {
        return max;
    }
    rr_decode_costs costs;
    rr_scheduler_costs(session->engine, &costs);
    uint32_t n_others = costs.last_rows > g->n_rows ? costs.last_rows - g->n_rows : 0;
    return rr_draft_depth_choose(&session->depth, costs.pass_ns, RR_DECODE_ROWS, n_others, max);
}

/* Drafted tokens into rows 1 …; returns how many. */
static uint32_t draft(generation *g) {
    rr_session *session = g->session;
    const uint32_t max = depth_of_drafts(g);
    if (max == 0) {
        return 0;
    }
    session->tokens[session->n_tokens] = g->rows[0]; /* not yet in the timeline, but behind it */
    const uint64_t begin_ns = rr_time_ns();
    uint32_t n = g->params->draft(
        g->params->draft_user, session->tokens, session->n_tokens + 1, g->rows + 1, max);
    n = n < max ? n : max;
    if (n > 0) {
        rr_draft_depth_learn_cost(&session->depth, n, (double)(rr_time_ns() - begin_ns));
    }
    for (uint32_t i = 0; i < n; i++) {
        if (g->rows[1 + i] < 0 ||
            (uint32_t)g->rows[1 + i] >= session->engine->compute->model->config.n_vocab) {
            return i;
        }
    }
    return n;
}

/* The last pass is used up. */
static void learn(generation *g) {
    if (g->n_rows > 0) {
        rr_draft_depth_learn(&g->session->depth, g->n_rows - 1, g->used - 1);
    }
}

/* Puts `id` behind the timeline, with its results: those of a drafted row where there is one for
 * it, else a pass brings them. */
static rr_status advance(generation *g, int32_t id, rr_diag *diag) {
    rr_session *session = g->session;
    if (g->used < g->n_rows && g->rows[g->used] == id) {
        session->tokens[session->n_tokens++] = id;
        session->best = g->best[g->used++];
        g->found.n_accepted++;
        return RR_OK;
    }
    learn(g);
    g->rows[0] = id;
    g->used = 1;
    const uint32_t n_rows = 1 + draft(g);
    g->found.n_drafted += n_rows - 1;
    g->n_rows = n_rows;
    rr_request request = {.session = session,
        .family = RR_DECODE,
        .tokens = g->rows,
        .n = n_rows,
        .with_logits = g->sampled,
        .best = g->best};
    return rr_scheduler_run(session->engine, &request, 1, diag);
}

/* The results of the timeline's last token, where they are not there yet. */
static rr_status begin(generation *g, rr_diag *diag) {
    const float *ignored;
    if (g->sampled || !g->session->best_ready) {
        return rr_session_logits(g->session, &ignored, diag);
    }
    return RR_OK;
}

static rr_status generate(generation *g, rr_tokens *out, rr_diag *diag) {
    const rr_generate_params *params = g->params;
    rr_generate_result *found = &g->found;
    const rr_engine *engine = g->session->engine;
    RR_TRY(begin(g, diag));
    while (params->max_tokens == 0 || found->n_tokens < params->max_tokens) {
        RR_TRY(rr_session_check(g->session, diag));
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
        if (g->session->n_tokens >= g->session->n_most) {
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
    RR_TRY(rr_session_is_ready(session, diag));
    const uint64_t begin_ns = rr_time_ns();
    generation g = {.session = session,
        .params = params,
        .sampled = params->temperature > 0.0f,
        .rng = params->seed};
    g.found.stop = RR_STOP_MAX_TOKENS;
    if (g.sampled) {
        g.scratch = malloc(session->engine->compute->model->config.n_vocab * sizeof *g.scratch);
        if (g.scratch == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for sampling");
        }
    }
    rr_scheduler_enter(session);
    rr_status status = generate(&g, out, diag);
    learn(&g);
    rr_scheduler_leave(session, g.found.n_drafted, g.found.n_accepted);
    free(g.scratch);
    g.found.time_ns = rr_time_ns() - begin_ns;
    if (result != NULL) {
        *result = g.found;
    }
    return status;
}
