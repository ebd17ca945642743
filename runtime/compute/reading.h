/* What can be read of a prompt while passes compute it: where the attention of chosen tokens rests,
 * and hidden states of chosen tokens. They are computed inside the passes that compute those
 * tokens, from the same q and K; so their bits are the same alone and in company, and whatever the
 * chunks. */
#ifndef RR_COMPUTE_READING_H
#define RR_COMPUTE_READING_H

#include "runtime/base/status.h"

enum {
    RR_READ_ROWS = 64,   /* tokens whose attention is looked at, at most */
    RR_READ_SPANS = 128, /* spans, and tokens whose hidden state is looked at, at most */
    RR_READ_LAYERS = 4   /* layers behind which hidden states are looked at, at most */
};

/* Token positions [begin, end). */
typedef struct rr_token_span {
    uint32_t begin, end;
} rr_token_span;

/* What to look at, and where it goes. The arrays are the caller's. Zero values ask for nothing. */
typedef struct rr_reading {
    /* Attention of the tokens at positions rows [n_rows], ascending, in layers [first_layer,
     * end_layer) (from 0): to each of spans [n_spans] the sum of softmax(q · k / sqrt(head_size))
     * over the span's tokens, of those up to the row alone. */
    const uint32_t *rows;
    uint32_t n_rows;
    const rr_token_span *spans;
    uint32_t n_spans;
    uint32_t first_layer, end_layer;
    float *mass; /* out: [end_layer − first_layer][n_rows][n_heads][n_spans] */
    /* Which tokens draw that attention: drawn[j] is the sum over these layers, rows and heads of
     * the row's factor and the weight of token j. NULL = not wanted. */
    const float *factors; /* [end_layer − first_layer][n_rows][n_heads] */
    float *drawn;         /* out: [n tokens of the prompt], 0 behind the last row */
    /* Hidden states: the residual stream of the tokens at positions states [n_states], ascending,
     * behind layers state_layers [n_state_layers], ascending, each from 1 (the output of the first
     * layer) to n_layers. */
    const uint32_t *states;
    uint32_t n_states;
    const uint32_t *state_layers;
    uint32_t n_state_layers;
    float *hidden; /* out: [n_state_layers][n_states][d_model] */
} rr_reading;

/* Layers that a reading runs: those above are not computed. Pure. */
uint32_t rr_reading_n_layers(const rr_reading *reading);
/* Whether a model of n_layers can be asked for this over a prompt of n tokens: RR_E_USAGE, saying
 * what is wrong. Pure. */
rr_status rr_reading_check(const rr_reading *reading, uint32_t n_layers, size_t n, rr_diag *diag);

#endif
