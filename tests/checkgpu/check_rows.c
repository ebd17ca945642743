/* The ops that work row by row: embed, lanes_embed, rmsnorm, swiglu, argmax. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/argmax.h"
#include "shaders/embed.h"
#include "shaders/lanes_embed.h"
#include "shaders/rmsnorm.h"
#include "shaders/swiglu.h"

/* Exact: a weight is one rounding away from its integers, and the same one everywhere. A zero may
 * have either sign. */
static void check_embedding(
    rr_cg *cg, const float *found, const float *expected, size_t n, uint32_t cols) {
    for (size_t i = 0; i < n; i++) {
        if (!(found[i] == expected[i])) {
            rr_cg_fault(cg, "row %zu column %zu: found %.9g, expected exactly %.9g", i / cols,
                i % cols, (double)found[i], (double)expected[i]);
        }
    }
}

static rr_status embed_case(
    rr_cg *cg, rr_qtype format, uint32_t n_vocab, uint32_t cols, uint32_t n_rows, rr_diag *diag) {
    rr_planes planes;
    bool too_big;
    rr_cg_begin(
        cg, "%s %ux%u rows %u", rr_qtype_get((uint32_t)format)->name, n_vocab, cols, n_rows);
    RR_TRY(rr_cg_matrix(cg, format, n_vocab, cols, &planes, diag));
    rr_row *rows = rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, n_rows * sizeof *rows);
    size_t n = (size_t)n_rows * cols;
    void *y = rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * sizeof(float));
    float *expected = malloc(n * sizeof *expected);
    rr_status status =
        rows == NULL || y == NULL || expected == NULL ? rr_cg_no_memory(cg, diag) : RR_OK;
    RR_TRY_GOTO(status);
    rr_ref_matrix matrix = rr_cg_ref_matrix(cg, &planes);
    for (uint32_t r = 0; r < n_rows; r++) {
        rows[r].token = r == 0 ? n_vocab - 1 : (uint32_t)(rr_cg_random(cg) % n_vocab);
        rr_ref_embed(&matrix, &rows[r].token, 1, expected + (size_t)r * cols);
    }
    RR_TRY_GOTO(rr_cg_upload(cg, &too_big, diag));
    if (too_big) {
        cg->result->n_too_big++;
        goto fail;
    }
    uint64_t w = rr_cg_address(cg, RR_CG_W);
    rr_push_embed push = {RR_PUSH_PLANES(w, planes), .rows = rr_cg_address(cg, RR_CG_ROWS),
        .y = rr_cg_address(cg, RR_CG_Y), .cols = cols, .n_rows = n_rows};
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){.format = format}, &push, diag));
    check_embedding(cg, rr_cg_found(cg, RR_CG_Y), expected, n, cols);
    rr_cg_end(cg);
fail:
    free(expected);
    return status;
}

/* The row exact; codes within the one rounding of x * norm; the norm factor as in rmsnorm below. */
static void check_lanes_embedding(
    rr_cg *cg, const float *expected, const float *norm, uint32_t n_rows, uint32_t cols) {
    size_t n = (size_t)n_rows * cols;
    float *values = malloc(n * sizeof *values);
    double *bound = malloc(n * sizeof *bound);
    check_embedding(cg, rr_cg_found(cg, RR_CG_Y), expected, n, cols);
    if (values == NULL || bound == NULL) {
        rr_cg_fault(cg, "no memory to compare");
    } else {
        for (size_t i = 0; i < n; i++) {
            values[i] = expected[i] * norm[i % cols];
            /* denormal numbers may be flushed */
            bound[i] = 2 * RR_CG_U * fabs((double)values[i]) + 1.2e-38;
        }
        rr_cg_compare_codes(cg,
            &(rr_cg_codes){.found = rr_cg_found(cg, RR_CG_OUT_CODES),
                .groups = rr_cg_found(cg, RR_CG_OUT_GROUPS),
                .expected = values,
                .bound = bound,
                .rows = n_rows,
                .cols = cols});
        for (uint32_t r = 0; r < n_rows; r++) {
            double factor, found = (double)((const float *)rr_cg_found(cg, RR_CG_OUT_RMS))[r];
            rr_ref_norm_factor(expected + (size_t)r * cols, 1, cols, 1e-6f, &factor);
            if (!(fabs(found - factor) <= RR_CG_U * (3 * sqrt((double)cols) + 24) * factor)) {
                rr_cg_fault(
                    cg, "norm factor of row %u: found %.9g, expected %.9g", r, found, factor);
            }
        }
    }
    free(values);
    free(bound);
}

