/* The products of software devices: lanes_qkv, lanes_out, lanes_gate_up, lanes_head.
 *
 * Bounds. Group sums are integers below 2^24, exact as floats. A term of the sum over groups is
 * rounded twice, the sums once a term in ascending order: as in check_matmul.c the error stays
 * below (6 sqrt(n) + 3) u times the sum of the terms' magnitudes, n terms (two a group where the
 * format has offsets). What follows:
 *   head     y = s rms: one rounding.
 *   out      x + s: one rounding. Codes, squares and norm factor are held against the x that was
 *            found.
 *   qkv      a = s rms + bias: one rounding; then as in check_rope.c.
 *   gate_up  g, u = s rms: one rounding each; |silu'| <= 1.1, so silu(g) u is within 1.1 e_g |u| +
 *            (|silu(g)| + 1.1 e_g) e_u and the units of check_rows.c; then the codes. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/compute/op_cost.h"
#include "shaders/lanes.h"

/* the cache holds more than what the op may touch */
enum { SESSIONS = 2, LAYERS = 2, LAYER = 1, CONTEXT = 300 };

typedef struct lanes_case {
    rr_qtype types[RR_LANES_PARTS]; /* of q, k, v; of gate, up; of the one matrix */
    uint32_t rows;                  /* of the matrix, of gate and of up; qkv: unused */
    uint32_t cols, n_tokens;
    uint32_t n_heads, n_kv_heads, head_size; /* qkv */
} lanes_case;

typedef union lanes_push {
    rr_push_lanes_qkv qkv;
    rr_push_lanes_out out;
    rr_push_lanes_gate_up gate_up;
    rr_push_lanes_head head;
} lanes_push;

/* Everything a case holds on the host beside its slots. */
typedef struct lanes_data {
    rr_lanes layout;
    /* [n_tokens][cols]; [n_tokens][rows of the layout], what a check compares with */
    float *x, *values;
    double *y, *magnitude, *bound;  /* [n_tokens][rows of the layout] */
    int32_t *scratch;               /* [cols] */
    uint32_t *positions, *sessions; /* [n_tokens] */
} lanes_data;

static void data_free(lanes_data *data) {
    free(data->x);
    free(data->values);
    free(data->y);
    free(data->magnitude);
    free(data->bound);
    free(data->scratch);
    free(data->positions);
    free(data->sessions);
}

static rr_kern_key key_of(const lanes_case *c, const lanes_data *data) {
    return (rr_kern_key){.lanes = rr_lanes_code(data->layout.format), .head_size = c->head_size};
}

static const float *floats_of(const rr_cg *cg, rr_cg_slot_id id) {
    return (const float *)(const void *)cg->slots[id].host;
}

static rr_status no_memory(rr_cg *cg, rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "checkgpu: no memory for %s", cg->label);
}

/* Activations: tokens of several sizes, one of zeros, one with the largest code everywhere, a group
 * of zeros and one of next to nothing in every token. */
static bool make_activations(rr_cg *cg, const lanes_case *c, lanes_data *data) {
    int16_t *codes =
        rr_cg_buffer(cg, RR_CG_CODES, RR_CG_IN, (size_t)c->n_tokens * c->cols * sizeof *codes);
    uint32_t *groups = rr_cg_buffer(cg, RR_CG_GROUPS, RR_CG_IN, (size_t)c->n_tokens * c->cols / 4);
    if (codes == NULL || groups == NULL) {
        return false;
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        float *x = data->x + (size_t)t * c->cols, size = ldexpf(1, (int)(rr_cg_random(cg) % 6));
        rr_cg_normals(cg, c->n_tokens > 2 && t == 2 ? 0 : size, x, c->cols);
        for (uint32_t i = 0; t % 11 == 1 && i < c->cols; i++) {
            x[i] = size;
        }
        for (uint32_t i = 0; c->cols > 64 && i < 64; i++) {
            x[(c->cols / 64 * 32 - 32) + i] *= i < 32 ? 0.0f : 1e-37f;
        }
    }
    rr_ref_quantize(data->x, c->n_tokens, c->cols, &(rr_ref_codes){codes, groups});
    return true;
}

static rr_status make_product(rr_cg *cg, const lanes_case *c, lanes_data *data, rr_diag *diag) {
    rr_lanes_part parts[RR_LANES_PARTS] = {{0}};
    uint32_t n_parts = 1;
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv:
        n_parts = 3;
        break;
    case RR_OP_lanes_gate_up:
        n_parts = 2;
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < n_parts; i++) {
        uint32_t heads = i == 0 ? c->n_heads : c->n_kv_heads;
        parts[i] = (rr_lanes_part){
            .type = c->types[i], .rows = n_parts == 3 ? heads * c->head_size : c->rows};
    }
    RR_TRY(rr_cg_lanes_matrix(cg, parts, n_parts, c->cols, &data->layout, diag));
    size_t n = (size_t)c->n_tokens * data->layout.rows;
    data->x = malloc((size_t)c->n_tokens * c->cols * sizeof *data->x);
    data->values = malloc(n * sizeof *data->values);
    data->y = malloc(n * sizeof *data->y);
    data->magnitude = malloc(n * sizeof *data->magnitude);
    data->bound = malloc(n * sizeof *data->bound);
    data->scratch = malloc(c->cols * sizeof *data->scratch);
    data->positions = calloc(c->n_tokens, sizeof *data->positions);
    data->sessions = calloc(c->n_tokens, sizeof *data->sessions);
    float *rms = rr_cg_buffer(cg, RR_CG_RMS, RR_CG_IN, c->n_tokens * sizeof *rms);
    if (data->x == NULL || data->values == NULL || data->y == NULL || data->magnitude == NULL ||
        data->bound == NULL || data->scratch == NULL || data->positions == NULL ||
        data->sessions == NULL || rms == NULL || !make_activations(cg, c, data)) {
        return no_memory(cg, diag);
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        rms[t] = ldexpf(1 + fabsf(rr_cg_normal(cg)), -4 - (int)(rr_cg_random(cg) % 4));
    }
    return RR_OK;
}

