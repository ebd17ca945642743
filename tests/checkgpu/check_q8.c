/* rmsnorm_q8, matmul_q8_prefill, matmul_q8_decode.
 *
 * Bounds. Quantization: d is a product of the group's largest value, exact where that is known
 * exactly; an integer may differ from the rounded exact quotient by what the errors of value, d and
 * a division of 2.5 units move it. Its sums must be those of the integers found.
 * Matmul: integer sums are exact, so only the sum over groups rounds: one rounding for d I, one for
 * each fma, at most 2 terms a group, each at most 4 times max |W| sum |d q| (the two parts of a
 * weight with an offset may cancel); 6 sqrt(n) as in check_matmul.c. Later steps (rotation, SwiGLU)
 * carry the error on. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/matmul_q8.h"
#include "shaders/rmsnorm_q8.h"

/* The group's sums are those of its integers. */
static void check_sums(rr_cg *cg, size_t g, const int8_t q[RR_Q8_GROUP], const rr_q8_group *group) {
    int sums[2] = {0, 0};
    for (int i = 0; i < RR_Q8_GROUP; i++) {
        sums[i / 16] += q[i];
    }
    if (sums[0] != group->sums[0] || sums[1] != group->sums[1]) {
        rr_cg_fault(cg, "group %zu: sums %d and %d of integers that add up to %d and %d", g,
            group->sums[0], group->sums[1], sums[0], sums[1]);
    }
}

void rr_cg_compare_q8(
    rr_cg *cg, const float *expected, const double *error, uint32_t n_rows, uint32_t cols) {
    const int8_t *values = rr_cg_found(cg, RR_CG_Y);
    const rr_q8_group *groups = rr_cg_found(cg, RR_CG_Y_GROUPS);
    for (size_t g = 0; g < (size_t)n_rows * cols / RR_Q8_GROUP; g++) {
        const float *x = expected + g * RR_Q8_GROUP;
        const int8_t *q = values + g * RR_Q8_GROUP;
        double most = 0, worst = 0, d = (double)groups[g].d;
        for (int i = 0; i < RR_Q8_GROUP; i++) {
            most = fmax(most, fabs((double)x[i]));
            worst = error != NULL ? fmax(worst, error[g * RR_Q8_GROUP + (size_t)i]) : 0;
        }
        double exact = most > 1e-30 ? most * (double)(1.0f / 127.0f) : 0;
        if (!(fabs(d - exact) <= worst / 126 + RR_CG_U * exact)) {
            rr_cg_fault(cg, "group %zu: d is %.9g, expected %.9g ± %.2g", g, d, exact, worst / 126);
        }
        check_sums(cg, g, q, &groups[g]);
        for (int i = 0; i < RR_Q8_GROUP; i++) {
            double quotient = exact > 0 ? (double)x[i] / exact : 0;
            double slack = exact > 0 ? 2 * worst / exact + 127 * 6 * RR_CG_U : 0;
            if (!(fabs(q[i] - quotient) <= 0.5 + slack)) {
                rr_cg_fault(cg, "group %zu value %d: found %d, expected %.6f rounded", g, i, q[i],
                    quotient);
            }
        }
    }
}

/* Both terms together: within half a step of the second, whose d is at most half a step of the
 * first, 127 times finer. */
static void compare_terms(
    rr_cg *cg, const float *expected, const double *error, uint32_t n_rows, uint32_t cols) {
    const size_t n = (size_t)n_rows * cols;
    const int8_t *values = rr_cg_found(cg, RR_CG_Y);
    const rr_q8_group *groups = rr_cg_found(cg, RR_CG_Y_GROUPS);
    for (size_t i = 0; i < n; i++) {
        const rr_q8_group *first = groups + i / RR_Q8_GROUP, *second = first + n / RR_Q8_GROUP;
        double d = (double)first->d, found = d * values[i] + (double)second->d * values[n + i];
        double bound = error[i] + d * (0.5 / 254 + 256 * RR_CG_U) + 1e-30;
        if (!(fabs(found - (double)expected[i]) <= bound) ||
            !((double)second->d <= d * (0.51 / 127) + 1e-32)) {
            rr_cg_fault(cg, "value %zu: both terms make %.9g, expected %.9g ± %.2g", i, found,
                (double)expected[i], bound);
        }
    }
    for (size_t g = n / RR_Q8_GROUP; g < 2 * n / RR_Q8_GROUP; g++) {
        check_sums(cg, g, values + g * RR_Q8_GROUP, &groups[g]);
    }
}

