/* The products of software devices, held against the reference.
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
#include "tests/checkgpu/lanes_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* y, magnitude, and the error of the product in `bound`. */
void rr_cg_lanes_expect(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data) {
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
    const rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data, const float *bias) {
    uint32_t rows = data->layout.rows;
    for (size_t i = 0; i < (size_t)c->n_tokens * rows; i++) {
        double rms = (double)rr_cg_lanes_floats(cg, RR_CG_RMS)[i / rows], scaled = data->y[i] * rms;
        double value = scaled + (bias != NULL ? (double)bias[i % rows] : 0);
        data->values[i] = (float)value;
        /* the kernel's rounding, and the one of the line above */
        data->bound[i] = data->bound[i] * rms + RR_CG_U * (fabs(scaled) + 2 * fabs(value));
    }
}

static void check_head(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data) {
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
        factors = fmax(factors, (double)rr_cg_lanes_floats(cg, RR_CG_RMS)[t]);
        least = fmin(least, (double)rr_cg_lanes_floats(cg, RR_CG_RMS)[t]);
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
static void check_out(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data) {
    uint32_t rows = data->layout.rows;
    size_t n = (size_t)c->n_tokens * rows;
    const float *before = rr_cg_lanes_floats(cg, RR_CG_RESIDUAL),
                *norm = rr_cg_lanes_floats(cg, RR_CG_NORM);
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

static void check_gate_up(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data) {
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
    const rr_cg_lanes_case *c, const rr_cg_lanes_data *data, const float *table, double *bound) {
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
size_t rr_cg_lanes_kv_at(const rr_cg *cg, const rr_cg_lanes_case *c, const rr_cg_lanes_data *data,
    uint32_t t, uint32_t i) {
    return rr_cg_cache_at(
               cg, data->sessions[t], RR_CG_LANES_LAYER, i / c->head_size, data->positions[t]) +
        i % c->head_size;
}

static void check_qkv(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data) {
    uint32_t width = data->layout.rows, q_width = c->n_heads * c->head_size;
    size_t n = (size_t)c->n_tokens * width, n_cache = cg->slots[RR_CG_KV].bytes / sizeof(uint16_t);
    const float *table = rr_cg_lanes_floats(cg, RR_CG_TABLE), *q = rr_cg_found(cg, RR_CG_Y);
    const uint16_t *cache = rr_cg_found(cg, RR_CG_KV);
    double *bound = malloc(n * sizeof *bound);
    bool *written = calloc(n_cache, sizeof *written);
    apply_factor(cg, c, data, rr_cg_lanes_floats(cg, RR_CG_BIAS));
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
                size_t to = rr_cg_lanes_kv_at(cg, c, data, t, i - q_width);
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

void rr_cg_lanes_compare(rr_cg *cg, const rr_cg_lanes_case *c, rr_cg_lanes_data *data) {
    switch (cg->variant->op) {
    case RR_OP_lanes_qkv:
        check_qkv(cg, c, data);
        break;
    case RR_OP_lanes_out:
        check_out(cg, c, data);
        break;
    case RR_OP_lanes_gate_up:
        check_gate_up(cg, c, data);
        break;
    default:
        check_head(cg, c, data);
        break;
    }
}
