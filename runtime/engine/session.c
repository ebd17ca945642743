/* Sessions: one token timeline each, with its KV. Owns: the timeline and the last logits. Every
 * call that runs passes does so through the scheduler, which lets the calls of several threads
 * share them. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"
#include "runtime/engine/scheduler.h"
#include "runtime/engine/session_call.h"
#include "runtime/engine/session_hold.h"

rr_status rr_session_create(rr_engine *engine, rr_session **out, rr_diag *diag) {
    rr_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a session");
    }
    session->engine = engine;
    session->slot = UINT32_MAX;
    session->n_layers = engine->compute->model->config.n_layers;
    session->tokens = malloc(engine->compute->limits.n_context * sizeof *session->tokens);
    session->logits = malloc(engine->compute->model->config.n_vocab * sizeof *session->logits);
    rr_status status = RR_OK;
    if (session->tokens == NULL || session->logits == NULL || !rr_cond_create(&session->wake)) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for a session");
        goto fail;
    }
    rr_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->limits.n_sessions && session->slot == UINT32_MAX; i++) {
        if (engine->sessions[i] == NULL) {
            engine->sessions[i] = session;
            session->slot = i;
            session->n_most = engine->plan.is_short ? 0 : engine->compute->limits.n_context;
        }
    }
    rr_mutex_unlock(&engine->lock);
    if (session->slot == UINT32_MAX) {
        status = rr_fail(diag, RR_E_MEMORY,
            "all %u sessions that this engine was opened for are there", engine->limits.n_sessions);
        goto fail;
    }
    *out = session;
    return RR_OK;
fail:
    rr_session_destroy(&session);
    return status;
}

void rr_session_destroy(rr_session **pointer) {
    rr_session *session = *pointer;
    if (session == NULL) {
        return;
    }
    if (session->slot != UINT32_MAX) {
        rr_mutex_lock(&session->engine->lock);
        session->engine->sessions[session->slot] = NULL;
        rr_pages_cut(session->engine->pages, session->slot, 0);
        rr_session_end_hold(session);
        rr_mutex_unlock(&session->engine->lock);
    }
    rr_cond_destroy(&session->wake);
    free(session->tokens);
    free(session->logits);
    free(session);
    *pointer = NULL;
}

size_t rr_session_n_tokens(const rr_session *session) {
    return session->n_tokens;
}

size_t rr_session_n_reused(const rr_session *session) {
    return session->n_reused;
}

size_t rr_session_n_shared(const rr_session *session) {
    return session->n_shared;
}

void rr_session_on_sync_progress(rr_session *session, rr_sync_progress_fn fn, void *user) {
    session->on_progress = fn;
    session->on_progress_user = user;
}

void rr_session_cancel(rr_session *session) {
    atomic_store(&session->cancelled, true);
}

void rr_session_deadline(rr_session *session, uint64_t time_ns) {
    session->deadline_ns = time_ns;
}

static uint32_t all_layers(const rr_session *session) {
    return session->engine->compute->model->config.n_layers;
}

rr_status rr_session_sync(rr_session *session, const int32_t *tokens, size_t n, rr_diag *diag) {
    RR_TRY(rr_session_check_tokens(session, tokens, n, diag));
    size_t common = rr_session_common(session, tokens, n, all_layers(session));
    bool already =
        common == n && session->n_tokens == n && session->best_ready && session->logits_ready;
    if (!already && common == n) {
        common--; /* the last token's logits are wanted */
    }
    rr_session_reuse(session, common);
    RR_TRY(rr_session_run_prompt(session, tokens, n, &(rr_request){0}, diag));
    return rr_session_check(session, diag);
}

rr_status rr_session_fork(rr_session *session, const rr_session *from, size_t n, rr_diag *diag) {
    if (session->engine != from->engine || session == from) {
        return rr_fail(
            diag, RR_E_USAGE, "a session takes tokens from another one of the same engine");
    }
    RR_TRY(rr_session_is_ready(from, diag));
    if (n > from->n_tokens || n > session->n_most) {
        return rr_fail(diag, RR_E_USAGE,
            "%zu tokens to take from a session of %zu, by one that holds room for %zu", n,
            from->n_tokens, session->n_most);
    }
    rr_session_reuse(session, 0);
    session->best_ready = false;
    session->logits_ready = false;
    return rr_session_run_prompt(session, from->tokens, n, &(rr_request){.from = from}, diag);
}

