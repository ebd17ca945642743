/* Specialization and grids of the int8 graph's kernels, one row for each of their variants. */
#include <assert.h>
#include <string.h>

#include "runtime/compute/kern_rows.h"
#include "shaders/matmul_q8.h"
#include "shaders/rmsnorm_q8.h"

static rr_grid grid_rmsnorm(const rr_site *at) {
    return (rr_grid){((const rr_push_rmsnorm_q8 *)at->push)->n_rows, 1};
}

static uint32_t n_tokens(const void *push) {
    return ((const rr_push_matmul_q8 *)push)->n_tokens;
}

/* Lanes of a subgroup: the fewest that the device can do with. There a subgroup's registers may be
 * shared out among its lanes, and more lanes leave each too few. */
static uint32_t subgroup(const rr_device_info *info) {
    return info->subgroup_size_min;
}

/* matmul_q8_decode.comp. The result's bits depend on `slices` alone, which is the same for all of a
 * device's tiles. */
typedef struct decode_shape {
    uint32_t tokens, rows, slices, split, passes, lanes;
    uint32_t block; /* rows a workgroup */
} decode_shape;

static decode_shape decode_shape_of(const rr_site *at, uint32_t slices) {
    /* what the registers hold of tokens; more of them take more teams, which share the weights in
     * the cache */
    const uint32_t team_tokens = at->subgroup < 32 ? 4 : 8;
    /* … and of rows, each of which has an address in every plane */
    const rr_qtype_info *format = rr_qtype_get(at->key->format);
    const bool few_rows = at->subgroup < 32 && (format->hi_bits != 0 || format->super_bytes != 0);
    decode_shape s = {.rows = few_rows ? 2 : 4, .slices = slices, .passes = 1};
    s.split = rr_div_up(at->tile, team_tokens);
    s.tokens = at->tile / s.split;
    bool swiglu = at->key->end == RR_END_SWIGLU; /* 32 results make a group, each of two rows */
    uint32_t teams = swiglu ? 8 : 4;
    while (teams / s.split * s.rows < 4) { /* a lane that rotates takes two pairs of rows */
        teams *= 2;
    }
    s.lanes = teams * slices;
    s.block = swiglu ? 64 : teams / s.split * s.rows;
    s.passes = s.block / (teams / s.split * s.rows);
    assert(s.passes > 0 && s.block % 4 == 0 && s.passes * (teams / s.split) * s.rows == s.block);
    return s;
}

static uint32_t spec_decode_of(const rr_site *at, uint32_t slices, uint32_t *values) {
    decode_shape s = decode_shape_of(at, slices);
    const uint32_t all[] = {at->key->format, at->key->end, s.tokens, s.rows, s.slices, s.split,
        s.passes, at->subgroup, s.lanes};
    memcpy(values, all, sizeof all);
    return sizeof all / sizeof all[0];
}

static rr_grid grid_decode_of(const rr_site *at, uint32_t slices) {
    const rr_push_matmul_q8 *p = at->push;
    return (rr_grid){
        rr_div_up(p->n_out, decode_shape_of(at, slices).block), rr_div_up(p->n_tokens, at->tile)};
}

enum { BASE_SLICES = 8, MOST_SLICES = 32 };

static uint32_t spec_decode_base(const rr_site *at, uint32_t *values) {
    return spec_decode_of(at, BASE_SLICES, values);
}

static rr_grid grid_decode_base(const rr_site *at) {
    return grid_decode_of(at, BASE_SLICES);
}

static uint32_t dot_slices(const rr_site *at) {
    return at->subgroup < MOST_SLICES ? at->subgroup : MOST_SLICES;
}

static uint32_t spec_decode_dot(const rr_site *at, uint32_t *values) {
    return spec_decode_of(at, dot_slices(at), values);
}

static rr_grid grid_decode_dot(const rr_site *at) {
    return grid_decode_of(at, dot_slices(at));
}

/* matmul_q8_prefill.comp: 128 rows × the tile's tokens a workgroup, 4 rows × 2, 4 or 8 tokens a
 * lane. */
