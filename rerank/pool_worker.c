#include <stdlib.h>

#include "rerank/pool.h"
#include "rerank/pool_state.h"
#include "rerank/responder.h"

/* Events: what a call that is asked again tells once more is kept back. */

static void on_begin(void *user, const rr_call *call) {
    rr_pool_worker *worker = user;
    const rr_responder_events *events = &worker->asked->events;
    if (!worker->told_begin) {
        worker->told_begin = true;
        events->begin(events->user, call);
    }
}

static void on_prompt(void *user, const rr_call *call, size_t done, size_t total) {
    rr_pool_worker *worker = user;
    const rr_responder_events *events = &worker->asked->events;
    if (done > worker->n_prompt_told) {
        worker->n_prompt_told = done;
        events->prompt(events->user, call, done, total);
    }
}

static bool on_text(
    void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    rr_pool_worker *worker = user;
    const rr_responder_events *events = &worker->asked->events;
    worker->n_text += bytes;
    if (worker->n_text < worker->n_text_told ||
        (worker->n_text == worker->n_text_told && bytes > 0)) {
        return true;
    }
    const size_t n_new = worker->n_text - worker->n_text_told;
    worker->n_text_told = worker->n_text;
    worker->refused = !events->text(events->user, call, text + (bytes - n_new), n_new, n_tokens);
    return !worker->refused;
}

/* Asking */

/* One try; inside the device. */
static rr_status ask(rr_pool_worker *worker, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    const rr_pool_query *asked = worker->asked;
    rr_model_responder *model = &worker->model;
    model->style = asked->rank.style;
    model->passage_chars = asked->rank.passage_chars;
    model->how = asked->answer;
    model->events = (rr_responder_events){
        .begin = asked->events.begin != NULL ? on_begin : NULL,
        .prompt = asked->events.prompt != NULL ? on_prompt : NULL,
        .text = asked->events.text != NULL ? on_text : NULL,
        .user = worker,
    };
    worker->n_text = 0;
    rr_responder responder;
    RR_TRY(rr_model_responder_make(model, &responder, diag));
    return responder.respond(responder.user, call, reply, diag);
}

static void forget(rr_reply *reply) {
    rr_buf_destroy(&reply->text);
    free(reply->reads);
    *reply = (rr_reply){0};
}

rr_status rr_pool_worker_respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    rr_pool_worker *worker = user;
    rr_pool_device *device = worker->device;
    worker->asked = call->asker;
    worker->n_text_told = worker->n_prompt_told = 0;
    worker->told_begin = worker->refused = false;
    for (;;) {
        RR_TRY(rr_pool_device_enter(device, diag));
        const rr_status status = ask(worker, call, reply, diag);
        reply->refused = worker->refused;
        if (!rr_pool_device_leave(device, status, diag)) {
            return status;
        }
        RR_TRY(rr_pool_device_recover(device, diag));
        forget(reply);
        if (call->on_text != NULL && !call->on_text(call->listener, "", 0)) {
            return rr_fail(diag, RR_E_CANCELLED, "cancelled");
        }
    }
}

rr_status rr_pool_worker_prepare(
    void *user, const rr_call *call, uint64_t *n_computed, rr_diag *diag) {
    rr_pool_worker *worker = user;
    rr_pool_device *device = worker->device;
    RR_TRY(rr_pool_device_enter(device, diag));
    const rr_status status =
        worker->inner.prepare(worker->inner.responder.user, call, n_computed, diag);
    if (rr_pool_device_leave(device, status, diag)) {
        RR_TRY(rr_pool_device_recover(device, diag));
    }
    return status; /* what is lost is not prepared again: it will be asked */
}

void rr_pool_worker_cancel(void *user) {
    rr_pool_worker *worker = user;
    atomic_fetch_add(&worker->device->n_cancelling, 1);
    rr_session *session = atomic_load(&worker->session);
    rr_session *drafting = atomic_load(&worker->drafting);
    if (session != NULL) {
        rr_session_cancel(session);
    }
    if (drafting != NULL) {
        rr_session_cancel(drafting);
    }
    atomic_fetch_sub(&worker->device->n_cancelling, 1);
}
