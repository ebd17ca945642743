/* matmul_grad.
 *
 * Bound. As in check_matmul.c, over the rows of W: the result is a float sum of n_out products in
 * some order, each weight one rounding away from its parts, which are no larger than its group's
 * largest weight allows; 6 sqrt(n_out) u sum|w d_y| with w the largest of its group of 32, and a
 * rounding each for the factor, the product with it and what is added to. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/matmul_grad.h"

typedef struct grad_case {
    rr_qtype format;
    uint32_t n_out, cols, n_tokens;
    uint32_t x_gap, y_gap; /* strides minus widths */
    bool adds;
    float factor;
} grad_case;

/* What a case holds on the host beside its slots. */
typedef struct grad_data {
    rr_planes planes;
    rr_push_matmul_grad push;
    float *expected, *weights;
    double *bound, *sums;
} grad_data;

static void data_free(grad_data *data) {
    free(data->expected);
    free(data->weights);
    free(data->bound);
    free(data->sums);
}

static rr_status data_make(rr_cg *cg, const grad_case *c, grad_data *data, rr_diag *diag) {
    RR_TRY(rr_cg_matrix(cg, c->format, c->n_out, c->cols, &data->planes, diag));
    const uint32_t y_stride = c->n_out + c->y_gap, x_stride = c->cols + c->x_gap;
    const size_t x_floats = (size_t)(c->n_tokens - 1) * x_stride + c->cols;
    float *d_y = rr_cg_buffer(
        cg, RR_CG_Y, RR_CG_IN, ((size_t)(c->n_tokens - 1) * y_stride + c->n_out) * sizeof *d_y);
    float *d_x =
        rr_cg_buffer(cg, RR_CG_X, c->adds ? RR_CG_INOUT : RR_CG_OUT, x_floats * sizeof *d_x);
    data->expected = malloc(x_floats * sizeof(float));
    data->weights = malloc((size_t)c->n_out * c->cols * sizeof(float));
    data->bound = calloc((size_t)c->cols * c->n_tokens, sizeof(double));
    data->sums = malloc(c->cols * sizeof(double));
    if (d_y == NULL || d_x == NULL || data->expected == NULL || data->weights == NULL ||
        data->bound == NULL || data->sums == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        /* gradients come in many sizes, most of them small */
        rr_cg_normals(
            cg, ldexpf(1, -(int)(rr_cg_random(cg) % 16)), d_y + (size_t)t * y_stride, c->n_out);
        for (uint32_t r = c->n_out; t + 1 < c->n_tokens && r < y_stride; r++) {
            d_y[(size_t)t * y_stride + r] = NAN; /* must not be read */
        }
        if (c->adds) {
            rr_cg_normals(cg, 1, d_x + (size_t)t * x_stride, c->cols);
        }
    }
    memcpy(data->expected, d_x, x_floats * sizeof *d_x);
    return RR_OK;
}

static void push_make(rr_cg *cg, const grad_case *c, grad_data *data) {
    const uint64_t w = rr_cg_address(cg, RR_CG_W);
    data->push = (rr_push_matmul_grad){RR_PUSH_PLANES(w, data->planes),
        .d_y = rr_cg_address(cg, RR_CG_Y), .d_x = rr_cg_address(cg, RR_CG_X), .n_out = c->n_out,
        .cols = c->cols, .n_tokens = c->n_tokens, .y_stride = c->n_out + c->y_gap,
        .x_stride = c->cols + c->x_gap, .flags = c->adds ? RR_MATMUL_GRAD_ADDS : 0,
        .factor = c->factor};
}

/* Adds |d_y| times the largest weight of the column's group to the bound, over the rows. */
static void add_magnitudes(const grad_case *c, grad_data *data, const float *d_y) {
    for (uint32_t r = 0; r < c->n_out; r++) {
        for (uint32_t g = 0; g < c->cols; g += 32) {
            double largest = 0;
            for (uint32_t i = g; i < g + 32; i++) {
                largest = fmax(largest, fabs((double)data->weights[(size_t)r * c->cols + i]));
            }
            for (uint32_t t = 0; t < c->n_tokens; t++) {
                const double term =
                    largest * fabs((double)d_y[(size_t)t * data->push.y_stride + r]);
                for (uint32_t i = g; i < g + 32; i++) {
                    data->bound[(size_t)t * c->cols + i] += term;
                }
            }
        }
    }
}

static void expect(rr_cg *cg, const grad_case *c, grad_data *data) {
    const float *d_y = (const float *)(const void *)cg->slots[RR_CG_Y].host;
    const float *before = (const float *)(const void *)cg->slots[RR_CG_X].host;
    rr_ref_matmul_grad(&(rr_ref_matmul_grad_params){.matrix = rr_cg_ref_matrix(cg, &data->planes),
        .d_y = d_y,
        .y_stride = data->push.y_stride,
        .x_stride = data->push.x_stride,
        .n_tokens = c->n_tokens,
        .factor = c->factor,
        .adds = c->adds,
        .d_x = data->expected,
        .sums = data->sums,
        .weights = data->weights});
    add_magnitudes(c, data, d_y);
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        for (uint32_t i = 0; i < c->cols; i++) {
            const size_t at = (size_t)t * data->push.x_stride + i;
            double *bound = &data->bound[(size_t)t * c->cols + i];
            *bound = RR_CG_U *
                (6 * sqrt((double)c->n_out) * fabs((double)c->factor) * *bound +
                    3 * fabs((double)data->expected[at]) +
                    (c->adds ? 2 * fabs((double)before[at]) : 0));
        }
    }
}

