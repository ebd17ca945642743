/* How the code of a row of variants.def is specialised and laid over a grid: one table a graph
 * (kern_plain.c and its siblings), put together by kern.c. */
#ifndef RR_COMPUTE_KERN_ROWS_H
#define RR_COMPUTE_KERN_ROWS_H

#include "runtime/compute/op.h"

enum {
    RR_MAX_TILES = 8, /* pipelines of one (op, key, variant), by number of tokens */
    RR_MAX_SPEC = 16
};

typedef struct rr_grid {
    uint32_t x, y;
} rr_grid;

/* What a specialization or a grid may depend on. */
typedef struct rr_site {
    const rr_kern_key *key;
    uint32_t tile;     /* tokens a workgroup takes */
    uint32_t subgroup; /* lanes: what the table pins, else the device's usual number */
    const rr_device_info *info;
    const void *push; /* NULL when specialising */
} rr_site;

/* How the code of a row of variants.def is specialised and laid over a grid. Token tiles: several
 * pipelines that differ in how many tokens a workgroup takes; the smallest that holds the pass is
 * recorded, else the largest, repeated. */
typedef struct rr_code_row {
    rr_op op;
    const char *variant;
    uint32_t tiles[RR_MAX_TILES];                          /* ascending, 0 = no more */
    uint32_t (*spec)(const rr_site *at, uint32_t *values); /* constants 0…; returns the count */
    rr_grid (*grid)(const rr_site *at);
    /* by which the tile is chosen; NULL = the op takes one tile only */
    uint32_t (*n_tokens)(const void *push);
    uint32_t max_subgroup, min_subgroup; /* lanes that the code can handle; 0 = any */
} rr_code_row;

typedef struct rr_code_table {
    const rr_code_row *rows;
    size_t n;
    uint32_t (*subgroup)(const rr_device_info *info); /* lanes to pin; NULL = the driver's choice */
    /* Whether the code suits a key and a device that has its capabilities; NULL = always. */
    bool (*fits)(const rr_kern_key *key, const rr_device_info *info);
    /* Whether rows that fit are to be chosen before those above them; NULL = always. */
    bool (*pays)(const rr_kern_key *key, const rr_device_info *info);
    bool quantizes; /* attention_*: it can quantize its result */
} rr_code_table;

/* Where subgroups may be of 8 or 16, a lane has few registers. */
static inline bool rr_few_registers(const rr_device_info *info) {
    return info->subgroup_size_min >= 8 && info->subgroup_size_min <= 16;
}

static inline bool rr_coop_side_divides(uint32_t side) {
    return side == 8 || side == 16 || side == 32;
}

/* Whether each side of a matrix's size is 8, 16 or 32: it divides tiles of 32 and is not smaller
 * than any that drivers list. */
static inline bool rr_coop_divides(const rr_coop_shape *size) {
    return rr_coop_side_divides(size->m) && rr_coop_side_divides(size->n) &&
        rr_coop_side_divides(size->k);
}

/* The best size of a list that divides tiles of 32, the first of equals; false when there is
 * none. */
typedef bool (*rr_coop_better_fn)(const rr_coop_shape *size, const rr_coop_shape *than);
static inline bool rr_coop_best(
    const rr_coop_shapes *list, rr_coop_better_fn is_better, rr_coop_shape *out) {
    bool found = false;
    for (uint32_t i = 0; i < list->n; i++) {
        const rr_coop_shape *size = &list->at[i];
        if (rr_coop_divides(size) && (!found || is_better(size, out))) {
            *out = *size;
            found = true;
        }
    }
    return found;
}

/* A workgroup of so many lanes and bytes of shared memory runs there. */
static inline bool rr_workgroup_fits(
    const rr_device_info *info, uint32_t lanes, uint32_t shared_bytes) {
    return lanes <= info->max_workgroup_invocations && shared_bytes <= info->shared_memory_bytes;
}

/* No specialization constants. */
static inline uint32_t rr_spec_none(const rr_site *at, uint32_t *values) {
    (void)at;
    (void)values;
    return 0;
}

/* The head size alone. */
static inline uint32_t rr_spec_head(const rr_site *at, uint32_t *values) {
    values[0] = at->key->head_size;
    return 1;
}

/* The grid of prompt attention: `block` query rows a workgroup, of all heads of a group. */
static inline rr_grid rr_attention_grid(
    uint32_t n_rows, uint32_t n_heads, uint32_t n_kv_heads, uint32_t block) {
    return (rr_grid){rr_div_up(n_rows * (n_heads / n_kv_heads), block), n_kv_heads};
}

/* Attention of software devices: query rows a subgroup of the prefill family, what still fits the
 * registers; and the constants of both families. Decode takes all heads of a group, at most 8. */
static inline uint32_t rr_lanes_attention_rows(const rr_site *at) {
    return at->key->head_size <= 64 ? 8 : 4;
}
uint32_t rr_spec_lanes_attention_prefill(const rr_site *at, uint32_t *values);
uint32_t rr_spec_lanes_attention_decode(const rr_site *at, uint32_t *values);

extern const rr_code_table rr_code_plain;
extern const rr_code_table rr_code_q8;
extern const rr_code_table rr_code_q8_coop;
extern const rr_code_table rr_code_q8_coop_f16;
extern const rr_code_table rr_code_attention;
extern const rr_code_table rr_code_attention_coop;
extern const rr_code_table rr_code_lanes;
extern const rr_code_table rr_code_grad;

#endif
