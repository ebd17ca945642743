/* matmul_prefill, matmul_decode.
 *
 * Bound. The result is a float sum of `cols` products in some fixed order, each weight exact or
 * applied as q scale + offset to parts that are no larger than the group's largest weight allows.
 * The worst case over all orders is cols u sum|w x|; roundings are not all of one sign, and with
 * probability above 1 - 2 n exp(-18) for n roundings the error stays below 6 sqrt(cols) u sum|w x|
 * (Higham and Mary, 2019, theorem 2.4 with lambda = 6). w is taken as the largest of its group of
 * 32. Bias and residual add one rounding each. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/matmul.h"

typedef struct matmul_case {
    rr_qtype format;
    uint32_t n_out, cols, n_tokens;
    uint32_t x_gap, y_gap; /* strides minus widths */
    uint32_t flags;
    bool in_place; /* residual = y */
} matmul_case;

/* Everything a case holds on the host beside its slots. */
typedef struct matmul_data {
    rr_planes planes;
    rr_push_matmul push;
    float *expected, *scratch;
    double *bound;
} matmul_data;

static void data_free(matmul_data *data) {
    free(data->expected);
    free(data->scratch);
    free(data->bound);
}

static rr_status data_make(rr_cg *cg, const matmul_case *c, matmul_data *data, rr_diag *diag) {
    RR_TRY(rr_cg_matrix(cg, c->format, c->n_out, c->cols, &data->planes, diag));
    uint32_t x_stride = c->cols + c->x_gap, y_stride = c->n_out + c->y_gap;
    size_t y_floats = (size_t)(c->n_tokens - 1) * y_stride + c->n_out;
    bool residual = (c->flags & RR_MATMUL_RESIDUAL) != 0;
    float *x = rr_cg_buffer(
        cg, RR_CG_X, RR_CG_IN, ((size_t)(c->n_tokens - 1) * x_stride + c->cols) * sizeof *x);
    float *y =
        rr_cg_buffer(cg, RR_CG_Y, c->in_place ? RR_CG_INOUT : RR_CG_OUT, y_floats * sizeof *y);
    float *bias = rr_cg_buffer(cg, RR_CG_BIAS, RR_CG_IN, c->n_out * sizeof *bias);
    float *added = y;
    if (residual && !c->in_place) {
        added = rr_cg_buffer(cg, RR_CG_RESIDUAL, RR_CG_IN, y_floats * sizeof *added);
    }
    data->expected = malloc(y_floats * sizeof(float));
    data->bound = calloc((size_t)c->n_out * c->n_tokens, sizeof(double));
    data->scratch = malloc(c->cols * sizeof(float));
    if (x == NULL || y == NULL || bias == NULL || added == NULL || data->expected == NULL ||
        data->bound == NULL || data->scratch == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        float deviation = ldexpf(1, (int)(rr_cg_random(cg) % 6));
        rr_cg_normals(cg, deviation, x + (size_t)t * x_stride, c->cols);
        for (uint32_t r = 0; residual && r < c->n_out; r++) {
            added[(size_t)t * y_stride + r] = rr_cg_normal(cg);
        }
        for (uint32_t g = c->cols; t + 1 < c->n_tokens && g < x_stride; g++) {
            x[(size_t)t * x_stride + g] = NAN; /* must not be read */
        }
    }
    rr_cg_normals(cg, 1, bias, c->n_out);
    return RR_OK;
}

static void push_make(rr_cg *cg, const matmul_case *c, matmul_data *data) {
    uint64_t w = rr_cg_address(cg, RR_CG_W);
    data->push = (rr_push_matmul){RR_PUSH_PLANES(w, data->planes), .x = rr_cg_address(cg, RR_CG_X),
        .y = rr_cg_address(cg, RR_CG_Y), .n_out = c->n_out, .cols = c->cols,
        .n_tokens = c->n_tokens, .x_stride = c->cols + c->x_gap, .y_stride = c->n_out + c->y_gap,
        .flags = c->flags};
    /* addresses that the flags do not ask for stay 0: touching them would fault */
    if ((c->flags & RR_MATMUL_BIAS) != 0) {
        data->push.bias = rr_cg_address(cg, RR_CG_BIAS);
    }
    if ((c->flags & RR_MATMUL_RESIDUAL) != 0) {
        data->push.residual = rr_cg_address(cg, c->in_place ? RR_CG_Y : RR_CG_RESIDUAL);
    }
}