static rr_status rmsnorm_case(
    rr_cg *cg, uint32_t n_rows, uint32_t cols, bool norm, uint32_t n_terms, rr_diag *diag) {
    size_t n = (size_t)n_rows * cols;
    rr_cg_begin(cg, "%ux%u%s, terms %u", n_rows, cols, norm ? "" : " quantization only", n_terms);
    float *x = rr_cg_buffer(cg, RR_CG_X, RR_CG_IN, n * sizeof *x);
    float *weight = rr_cg_buffer(cg, RR_CG_W, RR_CG_IN, cols * sizeof *weight);
    void *y = rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n_terms * n);
    void *groups = rr_cg_buffer(
        cg, RR_CG_Y_GROUPS, RR_CG_OUT, n_terms * n / RR_Q8_GROUP * sizeof(rr_q8_group));
    float *expected = malloc(n * sizeof *expected);
    double *error = malloc(n * sizeof *error);
    rr_status status = x == NULL || weight == NULL || y == NULL || groups == NULL ||
            expected == NULL || error == NULL
        ? rr_cg_no_memory(cg, diag)
        : RR_OK;
    RR_TRY_GOTO(status);
    for (uint32_t r = 0; r < n_rows; r++) {
        float deviation = r == 1 ? 0 : ldexpf(1, (int)(rr_cg_random(cg) % 24) - 12);
        rr_cg_normals(cg, deviation, x + (size_t)r * cols, cols);
        /* the massive activations of real models */
        x[(size_t)r * cols + rr_cg_random(cg) % cols] *= 50;
    }
    if (!norm) {
        for (int i = 0; i < RR_Q8_GROUP; i++) { /* ties, and a group that is too small to keep */
            x[i] = (float)i - 0.5f;
            x[n - 1 - (size_t)i] = 1e-32f;
        }
        x[0] = -127;
    }
    rr_cg_normals(cg, 1, weight, cols);
    memcpy(expected, x, n * sizeof *x);
    if (norm) {
        rr_ref_rmsnorm(x, weight, n_rows, cols, 1e-6f, expected);
    }
    for (size_t i = 0; i < n; i++) { /* as in check_rows.c */
        error[i] = RR_CG_U * (3 * sqrt((double)cols) + 24) * fabs((double)expected[i]);
    }
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag));
    rr_push_rmsnorm_q8 push = {.x = rr_cg_address(cg, RR_CG_X),
        .weight = norm ? rr_cg_address(cg, RR_CG_W) : 0,
        .y = rr_cg_address(cg, RR_CG_Y),
        .groups = rr_cg_address(cg, RR_CG_Y_GROUPS),
        .cols = cols,
        .n_rows = n_rows,
        .n_terms = n_terms,
        .epsilon = 1e-6f};
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    rr_cg_compare_q8(cg, expected, norm ? error : NULL, n_rows, cols);
    if (n_terms == 2) {
        compare_terms(cg, expected, error, n_rows, cols);
    }
    rr_cg_end(cg);
fail:
    free(expected);
    free(error);
    return status;
}

rr_status rr_cg_check_rmsnorm_q8(rr_cg *cg, rr_diag *diag) {
    static const uint32_t all_cols[] = {32, 64, 96, 256, 896, 992, 1024, 1056, 3584, 4864};
    for (size_t c = 0; c < sizeof all_cols / sizeof all_cols[0]; c++) {
        for (int norm = 0; norm < 2; norm++) {
            RR_TRY(rmsnorm_case(cg, 1, all_cols[c], norm != 0, 1, diag));
            RR_TRY(rmsnorm_case(cg, 5, all_cols[c], norm != 0, 1, diag));
        }
        RR_TRY(rmsnorm_case(cg, 3, all_cols[c], true, 2, diag));
    }
    return RR_OK;
}

typedef struct q8_case {
    rr_qtype format;
    uint32_t n_out, cols, n_tokens;
    uint32_t end;
    bool bias, residual, in_place;
    uint32_t y_gap; /* F32: stride minus width */
    /* ROPE: n_out = the heads from first_head on of these */
    uint32_t n_heads, n_kv_heads, head_size, first_head;
} q8_case;

enum { CONTEXT = 300, SESSIONS = 2, LAYERS = 2, LAYER = 1 };

