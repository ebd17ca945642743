/* What an op must at least do: the bytes that it moves and the operations that its shape demands.
 * For measuring. */
#ifndef RR_COMPUTE_OP_COST_H
#define RR_COMPUTE_OP_COST_H

#include "runtime/compute/kern.h"

typedef struct rr_op_cost {
    char format
        [16]; /* of the weights: "Q4_K", or "int4/32" for codes of four bits with a scale for 32; "" = none */
    uint32_t n_out, cols; /* of a matrix product, else 0 */
    double bytes, flops;  /* a product and a sum are two; 0 where not known */
} rr_op_cost;

/* What push blocks point at, as the host sees it. */
typedef struct rr_op_memory {
    const rr_row *rows; /* of the pass, at device address rows_at */
    uint64_t rows_at;
    /* struct rr_layer of the device address layers_at; NULL = not seen: lanes_layer is not known */
    const void *layers;
    uint64_t layers_at;
} rr_op_memory;

/* Pure. */
rr_op_cost rr_op_cost_of(
    rr_op op, const rr_kern_key *key, const void *push, const rr_op_memory *memory);

#endif
