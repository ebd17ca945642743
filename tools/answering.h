/* How answers are got: the options of `rearank rank` that choose between free text, the grammar and logits.
 * Owns: their names, what they exclude, and the default by the model's name. */
#ifndef RR_TOOLS_ANSWERING_H
#define RR_TOOLS_ANSWERING_H

#include "rerank/responder.h"
#include "tools/cli.h"

typedef struct rr_answering {
    bool strict, free, no_drafts, plain;
    const char *draft_model; /* NULL = none */
    uint32_t think_budget, answer_depth; /* UINT32_MAX = not given */
    int score_mode;
    rr_opt options[8];
} rr_answering;

/* --strict, --no-strict, --think-budget, --answer-depth, --score-mode, --no-drafts, --draft-model, --plain. The group points into
 * `answering`, which must stay where it is. */
rr_opt_group rr_answering_group(rr_answering *answering);

/* RR_CLI_GO_ON, or the code to exit with (the message is printed) when options exclude each other; what is drawn at a temperature
 * cannot be guessed. `n_jobs`: 0 = not given. */
int rr_answering_check(const rr_answering *answering, float temperature, uint32_t n_jobs);

/* Rankings come from logits alone. */
bool rr_answering_by_logits(const rr_answering *answering);

/* Fills in `model`'s members that say how it answers. Strict unless the model's name speaks against it (rr_strict_suits), where
 * no option says otherwise. */
void rr_answering_apply(const rr_answering *answering, const char *model_name, rr_model_responder *model);

#endif