typedef struct q8_data {
    rr_planes planes;
    rr_push_matmul_q8 push;
    float *sums, *scratch; /* sums [n_tokens][n_out] without bias and residual */
    double *magnitude, *bound;
} q8_data;

static void data_free(q8_data *data) {
    free(data->sums);
    free(data->scratch);
    free(data->magnitude);
    free(data->bound);
}

static uint32_t y_stride_of(const q8_case *c) {
    return c->end == RR_END_ROPE ? (c->n_heads + 2 * c->n_kv_heads) * c->head_size
                                 : c->n_out + c->y_gap;
}

static size_t y_floats_of(const q8_case *c) {
    return (size_t)(c->n_tokens - 1) * y_stride_of(c) + c->n_out;
}

/* Slots Y… of an end. */
static bool ends_make(rr_cg *cg, const q8_case *c) {
    bool ok = true;
    if (c->end == RR_END_SWIGLU) {
        size_t n = (size_t)c->n_tokens * (c->n_out / 2);
        return rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n) != NULL &&
            rr_cg_buffer(cg, RR_CG_Y_GROUPS, RR_CG_OUT, n / RR_Q8_GROUP * sizeof(rr_q8_group)) !=
            NULL;
    }
    float *y = rr_cg_buffer(
        cg, RR_CG_Y, c->in_place ? RR_CG_INOUT : RR_CG_OUT, y_floats_of(c) * sizeof *y);
    float *bias = rr_cg_buffer(cg, RR_CG_BIAS, RR_CG_IN, c->n_out * sizeof *bias), *added = y;
    ok = y != NULL && bias != NULL;
    if (c->residual && !c->in_place) {
        added = rr_cg_buffer(cg, RR_CG_RESIDUAL, RR_CG_IN, y_floats_of(c) * sizeof *added);
        ok = ok && added != NULL;
    }
    if (c->end == RR_END_ROPE) {
        float *table =
            rr_cg_buffer(cg, RR_CG_TABLE, RR_CG_IN, (size_t)CONTEXT * c->head_size * sizeof *table);
        ok = ok && table != NULL &&
            rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, c->n_tokens * sizeof(rr_row)) != NULL &&
            rr_cg_cache_make(cg,
                &(rr_cg_cache){.n_sessions = SESSIONS,
                    .n_layers = LAYERS,
                    .n_kv_heads = c->n_kv_heads,
                    .head_size = c->head_size,
                    .n_context = CONTEXT});
        if (ok) {
            rr_ref_rope_table(1e6f, c->head_size, CONTEXT, table);
        }
    }
    if (!ok) {
        return false;
    }
    rr_cg_normals(cg, 1, bias, c->n_out);
    for (uint32_t t = 0; c->residual && t < c->n_tokens; t++) {
        rr_cg_normals(cg, 1, added + (size_t)t * y_stride_of(c), c->n_out);
    }
    return true;
}

static rr_status data_make(rr_cg *cg, const q8_case *c, q8_data *data, rr_diag *diag) {
    RR_TRY(rr_cg_matrix(cg, c->format, c->n_out, c->cols, &data->planes, diag));
    size_t n = (size_t)c->n_tokens * c->cols, n_y = (size_t)c->n_tokens * c->n_out;
    int8_t *values = rr_cg_buffer(cg, RR_CG_X, RR_CG_IN, n);
    rr_q8_group *groups =
        rr_cg_buffer(cg, RR_CG_X_GROUPS, RR_CG_IN, n / RR_Q8_GROUP * sizeof *groups);
    float *x = malloc(n * sizeof *x);
    data->sums = malloc(n_y * sizeof(float));
    data->scratch = malloc(c->cols * sizeof(float));
    data->magnitude = malloc(n_y * sizeof(double));
    data->bound = malloc(n_y * sizeof(double));
    rr_status status = values == NULL || groups == NULL || x == NULL || data->sums == NULL ||
            data->scratch == NULL || data->magnitude == NULL || data->bound == NULL ||
            !ends_make(cg, c)
        ? rr_cg_no_memory(cg, diag)
        : RR_OK;
    RR_TRY_GOTO(status);
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        rr_cg_normals(
            cg, ldexpf(1, (int)(rr_cg_random(cg) % 6) - 3), x + (size_t)t * c->cols, c->cols);
    }
    rr_ref_quantize_q8(x, c->n_tokens, c->cols, values, groups);
    rr_ref_matmul_q8(&(rr_ref_matmul_q8_params){.matrix = rr_cg_ref_matrix(cg, &data->planes),
        .x = values,
        .x_groups = groups,
        .y_stride = c->n_out,
        .n_tokens = c->n_tokens,
        .y = data->sums,
        .magnitude = data->magnitude,
        .scratch = data->scratch});
    double factor = 4 * (6 * sqrt(2.0 * c->cols / RR_Q8_GROUP) + 2);
    for (size_t i = 0; i < n_y; i++) {
        data->bound[i] = RR_CG_U * (factor * data->magnitude[i] + fabs((double)data->sums[i]));
    }