enum { PREFILL_BLOCK = 128, PREFILL_ROWS = 4 };

static uint32_t spec_prefill(const rr_site *at, uint32_t *values) {
    uint32_t tokens = at->tile / 8; /* 256 lanes: each fetches one row or token at most */
    values[0] = at->key->format;
    values[1] = at->key->end;
    values[2] = at->tile;
    values[3] = PREFILL_BLOCK;
    values[4] = PREFILL_ROWS;
    values[5] = tokens;
    values[6] = PREFILL_BLOCK / PREFILL_ROWS * (at->tile / tokens);
    return 7;
}

static rr_grid grid_prefill(const rr_site *at) {
    const rr_push_matmul_q8 *p = at->push;
    return (rr_grid){rr_div_up(p->n_tokens, at->tile), rr_div_up(p->n_out, PREFILL_BLOCK)};
}

/* matmul_q8_coop.comp: matrices of the size that the device has, 2 × 2 a subgroup, which is what
 * every compiler's registers hold, but for small ones in formats with offsets, where it is 1 × 2. 8
 * matrices along rows, of large ones as many as make 128 rows, and along tokens as many subgroups
 * as the tile takes. */
enum {
    COOP_ROWS = 8,
    COOP_MOST_ROWS = 128,
    COOP_SN = 2,
    COOP_TILE = 64,
    COOP_F16_SHARED_BYTES = 40 << 10
};

static uint32_t coop_block(rr_coop_shape size) {
    return COOP_ROWS * size.m < COOP_MOST_ROWS ? COOP_ROWS * size.m : COOP_MOST_ROWS;
}

static uint32_t coop_sm(const rr_site *at, rr_coop_shape size) {
    const rr_qtype_info *format = rr_qtype_get(at->key->format);
    bool has_offset =
        format->scale_bytes == 4 || (format->super_bytes != 0 && format->hi_bits != 2);
    return has_offset && size.m * size.n < 256 ? 1 : 2;
}

static bool is_larger(const rr_coop_shape *size, const rr_coop_shape *than) {
    return size->m * size->n * size->k > than->m * than->n * than->k;
}

typedef struct coop_shape {
    rr_coop_shape size;
    uint32_t sm, gm, gn, lanes;
} coop_shape;

static coop_shape coop_shape_of(const rr_site *at, const rr_coop_shapes *list) {
    coop_shape s = {0};
    (void)rr_coop_best(list, is_larger, &s.size); /* rows that do not fit are not specialised */
    s.sm = coop_sm(at, s.size);
    s.gm = coop_block(s.size) / s.size.m / s.sm;
    s.gn = at->tile / (COOP_SN * s.size.n);
    s.lanes = s.gm * s.gn * at->subgroup;
    return s;
}

static uint32_t spec_coop_of(const rr_site *at, const rr_coop_shapes *list, uint32_t *values) {
    coop_shape s = coop_shape_of(at, list);
    const uint32_t all[] = {at->key->format, at->key->end, s.size.m, s.size.n, s.size.k, s.sm,
        COOP_SN, s.gm, s.gn, s.lanes};
    memcpy(values, all, sizeof all);
    return sizeof all / sizeof all[0];
}

static uint32_t spec_coop(const rr_site *at, uint32_t *values) {
    return spec_coop_of(at, &at->info->coop_int8, values);
}

static uint32_t spec_coop_f16(const rr_site *at, uint32_t *values) {
    return spec_coop_of(at, &at->info->coop_f16, values);
}

static rr_grid grid_coop_of(const rr_site *at, const rr_coop_shapes *list) {
    const rr_push_matmul_q8 *p = at->push;
    rr_coop_shape size = {0};
    (void)rr_coop_best(list, is_larger, &size);
    return (rr_grid){rr_div_up(p->n_tokens, at->tile), rr_div_up(p->n_out, coop_block(size))};
}

static rr_grid grid_coop(const rr_site *at) {
    return grid_coop_of(at, &at->info->coop_int8);
}

static rr_grid grid_coop_f16(const rr_site *at) {
    return grid_coop_of(at, &at->info->coop_f16);
}