/* The op's other inputs, and its outputs. */
static bool make_slots(rr_cg *cg, const lanes_case *c, lanes_data *data) {
    size_t rows = data->layout.rows, n = c->n_tokens;
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv: {
        float *bias = rr_cg_buffer(cg, RR_CG_BIAS, RR_CG_IN, rows * sizeof *bias);
        float *table =
            rr_cg_buffer(cg, RR_CG_TABLE, RR_CG_IN, (size_t)CONTEXT * c->head_size * sizeof *table);
        if (bias == NULL || table == NULL) {
            return false;
        }
        rr_cg_normals(cg, 2, bias, rows);
        rr_ref_rope_table(1e6f, c->head_size, CONTEXT, table);
        for (uint32_t t = 0; t < n; t++) { /* neighbours in a session, no place twice */
            data->sessions[t] = t % SESSIONS;
            /* 67 and 300 have no common factor */
            data->positions[t] = t == 0 ? CONTEXT - 1 : (t * 67 + 3) % CONTEXT;
        }
        return rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, n * sizeof(rr_row)) != NULL &&
            rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * c->n_heads * c->head_size * sizeof(float)) !=
            NULL &&
            rr_cg_cache_make(cg,
                &(rr_cg_cache){.n_sessions = SESSIONS,
                    .n_layers = LAYERS,
                    .n_kv_heads = c->n_kv_heads,
                    .head_size = c->head_size,
                    .n_context = CONTEXT});
    }
    case RR_OP_lanes_out: {
        float *norm = rr_cg_buffer(cg, RR_CG_NORM, RR_CG_IN, rows * sizeof *norm);
        float *x = rr_cg_buffer(cg, RR_CG_RESIDUAL, RR_CG_INOUT, n * rows * sizeof *x);
        if (norm == NULL || x == NULL) {
            return false;
        }
        rr_cg_normals(cg, 2, x, n * rows);
        rr_cg_normals(cg, 1, norm, rows);
        for (uint32_t r = 0; rows >= 96 && r < 64; r++) {
            norm[r + 32] *= r < 32 ? 0.0f : 1e-37f; /* what follows is zeros, and next to nothing */
        }
        return rr_cg_buffer(cg, RR_CG_OUT_CODES, RR_CG_OUT, n * rows * sizeof(int16_t)) != NULL &&
            rr_cg_buffer(cg, RR_CG_OUT_GROUPS, RR_CG_OUT, n * rows / 4) != NULL &&
            rr_cg_buffer(cg, RR_CG_OUT_RMS, RR_CG_OUT, n * sizeof(float)) != NULL &&
            rr_cg_buffer(cg, RR_CG_SQUARES, RR_CG_OUT, n * rows / 8) != NULL &&
            /* an input: 0 before, and what an input is after a run, it must be */
            rr_cg_buffer(cg, RR_CG_TICKETS, RR_CG_IN, n * sizeof(uint32_t)) != NULL;
    }
    case RR_OP_lanes_gate_up:
        return rr_cg_buffer(cg, RR_CG_OUT_CODES, RR_CG_OUT, n * c->rows * sizeof(int16_t)) !=
            NULL &&
            rr_cg_buffer(cg, RR_CG_OUT_GROUPS, RR_CG_OUT, n * c->rows / 4) != NULL;
    default:
        return rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * rows * sizeof(float)) != NULL;
    }
}

static rr_status data_make(
    rr_cg *cg, const lanes_case *c, lanes_data *data, bool *too_big, rr_diag *diag) {
    RR_TRY(make_product(cg, c, data, diag));
    if (!make_slots(cg, c, data)) {
        return no_memory(cg, diag);
    }
    RR_TRY(rr_cg_upload(cg, too_big, diag));
    if (*too_big || cg->variant->op != RR_OP_lanes_qkv) {
        return RR_OK;
    }
    rr_row *rows = (rr_row *)(void *)cg->slots[RR_CG_ROWS].host;
    rr_cg_cache_link(cg);
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        rows[t] = rr_cg_cache_row(cg, data->sessions[t], data->positions[t]);
    }
    return rr_cg_upload(cg, too_big, diag); /* again: rows hold addresses, known only now */
}

