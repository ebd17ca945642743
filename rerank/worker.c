#include "rerank/worker.h"

rr_status rr_prompt_start_tokens(
    const rr_tokenizer *tokenizer, const rr_prompt *start, rr_tokens *out, rr_diag *diag) {
    return rr_chat_encode(tokenizer, start->messages, start->n, false, out, diag);
}

/* The session's timeline becomes the prompt's start; the whole prompt finds it there. */
static rr_status model_prepare(
    void *user, const rr_call *call, uint64_t *n_computed, rr_diag *diag) {
    const rr_model_responder *model = user;
    rr_tokens tokens = {0};
    rr_status status = rr_prompt_start_tokens(model->tokenizer, call->prompt, &tokens, diag);
    if (status == RR_OK) {
        rr_session_deadline(model->session, call->deadline_ns);
        status = rr_session_sync(model->session, tokens.ids, tokens.n, diag);
        rr_session_deadline(model->session, 0);
    }
    if (status == RR_OK) {
        *n_computed =
            tokens.n - rr_session_n_reused(model->session) - rr_session_n_shared(model->session);
    }
    rr_tokens_destroy(&tokens);
    return status;
}

static void model_cancel(void *user) {
    const rr_model_responder *model = user;
    rr_session_cancel(model->session);
    if (model->drafting != NULL) {
        rr_session_cancel(model->drafting);
    }
}

rr_status rr_model_worker_make(rr_model_responder *model, rr_worker *out, rr_diag *diag) {
    rr_worker worker = {.prepare = model_prepare, .cancel = model_cancel};
    if (rr_engine_plan(model->engine)->is_short || model->how.mode == RR_ANSWER_READ) {
        /* computed ahead, it takes the room of a window in progress; and what is read must be
         * computed then */
        worker.prepare = NULL;
    }
    RR_TRY(rr_model_responder_make(model, &worker.responder, diag));
    *out = worker;
    return RR_OK;
}
