/* A model as a worker of the executor: a responder (rerank/responder.h) that can also work ahead
 * and be stopped. Owns: what is computed before a window can be asked about. */
#ifndef RR_RERANK_WORKER_H
#define RR_RERANK_WORKER_H

#include "rerank/responder.h"

/* The worker borrows `model`, whose session nobody else uses meanwhile. Where sessions may have to
 * wait for room it computes nothing ahead. Errors: as rr_model_responder_make. */
rr_status rr_model_worker_make(rr_model_responder *model, rr_worker *out, rr_diag *diag);

/* The tokens of a prompt's start: exactly the first ones of the whole prompt. Errors: as
 * rr_chat_encode. */
rr_status rr_prompt_start_tokens(
    const rr_tokenizer *tokenizer, const rr_prompt *start, rr_tokens *out, rr_diag *diag);

#endif