/* Where row `first` of a slot begins. */
static uint64_t row_at(const rr_cg *cg, rr_cg_slot_id id, uint32_t first, size_t bytes) {
    return rr_cg_address(cg, id) + first * (uint64_t)bytes;
}

/* The op over tokens [first, first + n), all in their own places. */
static lanes_push push_make(
    const rr_cg *cg, const lanes_case *c, const lanes_data *data, uint32_t first, uint32_t n) {
    const uint64_t w = rr_cg_address(cg, RR_CG_W), s = w + data->layout.scale_offset;
    const uint64_t codes = row_at(cg, RR_CG_CODES, first, c->cols * sizeof(int16_t));
    const uint64_t groups = row_at(cg, RR_CG_GROUPS, first, c->cols / 4);
    const uint64_t rms = row_at(cg, RR_CG_RMS, first, 4);
    const uint32_t rows = data->layout.rows;
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv:
        return (lanes_push){
            .qkv = {.w = w,
                .s = s,
                .codes = codes,
                .groups = groups,
                .rms = rms,
                .bias = rr_cg_address(cg, RR_CG_BIAS),
                .q = row_at(cg, RR_CG_Y, first, (size_t)c->n_heads * c->head_size * 4),
                .rows = row_at(cg, RR_CG_ROWS, first, sizeof(rr_row)),
                .table = rr_cg_address(cg, RR_CG_TABLE),
                .kv_offset = rr_cg_cache_offset(cg, LAYER),
                .cols = c->cols,
                .n_tokens = n,
                .n_heads = c->n_heads,
                .n_kv_heads = c->n_kv_heads}};
    case RR_OP_lanes_out:
        return (lanes_push){
            .out = {.w = w,
                .s = s,
                .codes = codes,
                .groups = groups,
                .x = row_at(cg, RR_CG_RESIDUAL, first, (size_t)rows * 4),
                .norm = rr_cg_address(cg, RR_CG_NORM),
                .out_codes = row_at(cg, RR_CG_OUT_CODES, first, rows * sizeof(int16_t)),
                .out_groups = row_at(cg, RR_CG_OUT_GROUPS, first, rows / 4),
                .out_rms = row_at(cg, RR_CG_OUT_RMS, first, 4),
                .squares = rr_cg_address(cg, RR_CG_SQUARES),
                .tickets = rr_cg_address(cg, RR_CG_TICKETS),
                .cols = c->cols,
                .n_tokens = n,
                .n_rows = rows,
                .epsilon = 1e-6f}};
    case RR_OP_lanes_gate_up:
        return (lanes_push){
            .gate_up = {.w = w,
                .s = s,
                .codes = codes,
                .groups = groups,
                .rms = rms,
                .out_codes = row_at(cg, RR_CG_OUT_CODES, first, c->rows * sizeof(int16_t)),
                .out_groups = row_at(cg, RR_CG_OUT_GROUPS, first, c->rows / 4),
                .cols = c->cols,
                .n_tokens = n,
                .d_ffn = c->rows}};
    default:
        return (lanes_push){.head = {.w = w,
                                .s = s,
                                .codes = codes,
                                .groups = groups,
                                .rms = rms,
                                .y = row_at(cg, RR_CG_Y, first, (size_t)rows * 4),
                                .cols = c->cols,
                                .n_tokens = n,
                                .n_rows = rows}};
    }
}

/* y, magnitude, and the error of the product in `bound`. */
static void expect_product(rr_cg *cg, const lanes_case *c, lanes_data *data) {
    rr_ref_codes x = {(int16_t *)(void *)cg->slots[RR_CG_CODES].host,
        (uint32_t *)(void *)cg->slots[RR_CG_GROUPS].host};
    rr_ref_lanes_product(&(rr_ref_lanes_product_params){.lanes = &data->layout,
        .device = cg->slots[RR_CG_W].host,
        .x = &x,
        .n_tokens = c->n_tokens,
        .y = data->y,
        .magnitude = data->magnitude,
        .scratch = data->scratch});
    uint32_t terms = c->cols / data->layout.format.group *
        (data->layout.format.scale == RR_LANES_AFFINE ? 2 : 1);
    for (size_t i = 0; i < (size_t)c->n_tokens * data->layout.rows; i++) {
        data->bound[i] = RR_CG_U * (6 * sqrt((double)terms) + 3) * data->magnitude[i];
    }
}

/* values = y rms (+ bias), with the bounds of that. */
static void apply_factor(
    const rr_cg *cg, const lanes_case *c, lanes_data *data, const float *bias) {
    uint32_t rows = data->layout.rows;
    for (size_t i = 0; i < (size_t)c->n_tokens * rows; i++) {
        double rms = (double)floats_of(cg, RR_CG_RMS)[i / rows], scaled = data->y[i] * rms;
        double value = scaled + (bias != NULL ? (double)bias[i % rows] : 0);
        data->values[i] = (float)value;
        /* the kernel's rounding, and the one of the line above */
        data->bound[i] = data->bound[i] * rms + RR_CG_U * (fabs(scaled) + 2 * fabs(value));
    }
}

