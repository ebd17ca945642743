/* Specialization and grids of the attention kernels of GPUs, one row for each of their variants. */
#include <string.h>

#include "runtime/compute/compute.h"
#include "runtime/compute/kern_rows.h"
#include "shaders/attention.h"
#include "shaders/kv.h"

_Static_assert(RR_ATTENTION_ROWS == RR_DECODE_ROWS, "a counter a row of a decode pass");

enum { ROWS_LANES = 128 }; /* of a workgroup of attention_rows.comp */
/* attention_coop.comp: BLOCK rows, at most TILE keys at a time */
enum { COOP_BLOCK = 32, COOP_TILE = 64 };

_Static_assert(RR_KV_PAGE % RR_ATTENTION_TILE == 0 && RR_KV_PAGE % COOP_TILE == 0,
    "a tile of keys lies in one page");

/* The fewest lanes where registers are few: Intel's compiler of Mesa 26, left to choose, takes 32
 * lanes for a kernel whose registers hold 8, and spills hundreds. */
static uint32_t narrow_subgroup(const rr_device_info *info) {
    return rr_few_registers(info) ? info->subgroup_size_min : 0;
}

/* attention_split.comp: how much of V is in flight at once; all of it where registers allow. */
static uint32_t spec_split(const rr_site *at, uint32_t *values) {
    uint32_t all = at->key->head_size / 32;
    values[0] = at->key->head_size;
    values[1] = rr_few_registers(at->info) || all == 0 ? 1 : all;
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
    if (rr_few_registers(at->info) && at->key->head_size > 64) {
        shape.rows = 1;
    }
    /* subgroups of 64 alone: half of the registers go to a second subgroup that hides the first
     * one's latency */
    shape.early = !rr_few_registers(at->info) && at->info->subgroup_size_min < 64;
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
    return rr_attention_grid(p->n_rows, p->n_heads, p->n_kv_heads, block);
}

static const rr_code_row rows[] = {
    {RR_OP_attention_prefill, "subgroup", {1}, spec_rows, grid_rows, NULL, 0, 0},
    {RR_OP_attention_decode, "split", {1}, spec_split, grid_split, NULL, 0, 0},
};

const rr_code_table rr_code_attention = {.rows = rows,
    .n = sizeof rows / sizeof rows[0],
    .subgroup = narrow_subgroup,
    .quantizes = true};

/* attention_coop.comp: the first size of the driver's list of matrices that divides its tiles,
 * those of 16 columns before others. */
static bool is_better(const rr_coop_shape *size, const rr_coop_shape *than) {
    return than->k != 16 && size->k == 16;
}

static bool coop_size(const rr_device_info *info, rr_coop_shape *out) {
    return rr_coop_best(&info->coop_f16, is_better, out);
}

/* Matrices of 8 rows belong to subgroups as wide as they are; else 32 lanes read each matrix fewer
 * times than 64. */
static uint32_t coop_subgroup(const rr_device_info *info) {
    rr_coop_shape size = {0};
    uint32_t wanted = coop_size(info, &size) && size.m == 8 ? size.n : 32;
    return wanted < info->subgroup_size_min ? info->subgroup_size_min
        : wanted > info->subgroup_size_max  ? info->subgroup_size_max
                                            : wanted;
}

typedef struct coop_shape {
    rr_coop_shape size;
    uint32_t tile, teams, lanes, keep, early; /* tile: keys at a time */
} coop_shape;

static uint32_t coop_shared_bytes(const coop_shape *s, uint32_t head) {
    /* a row of K, of V transposed */
    uint32_t k_bytes = 2 * (head + 8), v_bytes = 2 * (s->tile + 8);
    uint32_t tile_bytes = k_bytes * s->tile > v_bytes * head ? k_bytes * s->tile : v_bytes * head;
    return tile_bytes + (s->keep ? 4 : k_bytes * COOP_BLOCK) +
        COOP_BLOCK * (v_bytes + 4 * (s->tile + s->size.n + 4));
}

/* A tile of keys suits when its lanes and its memory fit, and a row's lanes stand in one subgroup
 * and have each two keys at least and a column of the matrix of factors. */
static bool coop_suits(coop_shape *s, uint32_t head, const rr_device_info *info) {
    const uint32_t subgroup = coop_subgroup(info);
    s->teams = COOP_BLOCK / s->size.m;
    s->lanes = s->teams * (s->tile / s->size.n) * subgroup;
    s->keep = subgroup >= 32;
    s->early = subgroup >= 32 || head <= 64;
    const uint32_t row_lanes = s->lanes / COOP_BLOCK;
    return row_lanes >= 1 && row_lanes <= subgroup && row_lanes <= s->size.n &&
        2 * row_lanes <= s->tile && rr_workgroup_fits(info, s->lanes, coop_shared_bytes(s, head));
}

/* Long tiles go fewer times round; short ones are for devices with little shared memory and for
 * matrices of few columns. */
static bool coop_shape_of(const rr_kern_key *key, const rr_device_info *info, coop_shape *out) {
    coop_shape s = {0};
    if (!coop_size(info, &s.size) || key->head_size % COOP_TILE != 0) {
        return false;
    }
    for (s.tile = COOP_TILE; s.tile >= COOP_BLOCK; s.tile /= 2) {
        if (coop_suits(&s, key->head_size, info)) {
            *out = s;
            return true;
        }
    }
    return false;
}

static bool coop_fits(const rr_kern_key *key, const rr_device_info *info) {
    coop_shape s;
    return coop_shape_of(key, info, &s);
}

static uint32_t spec_coop(const rr_site *at, uint32_t *values) {
    coop_shape s = {0};
    (void)coop_shape_of(at->key, at->info, &s); /* rows that do not fit are not specialised */
    const uint32_t all[] = {at->key->head_size, s.size.m, s.size.n, s.size.k, s.teams, s.lanes,
        s.tile, s.keep, s.early};
    memcpy(values, all, sizeof all);
    return sizeof all / sizeof all[0];
}

static rr_grid grid_coop(const rr_site *at) {
    const rr_push_attention *p = at->push;
    return rr_attention_grid(p->n_rows, p->n_heads, p->n_kv_heads, COOP_BLOCK);
}

static const rr_code_row coop_rows[] = {
    {RR_OP_attention_prefill, "coop", {1}, spec_coop, grid_coop, NULL, 0, 0},
};

const rr_code_table rr_code_attention_coop = {.rows = coop_rows,
    .n = sizeof coop_rows / sizeof coop_rows[0],
    .subgroup = coop_subgroup,
    .fits = coop_fits,
    .quantizes = true};
