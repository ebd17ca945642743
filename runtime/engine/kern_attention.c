/* Specialization and grids of the attention kernels of GPUs, one row for each of their variants. */
#include <string.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/kern_rows.h"
#include "shaders/attention.h"

_Static_assert(RR_ATTENTION_ROWS == RR_DECODE_ROWS, "a counter a row of a decode pass");

enum { ROWS_LANES = 128 }; /* of a workgroup of attention_rows.comp */

/* Where subgroups may be of 8 or 16, a lane has few registers. */
static bool few_registers(const rr_site *at) {
    return at->info->subgroup_size_min >= 8 && at->info->subgroup_size_min <= 16;
}

/* attention_split.comp: how much of V is in flight at once; all of it where registers allow. */
static uint32_t spec_split(const rr_site *at, uint32_t *values) {
    uint32_t all = at->key->head_size / 32;
    values[0] = at->key->head_size;
    values[1] = few_registers(at) || all == 0 ? 1 : all;
    return 2;
}

static rr_grid grid_split(const rr_site *at) {
    const rr_push_attention *p = at->push;
    return (rr_grid){RR_ATTENTION_MOST_CHUNKS(p->n_keys), p->n_rows * p->n_kv_heads};
}

/* attention_rows.comp: lanes that share rows, rows a lane, whether tiles are fetched early. */
typedef struct rows_shape {
    uint32_t spread, rows, early;
} rows_shape;

static rows_shape rows_shape_of(const rr_site *at) {
    uint32_t pieces = at->key->head_size / 8;
    rows_shape shape = {.spread = pieces < 8 ? pieces : 8, .rows = 2};
    if (shape.spread > at->info->subgroup_size_min) {
        shape.spread = at->info->subgroup_size_min;
    }
    if (few_registers(at) && at->key->head_size > 64) {
        shape.rows = 1;
    }
    /* subgroups of 64 alone: half of the registers go to a second subgroup that hides the first one's latency */
    shape.early = !few_registers(at) && at->info->subgroup_size_min < 64;
    return shape;
}

static uint32_t spec_rows(const rr_site *at, uint32_t *values) {
    rows_shape shape = rows_shape_of(at);
    values[0] = at->key->head_size;
    values[1] = shape.spread;
    values[2] = shape.rows;
    values[3] = shape.early;
    return 4;
}

static rr_grid grid_rows(const rr_site *at) {
    const rr_push_attention *p = at->push;
    rows_shape shape = rows_shape_of(at);
    uint32_t block = ROWS_LANES / shape.spread * shape.rows;
    return (rr_grid){rr_div_up(p->n_rows * (p->n_heads / p->n_kv_heads), block), p->n_kv_heads};
}

static const rr_code_row rows[] = {
    {RR_OP_attention_prefill, "subgroup", {1}, spec_rows, grid_rows, NULL, 0, 0},
    {RR_OP_attention_decode, "split", {1}, spec_split, grid_split, NULL, 0, 0},
};

const rr_code_table rr_code_attention = {.rows = rows, .n = sizeof rows / sizeof rows[0]};

bool rr_attention_quantizes(const rr_variant *variant) {
    for (size_t i = 0; i < rr_code_attention.n; i++) {
        if (rows[i].op == variant->op && strcmp(rows[i].variant, variant->name) == 0) {
            return true;
        }
    }
    return false;
}