rr_status rr_session_logits(rr_session *session, const float **out, rr_diag *diag) {
    RR_TRY(rr_session_is_ready(session, diag));
    if (!session->logits_ready) {
        /* a greedy step read back its arg max only, a copy nothing; the last token runs again, by
         * the kernels it had */
        const size_t n = session->n_tokens;
        const bool is_prompt = session->n_prompt == n;
        const int32_t last = session->tokens[n - 1];
        rr_request request = {.session = session,
            .family = is_prompt ? RR_PREFILL : RR_DECODE,
            .tokens = is_prompt ? session->tokens : &last,
            .n = is_prompt ? n : 1,
            .with_logits = true};
        session->n_tokens = n - 1;
        rr_status status = rr_scheduler_run(session->engine, &request, 1, diag);
        if (status == RR_E_CANCELLED) {
            rr_session_take_cancel(session);
        }
        RR_TRY(status);
    }
    *out = session->logits;
    return RR_OK;
}

rr_status rr_engine_decode(rr_engine *engine, rr_session *const *sessions, const int32_t *tokens,
    size_t n, rr_diag *diag) {
    if (n == 0 || n > RR_DECODE_ROWS) {
        return rr_fail(
            diag, RR_E_USAGE, "%zu rows in a decode pass, expected 1 to %d", n, RR_DECODE_ROWS);
    }
    rr_request requests[RR_DECODE_ROWS];
    for (size_t i = 0; i < n; i++) {
        if (sessions[i]->n_tokens > 0) {
            RR_TRY(rr_session_is_ready(sessions[i], diag));
        }
        if (sessions[i]->engine != engine || sessions[i]->n_most == 0 || sessions[i]->is_cut ||
            sessions[i]->n_tokens >= sessions[i]->n_most || tokens[i] < 0 ||
            (uint32_t)tokens[i] >= engine->compute->model->config.n_vocab) {
            return rr_fail(diag, RR_E_USAGE,
                "row %zu of a decode pass: another engine's session, a full context, no room or a bad id",
                i);
        }
        for (size_t j = 0; j < i; j++) {
            if (sessions[i] == sessions[j]) {
                return rr_fail(diag, RR_E_USAGE,
                    "rows %zu and %zu of a decode pass are the same session", j, i);
            }
        }
        requests[i] = (rr_request){.session = sessions[i],
            .family = RR_DECODE,
            .tokens = &tokens[i],
            .n = 1,
            .with_logits = true};
    }
    return rr_scheduler_run(engine, requests, n, diag);
}

rr_status rr_session_logits_of(rr_session *session, const int32_t *tokens, size_t n,
    const int32_t *ids, size_t n_ids, float *out, rr_diag *diag) {
    const uint32_t n_vocab = session->engine->compute->model->config.n_vocab;
    RR_TRY(rr_session_check_tokens(session, tokens, n, diag));
    int32_t most = -1;
    for (size_t i = 0; i < n_ids; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= n_vocab) {
            return rr_fail(diag, RR_E_USAGE, "choice %zu is %d, expected an id from 0 to %u", i,
                ids[i], n_vocab - 1);
        }
        most = ids[i] > most ? ids[i] : most;
    }
    if (most < 0) {
        return rr_fail(diag, RR_E_USAGE, "no ids to choose from: at least one is needed");
    }
    const uint32_t rounded = ((uint32_t)most / RR_LANES_UNIT + 1) * RR_LANES_UNIT;
    size_t done = rr_session_common(session, tokens, n, all_layers(session));
    const bool ready = done == n && session->n_tokens == n && session->logits_ready;
    done -= done == n && !ready; /* the last token's logits are wanted */
    session->n_tokens = done;
    session->is_cut = false;
    while (done < n) {
        RR_TRY(rr_session_check(session, diag));
        const size_t end = n - done < RR_DECODE_ROWS ? n : done + RR_DECODE_ROWS;
        rr_request request = {.session = session,
            .family = RR_DECODE,
            .tokens = tokens + done,
            .n = end - done,
            .given = true,
            .head_cols = end < n    ? 0
                : rounded < n_vocab ? rounded
                                    : n_vocab};
        RR_TRY(rr_scheduler_run(session->engine, &request, 1, diag));
        done = end;
    }
    RR_TRY(rr_session_check(session, diag));
    for (size_t i = 0; i < n_ids; i++) {
        out[i] = session->logits[ids[i]];
    }
    return RR_OK;
}

rr_status rr_session_logits_all(rr_session *session, const int32_t *tokens, size_t n,
    rr_logits_fn row, void *user, rr_diag *diag) {
    RR_TRY(rr_session_check_tokens(session, tokens, n, diag));
    rr_session_reuse(session, 0);
    rr_status status = rr_session_run_prompt(
        session, tokens, n, &(rr_request){.each = row, .each_user = user}, diag);
    rr_session_take_cancel(session);
    return status;
}