static void expect(rr_cg *cg, const matmul_case *c, matmul_data *data) {
    const float *x = (const float *)(const void *)cg->slots[RR_CG_X].host;
    const rr_cg_slot *added = &cg->slots[c->in_place ? RR_CG_Y : RR_CG_RESIDUAL];
    rr_ref_matmul_params params = {.matrix = rr_cg_ref_matrix(cg, &data->planes),
        .x = x,
        .x_stride = data->push.x_stride,
        .y_stride = data->push.y_stride,
        .n_tokens = c->n_tokens,
        .y = data->expected,
        .scratch = data->scratch};
    if ((c->flags & RR_MATMUL_BIAS) != 0) {
        params.bias = (const float *)(const void *)cg->slots[RR_CG_BIAS].host;
    }
    if ((c->flags & RR_MATMUL_RESIDUAL) != 0) {
        params.residual = (const float *)(const void *)added->host;
    }
    rr_ref_matmul(&params);
    for (uint32_t r = 0; r < c->n_out; r++) {
        rr_ref_matrix_row(&params.matrix, r, data->scratch);
        for (uint32_t g = 0; g < c->cols; g += 32) {
            double largest = 0;
            for (uint32_t i = 0; i < 32; i++) {
                largest = fmax(largest, fabs((double)data->scratch[g + i]));
            }
            for (uint32_t t = 0; largest > 0 && t < c->n_tokens; t++) {
                double sum = 0;
                for (uint32_t i = 0; i < 32; i++) {
                    sum += fabs((double)x[(size_t)t * params.x_stride + g + i]);
                }
                data->bound[(size_t)t * c->n_out + r] += largest * sum;
            }
        }
        for (uint32_t t = 0; t < c->n_tokens; t++) {
            size_t at = (size_t)t * params.y_stride + r;
            double ends = fabs((double)data->expected[at]);
            ends += params.bias != NULL ? fabs((double)params.bias[r]) : 0;
            ends += params.residual != NULL ? fabs((double)params.residual[at]) : 0;
            double *bound = &data->bound[(size_t)t * c->n_out + r];
            *bound = RR_CG_U * (6 * sqrt((double)c->cols) * *bound + 3 * ends);
        }
    }
}

static rr_status check_case(rr_cg *cg, const matmul_case *c, rr_diag *diag) {
    matmul_data data = {0};
    bool too_big;
    rr_cg_begin(cg, "%s %ux%u tokens %u%s%s%s x+%u y+%u", rr_qtype_get((uint32_t)c->format)->name,
        c->n_out, c->cols, c->n_tokens, (c->flags & RR_MATMUL_BIAS) != 0 ? " bias" : "",
        (c->flags & RR_MATMUL_RESIDUAL) != 0 ? " residual" : "", c->in_place ? " in place" : "",
        c->x_gap, c->y_gap);
    rr_status status = data_make(cg, c, &data, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(rr_cg_upload(cg, &too_big, diag));
    if (too_big) {
        cg->result->n_too_big++;
        goto fail;
    }
    push_make(cg, c, &data);
    expect(cg, c, &data);
    rr_kern_key key = {.format = c->format};
    RR_TRY_GOTO(rr_cg_run(cg, &key, &data.push, diag));
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_Y),
            .expected = data.expected,
            .bound = data.bound,
            .rows = c->n_tokens,
            .cols = c->n_out,
            .stride = data.push.y_stride,
            /* the same law for the root of the mean square, without
                                       * lambda */
            .nmse = RR_CG_U * RR_CG_U * (16 + (double)c->cols)});
    rr_cg_end(cg);
fail:
    data_free(&data);
    return status;
}

/* Rows [first, first + n) of x alone, into `alone` [n][n_out]. */
static rr_status run_rows(rr_cg *cg, const matmul_case *c, const matmul_data *data, uint32_t first,
    uint32_t n, float *out, rr_diag *diag) {
    rr_push_matmul push = data->push;
    rr_kern_key key = {.format = c->format};
    push.x += (uint64_t)first * push.x_stride * sizeof(float);
    push.n_tokens = n;
    RR_TRY(rr_cg_reset_outputs(cg, diag));
    RR_TRY(rr_cg_run_once(cg, &key, &push, diag));
    memcpy(out, rr_cg_found(cg, RR_CG_Y), (size_t)n * c->n_out * sizeof(float));
    return RR_OK;
}

/* A row's bits are those of the row alone, for each count and at each place. */
static rr_status check_company(
    rr_cg *cg, rr_qtype format, const uint32_t *counts, size_t n_counts, rr_diag *diag) {
    matmul_data data = {0};
    uint32_t most = counts[n_counts - 1];
    matmul_case c = {
        .format = format, .n_out = 70, .cols = 512, .n_tokens = most, .flags = RR_MATMUL_BIAS};
    rr_cg_begin(cg, "%s rows do not depend on their company, up to %u",
        rr_qtype_get((uint32_t)format)->name, most);
    float *alone = malloc((size_t)most * c.n_out * sizeof *alone);
    float *found = malloc((size_t)most * c.n_out * sizeof *found);
    rr_status status =
        alone == NULL || found == NULL ? rr_cg_no_memory(cg, diag) : data_make(cg, &c, &data, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag));
    push_make(cg, &c, &data);
    for (uint32_t t = 0; t < most; t++) {
        RR_TRY_GOTO(run_rows(cg, &c, &data, t, 1, alone + (size_t)t * c.n_out, diag));
    }
    for (size_t i = 0; i < n_counts; i++) {
        uint32_t first = (uint32_t)(rr_cg_random(cg) % (most - counts[i] + 1));
        char what[64];
        snprintf(what, sizeof what, "%u rows from row %u", counts[i], first);
        RR_TRY_GOTO(run_rows(cg, &c, &data, first, counts[i], found, diag));
        rr_cg_compare_bits(
            cg, what, found, alone + (size_t)first * c.n_out, (size_t)counts[i] * c.n_out, c.n_out);
    }
    rr_cg_end(cg);
