/* A case of the products of software devices: its shapes, what it holds on the host, and the
 * comparison with the reference. Shared by lanes_case.c, lanes_compare.c and check_lanes.c. */
#ifndef RR_CHECKGPU_LANES_CASE_H
#define RR_CHECKGPU_LANES_CASE_H

#include "shaders/lanes.h"
#include "tests/checkgpu/internal.h"

/* the cache holds more than what the op may touch */
enum {
    RR_CG_LANES_SESSIONS = 2,
    RR_CG_LANES_LAYERS = 2,
    RR_CG_LANES_LAYER = 1,
    RR_CG_LANES_CONTEXT = 300
};

typedef struct rr_cg_lanes_case {
    rr_qtype types[RR_LANES_PARTS]; /* of q, k, v; of gate, up; of the one matrix */
    uint32_t rows;                  /* of the matrix, of gate and of up; qkv: unused */
    uint32_t cols, n_tokens;
    uint32_t n_heads, n_kv_heads, head_size; /* qkv */
} rr_cg_lanes_case;

typedef union rr_cg_lanes_push {
    rr_push_lanes_qkv qkv;
    rr_push_lanes_out out;
    rr_push_lanes_gate_up gate_up;
    rr_push_lanes_head head;
} rr_cg_lanes_push;

/* Everything a case holds on the host beside its slots. */
typedef struct rr_cg_lanes_data {
    rr_lanes layout;
    /* [n_tokens][cols]; [n_tokens][rows of the layout], what a check compares with */
    float *x, *values;
    double *y, *magnitude, *bound;  /* [n_tokens][rows of the layout] */
    int32_t *scratch;               /* [cols] */
    uint32_t *positions, *sessions; /* [n_tokens] */
} rr_cg_lanes_data;

/* lanes_case.c: fills the op's slots and sends them; too_big as of rr_cg_upload. Errors:
 * RR_E_MEMORY. rr_cg_lanes_free accepts a zeroed or half-made one. */
rr_status rr_cg_lanes_make(
    rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data, bool *too_big, rr_diag *diag);
void rr_cg_lanes_free(rr_cg_lanes_data *data);
rr_kern_key rr_cg_lanes_key(const rr_cg_lanes_case *c, const rr_cg_lanes_data *data);
/* The op over tokens [first, first + n), all in their own places. */
rr_cg_lanes_push rr_cg_lanes_push_of(const rr_cg *cg, const rr_cg_lanes_case *c,
    const rr_cg_lanes_data *data, uint32_t first, uint32_t n);
/* What the host's slot holds. */
const float *rr_cg_lanes_floats(const rr_cg *cg, rr_cg_slot_id id);

/* lanes_compare.c: y, magnitude, and the error of the product in `bound`. */
void rr_cg_lanes_expect(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data);
/* What was found, after rr_cg_lanes_expect and the run. */
void rr_cg_lanes_compare(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data);
/* Index in the cache of k or v column i (K heads, then V heads) of a token. */
size_t rr_cg_lanes_kv_at(const rr_cg *cg, const rr_cg_lanes_case *c, const rr_cg_lanes_data *data,
    uint32_t t, uint32_t i);

#endif