fail:
    free(x);
    return status;
}

/* After the upload: addresses. Those that an end does not use stay 0. */
static void push_make(rr_cg *cg, const q8_case *c, q8_data *data) {
    uint64_t w = rr_cg_address(cg, RR_CG_W);
    data->push = (rr_push_matmul_q8){RR_PUSH_PLANES(w, data->planes),
        .x = rr_cg_address(cg, RR_CG_X), .x_groups = rr_cg_address(cg, RR_CG_X_GROUPS),
        .y = rr_cg_address(cg, RR_CG_Y), .n_out = c->n_out, .cols = c->cols,
        .n_tokens = c->n_tokens, .y_stride = y_stride_of(c)};
    rr_push_matmul_q8 *p = &data->push;
    p->bias = c->bias ? rr_cg_address(cg, RR_CG_BIAS) : 0;
    if (c->end == RR_END_SWIGLU) {
        p->extra = rr_cg_address(cg, RR_CG_Y_GROUPS);
        p->gap = c->n_out / 2;
    } else if (c->end == RR_END_F32) {
        p->extra = !c->residual ? 0 : rr_cg_address(cg, c->in_place ? RR_CG_Y : RR_CG_RESIDUAL);
    } else {
        p->rows = rr_cg_address(cg, RR_CG_ROWS);
        p->table = rr_cg_address(cg, RR_CG_TABLE);
        p->kv_offset = rr_cg_cache_offset(cg, LAYER);
        p->gap = c->head_size / 2;
        p->first = c->first_head * c->head_size;
        p->heads = c->n_heads | c->n_kv_heads << 16;
    }
}

static void row_place(uint32_t token, uint32_t *position, uint32_t *session) {
    *session = token % SESSIONS;
    /* 67 and 300 have no common factor: no place twice up to 300 tokens a session */
    *position = (token * 67 + 3) % CONTEXT;
}

static rr_status upload(rr_cg *cg, const q8_case *c, bool *too_big, rr_diag *diag) {
    RR_TRY(rr_cg_upload(cg, too_big, diag));
    if ((too_big != NULL && *too_big) || c->end != RR_END_ROPE) {
        return RR_OK;
    }
    rr_row *rows = (rr_row *)(void *)cg->slots[RR_CG_ROWS].host;
    rr_cg_cache_link(cg);
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        uint32_t position, session;
        row_place(t, &position, &session);
        rows[t] = rr_cg_cache_row(cg, session, position);
    }
    return rr_cg_upload(cg, too_big, diag); /* again: rows hold addresses, known only now */
}

static void compare_f32(rr_cg *cg, const q8_case *c, q8_data *data) {
    size_t stride = y_stride_of(c);
    float *expected = malloc(y_floats_of(c) * sizeof *expected);
    const float *bias = (const float *)(const void *)cg->slots[RR_CG_BIAS].host;
    const float *added =
        (const float *)(const void *)cg->slots[c->in_place ? RR_CG_Y : RR_CG_RESIDUAL].host;
    if (expected == NULL) {
        rr_cg_fault(cg, "no memory to compare");
        return;
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        for (uint32_t r = 0; r < c->n_out; r++) {
            size_t at = (size_t)t * c->n_out + r, to = (size_t)t * stride + r;
            double b = c->bias ? (double)bias[r] : 0, a = c->residual ? (double)added[to] : 0;
            expected[to] = (float)((double)data->sums[at] + b + a);
            data->bound[at] += 2 * RR_CG_U * (fabs((double)data->sums[at]) + fabs(b) + fabs(a));
        }
    }
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_Y),
            .expected = expected,
            .bound = data->bound,
            .rows = c->n_tokens,
            .cols = c->n_out,
            .stride = stride,
            .nmse = RR_CG_U * RR_CG_U * (64 + 4.0 * c->cols / RR_Q8_GROUP)});
    free(expected);
}