static void check_head(rr_cg *cg, const lanes_case *c, lanes_data *data) {
    double squares = 0, magnitudes = 0;
    size_t rows = data->layout.rows;
    apply_factor(cg, c, data, NULL);
    for (size_t i = 0; i < c->n_tokens * rows; i++) {
        squares += data->y[i] * data->y[i];
        magnitudes += data->magnitude[i] * data->magnitude[i];
    }
    /* the same law for the root of the mean square, without its 6; by the sums, as every token has
     * its own factor */
    double terms = 2.0 * c->cols / data->layout.format.group;
    double factors = 0, least = INFINITY;
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        factors = fmax(factors, (double)floats_of(cg, RR_CG_RMS)[t]);
        least = fmin(least, (double)floats_of(cg, RR_CG_RMS)[t]);
    }
    factors /= least;
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_Y),
            .expected = data->values,
            .bound = data->bound,
            .rows = c->n_tokens,
            .cols = rows,
            .stride = rows,
            .nmse = RR_CG_U * RR_CG_U * (16 + terms) * factors * factors * magnitudes / squares});
}

/* x against the reference; all else against the x that was found. */
static void check_out(rr_cg *cg, const lanes_case *c, lanes_data *data) {
    uint32_t rows = data->layout.rows;
    size_t n = (size_t)c->n_tokens * rows;
    const float *before = floats_of(cg, RR_CG_RESIDUAL), *norm = floats_of(cg, RR_CG_NORM);
    const float *x = rr_cg_found(cg, RR_CG_RESIDUAL), *rms = rr_cg_found(cg, RR_CG_OUT_RMS);
    const float *squares = rr_cg_found(cg, RR_CG_SQUARES);
    for (size_t i = 0; i < n; i++) {
        double value = (double)before[i] + data->y[i];
        data->values[i] = (float)value;
        data->bound[i] += RR_CG_U * (fabs(data->y[i]) + 2 * fabs(value));
    }
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = x,
            .expected = data->values,
            .bound = data->bound,
            .rows = c->n_tokens,
            .cols = rows,
            .stride = rows,
            .nmse = INFINITY});
    for (size_t i = 0; i < n; i++) {
        double value = (double)x[i] * (double)norm[i % rows];
        data->values[i] = (float)value;
        data->bound[i] = 2 * RR_CG_U * fabs(value) + 1.2e-38; /* denormal numbers may be flushed */
    }
    rr_cg_compare_codes(cg,
        &(rr_cg_codes){.found = rr_cg_found(cg, RR_CG_OUT_CODES),
            .groups = rr_cg_found(cg, RR_CG_OUT_GROUPS),
            .expected = data->values,
            .bound = data->bound,
            .rows = c->n_tokens,
            .cols = rows});
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        double expected;
        rr_ref_norm_factor(x + (size_t)t * rows, 1, rows, 1e-6f, &expected);
        double bound = RR_CG_U * (3 * sqrt((double)rows) + 24) * expected; /* as in check_rows.c */
        if (!(fabs((double)rms[t] - expected) <= bound)) {
            rr_cg_fault(cg, "norm factor of row %u: found %.9g, expected %.9g ± %.2g", t,
                (double)rms[t], expected, bound);
        }
        for (uint32_t unit = 0; unit < rows / 32; unit++) {
            double sum = 0, found = (double)squares[(size_t)unit * c->n_tokens + t];
            for (uint32_t i = 0; i < 32; i++) {
                double v = (double)x[(size_t)t * rows + unit * 32 + i];
                sum += v * v;
            }
            if (!(fabs(found - sum) <= 33 * RR_CG_U * sum)) {
                rr_cg_fault(cg, "squares of row %u, unit %u: found %.9g, expected %.9g", t, unit,
                    found, sum);
            }
        }
    }
}

static void check_gate_up(rr_cg *cg, const lanes_case *c, lanes_data *data) {
    size_t n = (size_t)c->n_tokens * c->rows;
    float *expected = malloc(n * sizeof *expected);
    double *bound = malloc(n * sizeof *bound);
    apply_factor(cg, c, data, NULL);
    if (expected == NULL || bound == NULL) {
        rr_cg_fault(cg, "no memory to compare");
    } else {
        rr_ref_swiglu(data->values, c->n_tokens, c->rows, expected);
        for (size_t i = 0; i < n; i++) {
            size_t at = i / c->rows * 2 * c->rows + i % c->rows;
            double g = (double)data->values[at], up = (double)data->values[at + c->rows];
            double e_g = data->bound[at], e_up = data->bound[at + c->rows],
                   silu = fabs(g / (1 + exp(-g)));
            bound[i] = 1.1 * e_g * fabs(up) + (silu + 1.1 * e_g) * e_up +
                RR_CG_U * (2 * (3 + 2 * fabs(g)) + 5 + 5) * fabs((double)expected[i]) +
                1.2e-38 * (1 + fabs(g)) * (1 + fabs(up));
        }
        rr_cg_compare_codes(cg,
            &(rr_cg_codes){.found = rr_cg_found(cg, RR_CG_OUT_CODES),
                .groups = rr_cg_found(cg, RR_CG_OUT_GROUPS),
                .expected = expected,
                .bound = bound,
                .rows = c->n_tokens,
                .cols = c->rows});
    }
    free(expected);
    free(bound);
}