static rr_status lanes_embed_case(
    rr_cg *cg, rr_qtype format, uint32_t n_vocab, uint32_t cols, uint32_t n_rows, rr_diag *diag) {
    rr_planes planes;
    bool too_big;
    rr_cg_begin(
        cg, "%s %ux%u rows %u", rr_qtype_get((uint32_t)format)->name, n_vocab, cols, n_rows);
    RR_TRY(rr_cg_matrix(cg, format, n_vocab, cols, &planes, diag));
    size_t n = (size_t)n_rows * cols;
    rr_row *rows = rr_cg_buffer(cg, RR_CG_ROWS, RR_CG_IN, n_rows * sizeof *rows);
    float *norm = rr_cg_buffer(cg, RR_CG_NORM, RR_CG_IN, cols * sizeof *norm);
    void *x = rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * sizeof(float));
    void *codes = rr_cg_buffer(cg, RR_CG_OUT_CODES, RR_CG_OUT, n * sizeof(int16_t));
    void *groups = rr_cg_buffer(cg, RR_CG_OUT_GROUPS, RR_CG_OUT, n / 4);
    void *rms = rr_cg_buffer(cg, RR_CG_OUT_RMS, RR_CG_OUT, n_rows * sizeof(float));
    float *expected = malloc(n * sizeof *expected);
    rr_status status = rows == NULL || norm == NULL || x == NULL || codes == NULL ||
            groups == NULL || rms == NULL || expected == NULL
        ? rr_cg_no_memory(cg, diag)
        : RR_OK;
    RR_TRY_GOTO(status);
    rr_ref_matrix matrix = rr_cg_ref_matrix(cg, &planes);
    for (uint32_t r = 0; r < n_rows; r++) {
        rows[r].token = r == 0 ? n_vocab - 1 : (uint32_t)(rr_cg_random(cg) % n_vocab);
        rr_ref_embed(&matrix, &rows[r].token, 1, expected + (size_t)r * cols);
    }
    rr_cg_normals(cg, 1, norm, cols);
    for (uint32_t i = 0; cols >= 96 && i < 64; i++) {
        norm[i + 32] *= i < 32 ? 0.0f : 1e-37f; /* zeros to quantize, and next to nothing */
    }
    RR_TRY_GOTO(rr_cg_upload(cg, &too_big, diag));
    if (too_big) {
        cg->result->n_too_big++;
        goto fail;
    }
    uint64_t w = rr_cg_address(cg, RR_CG_W);
    rr_push_lanes_embed push = {RR_PUSH_PLANES(w, planes), .rows = rr_cg_address(cg, RR_CG_ROWS),
        .x = rr_cg_address(cg, RR_CG_Y), .norm = rr_cg_address(cg, RR_CG_NORM),
        .codes = rr_cg_address(cg, RR_CG_OUT_CODES), .groups = rr_cg_address(cg, RR_CG_OUT_GROUPS),
        .rms = rr_cg_address(cg, RR_CG_OUT_RMS), .cols = cols, .n_tokens = n_rows,
        .epsilon = 1e-6f};
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){.format = format}, &push, diag));
    check_lanes_embedding(cg, expected, norm, n_rows, cols);
    rr_cg_end(cg);
fail:
    free(expected);
    return status;
}

typedef rr_status embed_fn(
    rr_cg *cg, rr_qtype format, uint32_t n_vocab, uint32_t cols, uint32_t n_rows, rr_diag *diag);