/* sums become rotated q and k, and v; bound follows. */
static void rotate(const rr_cg *cg, const q8_case *c, q8_data *data) {
    const float *bias = (const float *)(const void *)cg->slots[RR_CG_BIAS].host;
    const float *table = (const float *)(const void *)cg->slots[RR_CG_TABLE].host;
    uint32_t half = c->head_size / 2, first = c->first_head * c->head_size;
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        uint32_t position, session;
        row_place(t, &position, &session);
        for (uint32_t r = 0; r < c->n_out; r++) {
            size_t at = (size_t)t * c->n_out + r;
            data->sums[at] = (float)((double)data->sums[at] + (c->bias ? (double)bias[r] : 0));
            data->bound[at] += 2 * RR_CG_U * fabs((double)data->sums[at]);
        }
        for (uint32_t r = 0; r < c->n_out; r++) {
            if (r % c->head_size >= half ||
                (first + r) / c->head_size >= c->n_heads + c->n_kv_heads) {
                continue;
            }
            size_t at = (size_t)t * c->n_out + r, to = at + half;
            const float *angle = table + (size_t)position * c->head_size + 2 * (size_t)(r % half);
            double cosine = (double)angle[0], sine = (double)angle[1];
            double a = (double)data->sums[at], b = (double)data->sums[to];
            double error_a = data->bound[at] + 4 * RR_CG_U * fabs(a),
                   error_b = data->bound[to] + 4 * RR_CG_U * fabs(b);
            data->sums[at] = (float)(a * cosine - b * sine);
            data->sums[to] = (float)(b * cosine + a * sine);
            data->bound[at] = error_a * fabs(cosine) + error_b * fabs(sine);
            data->bound[to] = error_b * fabs(cosine) + error_a * fabs(sine);
        }
    }
}

static void compare_rope(rr_cg *cg, const q8_case *c, q8_data *data) {
    rotate(cg, c, data);
    const float *y = rr_cg_found(cg, RR_CG_Y);
    const uint16_t *kv = rr_cg_found(cg, RR_CG_KV);
    static const uint32_t fill = RR_CG_FILL;
    size_t n_kv = cg->slots[RR_CG_KV].bytes / sizeof *kv;
    bool *written = calloc(n_kv, sizeof *written);
    if (written == NULL) {
        rr_cg_fault(cg, "no memory to compare the cache");
        return;
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        uint32_t position, session;
        row_place(t, &position, &session);
        for (uint32_t r = 0; r < c->n_out; r++) {
            size_t from = (size_t)t * c->n_out + r, at = (size_t)t * y_stride_of(c) + r;
            uint32_t head = c->first_head + r / c->head_size;
            if (head < c->n_heads) {
                double error = fabs((double)y[at] - (double)data->sums[from]);
                if (!(error <= data->bound[from])) {
                    rr_cg_fault(cg, "q row %u column %u: found %.9g, expected %.9g ± %.2g", t, r,
                        (double)y[at], (double)data->sums[from], data->bound[from]);
                }
                continue;
            }
            if (memcmp(&y[at], &fill, sizeof fill) != 0) {
                rr_cg_fault(cg, "k or v of row %u was written to y at column %u", t, r);
            }
            size_t to =
                rr_cg_cache_at(cg, session, LAYER, head - c->n_heads, position) + r % c->head_size;
            rr_cg_compare_f16(cg, kv[to], (double)data->sums[from], data->bound[from], to);
            written[to] = true;
        }
    }
    for (size_t i = 0; i < n_kv; i++) {
        if (!written[i] && kv[i] != (RR_CG_FILL & 0xFFFF)) {
            rr_cg_fault(cg, "wrote into the cache where it should not, f16 value %zu", i);
            break;
        }
    }
    free(written);
}

static void compare_swiglu(rr_cg *cg, const q8_case *c, q8_data *data) {
    uint32_t cols = c->n_out / 2;
    size_t n = (size_t)c->n_tokens * cols;
    float *expected = malloc(n * sizeof *expected);
    double *error = malloc(n * sizeof *error);
    if (expected == NULL || error == NULL) {
        rr_cg_fault(cg, "no memory to compare");
    } else {
        rr_ref_swiglu(data->sums, c->n_tokens, cols, expected);
        for (size_t i = 0; i < n; i++) {
            size_t gate = i / cols * c->n_out + i % cols, up = gate + cols;
            double g = (double)data->sums[gate], u = (double)data->sums[up];
            /* the slope of silu lies between -0.1 and 1.1; exp has 3 + 2 |g| units, quotient and
             * product a few */
            error[i] = 1.1 * fabs(u) * data->bound[gate] + fabs(g) * data->bound[up] +
                RR_CG_U * (20 + 4 * fabs(g)) * fabs((double)expected[i]);
        }
        rr_cg_compare_q8(cg, expected, error, c->n_tokens, cols);
    }
    free(expected);
    free(error);
}

