/* Drafts by a second, smaller model with the same vocabulary: a session of another engine, on the
 * same device or another. What it drafts changes no bit of the output, only how many passes the
 * first model needs. */
#ifndef RR_ENGINE_DRAFT_MODEL_H
#define RR_ENGINE_DRAFT_MODEL_H

#include "runtime/engine/draft.h"
#include "runtime/engine/engine.h"

typedef struct rr_draft_model {
    /* borrowed; used by nobody else meanwhile; NULL = there is only the lookup */
    rr_session *session;
    rr_draft_sources sources; /* asked first: a lookup costs nothing */
} rr_draft_model;

/* Whether a model's drafts mean the same to another: the same ids for the same tokens. Compares the
 * texts of all tokens that both have. Errors: RR_E_UNSUPPORTED saying what differs, those of
 * rr_engine_tokenizer. */
rr_status rr_draft_model_check(
    const rr_engine *drafting, const rr_engine *verifying, rr_diag *diag);

/* Fits rr_generate_params.draft with an rr_draft_model as its user. What the lookup finds, else
 * what the model writes greedily; nothing where the timeline does not fit its context or its device
 * fails. Cost: passes of the second model over what is new of the timeline, then one for each
 * token. */
uint32_t rr_draft_by_model(
    void *model, const int32_t *tokens, size_t n, int32_t *out, uint32_t max);

#endif