static rr_status embed_cases(rr_cg *cg, embed_fn *check, rr_diag *diag) {
    static const struct {
        uint32_t n_vocab, cols, n_rows;
        bool full;
    } shapes[] = {{1, 256, 1, false}, {3, 32, 2, false}, {70, 544, 33, false},
        {100, 512, 65, false}, {40, 896, 7, false}, {40, 3584, 3, false}, {151936, 896, 300, true}};
    size_t n;
    const rr_qtype_info *formats = rr_qtype_all(&n);
    for (size_t f = 0; f < n; f++) {
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            if (shapes[s].cols % formats[f].block_weights == 0 &&
                (!shapes[s].full || cg->params->full)) {
                RR_TRY(check(cg, formats[f].type, shapes[s].n_vocab, shapes[s].cols,
                    shapes[s].n_rows, diag));
            }
        }
    }
    return RR_OK;
}

rr_status rr_cg_check_embed(rr_cg *cg, rr_diag *diag) {
    return embed_cases(cg, embed_case, diag);
}

rr_status rr_cg_check_lanes_embed(rr_cg *cg, rr_diag *diag) {
    return embed_cases(cg, lanes_embed_case, diag);
}

/* Bound: the sum of squares has no cancellation, its relative error is below 6 sqrt(cols) u as in
 * check_matmul.c and counts half after the root; division, root and products add at most 2.5 + 2.5
 * + 2.5 units (Vulkan's precision table) and three roundings: below 24 u. */
static rr_status rmsnorm_case(
    rr_cg *cg, uint32_t n_rows, uint32_t cols, bool in_place, rr_diag *diag) {
    size_t n = (size_t)n_rows * cols;
    rr_cg_begin(cg, "%ux%u%s", n_rows, cols, in_place ? " in place" : "");
    float *x = rr_cg_buffer(
        cg, in_place ? RR_CG_Y : RR_CG_X, in_place ? RR_CG_INOUT : RR_CG_IN, n * sizeof *x);
    void *y = in_place ? x : rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * sizeof(float));
    float *weight = rr_cg_buffer(cg, RR_CG_W, RR_CG_IN, cols * sizeof *weight);
    float *expected = malloc(n * sizeof *expected);
    double *bound = malloc(n * sizeof *bound);
    rr_status status = x == NULL || y == NULL || weight == NULL || expected == NULL || bound == NULL
        ? rr_cg_no_memory(cg, diag)
        : RR_OK;
    RR_TRY_GOTO(status);
    for (uint32_t r = 0; r < n_rows; r++) {
        /* rows of zeros, small ones where epsilon counts, and the large ones that real residual
         * streams hold */
        float deviation = r == 1 ? 0 : ldexpf(1, (int)(rr_cg_random(cg) % 24) - 12);
        rr_cg_normals(cg, deviation, x + (size_t)r * cols, cols);
    }
    rr_cg_normals(cg, 1, weight, cols);
    rr_ref_rmsnorm(x, weight, n_rows, cols, 1e-6f, expected);
    for (size_t i = 0; i < n; i++) {
        bound[i] = RR_CG_U * (3 * sqrt((double)cols) + 24) * fabs((double)expected[i]);
    }
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag));
    rr_push_rmsnorm push = {.x = rr_cg_address(cg, in_place ? RR_CG_Y : RR_CG_X),
        .weight = rr_cg_address(cg, RR_CG_W),
        .y = rr_cg_address(cg, RR_CG_Y),
        .cols = cols,
        .n_rows = n_rows,
        .epsilon = 1e-6f};
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_Y),
            .expected = expected,
            .bound = bound,
            .rows = n_rows,
            .cols = cols,
            .stride = cols,
            .nmse = RR_CG_U * RR_CG_U * (64 + (double)cols / 4)});
    rr_cg_end(cg);
fail:
    free(expected);
    free(bound);
    return status;
}