static rr_status check_case(rr_cg *cg, const q8_case *c, rr_diag *diag) {
    static const char *const ends[] = {"f32", "rope", "swiglu"};
    q8_data data = {0};
    bool too_big;
    rr_cg_begin(cg, "%s %s %ux%u tokens %u%s%s%s y+%u head %u", ends[c->end],
        rr_qtype_get((uint32_t)c->format)->name, c->n_out, c->cols, c->n_tokens,
        c->bias ? " bias" : "", c->residual ? " residual" : "", c->in_place ? " in place" : "",
        c->y_gap, c->first_head);
    rr_status status = data_make(cg, c, &data, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(upload(cg, c, &too_big, diag));
    if (too_big) {
        cg->result->n_too_big++;
        goto fail;
    }
    push_make(cg, c, &data);
    RR_TRY_GOTO(
        rr_cg_run(cg, &(rr_kern_key){.format = c->format, .end = c->end}, &data.push, diag));
    if (c->end == RR_END_F32) {
        compare_f32(cg, c, &data);
    } else if (c->end == RR_END_ROPE) {
        compare_rope(cg, c, &data);
    } else {
        compare_swiglu(cg, c, &data);
    }
    rr_cg_end(cg);
fail:
    data_free(&data);
    return status;
}

/* Tokens [first, first + n) alone; both results of the SWIGLU end. */
static rr_status run_tokens(rr_cg *cg, const q8_case *c, const q8_data *data, uint32_t first,
    uint32_t n, int8_t *values, rr_q8_group *groups, rr_diag *diag) {
    rr_push_matmul_q8 push = data->push;
    uint32_t cols = c->n_out / 2;
    push.x += (uint64_t)first * c->cols;
    push.x_groups += (uint64_t)first * (c->cols / RR_Q8_GROUP) * sizeof(rr_q8_group);
    push.n_tokens = n;
    RR_TRY(rr_cg_reset_outputs(cg, diag));
    RR_TRY(rr_cg_run_once(cg, &(rr_kern_key){.format = c->format, .end = c->end}, &push, diag));
    if (c->end == RR_END_SWIGLU) {
        memcpy(values, rr_cg_found(cg, RR_CG_Y), (size_t)n * cols);
        memcpy(groups, rr_cg_found(cg, RR_CG_Y_GROUPS),
            (size_t)n * cols / RR_Q8_GROUP * sizeof *groups);
    } else {
        memcpy(values, rr_cg_found(cg, RR_CG_Y), (size_t)n * c->n_out * sizeof(float));
    }
    return RR_OK;
}

/* A token's bits are those of the token alone, for each count and at each place. */
static rr_status check_company(
    rr_cg *cg, const q8_case *c, const uint32_t *counts, size_t n_counts, rr_diag *diag) {
    q8_data data = {0};
    bool swiglu = c->end == RR_END_SWIGLU;
    uint32_t most = c->n_tokens, cols = c->n_out / 2, n_groups = cols / RR_Q8_GROUP;
    rr_cg_begin(cg, "%s %s rows do not depend on their company, up to %u",
        swiglu ? "swiglu" : "f32", rr_qtype_get((uint32_t)c->format)->name, most);
    size_t token_bytes = swiglu ? cols : c->n_out * sizeof(float);
    int8_t *alone = malloc(most * token_bytes), *found = malloc(most * token_bytes);
    rr_q8_group *alone_groups = malloc((size_t)most * n_groups * sizeof *alone_groups);
    rr_q8_group *found_groups = malloc((size_t)most * n_groups * sizeof *found_groups);
    rr_status status =
        alone == NULL || found == NULL || alone_groups == NULL || found_groups == NULL
        ? rr_cg_no_memory(cg, diag)
        : data_make(cg, c, &data, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(upload(cg, c, NULL, diag));
    push_make(cg, c, &data);
    for (uint32_t t = 0; t < most; t++) {
        RR_TRY_GOTO(run_tokens(cg, c, &data, t, 1, alone + t * token_bytes,
            alone_groups + (size_t)t * n_groups, diag));
    }
    for (size_t i = 0; i < n_counts; i++) {
        uint32_t first = (uint32_t)(rr_cg_random(cg) % (most - counts[i] + 1));
        char what[64];
        snprintf(what, sizeof what, "%u rows from row %u", counts[i], first);
        RR_TRY_GOTO(run_tokens(cg, c, &data, first, counts[i], found, found_groups, diag));
        rr_cg_compare_bits(cg, what, found, alone + first * token_bytes,
            counts[i] * token_bytes / 4, token_bytes / 4);
        if (swiglu) {
            rr_cg_compare_bits(cg, what, found_groups, alone_groups + (size_t)first * n_groups,
                (size_t)counts[i] * n_groups * 2, n_groups * 2);
        }
    }
    rr_cg_end(cg);
fail:
    free(alone);
    free(found);
    free(alone_groups);
    free(found_groups);
    data_free(&data);
    return status;
}

static rr_status check_format(rr_cg *cg, rr_qtype format, bool prefill, rr_diag *diag) {
    static const uint32_t tokens_prefill[] = {1, 15, 16, 17, 33, 65},
                          tokens_decode[] = {1, 2, 3, 5, 8, 9, 17, 32};
    static const struct {
        uint32_t n_out, cols;
    } shapes[] = {{1, 256}, {3, 32}, {31, 256}, {130, 96}, {65, 512}, {129, 288}, {33, 1280}};
    static const struct {
        uint32_t n_heads, n_kv_heads, head_size, first_head;
    } heads[] = {{14, 2, 64, 0}, {4, 2, 128, 4}, {3, 1, 16, 0}, {2, 2, 40, 2}};
    static const uint32_t widths[] = {32, 96, 160, 352};
    uint32_t block = rr_qtype_get((uint32_t)format)->block_weights, turn = 0;
    const uint32_t *tokens = prefill ? tokens_prefill : tokens_decode;
    const size_t n = prefill ? 6 : 8;
    /* A software device compiles for seconds what it multiplies in milliseconds, so the quick run
     * takes of each format one count a shape, so that all formats together see all counts. */
    const size_t step = cg->params->full ? 1 : n, start = cg->params->full ? 0 : format;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (size_t t = (start + s / 2) % step; t < n && shapes[s].cols % block == 0;
             t += step, turn++) {
            q8_case c = {.format = format,
                .n_out = shapes[s].n_out,
                .cols = shapes[s].cols,
                .n_tokens = tokens[t],
                .y_gap = (turn & 2) != 0 ? 5 : 0,
                .bias = (turn & 1) != 0,
                .residual = (turn & 2) != 0,
                .in_place = turn % 4 == 3};
            RR_TRY(check_case(cg, &c, diag));
        }
    }
    for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
        uint32_t n_heads = heads[h].n_heads + 2 * heads[h].n_kv_heads - heads[h].first_head;
        for (size_t t = (start + h / 2) % step; t < n && (h % 2 == format % 2 || cg->params->full);
             t += step) {
            q8_case c = {.format = format,
                .n_out = n_heads * heads[h].head_size,
                .cols = h % 2 == 0 ? 256 : 512,
                .n_tokens = tokens[t],
                .end = RR_END_ROPE,
                .bias = h != 2,
                .n_heads = heads[h].n_heads,
                .n_kv_heads = heads[h].n_kv_heads,
                .head_size = heads[h].head_size,
                .first_head = heads[h].first_head};
            RR_TRY(check_case(cg, &c, diag));
        }
        for (size_t t = (start + h / 2 + 1) % step;
             t < n && (h % 2 != format % 2 || cg->params->full); t += step) {
            q8_case c = {.format = format,
                .n_out = 2 * widths[h],
                .cols = h % 2 == 0 ? 256 : 768,
                .n_tokens = tokens[t],
                .end = RR_END_SWIGLU};
            RR_TRY(check_case(cg, &c, diag));
        }
    }
    return RR_OK;
}