static rr_status run_case(rr_cg *cg, const grad_case *c, grad_data *data, rr_diag *diag) {
    bool too_big;
    RR_TRY(data_make(cg, c, data, diag));
    RR_TRY(rr_cg_upload(cg, &too_big, diag));
    if (too_big) {
        cg->result->n_too_big++;
        return RR_OK;
    }
    push_make(cg, c, data);
    expect(cg, c, data);
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){.format = c->format}, &data->push, diag));
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = rr_cg_found(cg, RR_CG_X),
            .expected = data->expected,
            .bound = data->bound,
            .rows = c->n_tokens,
            .cols = c->cols,
            .stride = data->push.x_stride,
            .nmse = RR_CG_U * RR_CG_U * (16 + (double)c->n_out)});
    rr_cg_end(cg);
    return RR_OK;
}

static rr_status check_case(rr_cg *cg, const grad_case *c, rr_diag *diag) {
    grad_data data = {0};
    rr_cg_begin(cg, "%s %ux%u tokens %u%s x+%u y+%u factor %g",
        rr_qtype_get((uint32_t)c->format)->name, c->n_out, c->cols, c->n_tokens,
        c->adds ? " adds" : "", c->x_gap, c->y_gap, (double)c->factor);
    rr_status status = run_case(cg, c, &data, diag);
    data_free(&data);
    return status;
}

/* A token's bits are those of the token alone. */
static rr_status check_company(rr_cg *cg, rr_qtype format, rr_diag *diag) {
    enum { TOKENS = 19 };
    const grad_case c = {
        .format = format, .n_out = 70, .cols = 256, .n_tokens = TOKENS, .factor = 1};
    const rr_kern_key key = {.format = format};
    grad_data data = {0};
    rr_cg_begin(
        cg, "%s tokens do not depend on their company", rr_qtype_get((uint32_t)format)->name);
    float *together = malloc((size_t)TOKENS * c.cols * sizeof *together);
    rr_status status =
        together == NULL ? rr_cg_no_memory(cg, diag) : data_make(cg, &c, &data, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(rr_cg_upload(cg, NULL, diag));
    push_make(cg, &c, &data);
    RR_TRY_GOTO(rr_cg_run_once(cg, &key, &data.push, diag));
    memcpy(together, rr_cg_found(cg, RR_CG_X), (size_t)TOKENS * c.cols * sizeof *together);
    for (uint32_t t = 0; t < TOKENS; t += 3) {
        rr_push_matmul_grad push = data.push;
        push.d_y += (uint64_t)t * push.y_stride * sizeof(float);
        push.n_tokens = 1;
        RR_TRY_GOTO(rr_cg_reset_outputs(cg, diag));
        RR_TRY_GOTO(rr_cg_run_once(cg, &key, &push, diag));
        rr_cg_compare_bits(
            cg, "alone", rr_cg_found(cg, RR_CG_X), together + (size_t)t * c.cols, c.cols, c.cols);
    }
    rr_cg_end(cg);
fail:
    free(together);
    data_free(&data);
    return status;
}

/* Around tiles of 4, 16, 32, 64 and 256, ragged. The K formats get those whose cols are a multiple
 * of 256. */
static rr_status check_small(rr_cg *cg, rr_qtype format, rr_diag *diag) {
    static const struct {
        uint32_t n_out, cols, n_tokens;
    } shapes[] = {{1, 256, 1}, {3, 32, 31}, {31, 256, 7}, {33, 96, 8}, {16, 512, 129},
        {65, 288, 17}, {100, 1024, 9}};
    const uint32_t block = rr_qtype_get((uint32_t)format)->block_weights;
    for (uint32_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const grad_case c = {.format = format,
            .n_out = shapes[s].n_out,
            .cols = shapes[s].cols,
            .n_tokens = shapes[s].n_tokens,
            .x_gap = s % 3 == 1 ? 5 : 0,
            .y_gap = s % 3 == 2 ? 64 : 0,
            .adds = s % 2 == 1,
            .factor = s % 4 == 3 ? -0.75f : 1};
        if (shapes[s].cols % block == 0) {
            RR_TRY(check_case(cg, &c, diag));
        }
    }
    return RR_OK;
}

/* Matrices of a 0.5B model in the formats of its files, and of an adapter of rank 16. */
static rr_status check_real(rr_cg *cg, rr_diag *diag) {
    static const grad_case cases[] = {
        {.format = RR_Q_Q5_0, .n_out = 896, .cols = 896, .n_tokens = 9, .factor = 1},
        {.format = RR_Q_Q8_0, .n_out = 128, .cols = 896, .n_tokens = 9, .factor = 1},
        {.format = RR_Q_Q6_K, .n_out = 896, .cols = 4864, .n_tokens = 9, .factor = 1},
        {.format = RR_Q_F32, .n_out = 16, .cols = 896, .n_tokens = 9, .adds = true, .factor = 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (rr_cg_wants(cg, cases[i].format)) {
            RR_TRY(check_case(cg, &cases[i], diag));
        }
    }
    return RR_OK;
}

rr_status rr_cg_check_matmul_grad(rr_cg *cg, rr_diag *diag) {
    size_t n;
    const rr_qtype_info *formats = rr_qtype_all(&n);
    for (size_t f = 0; f < n && !cg->again; f++) {
        if (rr_cg_wants(cg, formats[f].type)) {
            RR_TRY(check_small(cg, formats[f].type, diag));
            RR_TRY(check_company(cg, formats[f].type, diag));
        }
    }
    return check_real(cg, diag);
}