rr_status rr_cg_check_rmsnorm(rr_cg *cg, rr_diag *diag) {
    static const uint32_t all_cols[] = {32, 64, 96, 256, 896, 1536, 3584, 5120},
                          all_rows[] = {1, 2, 33};
    for (size_t c = 0; c < sizeof all_cols / sizeof all_cols[0]; c++) {
        for (size_t r = 0; r < sizeof all_rows / sizeof all_rows[0]; r++) {
            RR_TRY(rmsnorm_case(cg, all_rows[r], all_cols[c], (c + r) % 2 == 1, diag));
        }
    }
    return RR_OK;
}

/* Bound: exp is within 3 + 2|g| units of two u each (Vulkan's precision table), division within 2.5
 * units, four roundings. Below the smallest normal float anything down to 0 is right: devices may
 * flush. */
static rr_status swiglu_case(rr_cg *cg, uint32_t n_rows, uint32_t cols, rr_diag *diag) {
    size_t n = (size_t)n_rows * cols;
    rr_cg_begin(cg, "%ux%u", n_rows, cols);
    float *x = rr_cg_buffer(cg, RR_CG_X, RR_CG_IN, 2 * n * sizeof *x);
    void *y = rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n * sizeof(float));
    float *expected = malloc(n * sizeof *expected);
    double *bound = malloc(n * sizeof *bound);
    rr_status status = x == NULL || y == NULL || expected == NULL || bound == NULL
        ? rr_cg_no_memory(cg, diag)
        : RR_OK;
    RR_TRY_GOTO(status);
    rr_cg_normals(cg, 4, x, 2 * n);
    static const float edges[] = {
        0.0f, -0.0f, 20.0f, -20.0f, 87.0f, -87.0f, 100.0f, -100.0f, 1e4f, -1e4f};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0] && i < cols; i++) {
        x[i] = edges[i];
    }
    rr_ref_swiglu(x, n_rows, cols, expected);
    for (size_t i = 0; i < n; i++) {
        double g = (double)x[i / cols * 2 * cols + i % cols],
               up = (double)x[(i / cols * 2 + 1) * cols + i % cols];
        double c = 2 * (3 + 2 * fabs(g)) + 5 + 4;
        bound[i] =
            RR_CG_U * c * fabs((double)expected[i]) + 1.2e-38 * (1 + fabs(g)) * (1 + fabs(up));
    }
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag));
    rr_push_swiglu push = {.gate_up = rr_cg_address(cg, RR_CG_X),
        .y = rr_cg_address(cg, RR_CG_Y),
        .cols = cols,
        .n_rows = n_rows};
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_Y),
            .expected = expected,
            .bound = bound,
            .rows = n_rows,
            .cols = cols,
            .stride = cols,
            .nmse = RR_CG_U * RR_CG_U * 64});
    rr_cg_end(cg);
fail:
    free(expected);
    free(bound);
    return status;
}

rr_status rr_cg_check_swiglu(rr_cg *cg, rr_diag *diag) {
    static const uint32_t all_cols[] = {32, 64, 96, 288, 4864, 18944}, all_rows[] = {1, 2, 33};
    for (size_t c = 0; c < sizeof all_cols / sizeof all_cols[0]; c++) {
        for (size_t r = 0; r < sizeof all_rows / sizeof all_rows[0]; r++) {
            RR_TRY(swiglu_case(cg, all_rows[r], all_cols[c], diag));
        }
    }
    return RR_OK;
}

