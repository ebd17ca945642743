/* What a model says of the passages of a window without writing: the numbers that a readout
 * (rerank/readout.h) weighs. Owns: which numbers these are, and the call that gets them from a
 * session. */
#ifndef RR_RERANK_READ_FEATURES_H
#define RR_RERANK_READ_FEATURES_H

#include "rerank/read_places.h"

/* Rows of attention that are told apart: the mean over the tokens of the closing message's query,
 * and the prompt's last token. */
enum { RR_READ_QUERY, RR_READ_LAST, RR_READ_KINDS };

/* Which numbers; layers as in rr_reading. */
typedef struct rr_read_shape {
    uint32_t first_layer, end_layer; /* attention: equal = none */
    uint32_t n_heads;
    uint32_t state_layers[RR_READ_LAYERS], n_state_layers; /* hidden states at the passages' ends */
    uint32_t d_model;
} rr_read_shape;

/* Numbers of one window. Owns its arrays. Zero-initialise. */
typedef struct rr_read_features {
    uint32_t n;        /* passages */
    uint32_t *lengths; /* [n] tokens of each */
    /* [layers][n_heads][RR_READ_KINDS][n]: the share of attention that the passage's tokens get */
    float *mass;
    float *states; /* [n_state_layers][n][d_model] */
} rr_read_features;

/* Floats of `mass` and `states` for n passages. Pure. */
size_t rr_read_n_mass(const rr_read_shape *shape, uint32_t n);
size_t rr_read_n_states(const rr_read_shape *shape, uint32_t n);
/* Errors: RR_E_MEMORY; then *out is zeroed. */
rr_status rr_read_features_make(
    const rr_read_shape *shape, uint32_t n, rr_read_features *out, rr_diag *diag);
void rr_read_features_destroy(rr_read_features *features); /* accepts a zeroed one */

/* Which tokens draw attention, for explanations: factors [layers][n_heads][RR_READ_KINDS] weigh the
 * heads, `drawn` [tokens] gets the sums. */
typedef struct rr_read_drawn {
    const float *factors;
    float *drawn;
} rr_read_drawn;

/* Computes the prompt `tokens` with the parts `places` as far as `shape` needs, and fills `out`,
 * made for places->n passages. `drawn` may be NULL. Errors: those of rr_session_read;
 * RR_E_MEMORY. */
rr_status rr_read_features_get(rr_session *session, const rr_tokens *tokens,
    const rr_read_places *places, const rr_read_shape *shape, const rr_read_drawn *drawn,
    rr_read_features *out, rr_diag *diag);

#endif
