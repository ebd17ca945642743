/* Specialization and grids of the attention kernels of GPUs, one row for each of their variants. */
#include "runtime/engine/engine.h"
#include "runtime/engine/kern_rows.h"
#include "shaders/attention.h"

_Static_assert(RR_ATTENTION_ROWS == RR_DECODE_ROWS, "a counter a row of a decode pass");

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

static const rr_code_row rows[] = {
    {RR_OP_attention_decode, "split", {1}, spec_split, grid_split, NULL, 0, 0},
};

const rr_code_table rr_code_attention = {rows, sizeof rows / sizeof rows[0], NULL};
