/* A readout: what to make of the numbers that are read of a prompt (rerank/read_features.h), so
 * that they say how relevant each passage is. Owns: the file format, which numbers are weighed, and
 * the score. A readout belongs to one model, maybe with one adapter, and to one prompt. How one is
 * made: rerank/learn/fit.h.
 *
 * The score of passage i of a window of n is a sum of weights × numbers:
 *   attention   log(mass + floor) of every layer, head and kind of row (RR_READ_KINDS)
 *   states      the hidden state at the passage's end, behind each of the state layers, over the
 *               root mean square of the window's
 *   place       of x = i / (n − 1): x, x², 1 at the first, 1 at the last, 1 / (i + 1), 1 / (n − i);
 *               takes out what only place does
 *   length      log(tokens of the passage + 1)
 *   first_stage the first stage's score, less its mean over the window, over its deviation; 0 where
 *   there is none
 * less the mean of these sums over the window. The probability is 1 / (1 + e^−(slope score +
 * intercept)). */
#ifndef RR_RERANK_READOUT_H
#define RR_RERANK_READOUT_H

#include "rerank/read_features.h"
#include "runtime/model/model.h"

enum { RR_READOUT_PLACES = 6, RR_READOUT_EXTRAS = RR_READOUT_PLACES + 1 /* place, length */ };
#define RR_READOUT_FLOOR 1e-6 /* of a mass, before its logarithm */

typedef struct rr_readout {
    rr_arena arena;
    char model_name[128]; /* for messages; what counts is the fingerprint */
    uint64_t fingerprint; /* rr_model_fingerprint */
    uint32_t n_layers;    /* of the model */
    rr_read_shape shape;
    rr_prompt_form form; /* of the prompt */
    char prompt[64];     /* the digest of its wording (rr_prompt_fact) */
    double *weights;     /* [rr_readout_n_weights]: attention, states, place, length */
    double first_stage;  /* weight */
    /* [layers][n_heads][RR_READ_KINDS]: which heads count for what draws attention */
    float *draw;
    double slope, intercept;
    /* a JSON object: what it was fitted on, how good it was, the data's licence; for people. Empty
     * = {} */
    rr_text about;
} rr_readout;

size_t rr_readout_n_weights(const rr_read_shape *shape);

/* Reads a readout's text, every value checked; `label` names it in messages. *out must be destroyed
 * whatever happens. Errors: RR_E_INPUT, RR_E_UNSUPPORTED (a later version, an adapter, another
 * prompt), RR_E_MEMORY. */
rr_status rr_readout_parse(
    const char *text, size_t bytes, const char *label, rr_readout *out, rr_diag *diag);
rr_status rr_readout_load(const char *path, rr_readout *out, rr_diag *diag); /* also RR_E_IO */
/* Appends its text; numbers of six digits, so that what is read again and written gives the same
 * bytes. Errors: RR_E_MEMORY. */
rr_status rr_readout_write(const rr_readout *readout, rr_buf *out, rr_diag *diag);
void rr_readout_destroy(rr_readout *readout); /* accepts a zeroed one */

/* Whether it is of this model. Errors: RR_E_UNSUPPORTED, with both names. */
rr_status rr_readout_check(
    const rr_readout *readout, const rr_model *model, const char *label, rr_diag *diag);
/* The readout that comes with the program for this model; *found = false when there is none.
 * Errors: RR_E_MEMORY. */
rr_status rr_readout_find(const rr_model *model, rr_readout *out, bool *found, rr_diag *diag);

/* The numbers of each passage, out [n][rr_readout_n_weights]. Errors: RR_E_MEMORY. */
void rr_readout_numbers(const rr_read_shape *shape, const rr_read_features *features, double *out);
/* First-stage scores [n] as they are weighed; false, and zeros, where they are all equal or not
 * numbers. */
bool rr_readout_first_stage(const double *scores, uint32_t n, double *out);

/* The probability that a score means. Pure. */
double rr_readout_probability(const rr_readout *readout, double score);

/* Scores and probabilities [n] of a window's passages; `first_stage` [n] or NULL. Errors:
 * RR_E_MEMORY. */
rr_status rr_readout_score(const rr_readout *readout, const rr_read_features *features,
    const double *first_stage, double *scores, double *probabilities, rr_diag *diag);

#endif
