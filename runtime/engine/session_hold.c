/* Holds of sessions, and whose pages go when they are needed. */
#include "runtime/engine/session_hold.h"

#include "runtime/base/thread.h"
#include "runtime/engine/session_call.h"

/* How often somebody who waits looks whether it was cancelled or is late. */
enum { LOOK_NS = 20000000 };

/* From here on down to rr_session_hold the caller holds the lock. */

void rr_session_end_hold(rr_session *session) {
    rr_engine *engine = session->engine;
    if (session->n_most > 0 && engine->plan.is_short) {
        rr_admission_leave(&engine->admission, rr_pages_of(session->n_most));
        session->n_most = 0;
        session->left = engine->admission.n_left;
    }
}

/* What is behind the first n tokens is forgotten. */
static void cut(rr_session *session, size_t n) {
    if (session->n_tokens > n) {
        session->n_tokens = n;
        session->is_cut = true;
        session->best_ready = false;
        session->logits_ready = false;
    }
    session->n_prompt = session->n_prompt < n ? session->n_prompt : n;
    rr_pages_cut(session->engine->pages, session->slot, n);
}

bool rr_session_evict_one(void *user) {
    rr_engine *engine = user;
    rr_session *oldest = NULL;
    for (uint32_t i = 0; i < engine->limits.n_sessions; i++) {
        rr_session *session = engine->sessions[i];
        if (session != NULL && session->n_most == 0 && rr_pages_n_listed(engine->pages, i) > 0 &&
            (oldest == NULL || session->left < oldest->left)) {
            oldest = session;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    cut(oldest, (size_t)(rr_pages_n_listed(engine->pages, oldest->slot) - 1) * RR_KV_PAGE);
    engine->n_evicted++;
    return true;
}

static rr_status wait_for(rr_session *session, rr_hold *hold, rr_diag *diag) {
    rr_engine *engine = session->engine;
    while (!hold->given) {
        rr_cond_wait_until(&session->wake, &engine->lock, rr_time_ns() + LOOK_NS);
        rr_status status = hold->given ? RR_OK : rr_session_check(session, diag);
        if (status != RR_OK) {
            rr_admission_cancel(&engine->admission, hold);
            return status;
        }
    }
    return RR_OK;
}

static rr_status check_hold(rr_session *session, size_t n, rr_diag *diag) {
    const uint32_t most = session->engine->compute->limits.n_context;
    if (n == 0 || n > most) {
        return rr_fail(
            diag, RR_E_USAGE, "room for %zu tokens of a session: expected 1 to %u", n, most);
    }
    return rr_session_check(session, diag);
}

rr_status rr_session_hold(rr_session *session, size_t n, rr_diag *diag) {
    rr_engine *engine = session->engine;
    rr_session_release(session);
    RR_TRY(check_hold(session, n, diag));
    if (!engine->plan.is_short) {
        return RR_OK;
    }
    rr_hold hold = {.n_pages = rr_pages_of(n), .wake = &session->wake};
    rr_mutex_lock(&engine->lock);
    rr_admission_join(&engine->admission, &hold);
    rr_status status = wait_for(session, &hold, diag);
    if (status == RR_OK) {
        session->n_most = n;
        cut(session, n);
    }
    rr_mutex_unlock(&engine->lock);
    return status;
}

void rr_session_release(rr_session *session) {
    rr_mutex_lock(&session->engine->lock);
    rr_session_end_hold(session);
    rr_mutex_unlock(&session->engine->lock);
}
