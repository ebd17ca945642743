/* A second model as drafter. */
#include "runtime/engine/draft_model.h"

#include <string.h>

#include "runtime/base/text.h"
#include "runtime/engine/internal.h"

rr_status rr_draft_model_check(
    const rr_engine *drafting, const rr_engine *verifying, rr_diag *diag) {
    const rr_tokenizer *a = NULL, *b = NULL;
    RR_TRY(rr_engine_tokenizer(drafting, &a, diag));
    RR_TRY(rr_engine_tokenizer(verifying, &b, diag));
    uint32_t n = rr_tokenizer_n_vocab(a) < rr_tokenizer_n_vocab(b) ? rr_tokenizer_n_vocab(a)
                                                                   : rr_tokenizer_n_vocab(b);
    for (uint32_t id = 0; id < n; id++) {
        rr_text one = rr_tokenizer_piece(a, (int32_t)id, true),
                other = rr_tokenizer_piece(b, (int32_t)id, true);
        if (rr_text_compare(one, other) != 0) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "token %u is another in the draft model's vocabulary than in the model's: use a draft model of the "
                "same family",
                id);
        }
    }
    return RR_OK;
}

uint32_t rr_draft_by_model(
    void *user, const int32_t *tokens, size_t n, int32_t *out, uint32_t max) {
    rr_draft_model *model = user;
    uint32_t n_found = rr_draft(&model->sources, tokens, n, out, max);
    if (n_found > 0 || model->session == NULL) {
        return n_found;
    }
    const rr_engine *engine = model->session->engine;
    for (size_t i = 0; i < n; i++) {
        if ((uint32_t)tokens[i] >= engine->compute->model->config.n_vocab) {
            return 0;
        }
    }
    rr_tokens drafted = {0};
    const rr_generate_params params = {.max_tokens = max};
    if (rr_session_sync(model->session, tokens, n, NULL) == RR_OK &&
        rr_session_generate(model->session, &params, &drafted, NULL, NULL) == RR_OK &&
        drafted.n > 0) {
        n_found = (uint32_t)drafted.n;
        memcpy(out, drafted.ids, drafted.n * sizeof *out);
    }
    rr_tokens_destroy(&drafted);
    return n_found;
}