/* The bound of each dimension that is rotated, from those of its pair. */
static void rotate_bounds(
    const lanes_case *c, const lanes_data *data, const float *table, double *bound) {
    uint32_t width = data->layout.rows, half = c->head_size / 2;
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        const float *angle = table + (size_t)data->positions[t] * c->head_size;
        for (uint32_t i = 0; i < (c->n_heads + c->n_kv_heads) * c->head_size; i++) {
            uint32_t d = i % c->head_size, pair = d % half, other = d < half ? i + half : i - half;
            double cosine = fabs((double)angle[2 * pair]), sine = fabs((double)angle[2 * pair + 1]);
            size_t at = (size_t)t * width + i, to = (size_t)t * width + other;
            bound[at] = data->bound[at] * cosine + data->bound[to] * sine +
                3 * RR_CG_U *
                    (fabs((double)data->values[at]) * cosine +
                        fabs((double)data->values[to]) * sine);
        }
    }
}

/* Index in the cache of k or v column i (K heads, then V heads) of a token. */
static size_t kv_at(
    const rr_cg *cg, const lanes_case *c, const lanes_data *data, uint32_t t, uint32_t i) {
    return rr_cg_cache_at(cg, data->sessions[t], LAYER, i / c->head_size, data->positions[t]) +
        i % c->head_size;
}

static void check_qkv(rr_cg *cg, const lanes_case *c, lanes_data *data) {
    uint32_t width = data->layout.rows, q_width = c->n_heads * c->head_size;
    size_t n = (size_t)c->n_tokens * width, n_cache = cg->slots[RR_CG_KV].bytes / sizeof(uint16_t);
    const float *table = floats_of(cg, RR_CG_TABLE), *q = rr_cg_found(cg, RR_CG_Y);
    const uint16_t *cache = rr_cg_found(cg, RR_CG_KV);
    double *bound = malloc(n * sizeof *bound);
    bool *written = calloc(n_cache, sizeof *written);
    apply_factor(cg, c, data, floats_of(cg, RR_CG_BIAS));
    if (bound == NULL || written == NULL) {
        rr_cg_fault(cg, "no memory to compare");
        goto done;
    }
    memcpy(bound, data->bound, n * sizeof *bound);
    rotate_bounds(c, data, table, bound);
    rr_ref_rope(data->values, width, data->positions, c->n_tokens, table,
        c->n_heads + c->n_kv_heads, c->head_size);
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        for (uint32_t i = 0; i < width; i++) {
            size_t at = (size_t)t * width + i;
            double expected = (double)data->values[at],
                   error = bound[at] + RR_CG_U * fabs(expected);
            if (i >= q_width) {
                size_t to = kv_at(cg, c, data, t, i - q_width);
                rr_cg_compare_f16(cg, cache[to], expected, error, to);
                written[to] = true;
            } else if (!(fabs((double)q[(size_t)t * q_width + i] - expected) <= error)) {
                rr_cg_fault(cg, "q row %u column %u: found %.9g, expected %.9g ± %.2g", t, i,
                    (double)q[(size_t)t * q_width + i], expected, error);
            }
        }
    }
    for (size_t i = 0; i < n_cache; i++) {
        if (!written[i] && cache[i] != (RR_CG_FILL & 0xFFFF)) {
            rr_cg_fault(cg, "wrote into the cache where it should not, f16 value %zu", i);
            break;
        }
    }
done:
    free(bound);
    free(written);
}

static void name_case(rr_cg *cg, const lanes_case *c, const char *what) {
    const char *a = rr_qtype_get((uint32_t)c->types[0])->name,
               *b = rr_qtype_get((uint32_t)c->types[1])->name;
    const char *v = rr_qtype_get((uint32_t)c->types[2])->name;
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv:
        rr_cg_begin(cg, "%s%s %s %s heads %u/%u of %u, cols %u, tokens %u", what, a, b, v,
            c->n_heads, c->n_kv_heads, c->head_size, c->cols, c->n_tokens);
        break;
    case RR_OP_lanes_gate_up:
        rr_cg_begin(cg, "%s%s %s 2x%ux%u tokens %u", what, a, b, c->rows, c->cols, c->n_tokens);
        break;
    default:
        rr_cg_begin(cg, "%s%s %ux%u tokens %u", what, a, c->rows, c->cols, c->n_tokens);
        break;
    }
}

static rr_status check_case(rr_cg *cg, const lanes_case *c, rr_diag *diag) {
    lanes_data data = {0};
    bool too_big;
    name_case(cg, c, "");
    rr_status status = data_make(cg, c, &data, &too_big, diag);
    RR_TRY_GOTO(status);
    if (too_big) {
        cg->result->n_too_big++;
        goto fail;
    }
    lanes_push push = push_make(cg, c, &data, 0, c->n_tokens);
    rr_kern_key key = key_of(c, &data);
    expect_product(cg, c, &data);
    RR_TRY_GOTO(rr_cg_run(cg, &key, &push, diag));
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv:
        check_qkv(cg, c, &data);
        break;
    case RR_OP_lanes_out:
        check_out(cg, c, &data);
        break;
    case RR_OP_lanes_gate_up:
        check_gate_up(cg, c, &data);
        break;
    default:
        check_head(cg, c, &data);
        break;
    }
    rr_cg_end(cg);