fail:
    free(alone);
    free(found);
    data_free(&data);
    return status;
}

/* Shapes n_out × cols × tokens that every format gets: one, around tiles of 32, 64 and 256, ragged.
 * The K formats get those whose cols are a multiple of 256. */
static rr_status check_small(rr_cg *cg, rr_qtype format, bool prefill, rr_diag *diag) {
    static const uint32_t tokens_prefill[] = {1, 7, 8, 9, 33, 65},
                          tokens_decode[] = {1, 2, 3, 4, 5, 8, 9, 32};
    static const struct {
        uint32_t n_out, cols;
    } shapes[] = {
        {1, 256}, {3, 32}, {31, 256}, {64, 96}, {65, 512}, {255, 256}, {257, 288}, {33, 1024}};
    uint32_t block = rr_qtype_get((uint32_t)format)->block_weights;
    const uint32_t *tokens = prefill ? tokens_prefill : tokens_decode;
    size_t n_tokens = prefill ? 6 : 8, n_shapes = sizeof shapes / sizeof shapes[0];
    for (size_t s = 0; s < n_shapes; s++) {
        if (shapes[s].cols % block != 0) {
            continue;
        }
        for (size_t t = 0; t < n_tokens; t++) {
            if (!cg->params->full && s % 2 != t % 2) {
                continue; /* half of the pairs; every shape and every count still comes up */
            }
            uint32_t turn = (uint32_t)(s + t / 2) % 4;
            matmul_case c = {.format = format,
                .n_out = shapes[s].n_out,
                .cols = shapes[s].cols,
                .n_tokens = tokens[t],
                .x_gap = turn == 1 ? 64 : 0,
                .y_gap = turn >= 2 ? 5 : 0,
                .flags = (turn & 1 ? RR_MATMUL_BIAS : 0) | (turn & 2 ? RR_MATMUL_RESIDUAL : 0),
                .in_place = turn == 3};
            RR_TRY(check_case(cg, &c, diag));
        }
    }
    return RR_OK;
}

/* Matrices of real models. The quick run takes those of a 0.5B model in the formats that its files
 * use. */
static rr_status check_real(rr_cg *cg, bool prefill, rr_diag *diag) {
    static const struct {
        uint32_t n_out, cols;
        rr_qtype format;
        bool full;
    } shapes[] = {{896, 896, RR_Q_Q5_0, false}, {128, 896, RR_Q_Q8_0, false},
        {896, 4864, RR_Q_Q4_K, false}, {896, 4864, RR_Q_Q6_K, false}, {4864, 896, RR_Q_Q5_0, true},
        {151936, 896, RR_Q_Q8_0, true}, {3584, 3584, RR_Q_Q4_K, true}, {512, 3584, RR_Q_Q6_K, true},
        {18944, 3584, RR_Q_Q4_K, true}, {3584, 18944, RR_Q_Q6_K, true},
        {3584, 18944, RR_Q_Q4_K, true}, {152064, 3584, RR_Q_Q6_K, true}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (uint32_t big = 0; big < 2; big++) {
            uint32_t n_tokens = big == 0 ? 1
                : cg->params->full       ? (prefill ? 100 : 32)
                : prefill                ? 9
                                         : 6;
            matmul_case c = {.format = shapes[s].format,
                .n_out = shapes[s].n_out,
                .cols = shapes[s].cols,
                .n_tokens = n_tokens};
            if (rr_cg_wants(cg, c.format) &&
                (shapes[s].full ? cg->params->full : cg->params->full || big == 1)) {
                RR_TRY(check_case(cg, &c, diag));
            }
        }
    }
    return RR_OK;
}

rr_status rr_cg_check_matmul(rr_cg *cg, rr_diag *diag) {
    static const uint32_t prefill_counts[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65};
    uint32_t decode_counts[32];
    for (uint32_t i = 0; i < 32; i++) {
        decode_counts[i] = i + 1;
    }
    bool prefill = cg->variant->op == RR_OP_matmul_prefill;
    size_t n;
    const rr_qtype_info *formats = rr_qtype_all(&n);
    const uint32_t *counts = prefill ? prefill_counts : decode_counts;
    size_t n_counts = prefill ? (cg->params->full ? 14 : 11) : 32;
    for (size_t f = 0; f < n && !cg->again; f++) {
        if (!rr_cg_wants(cg, formats[f].type)) {
            continue;
        }
        RR_TRY(check_small(cg, formats[f].type, prefill, diag));
        RR_TRY(check_company(cg, formats[f].type, counts, n_counts, diag));
    }
    return check_real(cg, prefill, diag);
}
