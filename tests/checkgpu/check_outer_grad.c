/* outer_grad.
 *
 * Bound. A float sum of n_tokens products in some order: 6 sqrt(n_tokens) u sum|a b| as in
 * check_matmul.c, and a rounding each for the factor, the product with it and what is added to. */
#include "tests/checkgpu/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/outer_grad.h"

typedef struct outer_case {
    uint32_t n_a, n_b, n_tokens;
    uint32_t a_gap, b_gap; /* strides minus widths */
    bool turned;           /* the result has j first, in rows with a gap of 3, as B has */
    bool adds;
} outer_case;

typedef struct outer_data {
    float *values; /* [n_a][n_b] */
    double *bound;
    float *found; /* [n_a][n_b], taken out of slot Y */
} outer_data;

static void data_free(outer_data *data) {
    free(data->values);
    free(data->bound);
    free(data->found);
}

/* Rows of n values, gaps of NaN that must not count. */
static float *make_rows(rr_cg *cg, rr_cg_slot_id id, uint32_t n_rows, uint32_t n, uint32_t gap) {
    float *out = rr_cg_buffer(cg, id, RR_CG_IN, ((size_t)n_rows * (n + gap) - gap) * sizeof *out);
    for (uint32_t t = 0; out != NULL && t < n_rows; t++) {
        float *row = out + (size_t)t * (n + gap);
        rr_cg_normals(cg, ldexpf(1, -(int)(rr_cg_random(cg) % 8)), row, n);
        for (uint32_t i = n; t + 1 < n_rows && i < n + gap; i++) {
            row[i] = NAN;
        }
    }
    return out;
}

enum { Y_GAP = 3 };

static size_t y_at(const outer_case *c, uint32_t i, uint32_t j) {
    return c->turned ? (size_t)j * (c->n_a + Y_GAP) + i : (size_t)i * c->n_b + j;
}

/* All that slot Y holds but the results must still be the fill. */
static void compare_gaps(rr_cg *cg, const outer_case *c, const float *found) {
    static const uint32_t fill = RR_CG_FILL;
    for (uint32_t j = 0; c->turned && j + 1 < c->n_b; j++) {
        for (uint32_t i = 0; i < Y_GAP; i++) {
            if (memcmp(found + y_at(c, c->n_a + i, j), &fill, sizeof fill) != 0) {
                rr_cg_fault(cg, "wrote behind the end of row %u", j);
                return;
            }
        }
    }
}

static rr_status run_case(rr_cg *cg, const outer_case *c, outer_data *data, rr_diag *diag) {
    const size_t n = (size_t)c->n_a * c->n_b, y_floats = y_at(c, c->n_a - 1, c->n_b - 1) + 1;
    float *a = make_rows(cg, RR_CG_X, c->n_tokens, c->n_a, c->a_gap);
    float *b = make_rows(cg, RR_CG_D_O, c->n_tokens, c->n_b, c->b_gap);
    float *y = rr_cg_buffer(cg, RR_CG_Y, c->adds ? RR_CG_INOUT : RR_CG_OUT, y_floats * sizeof *y);
    data->values = malloc(n * sizeof *data->values);
    data->bound = malloc(n * sizeof *data->bound);
    data->found = malloc(n * sizeof *data->found);
    if (a == NULL || b == NULL || y == NULL || data->values == NULL || data->bound == NULL ||
        data->found == NULL) {
        return rr_cg_no_memory(cg, diag);
    }
    for (uint32_t i = 0; c->adds && i < c->n_a; i++) {
        for (uint32_t j = 0; j < c->n_b; j++) {
            data->values[(size_t)i * c->n_b + j] = y[y_at(c, i, j)] = rr_cg_normal(cg);
        }
    }
    const float factor = c->adds ? -0.75f : 2;
    rr_ref_outer_grad(&(rr_ref_outer_grad_params){.a = a,
        .b = b,
        .n_a = c->n_a,
        .n_b = c->n_b,
        .a_stride = c->n_a + c->a_gap,
        .b_stride = c->n_b + c->b_gap,
        .n_tokens = c->n_tokens,
        .factor = factor,
        .adds = c->adds,
        .y = data->values,
        .magnitude = data->bound});
    for (size_t i = 0; i < n; i++) {
        data->bound[i] *= RR_CG_U * (6 * sqrt((double)c->n_tokens) + 4);
    }
    RR_TRY(rr_cg_upload(cg, NULL, diag));
    const rr_push_outer_grad push = {.a = rr_cg_address(cg, RR_CG_X),
        .b = rr_cg_address(cg, RR_CG_D_O),
        .y = rr_cg_address(cg, RR_CG_Y),
        .n_a = c->n_a,
        .n_b = c->n_b,
        .n_tokens = c->n_tokens,
        .a_stride = c->n_a + c->a_gap,
        .b_stride = c->n_b + c->b_gap,
        .i_stride = c->turned ? 1 : c->n_b,
        .j_stride = c->turned ? c->n_a + Y_GAP : 1,
        .flags = c->adds ? RR_OUTER_GRAD_ADDS : 0,
        .factor = factor};
    RR_TRY(rr_cg_run(cg, &(rr_kern_key){0}, &push, diag));
    const float *found = rr_cg_found(cg, RR_CG_Y);
    for (uint32_t i = 0; i < c->n_a; i++) {
        for (uint32_t j = 0; j < c->n_b; j++) {
            data->found[(size_t)i * c->n_b + j] = found[y_at(c, i, j)];
        }
    }
    rr_cg_compare(cg,
        &(rr_cg_floats){.found = data->found,
            .expected = data->values,
            .bound = data->bound,
            .rows = c->n_a,
            .cols = c->n_b,
            .stride = c->n_b,
            .nmse = RR_CG_U * RR_CG_U * (16 + (double)c->n_tokens)});
    compare_gaps(cg, c, found);
    rr_cg_end(cg);
    return RR_OK;
}

rr_status rr_cg_check_outer_grad(rr_cg *cg, rr_diag *diag) {
    static const outer_case cases[] = {{1, 1, 1, 0, 0, false, false},
        {16, 32, 31, 0, 0, true, false}, {8, 33, 129, 5, 7, false, true},
        {17, 95, 7, 0, 64, true, false}, {31, 64, 32, 1, 0, false, false},
        {33, 100, 65, 31, 1, true, true}, {16, 896, 129, 16, 0, false, true},
        {16, 4864, 31, 0, 0, true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const outer_case *c = &cases[i];
        outer_data data = {0};
        rr_cg_begin(cg, "%ux%u tokens %u%s%s a+%u b+%u", c->n_a, c->n_b, c->n_tokens,
            c->turned ? " turned" : "", c->adds ? " adds" : "", c->a_gap, c->b_gap);
        rr_status status = run_case(cg, c, &data, diag);
        data_free(&data);
        RR_TRY(status);
    }
    return RR_OK;
}