/* What a row of logits may look like; the kinds take turns. */
static void argmax_row(rr_cg *cg, uint32_t kind, float *row, uint32_t cols) {
    rr_cg_normals(cg, 5, row, cols);
    uint32_t a = (uint32_t)(rr_cg_random(cg) % cols), b = (uint32_t)(rr_cg_random(cg) % cols);
    switch (kind % 8) {
    case 0: /* as it is */
        break;
    case 1: /* a tie */
        row[a] = row[b] = 100;
        break;
    case 2: /* all equal */
        for (uint32_t c = 0; c < cols; c++) {
            row[c] = -7;
        }
        break;
    case 3: /* NaN of both signs around a tie */
        for (uint32_t c = 0; c < cols; c += 3) {
            row[c] = c % 2 == 0 ? NAN : -NAN;
        }
        row[a] = row[b] = 100;
        break;
    case 4: /* everything minus infinity, but some NaN first */
        for (uint32_t c = 0; c < cols; c++) {
            row[c] = c < cols / 2 ? NAN : -INFINITY;
        }
        break;
    case 5: /* nothing but NaN */
        for (uint32_t c = 0; c < cols; c++) {
            row[c] = NAN;
        }
        break;
    case 6: /* zeros of both signs are equal */
        for (uint32_t c = 0; c < cols; c++) {
            row[c] = c == a ? 0.0f : c == b ? -0.0f : -1;
        }
        break;
    default: /* at the last column, with plus infinity */
        row[cols - 1] = INFINITY;
        break;
    }
}

static rr_status argmax_case(
    rr_cg *cg, uint32_t n_rows, uint32_t cols, uint32_t n_terms, rr_diag *diag) {
    const size_t n = (size_t)n_rows * cols;
    rr_cg_begin(cg, "%ux%u, terms %u", n_rows, cols, n_terms);
    float *x =
        rr_cg_buffer(cg, RR_CG_X, n_terms == 2 ? RR_CG_INOUT : RR_CG_IN, n_terms * n * sizeof *x);
    void *y = rr_cg_buffer(cg, RR_CG_Y, RR_CG_OUT, n_rows * sizeof(uint32_t));
    uint32_t *expected = malloc(n_rows * sizeof *expected);
    float *sum = malloc(n * sizeof *sum);
    rr_status status = x == NULL || y == NULL || expected == NULL || sum == NULL
        ? rr_cg_no_memory(cg, diag)
        : RR_OK;
    RR_TRY_GOTO(status);
    for (uint32_t r = 0; r < n_rows; r++) {
        argmax_row(cg, r, x + (size_t)r * cols, cols);
    }
    if (n_terms == 2) {
        rr_cg_normals(cg, 1, x + n, n);
    }
    for (size_t i = 0; i < n; i++) {
        sum[i] = n_terms == 2 ? x[i] + x[n + i] : x[i];
    }
    rr_ref_argmax(sum, n_rows, cols, expected);
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag));
    rr_push_argmax push = {.x = rr_cg_address(cg, RR_CG_X),
        .y = rr_cg_address(cg, RR_CG_Y),
        .cols = cols,
        .n_rows = n_rows,
        .n_terms = n_terms};
    RR_TRY_GOTO(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    const uint32_t *found = rr_cg_found(cg, RR_CG_Y);
    for (uint32_t r = 0; r < n_rows; r++) {
        if (found[r] != expected[r]) {
            rr_cg_fault(cg, "row %u: found column %u, expected %u", r, found[r], expected[r]);
        }
    }
    if (n_terms == 2) {
        const float *now = rr_cg_found(cg, RR_CG_X);
        for (size_t i = 0; i < n; i++) {
            if (now[i] != sum[i] && !(isnan(now[i]) && isnan(sum[i]))) {
                rr_cg_fault(cg, "value %zu: found the sum %.9g, expected %.9g", i, (double)now[i],
                    (double)sum[i]);
            }
        }
    }
    rr_cg_end(cg);
fail:
    free(expected);
    free(sum);
    return status;
}

rr_status rr_cg_check_argmax(rr_cg *cg, rr_diag *diag) {
    static const uint32_t all_cols[] = {1, 2, 3, 63, 64, 65, 255, 256, 257, 1000};
    for (size_t c = 0; c < sizeof all_cols / sizeof all_cols[0]; c++) {
        RR_TRY(argmax_case(cg, 1, all_cols[c], 1, diag));
        RR_TRY(argmax_case(cg, 24, all_cols[c], 1, diag));
        RR_TRY(argmax_case(cg, 24, all_cols[c], 2, diag));
    }
    RR_TRY(argmax_case(cg, 8, 151936, 1, diag));
    return argmax_case(cg, 3, 152064, 2, diag);
}
