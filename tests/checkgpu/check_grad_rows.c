/* The backward ops that work row by row: rmsnorm_grad, swiglu_grad, rope_grad, cross_entropy; and
 * adamw. Units of exp, log, division and square root are those of Vulkan's precision table, one
 * being 2 u. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/adamw.h"
#include "shaders/cross_entropy.h"
#include "shaders/rmsnorm_grad.h"
#include "shaders/rope_grad.h"
#include "shaders/swiglu_grad.h"

/* Below the smallest normal float anything down to 0 is right: devices may flush. */
static const double TINY = 1.2e-38;

/* What is expected of an output. */
typedef struct wanted {
    float *values;
    double *bound;
} wanted;

static void wanted_free(wanted *w) {
    free(w->values);
    free(w->bound);
}

static rr_status wanted_make(rr_cg *cg, size_t n, wanted *w, rr_diag *diag) {
    w->values = malloc(n * sizeof *w->values);
    w->bound = malloc(n * sizeof *w->bound);
    return w->values != NULL && w->bound != NULL ? RR_OK : rr_cg_no_memory(cg, diag);
}

static void compare(rr_cg *cg, rr_cg_slot_id id, const wanted *w, size_t rows, size_t cols) {
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, id),
            .expected = w->values,
            .bound = w->bound,
            .rows = rows,
            .cols = cols,
            .stride = cols,
            .nmse = RR_CG_U * RR_CG_U * (64 + (double)cols / 4)});
}

typedef struct rows_case {
    uint32_t n_rows, cols;
    bool adds, in_place;
} rows_case;

/* Bound. Each sum is of cols terms: 3 sqrt(cols) u for the root of the sum of squares as in
 * rmsnorm's check, 6 sqrt(cols) u of the other one's absolute terms, and rho counts up to three
 * times; the rest are some twenty roundings. */
static rr_status rmsnorm_case(rr_cg *cg, const rows_case *c, wanted *w, rr_diag *diag) {
    const size_t n = (size_t)c->n_rows * c->cols;
    float *x, *weight, *d_x, *d_y;
    RR_TRY(wanted_make(cg, n, w, diag));
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_X, RR_CG_IN, 1, n, &x, diag));
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_W, RR_CG_IN, 1, c->cols, &weight, diag));
    RR_TRY(rr_cg_floats_buffer(
        cg, RR_CG_Y, c->adds || c->in_place ? RR_CG_INOUT : RR_CG_OUT, 0.5f, n, &d_x, diag));
    d_y = d_x;
    if (!c->in_place) {
        RR_TRY(rr_cg_floats_buffer(cg, RR_CG_D_O, RR_CG_IN, 0.5f, n, &d_y, diag));
    }
    for (uint32_t r = 0; r < c->n_rows; r++) { /* rows of zeros, small ones, large ones */
        const float size = r == 1 ? 0 : ldexpf(1, (int)(rr_cg_random(cg) % 24) - 12);
        for (uint32_t i = 0; i < c->cols; i++) {
            x[(size_t)r * c->cols + i] *= size;
        }
    }
    memcpy(w->values, d_x, n * sizeof *d_x);
    rr_ref_rmsnorm_grad(&(rr_ref_rmsnorm_grad_params){.x = x,
        .weight = weight,
        .d_y = d_y,
        .n_rows = c->n_rows,
        .cols = c->cols,
        .epsilon = 1e-6f,
        .adds = c->adds,
        .d_x = w->values,
        .magnitude = w->bound});
    for (size_t i = 0; i < n; i++) {
        w->bound[i] *= RR_CG_U * (15 * sqrt((double)c->cols) + 60);
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_rmsnorm_grad push = {.x = rr_cg_address(cg, RR_CG_X),
        .weight = rr_cg_address(cg, RR_CG_W),
        .d_y = rr_cg_address(cg, c->in_place ? RR_CG_Y : RR_CG_D_O),
        .d_x = rr_cg_address(cg, RR_CG_Y),
        .cols = c->cols,
        .n_rows = c->n_rows,
        .flags = c->adds ? RR_RMSNORM_GRAD_ADDS : 0,
        .epsilon = 1e-6f};
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    compare(cg, RR_CG_Y, w, c->n_rows, c->cols);
    rr_cg_end(cg);
    return RR_OK;
}

static const float edges[] = {
    0.0f, -0.0f, 20.0f, -20.0f, 87.0f, -87.0f, 100.0f, -100.0f, 1e4f, -1e4f, -1.2784645f};