/* Matrices of real models. The quick run takes those of a 0.5B model in the formats that its files
 * use. */
static rr_status check_real(rr_cg *cg, bool prefill, rr_diag *diag) {
    static const q8_case cases[] = {{.format = RR_Q_Q5_0,
                                        .n_out = 1152,
                                        .cols = 896,
                                        .end = RR_END_ROPE,
                                        .bias = true,
                                        .n_heads = 14,
                                        .n_kv_heads = 2,
                                        .head_size = 64},
        {.format = RR_Q_Q5_0, .n_out = 896, .cols = 896, .residual = true, .in_place = true},
        {.format = RR_Q_Q4_K, .n_out = 896, .cols = 4864, .residual = true, .in_place = true},
        {.format = RR_Q_Q6_K, .n_out = 896, .cols = 4864, .residual = true, .in_place = true},
        {.format = RR_Q_Q5_0, .n_out = 2 * 4864, .cols = 896, .end = RR_END_SWIGLU},
        /* from here on with `full` only */
        {.format = RR_Q_Q8_0, .n_out = 151936, .cols = 896},
        {.format = RR_Q_Q4_K,
            .n_out = 4608,
            .cols = 3584,
            .end = RR_END_ROPE,
            .bias = true,
            .n_heads = 28,
            .n_kv_heads = 4,
            .head_size = 128},
        {.format = RR_Q_Q4_K, .n_out = 2 * 18944, .cols = 3584, .end = RR_END_SWIGLU},
        {.format = RR_Q_Q4_K, .n_out = 3584, .cols = 18944, .residual = true},
        {.format = RR_Q_Q6_K, .n_out = 3584, .cols = 18944, .residual = true}};
    size_t n = cg->params->full ? sizeof cases / sizeof cases[0] : 2;
    for (size_t i = 0; i < n; i++) {
        q8_case c = cases[i];
        if (!rr_cg_wants(cg, c.format) ||
            !rr_cg_suits(cg, &(rr_kern_key){.format = c.format, .end = c.end},
                "real matrices of %s", rr_qtype_get((uint32_t)c.format)->name)) {
            continue;
        }
        for (c.n_tokens = cg->params->full ? 1 : 9; c.n_tokens <= 32; c.n_tokens += 31) {
            RR_TRY(check_case(cg, &c, diag));
        }
        c.n_tokens = 65;
        if (prefill && c.end != RR_END_ROPE && cg->params->full) {
            RR_TRY(check_case(cg, &c, diag));
        }
    }
    return RR_OK;
}