/* Shared memory of a workgroup: two buffers or the sums, scales, what the SwiGLU end quantizes. */
static uint32_t coop_shared_bytes(const rr_site *at, const coop_shape *s, bool f16) {
    const uint32_t block = coop_block(s->size);
    const uint32_t group_bytes = f16 || s->size.k == 8 ? 64 : 32; /* of a row or token */
    const uint32_t buffers = 2 * group_bytes * (block + at->tile),
                   sums = 4 * COOP_SN * s->size.n * block;
    const uint32_t stage = at->key->end == RR_END_SWIGLU ? s->lanes : 1;
    return (buffers > sums ? buffers : sums) + 16 * (block + at->tile) + 20 * stage;
}

/* A size that the kernel can use, and room for its lanes and its memory; the halves of a Q6_K group
 * are multiplied apart. */
static bool coop_fits_of(
    const rr_coop_shapes *list, const rr_kern_key *key, const rr_device_info *info, bool f16) {
    rr_coop_shape size = {0};
    if (!rr_coop_best(list, is_larger, &size) || (key->format == RR_Q_Q6_K && size.k > 16)) {
        return false;
    }
    const rr_site at = {.key = key, .tile = COOP_TILE, .subgroup = subgroup(info), .info = info};
    const coop_shape s = coop_shape_of(&at, list);
    return rr_workgroup_fits(info, s.lanes, coop_shared_bytes(&at, &s, f16));
}

static bool coop_fits(const rr_kern_key *key, const rr_device_info *info) {
    return coop_fits_of(&info->coop_int8, key, info, false);
}

static bool coop_f16_fits(const rr_kern_key *key, const rr_device_info *info) {
    return coop_fits_of(&info->coop_f16, key, info, true);
}

/* Devices with small f16 matrices have few registers, which f16 would overflow: their plain rows
 * are better. */
static bool coop_f16_pays(const rr_kern_key *key, const rr_device_info *info) {
    rr_coop_shape size = {0};
    (void)key;
    return rr_coop_best(&info->coop_f16, is_larger, &size) && size.m * size.n >= 256 &&
        size.k == 16 && info->shared_memory_bytes >= COOP_F16_SHARED_BYTES;
}

static const rr_code_row rows[] = {
    {RR_OP_rmsnorm_q8, "base", {1}, rr_spec_none, grid_rmsnorm, NULL, 0, 0},
    {RR_OP_matmul_q8_prefill, "base", {16}, spec_prefill, grid_prefill, n_tokens, 0, 0},
    {RR_OP_matmul_q8_prefill, "dot", {16, 32, 64}, spec_prefill, grid_prefill, n_tokens, 0, 0},
    {RR_OP_matmul_q8_decode, "base", {1, 4}, spec_decode_base, grid_decode_base, n_tokens, 0, 0},
    {RR_OP_matmul_q8_decode, "dot", {1, 2, 3, 4, 6, 8, 16, 32}, spec_decode_dot, grid_decode_dot,
        n_tokens, 0, 0},
};

static const rr_code_row coop_rows[] = {
    {RR_OP_matmul_q8_prefill, "coop", {COOP_TILE}, spec_coop, grid_coop, n_tokens, 0, 0},
};

static const rr_code_row coop_f16_rows[] = {
    {RR_OP_matmul_q8_prefill, "coop_f16", {COOP_TILE}, spec_coop_f16, grid_coop_f16, n_tokens, 0,
        0},
};

const rr_code_table rr_code_q8 = {
    .rows = rows, .n = sizeof rows / sizeof rows[0], .subgroup = subgroup};
const rr_code_table rr_code_q8_coop = {.rows = coop_rows,
    .n = sizeof coop_rows / sizeof coop_rows[0],
    .subgroup = subgroup,
    .fits = coop_fits};
const rr_code_table rr_code_q8_coop_f16 = {.rows = coop_f16_rows,
    .n = sizeof coop_f16_rows / sizeof coop_f16_rows[0],
    .subgroup = subgroup,
    .fits = coop_f16_fits,
    .pays = coop_f16_pays};