/* Bound. exp(−|e|) is within 3 + 2|e| units, division within 2.5: sigma and 1 − sigma carry
 * 2 (3 + 2|e|) u times themselves and each other, and 12 u. The factor 1 + e (1 − sigma) cancels
 * near e = −1.28, so its bound is that of its terms. */
static rr_status swiglu_case(rr_cg *cg, const rows_case *c, wanted *w, rr_diag *diag) {
    const size_t n = (size_t)c->n_rows * c->cols;
    float *gate_up, *d_gate_up, *d_y;
    RR_TRY(wanted_make(cg, 2 * n, w, diag));
    RR_TRY(rr_cg_floats_buffer(
        cg, RR_CG_X, c->in_place ? RR_CG_INOUT : RR_CG_IN, 4, 2 * n, &gate_up, diag));
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_D_O, RR_CG_IN, 1, n, &d_y, diag));
    if (!c->in_place) {
        RR_TRY(rr_cg_floats_buffer(cg, RR_CG_Y, RR_CG_OUT, 0, 2 * n, &d_gate_up, diag));
    }
    for (size_t i = 0; i < sizeof edges / sizeof edges[0] && i < c->cols; i++) {
        gate_up[i] = edges[i];
    }
    rr_ref_swiglu_grad(gate_up, d_y, c->n_rows, c->cols, w->values);
    for (size_t i = 0; i < n; i++) {
        const size_t at = i / c->cols * 2 * c->cols + i % c->cols;
        const double e = (double)gate_up[at], up = (double)gate_up[at + c->cols],
                     d = (double)d_y[i];
        const double sigma = 1 / (1 + exp(-e)), rest = 1 / (1 + exp(e));
        const double units = RR_CG_U * (2 * (3 + 2 * fabs(e)) + 20);
        w->bound[at] = units * fabs(d * up) * sigma * (1 + 2 * fabs(e) * rest) +
            TINY * (1 + fabs(d * up)) * (1 + fabs(e));
        w->bound[at + c->cols] = units * fabs(d * e) * sigma + TINY * (1 + fabs(d)) * (1 + fabs(e));
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_cg_slot_id out = c->in_place ? RR_CG_X : RR_CG_Y;
    const rr_push_swiglu_grad push = {.gate_up = rr_cg_address(cg, RR_CG_X),
        .d_y = rr_cg_address(cg, RR_CG_D_O),
        .d_gate_up = rr_cg_address(cg, out),
        .cols = c->cols,
        .n_rows = c->n_rows};
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    compare(cg, out, w, c->n_rows, (size_t)2 * c->cols);
    rr_cg_end(cg);
    return RR_OK;
}

typedef rr_status (*rows_case_fn)(rr_cg *cg, const rows_case *c, wanted *w, rr_diag *diag);

static rr_status check_rows(
    rr_cg *cg, rows_case_fn check, const uint32_t *cols, size_t n_cols, bool adds, rr_diag *diag) {
    static const uint32_t rows[] = {1, 2, 31};
    for (size_t i = 0; i < n_cols; i++) {
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            const rows_case c = {.n_rows = rows[r],
                .cols = cols[i],
                .adds = adds && (i + r) % 3 == 1,
                .in_place = (i + r) % 3 == 2};
            wanted w = {0};
            rr_cg_begin(cg, "%ux%u%s%s", c.n_rows, c.cols, c.adds ? " adds" : "",
                c.in_place ? " in place" : "");
            rr_status status = check(cg, &c, &w, diag);
            wanted_free(&w);
            RR_TRY(status);
        }
    }
    return RR_OK;
}

rr_status rr_cg_check_rmsnorm_grad(rr_cg *cg, rr_diag *diag) {
    static const uint32_t cols[] = {32, 96, 256, 896, 3584};
    return check_rows(cg, rmsnorm_case, cols, sizeof cols / sizeof cols[0], true, diag);
}

rr_status rr_cg_check_swiglu_grad(rr_cg *cg, rr_diag *diag) {
    static const uint32_t cols[] = {32, 96, 288, 4864};
    return check_rows(cg, swiglu_case, cols, sizeof cols / sizeof cols[0], false, diag);
}

typedef struct rope_case {
    uint32_t n_heads, n_kv_heads, head_size, n_rows;
} rope_case;

