/* What a prompt tells without an answer: where the attention of chosen tokens rests, and hidden
 * states of chosen tokens. Owns: the call that computes a prompt as far as that needs and brings
 * both back. What they mean is the caller's business. They are computed inside the passes that
 * compute those tokens, from the same q and K; so their bits are the same alone and in company,
 * whatever the chunks, and whatever was reused or shared of the prompt before the first token that
 * is looked at. */
#ifndef RR_ENGINE_READ_H
#define RR_ENGINE_READ_H

#include "runtime/engine/engine.h"

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

/* Computes the prompt `tokens` [n] up to the last token that is looked at, and no layer that is not
 * needed; the head is not run. The engine must have been opened with `readings`. Tokens before the
 * first one that is looked at are reused and shared as by rr_session_sync. Afterwards the timeline
 * is what was computed; where not all layers were, only another reading can go on from it, and
 * other calls begin anew. Errors: RR_E_USAGE (what rr_session_sync refuses; positions that are not
 * ascending or not in the prompt, too many of them, layers that the model does not have, an engine
 * without `readings`, nothing to look at), RR_E_CANCELLED, RR_E_DEADLINE, RR_E_DEVICE; then the
 * outputs mean nothing. Cost: a prompt's, less what is not run; the attention of a row costs about
 * what the row's own attention costs. */
rr_status rr_session_read(
    rr_session *session, const int32_t *tokens, size_t n, const rr_reading *reading, rr_diag *diag);

#endif