fail:
    data_free(&data);
    return status;
}

/* Outputs that are rows of tokens, in all; the cache is not. */
static const rr_cg_slot_id row_outputs[] = {
    RR_CG_Y, RR_CG_RESIDUAL, RR_CG_OUT_CODES, RR_CG_OUT_GROUPS, RR_CG_OUT_RMS};
enum { N_ROW_OUTPUTS = sizeof row_outputs / sizeof row_outputs[0] };

/* What the outputs held after the run over all tokens. */
typedef struct snapshot {
    uint8_t *slots[RR_CG_SLOTS];
} snapshot;

static bool keep(const rr_cg *cg, snapshot *kept) {
    bool made = true;
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        const rr_cg_slot *slot = &cg->slots[i];
        if (slot->role == RR_CG_OUT || slot->role == RR_CG_INOUT) {
            kept->slots[i] = malloc(slot->bytes);
            made = made && kept->slots[i] != NULL;
            if (kept->slots[i] != NULL) {
                memcpy(kept->slots[i], rr_cg_found(cg, (rr_cg_slot_id)i), slot->bytes);
            }
        }
    }
    return made;
}

/* Tokens [first, first + n) are as in `kept`, all others as before the run. */
static void compare_kept(rr_cg *cg, const lanes_case *c, const lanes_data *data,
    const snapshot *kept, uint32_t first, uint32_t n) {
    char what[64];
    snprintf(what, sizeof what, "%u rows from row %u", n, first);
    for (size_t i = 0; i < N_ROW_OUTPUTS; i++) {
        const rr_cg_slot *slot = &cg->slots[row_outputs[i]];
        if (slot->role != RR_CG_OUT && slot->role != RR_CG_INOUT) {
            continue;
        }
        size_t row = slot->bytes / c->n_tokens, begin = first * row, end = begin + n * row;
        const uint8_t *found = rr_cg_found(cg, row_outputs[i]);
        rr_cg_compare_bits(
            cg, what, found + begin, kept->slots[row_outputs[i]] + begin, n * row / 4, row / 4);
        if (memcmp(found, slot->host, begin) != 0 ||
            memcmp(found + end, slot->host + end, slot->bytes - end) != 0) {
            rr_cg_fault(cg, "%s: wrote into rows of other tokens", what);
        }
    }
    const rr_cg_slot *cache = &cg->slots[RR_CG_KV];
    if (cache->role != RR_CG_OUT) {
        return;
    }
    uint16_t *image = malloc(cache->bytes);
    if (image == NULL) {
        rr_cg_fault(cg, "no memory to compare the cache");
        return;
    }
    memcpy(image, cache->host, cache->bytes);
    for (uint32_t t = first; t < first + n; t++) {
        for (uint32_t i = 0; i < 2 * c->n_kv_heads * c->head_size; i++) {
            size_t at = kv_at(cg, c, data, t, i);
            image[at] = ((const uint16_t *)(const void *)kept->slots[RR_CG_KV])[at];
        }
    }
    rr_cg_compare_bits(
        cg, what, rr_cg_found(cg, RR_CG_KV), image, cache->bytes / 4, c->head_size / 2);
    free(image);
}

/* A row's bits are the same for each count of rows, so in each tile, and at each place. */
static rr_status check_company(rr_cg *cg, const lanes_case *c, rr_diag *diag) {
    lanes_data data = {0};
    snapshot kept = {{NULL}};
    bool too_big;
    name_case(cg, c, "rows do not depend on their company: ");
    rr_status status = data_make(cg, c, &data, &too_big, diag);
    RR_TRY_GOTO(status);
    lanes_push push = push_make(cg, c, &data, 0, c->n_tokens);
    rr_kern_key key = key_of(c, &data);
    RR_TRY_GOTO(rr_cg_run_once(cg, &key, &push, diag));
    if (!keep(cg, &kept)) {
        status = no_memory(cg, diag);
        goto fail;
    }
    for (uint32_t n = 1; n < c->n_tokens; n++) {
        uint32_t first = (uint32_t)(rr_cg_random(cg) % (c->n_tokens - n + 1));
        push = push_make(cg, c, &data, first, n);
        RR_TRY_GOTO(rr_cg_reset_outputs(cg, diag));
        RR_TRY_GOTO(rr_cg_run_once(cg, &key, &push, diag));
        compare_kept(cg, c, &data, &kept, first, n);
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        push = push_make(cg, c, &data, t, 1);
        RR_TRY_GOTO(rr_cg_reset_outputs(cg, diag));
        RR_TRY_GOTO(rr_cg_run_once(cg, &key, &push, diag));
        compare_kept(cg, c, &data, &kept, t, 1);
    }
    rr_cg_end(cg);
fail:
    for (int i = 0; i < RR_CG_SLOTS; i++) {
        free(kept.slots[i]);
    }
    data_free(&data);
    return status;
}