/* Bound. Two products and a sum each: 3 u (|a cos| + |b sin|); v does not change at all. */
static rr_status rope_case_run(rr_cg *cg, const rope_case *c, wanted *w, rr_diag *diag) {
    enum { CONTEXT = 300 };
    const uint32_t size = c->head_size, width = (c->n_heads + 2 * c->n_kv_heads) * size,
                   n_rotated = c->n_heads + c->n_kv_heads, half = size / 2;
    const size_t n = (size_t)c->n_rows * width;
    float *d_qkv, *table;
    uint32_t positions[160];
    RR_TRY(wanted_make(cg, n, w, diag));
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_Y, RR_CG_INOUT, 1, n, &d_qkv, diag));
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_TABLE, RR_CG_IN, 1, (size_t)CONTEXT * size, &table, diag));
    rr_row *rows = rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, c->n_rows * sizeof *rows);
    if (rows == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    rr_ref_rope_table(1e6f, size, CONTEXT, table);
    for (uint32_t r = 0; r < c->n_rows; r++) {
        positions[r] = (uint32_t)(rr_cg_random(cg) % CONTEXT);
        rows[r] = (rr_row){.position = positions[r]};
    }
    memcpy(w->values, d_qkv, n * sizeof *d_qkv);
    rr_ref_rope_grad(w->values, width, positions, c->n_rows, table, n_rotated, size);
    for (size_t i = 0; i < n; i++) {
        const uint32_t r = (uint32_t)(i / width), d = (uint32_t)(i % size), pair = d % half;
        const float *angle = table + (size_t)positions[r] * size + 2 * pair;
        const double other = (double)d_qkv[d < half ? i + half : i - half];
        w->bound[i] = i % width >= (size_t)n_rotated * size ? 0
                                                            : 4 * RR_CG_U *
                (fabs((double)d_qkv[i] * (double)angle[0]) + fabs(other * (double)angle[1]));
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_rope_grad push = {.d_qkv = rr_cg_address(cg, RR_CG_Y),
        .rows = rr_cg_address(cg, RR_CG_ROWS),
        .table = rr_cg_address(cg, RR_CG_TABLE),
        .n_rows = c->n_rows,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads};
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){.head_size = size}, &push, diag));
    compare(cg, RR_CG_Y, w, c->n_rows, width);
    rr_cg_end(cg);
    return RR_OK;
}

