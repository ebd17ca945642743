/* Holds on the KV cache: promises, the queue for them, whose pages go when they are needed. */
#include "runtime/engine/admission.h"

#include "runtime/base/thread.h"
#include "runtime/engine/pages.h"

/* How often somebody who waits looks whether it was cancelled or is late. */
enum { LOOK_NS = 20000000 };

/* From here on down to rr_session_hold the caller holds the lock. */

static void give(rr_engine *engine) {
    rr_admission *a = &engine->admission;
    const uint32_t n_pages = rr_pages_n(engine);
    while (a->first != NULL && a->n_promised + a->first->n_pages <= n_pages) {
        rr_hold *hold = a->first;
        a->first = hold->next;
        a->n_promised += hold->n_pages;
        hold->given = true;
        rr_cond_signal(&hold->session->wake);
    }
}

static rr_hold **link_of(rr_admission *a, const rr_hold *hold) {
    rr_hold **link = &a->first;
    while (*link != hold) {
        link = &(*link)->next;
    }
    return link;
}

void rr_admission_leave(rr_session *session) {
    rr_engine *engine = session->engine;
    if (session->n_most > 0 && engine->plan.is_short) {
        engine->admission.n_promised -= rr_pages_of(session->n_most);
        session->n_most = 0;
        session->left = ++engine->admission.n_left;
        give(engine);
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
    rr_pages_cut(session->engine, session->slot, n);
}

bool rr_admission_evict(rr_engine *engine) {
    rr_session *oldest = NULL;
    for (uint32_t i = 0; i < engine->limits.n_sessions; i++) {
        rr_session *session = engine->sessions[i];
        if (session != NULL && session->n_most == 0 && rr_pages_n_listed(engine, i) > 0 &&
            (oldest == NULL || session->left < oldest->left)) {
            oldest = session;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    cut(oldest, (size_t)(rr_pages_n_listed(engine, oldest->slot) - 1) * RR_KV_PAGE);
    engine->admission.n_evicted++;
    return true;
}

static rr_status wait_for(rr_engine *engine, rr_hold *hold, rr_diag *diag) {
    while (!hold->given) {
        rr_cond_wait_until(&hold->session->wake, &engine->lock, rr_time_ns() + LOOK_NS);
        rr_status status = hold->given ? RR_OK : rr_session_check(hold->session, diag);
        if (status != RR_OK) {
            *link_of(&engine->admission, hold) = hold->next;
            give(engine); /* those behind it may need less */
            return status;
        }
    }
    return RR_OK;
}

static rr_status check_hold(rr_session *session, size_t n, rr_diag *diag) {
    const uint32_t most = session->engine->limits.n_context;
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
    rr_hold hold = {.n_pages = rr_pages_of(n), .session = session};
    rr_mutex_lock(&engine->lock);
    *link_of(&engine->admission, NULL) = &hold;
    give(engine);
    rr_status status = wait_for(engine, &hold, diag);
    if (status == RR_OK) {
        session->n_most = n;
        cut(session, n);
    }
    rr_mutex_unlock(&engine->lock);
    return status;
}

void rr_session_release(rr_session *session) {
    rr_mutex_lock(&session->engine->lock);
    rr_admission_leave(session);
    rr_mutex_unlock(&session->engine->lock);
}