/* Types whose layouts, alone and joined, are all that a file can lead to. */
static const rr_qtype stacks[][RR_LANES_PARTS] = {{RR_Q_Q4_0, RR_Q_Q4_0, RR_Q_Q4_0},
    {RR_Q_Q4_K, RR_Q_Q4_K, RR_Q_Q4_0}, {RR_Q_Q5_0, RR_Q_Q5_0, RR_Q_Q8_0},
    {RR_Q_Q4_K, RR_Q_Q5_K, RR_Q_Q5_0}, {RR_Q_Q6_K, RR_Q_Q6_K, RR_Q_Q6_K},
    {RR_Q_Q4_K, RR_Q_Q6_K, RR_Q_Q6_K}, {RR_Q_Q4_1, RR_Q_Q5_1, RR_Q_Q8_0},
    {RR_Q_Q8_0, RR_Q_Q4_0, RR_Q_Q6_K}};
enum { N_STACKS = sizeof stacks / sizeof stacks[0] };

static bool holds(const rr_qtype *types, uint32_t n, uint32_t cols) {
    for (uint32_t i = 0; i < n; i++) {
        if (cols % rr_qtype_get((uint32_t)types[i])->block_weights != 0) {
            return false;
        }
    }
    return true;
}

static rr_status check_qkv_cases(rr_cg *cg, rr_diag *diag) {
    static const lanes_case shapes[] = {/* types, rows, cols, tokens, heads, kv heads, head size */
        {{0}, 0, 32, 1, 1, 1, 64}, {{0}, 0, 96, 5, 4, 2, 64}, {{0}, 0, 256, 3, 2, 1, 128},
        {{0}, 0, 256, 9, 3, 1, 64}, {{0}, 0, 512, 17, 2, 2, 128}, {{0}, 0, 256, 8, 1, 1, 128},
        {{0}, 0, 512, 6, 2, 1, 64}};
    static const lanes_case real[] = {{{RR_Q_Q5_0, RR_Q_Q5_0, RR_Q_Q8_0}, 0, 896, 4, 14, 2, 64},
        {{RR_Q_Q4_K, RR_Q_Q4_K, RR_Q_Q6_K}, 0, 1536, 2, 12, 2, 128},
        {{RR_Q_Q4_K, RR_Q_Q4_K, RR_Q_Q6_K}, 0, 3584, 7, 28, 4, 128},
        {{RR_Q_Q4_0, RR_Q_Q4_0, RR_Q_Q4_0}, 0, 896, 64, 14, 2, 64}};
    for (size_t f = 0; f < N_STACKS; f++) {
        /* a head size is a set of pipelines more, seconds of compilation: the larger where 7B files
         * have it */
        bool both = f < 2 || f == 5 || cg->params->full;
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            lanes_case c = shapes[s];
            memcpy(c.types, stacks[f], sizeof c.types);
            if (holds(c.types, 3, c.cols) && (both || c.head_size == 64)) {
                RR_TRY(check_case(cg, &c, diag));
            }
        }
        lanes_case company = {
            {stacks[f][0], stacks[f][1], stacks[f][2]}, 0, 256, 20, 1, 1, both ? 128 : 64};
        RR_TRY(check_company(cg, &company, diag));
    }
    for (size_t s = 0; s < (cg->params->full ? 4 : 2); s++) {
        RR_TRY(check_case(cg, &real[s], diag));
    }
    return RR_OK;
}

/* out, gate_up, head: matrices of `rows`; only the head's may be ragged. Every count of tokens has
 * its own kernel up to 8. */