rr_status rr_cg_check_rope_grad(rr_cg *cg, rr_diag *diag) {
    static const rope_case cases[] = {
        {1, 1, 32, 1}, {7, 1, 64, 31}, {14, 2, 64, 129}, {28, 4, 128, 31}, {6, 2, 128, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wanted w = {0};
        rr_cg_begin(cg, "heads %u/%u of %u, rows %u", cases[i].n_heads, cases[i].n_kv_heads,
            cases[i].head_size, cases[i].n_rows);
        rr_status status = rope_case_run(cg, &cases[i], &w, diag);
        wanted_free(&w);
        RR_TRY(status);
    }
    return RR_OK;
}

typedef struct entropy_case {
    uint32_t n_rows, cols;
    float sharpness; /* deviation of the logits */
    bool masked;
} entropy_case;

static bool bit_of(const uint32_t *bits, uint32_t c) {
    return bits == NULL || (bits[c / 32] >> (c % 32) & 1) != 0;
}

/* Bound. With D = largest − z: the difference rounds once, D u, and exp is within 3 + 2 D units of
 * 2 u, so a term is right to e = (6 + 5 D) u of itself; the total to the mean of that over the
 * softmax and (cols / 256 + 9) u; the gradient adds five roundings, and one of the weight at the
 * target. log is within 3 units, or 2^-21 between 1/2 and 2. */
static void entropy_bounds(const entropy_case *c, const float *z, const uint32_t *bits,
    uint32_t target, double weight, double *log_p_bound, double *bound) {
    double largest = -INFINITY, total = 0, total_error = 0;
    for (uint32_t i = 0; i < c->cols; i++) {
        largest = bit_of(bits, i) ? fmax(largest, (double)z[i]) : largest;
    }
    for (uint32_t i = 0; i < c->cols; i++) {
        const double d = largest - (double)z[i], term = bit_of(bits, i) ? exp(-d) : 0;
        bound[i] = term * RR_CG_U * (6 + 5 * d);
        total += term;
        total_error += bound[i];
    }
    total_error = total_error / total + RR_CG_U * (c->cols / 256.0 + 9);
    for (uint32_t i = 0; i < c->cols; i++) {
        const double p = bit_of(bits, i) ? exp((double)z[i] - largest) / total : 0;
        bound[i] = fabs(weight) * (bound[i] / total + p * (total_error + 10 * RR_CG_U)) +
            (i == target ? 2 * RR_CG_U * fabs(weight) : 0) + TINY * (1 + fabs(weight));
    }
    *log_p_bound = total_error + ldexp(1, -21) +
        RR_CG_U * (8 * fabs(log(total)) + 4 * fabs(largest - (double)z[target]));
}

static rr_status entropy_case_run(
    rr_cg *cg, const entropy_case *c, wanted *w, wanted *log_p, rr_diag *diag) {
    const size_t n = (size_t)c->n_rows * c->cols;
    const uint32_t words = rr_div_up(c->cols, 32);
    float *z, *weights;
    RR_TRY(wanted_make(cg, n, w, diag));
    RR_TRY(wanted_make(cg, c->n_rows, log_p, diag));
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_Y, RR_CG_INOUT, c->sharpness, n, &z, diag));
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_WEIGHTS, RR_CG_IN, 1, c->n_rows, &weights, diag));
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_LSE, RR_CG_OUT, 0, c->n_rows, NULL, diag));
    uint32_t *targets = rr_cg_buffer(cg, RR_CG_LIST, RR_CG_IN, c->n_rows * sizeof *targets);
    uint32_t *bits =
        rr_cg_buffer(cg, RR_CG_SPANS, RR_CG_IN, (size_t)c->n_rows * words * sizeof *bits);
    if (targets == NULL || bits == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    for (uint32_t r = 0; r < c->n_rows; r++) {
        targets[r] = (uint32_t)(rr_cg_random(cg) % c->cols);
        for (uint32_t i = 0; i < words; i++) { /* one in eight; of some rows the target alone */
            bits[(size_t)r * words + i] =
                r % 5 == 3 ? 0 : (uint32_t)(rr_cg_random(cg) & rr_cg_random(cg) & rr_cg_random(cg));
        }
        bits[(size_t)r * words + targets[r] / 32] |= 1u << targets[r] % 32;
    }
    rr_ref_cross_entropy(&(rr_ref_cross_entropy_params){.z = z,
        .targets = targets,
        .weights = weights,
        .admitted = c->masked ? bits : NULL,
        .n_rows = c->n_rows,
        .cols = c->cols,
        .log_p = log_p->values,
        .d_z = w->values});
    for (uint32_t r = 0; r < c->n_rows; r++) {
        entropy_bounds(c, z + (size_t)r * c->cols, c->masked ? bits + (size_t)r * words : NULL,
            targets[r], (double)weights[r], &log_p->bound[r], w->bound + (size_t)r * c->cols);
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_cross_entropy push = {.z = rr_cg_address(cg, RR_CG_Y),
        .targets = rr_cg_address(cg, RR_CG_LIST),
        .weights = rr_cg_address(cg, RR_CG_WEIGHTS),
        .admitted = c->masked ? rr_cg_address(cg, RR_CG_SPANS) : 0,
        .log_p = rr_cg_address(cg, RR_CG_LSE),
        .cols = c->cols,
        .n_rows = c->n_rows};
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_Y),
            .expected = w->values,
            .bound = w->bound,
            .rows = c->n_rows,
            .cols = c->cols,
            .stride = c->cols,
            .nmse = 1e-11});
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_LSE),
            .expected = log_p->values,
            .bound = log_p->bound,
            .rows = 1,
            .cols = c->n_rows,
            .stride = c->n_rows,
            .nmse = 1e-11});
    rr_cg_end(cg);
    return RR_OK;
}

