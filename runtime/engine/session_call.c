/* What the calls of a session have in common. Owns: the checks, and a prompt's way through the
 * scheduler. */
#include "runtime/engine/session_call.h"

#include "runtime/engine/scheduler.h"

rr_status rr_session_is_ready(const rr_session *session, rr_diag *diag) {
    if (session->n_most == 0) {
        return rr_fail(
            diag, RR_E_USAGE, "a session that holds no room: rr_session_hold comes first");
    }
    if (session->n_tokens == 0 || session->is_cut ||
        session->n_layers < session->engine->compute->model->config.n_layers) {
        return rr_fail(diag, RR_E_USAGE, "no whole timeline to go on from: sync first");
    }
    return RR_OK;
}

bool rr_session_take_cancel(rr_session *session) {
    return atomic_exchange(&session->cancelled, false);
}

rr_status rr_session_check(rr_session *session, rr_diag *diag) {
    if (rr_session_take_cancel(session)) {
        return rr_fail(diag, RR_E_CANCELLED, "cancelled");
    }
    return rr_deadline_check(session->deadline_ns, diag);
}

rr_status rr_session_check_tokens(
    const rr_session *session, const int32_t *tokens, size_t n, rr_diag *diag) {
    const rr_engine *engine = session->engine;
    if (n == 0) {
        return rr_fail(diag, RR_E_USAGE, "an empty token list: at least one token is needed");
    }
    if (n > engine->compute->limits.n_context) {
        return rr_fail(diag, RR_E_USAGE,
            "%zu tokens do not fit a context of %u: use a larger --context or a shorter prompt", n,
            engine->compute->limits.n_context);
    }
    if (n > session->n_most) {
        return rr_fail(diag, RR_E_USAGE,
            "%zu tokens in a session that holds room for %zu: rr_session_hold comes first", n,
            session->n_most);
    }
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= engine->compute->model->config.n_vocab) {
            return rr_fail(diag, RR_E_USAGE, "token %zu is %d, expected an id from 0 to %u", i,
                tokens[i], engine->compute->model->config.n_vocab - 1);
        }
    }
    return RR_OK;
}

size_t rr_session_common(
    const rr_session *session, const int32_t *tokens, size_t n, uint32_t n_layers) {
    size_t common = 0;
    while (session->n_layers >= n_layers && common < n && common < session->n_tokens &&
        session->tokens[common] == tokens[common]) {
        common++;
    }
    return common;
}

void rr_session_reuse(rr_session *session, size_t n) {
    session->n_tokens = n;
    session->is_cut = false;
    session->n_reused = n;
    session->n_shared = 0;
}

rr_status rr_session_run_prompt(
    rr_session *session, const int32_t *tokens, size_t n, const rr_request *like, rr_diag *diag) {
    rr_request base = *like;
    const size_t begin = session->n_tokens;
    while (session->n_tokens < n) {
        rr_request request = base;
        request.session = session;
        request.family = RR_PREFILL;
        request.tokens = tokens;
        request.n = n;
        rr_status status = rr_scheduler_run(session->engine, &request, 1, diag);
        if (status == RR_E_CANCELLED) {
            rr_session_take_cancel(session);
        }
        RR_TRY(status);
        if (session->on_progress != NULL) {
            session->on_progress(session->on_progress_user, session->n_tokens - begin, n - begin);
        }
        base.turn = request.turn;
    }
    return RR_OK;
}