static rr_status check_product_cases(rr_cg *cg, rr_diag *diag) {
    static const struct {
        uint32_t rows, cols, n_tokens;
    } shapes[] = {{32, 32, 1}, {96, 64, 3}, {64, 96, 2}, {32, 256, 11}, {96, 256, 4}, {224, 512, 7},
        {160, 768, 17}, {128, 256, 8}, {64, 512, 6}, {192, 256, 5}};
    static const struct {
        uint32_t rows, cols, n_tokens;
    } ragged[] = {{1, 32, 2}, {31, 256, 1}, {33, 256, 9}, {95, 64, 5}};
    static const struct {
        rr_op op;
        lanes_case c;
        bool full;
    } real[] = {{RR_OP_lanes_out, {{RR_Q_Q5_0}, 896, 896, 6, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q6_K}, 896, 4864, 3, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q4_K}, 896, 4864, 8, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q6_K}, 3584, 18944, 5, 0, 0, 0}, true},
        {RR_OP_lanes_out, {{RR_Q_Q4_K}, 3584, 18944, 64, 0, 0, 0}, true},
        {RR_OP_lanes_gate_up, {{RR_Q_Q5_0, RR_Q_Q5_0}, 4864, 896, 2, 0, 0, 0}, false},
        {RR_OP_lanes_gate_up, {{RR_Q_Q4_K, RR_Q_Q4_K}, 18944, 3584, 9, 0, 0, 0}, true},
        {RR_OP_lanes_head, {{RR_Q_Q8_0}, 2000, 896, 8, 0, 0, 0}, false},
        {RR_OP_lanes_head, {{RR_Q_Q8_0}, 151936, 896, 8, 0, 0, 0}, true},
        {RR_OP_lanes_head, {{RR_Q_Q6_K}, 152064, 3584, 2, 0, 0, 0}, true}};
    const rr_op op = cg->variant->op;
    const uint32_t n_parts = op == RR_OP_lanes_gate_up ? 2 : 1;
    for (size_t f = 0; f < N_STACKS; f++) {
        lanes_case c = {.types = {stacks[f][0], stacks[f][1], stacks[f][2]}};
        if (n_parts == 1 && f == 6) {
            c.types[0] = RR_Q_Q5_1;
        } else if (n_parts == 1 && (f == 3 || f == 5)) {
            c.types[0] = f == 3 ? RR_Q_Q5_K : RR_Q_Q4_1;
        }
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0] + (op == RR_OP_lanes_head ? 4 : 0);
             s++) {
            bool whole = s < sizeof shapes / sizeof shapes[0];
            size_t r = s - sizeof shapes / sizeof shapes[0];
            c.rows = whole ? shapes[s].rows : ragged[r].rows;
            c.cols = whole ? shapes[s].cols : ragged[r].cols;
            c.n_tokens = whole ? shapes[s].n_tokens : ragged[r].n_tokens;
            if (holds(c.types, n_parts, c.cols)) {
                RR_TRY(check_case(cg, &c, diag));
            }
        }
        lanes_case company = {
            {c.types[0], c.types[1]}, op == RR_OP_lanes_head ? 70 : 96, 256, 20, 0, 0, 0};
        RR_TRY(check_company(cg, &company, diag));
    }
    for (size_t s = 0; s < sizeof real / sizeof real[0]; s++) {
        if (real[s].op == op && (cg->params->full || !real[s].full)) {
            RR_TRY(check_case(cg, &real[s].c, diag));
        }
    }
    return RR_OK;
}

rr_status rr_cg_check_lanes(rr_cg *cg, rr_diag *diag) {
    return cg->variant->op == RR_OP_lanes_qkv ? check_qkv_cases(cg, diag)
                                              : check_product_cases(cg, diag);
}

static rr_status bench_case(rr_cg *cg, const lanes_case *c, rr_diag *diag) {
    lanes_data data = {0};
    bool too_big;
    name_case(cg, c, "");
    rr_status status = data_make(cg, c, &data, &too_big, diag);
    RR_TRY_GOTO(status);
    if (too_big) {
        cg->result->n_too_big++;
        goto fail;
    }
    lanes_push push = push_make(cg, c, &data, 0, c->n_tokens);
    rr_kern_key key = key_of(c, &data);
    rr_op_cost work = rr_op_cost_of(cg->variant->op, &key, &push, &(rr_op_memory){0});
    RR_TRY_GOTO(rr_cg_report(cg, &key, &push, work.bytes, work.flops, diag));
fail:
    data_free(&data);
    return status;
}

/* The default 0.5B file's matrices, those of its Q4_0 sibling, those of a 7B file. */
rr_status rr_cg_bench_lanes(rr_cg *cg, bool big, rr_diag *diag) {
    static const struct {
        rr_op op;
        lanes_case c;
        bool big;
    } cases[] = {
        {RR_OP_lanes_qkv, {{RR_Q_Q5_0, RR_Q_Q5_0, RR_Q_Q8_0}, 0, 896, 0, 14, 2, 64}, false},
        {RR_OP_lanes_qkv, {{RR_Q_Q4_0, RR_Q_Q4_0, RR_Q_Q4_0}, 0, 896, 0, 14, 2, 64}, false},
        {RR_OP_lanes_qkv, {{RR_Q_Q4_K, RR_Q_Q4_K, RR_Q_Q6_K}, 0, 3584, 0, 28, 4, 128}, true},
        {RR_OP_lanes_out, {{RR_Q_Q5_0}, 896, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q4_0}, 896, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q4_K}, 896, 4864, 0, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q6_K}, 896, 4864, 0, 0, 0, 0}, false},
        {RR_OP_lanes_out, {{RR_Q_Q4_K}, 3584, 18944, 0, 0, 0, 0}, true},
        {RR_OP_lanes_gate_up, {{RR_Q_Q5_0, RR_Q_Q5_0}, 4864, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_gate_up, {{RR_Q_Q4_0, RR_Q_Q4_0}, 4864, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_gate_up, {{RR_Q_Q4_K, RR_Q_Q4_K}, 18944, 3584, 0, 0, 0, 0}, true},
        {RR_OP_lanes_head, {{RR_Q_Q8_0}, 151936, 896, 0, 0, 0, 0}, false},
        {RR_OP_lanes_head, {{RR_Q_Q6_K}, 152064, 3584, 0, 0, 0, 0}, true}};
    static const uint32_t counts[] = {1, 8, 64};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t n = 0; cases[i].op == cg->variant->op && n < 3; n++) {
            lanes_case c = cases[i].c;
            c.n_tokens = counts[n];
            if (big || !(cases[i].big || (c.rows > 100000 && counts[n] > 8))) {
                RR_TRY(bench_case(cg, &c, diag));
            }
        }
    }
    return RR_OK;
}