rr_status rr_cg_check_cross_entropy(rr_cg *cg, rr_diag *diag) {
    static const entropy_case cases[] = {{1, 1, 1, false}, {31, 33, 2, false}, {31, 257, 5, true},
        {9, 1000, 20, true}, {6, 1000, 0, false}, {4, 151936, 3, false}, {5, 151936, 3, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wanted w = {0}, log_p = {0};
        rr_cg_begin(cg, "%ux%u sharpness %g%s", cases[i].n_rows, cases[i].cols,
            (double)cases[i].sharpness, cases[i].masked ? " masked" : "");
        rr_status status = entropy_case_run(cg, &cases[i], &w, &log_p, diag);
        wanted_free(&w);
        wanted_free(&log_p);
        RR_TRY(status);
    }
    return RR_OK;
}

/* Bound. m and v are sums of two products, four roundings of each. The step is a quotient of them:
 * division 2.5 units, the root 2 + 2.5 of half of v's error, six roundings, and m's own error. */
static void adamw_bounds(const rr_ref_adamw_params *p, uint32_t i, double before_m, double before_v,
    double before_w, wanted w[3]) {
    const double g = fabs((double)p->grad_scale * (double)p->g[i]);
    const double beta1 = (double)p->beta1, beta2 = (double)p->beta2;
    w[1].bound[i] = 5 * RR_CG_U * (beta1 * fabs(before_m) + (1 - beta1) * g) + TINY;
    w[2].bound[i] = 5 * RR_CG_U * (beta2 * before_v + (1 - beta2) * g * g) + TINY;
    const double root = sqrt((double)p->correction2 * (double)w[2].values[i]);
    const double a_unit = (double)p->rate * (double)p->correction1 / (root + (double)p->epsilon);
    w[0].bound[i] = RR_CG_U * 3 * fabs(before_w) +
        a_unit * (w[1].bound[i] + 30 * RR_CG_U * fabs((double)w[1].values[i]));
}

static rr_status adamw_case(rr_cg *cg, uint32_t n, uint32_t step, wanted w[3], rr_diag *diag) {
    static const rr_cg_slot_id slots[3] = {RR_CG_W, RR_CG_M, RR_CG_V};
    float *g, *before[3];
    RR_TRY(rr_cg_floats_buffer(cg, RR_CG_X, RR_CG_IN, 0.01f, n, &g, diag));
    for (int s = 0; s < 3; s++) {
        RR_TRY(wanted_make(cg, n, &w[s], diag));
        RR_TRY(rr_cg_floats_buffer(
            cg, slots[s], RR_CG_INOUT, s == 0 ? 0.1f : 0.01f, n, &before[s], diag));
    }
    for (uint32_t i = 0; i < n; i++) {
        before[1][i] = step == 1 ? 0 : before[1][i];
        before[2][i] = step == 1 ? 0 : before[2][i] * before[2][i];
        g[i] = i % 7 == 3 ? 0 : g[i];
    }
    for (int s = 0; s < 3; s++) {
        memcpy(w[s].values, before[s], n * sizeof **before);
    }
    const rr_ref_adamw_params params = {.w = w[0].values,
        .m = w[1].values,
        .v = w[2].values,
        .g = g,
        .n = n,
        .grad_scale = 0.25f,
        .rate = 2e-4f,
        .beta1 = 0.9f,
        .beta2 = 0.999f,
        .epsilon = 1e-8f,
        .decay = 0.01f,
        .correction1 = (float)(1 / (1 - pow(0.9, step))),
        .correction2 = (float)(1 / (1 - pow(0.999, step)))};
    rr_ref_adamw(&params);
    for (uint32_t i = 0; i < n; i++) {
        adamw_bounds(
            &params, i, (double)before[1][i], (double)before[2][i], (double)before[0][i], w);
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_adamw push = {.w = rr_cg_address(cg, RR_CG_W),
        .m = rr_cg_address(cg, RR_CG_M),
        .v = rr_cg_address(cg, RR_CG_V),
        .g = rr_cg_address(cg, RR_CG_X),
        .n = n,
        .grad_scale = params.grad_scale,
        .rate = params.rate,
        .beta1 = params.beta1,
        .beta2 = params.beta2,
        .epsilon = params.epsilon,
        .decay = params.decay,
        .correction1 = params.correction1,
        .correction2 = params.correction2};
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    for (int s = 0; s < 3; s++) {
        compare(cg, slots[s], &w[s], 1, n);
    }
    rr_cg_end(cg);
    return RR_OK;
}

rr_status rr_cg_check_adamw(rr_cg *cg, rr_diag *diag) {
    /* the last one takes more than a row of the grid */
    static const uint32_t counts[] = {
        1, 63, 64, 65, 16 * 896, RR_ADAMW_GROUPS * RR_ADAMW_LANES + 70};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const uint32_t step = i % 2 == 0 ? 1 : 17;
        wanted w[3] = {{NULL, NULL}, {NULL, NULL}, {NULL, NULL}};
        rr_cg_begin(cg, "%u parameters, step %u", counts[i], step);
        rr_status status = adamw_case(cg, counts[i], step, w, diag);
        for (int s = 0; s < 3; s++) {
            wanted_free(&w[s]);
        }
        RR_TRY(status);
    }
    return RR_OK;
}
