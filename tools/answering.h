/* How a ranking is got from a model: the options of `rearank rank` that choose between reading,
 * free text, the grammar and logits. Owns: their names, what they exclude, the readout that is
 * used. The default by model stands in rerank/responder.h. */
#ifndef RR_TOOLS_ANSWERING_H
#define RR_TOOLS_ANSWERING_H

#include "rerank/responder.h"
#include "tools/cli.h"

typedef struct rr_answering {
    bool strict, free, reason, then_reason, no_drafts, plain;
    const char *draft_model;             /* NULL = none */
    const char *readout_path;            /* NULL = the one that comes with the program */
    uint32_t think_budget, answer_depth; /* UINT32_MAX = not given */
    uint32_t passage_chars, n_orders;    /* 0 = not given */
    int score_mode;                      /* −1 = not given */
    rr_opt options[13];
    /* Set before rr_answering_decide. */
    bool no_think;      /* prompts are others than the one that is read */
    bool finds_readout; /* also where the model is not read: requests may ask for that */
    /* After rr_answering_decide. */
    rr_answer_mode mode, then_mode;
    bool has_readout; /* always with RR_ANSWER_READ */
    rr_readout readout;
    char fact[64]; /* the way and the readout's content: what a ranking depends on */
} rr_answering;

/* --reason, --strict, --no-strict, --think-budget, --answer-depth, --score-mode, --readout,
 * --orders, --passage-chars, --then-reason, --no-drafts, --draft-model, --plain. The group points
 * into `answering`, which must stay where it is. */
rr_opt_group rr_answering_group(rr_answering *answering);

/* RR_CLI_GO_ON, or the code to exit with (the message is printed) when options exclude each other;
 * what is drawn at a temperature cannot be guessed. `n_jobs`: 0 = not given. */
int rr_answering_check(const rr_answering *answering, float temperature, uint32_t n_jobs);

/* Chooses the way for a model and says it, and why, in a line on standard error. Errors: those of
 * rr_compute_open_model, rr_readout_load and rr_readout_check; RR_E_UNSUPPORTED when reading was asked for and there is no
 * readout for the model. */
rr_status rr_answering_decide(
    rr_answering *answering, const rr_compute_params *params, rr_diag *diag);

/* "read", "reason", "strict" or "logits". */
const char *rr_answering_way(const rr_answering *answering);

/* Windows at once: `n_jobs` (0 = not given: `usual`), one with --plain. */
uint32_t rr_answering_n_workers(const rr_answering *answering, uint32_t n_jobs, uint32_t usual);

/* How the model answers; `how` borrows the readout. Of its members `max_tokens`, `temperature`,
 * `top_p` and `seed` are left alone. */
void rr_answering_apply(const rr_answering *answering, rr_answer_params *how);
void rr_answering_release(rr_answering *answering);

#endif