/* The quick run takes one format of each kind: 4, 5, 6 and 8 bits, with and without an offset,
 * groups and super-blocks. */
static bool is_quick(rr_qtype format) {
    return format == RR_Q_Q4_0 || format == RR_Q_Q5_1 || format == RR_Q_Q6_K || format == RR_Q_Q8_0;
}

rr_status rr_cg_check_matmul_q8(rr_cg *cg, rr_diag *diag) {
    static const uint32_t prefill_counts[] = {2, 15, 16, 17, 31, 32, 33, 63, 64, 65};
    uint32_t decode_counts[32];
    for (uint32_t i = 0; i < 32; i++) {
        decode_counts[i] = i + 1;
    }
    bool prefill = cg->variant->op == RR_OP_matmul_q8_prefill;
    size_t n;
    const rr_qtype_info *formats = rr_qtype_all(&n);
    for (size_t f = 0; f < n && !cg->again; f++) {
        const bool all = cg->params->full || cg->params->format != NULL;
        if (formats[f].lo_bits > 8 || !rr_cg_wants(cg, formats[f].type) ||
            (!all && !is_quick(formats[f].type))) {
            /* float weights have no integers; a software device compiles for seconds what it
             * multiplies in milliseconds */
            continue;
        }
        /* the end that needs most memory */
        const rr_kern_key key = {.format = formats[f].type, .end = RR_END_SWIGLU};
        if (!rr_cg_suits(cg, &key, "%s", formats[f].name)) {
            continue;
        }
        RR_TRY(check_format(cg, formats[f].type, prefill, diag));
        if (!all && formats[f].type != RR_Q_Q4_0) {
            continue; /* formats differ in a group's sum, not in where it goes */
        }
        q8_case c = {
            .format = formats[f].type, .n_out = 70, .cols = 1280, .n_tokens = prefill ? 65 : 32};
        RR_TRY(check_company(
            cg, &c, prefill ? prefill_counts : decode_counts, prefill ? 10 : 32, diag));
        c.n_out = 192;
        c.end = RR_END_SWIGLU;
        RR_TRY(check_company(
            cg, &c, prefill ? prefill_counts : decode_counts, prefill ? 10 : 32, diag));
    }
    return check_real(cg, prefill, diag);
}
