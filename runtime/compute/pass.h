/* One pass over rows: all layers, then the head over some of them. The caller writes the rows, says
 * how many there are of each family, and takes the results before the next pass. */
#ifndef RR_COMPUTE_PASS_H
#define RR_COMPUTE_PASS_H

#include <stdatomic.h>

#include "runtime/compute/compute.h"

/* Which kernels a row goes through: those of prompts or those of generated and drafted tokens. What
 * a row gets depends on its family, not on the rows beside it. */
typedef enum rr_family { RR_PREFILL, RR_DECODE, RR_N_FAMILIES } rr_family;

typedef struct rr_read_pass rr_read_pass; /* reader.h */

typedef struct rr_pass {
    /* Rows of each family: those of a prompt, all of one timeline, then those of decode. */
    uint32_t n_rows[RR_N_FAMILIES];
    uint32_t n_keys[RR_N_FAMILIES]; /* largest position of the rows, plus 1 */
    /* rows whose logits are made (may be 0); head_rows ≤ logits_rows */
    uint32_t head_first, head_rows;
    rr_family head_family;
    /* logits of ids [0, head_cols) only, and their arg max; 0 = the whole vocabulary */
    uint32_t head_cols;
    bool read_logits; /* copy them to the readback buffer; arg max is always copied */
    /* the rows are of a prompt that is read, and no more layers run than that needs; NULL = no */
    const rr_read_pass *read;
    bool keep_rows; /* rr_pass_run_head will be called over any of the rows */
    /* may be NULL; ends the pass between submits, for all of its rows */
    const atomic_bool *cancelled;
    uint64_t deadline_ns; /* the same; 0 = none */
} rr_pass;

static inline uint32_t rr_pass_n_rows(const rr_pass *pass) {
    return pass->n_rows[RR_PREFILL] + pass->n_rows[RR_DECODE];
}

/* The rows of one family in a pass. */
typedef struct rr_span {
    rr_family family;
    uint32_t first, n, n_keys;
} rr_span;

/* Rows [first, first + n) of a pass. */
typedef struct rr_range {
    uint32_t first, n;
} rr_range;

static inline rr_range rr_pass_all(const rr_pass *pass) {
    return (rr_range){0, rr_pass_n_rows(pass)};
}

/* The rows of a range by families; returns how many spans have some. */
static inline uint32_t rr_pass_spans(
    const rr_pass *pass, rr_range range, rr_span out[RR_N_FAMILIES]) {
    uint32_t n = 0, begin = 0;
    for (int f = 0; f < RR_N_FAMILIES; f++) {
        const uint32_t end = begin + pass->n_rows[f];
        const uint32_t from = begin > range.first ? begin : range.first;
        const uint32_t to = end < range.first + range.n ? end : range.first + range.n;
        if (from < to) {
            out[n++] = (rr_span){(rr_family)f, from, to - from, pass->n_keys[f]};
        }
        begin = end;
    }
    return n;
}

/* Runs all layers over the rows that the host has written to rr_compute's `rows`, then the head.
 * Submits are cut so that none is expected to run longer than 0.2 s. Errors: RR_E_DEVICE;
 * RR_E_CANCELLED, RR_E_DEADLINE (between submits; keys and values of these rows are then
 * undefined). */
rr_status rr_pass_run(rr_compute *compute, const rr_pass *pass, rr_diag *diag);
/* The head alone over rows whose layers ran last. */
rr_status rr_pass_run_head(rr_compute *compute, const rr_pass *pass, rr_diag *diag);

/* Results of the last head that read them back; logits [head_cols]. */
const float *rr_pass_logits(const rr_compute *compute, uint32_t head_row);
int32_t rr_pass_best(const rr_compute *compute, uint32_t head_row);

/* RR_E_DEADLINE when the time is over; deadline_ns 0 = none. */
rr_status rr_deadline_check(uint64_t deadline_ns, rr_diag *diag);

#endif
