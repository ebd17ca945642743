/* Comparing results with the reference. */
#include "tests/checkgpu/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shaders/lanes_code.h"

_Static_assert(
    RR_LANES_MOST == RR_REF_CODE_MOST, "the shaders and their reference mean the same codes");

/* A mean needs some results: a few of them may all lie near 0 by chance, where every relative error
 * is large. */
enum { NMSE_RESULTS = 64 };

static bool is_fill(const float *value) {
    static const uint32_t word = RR_CG_FILL;
    return memcmp(value, &word, sizeof word) == 0;
}

/* Between a row's columns and the next row nothing may be written. */
static void compare_gaps(rr_cg *cg, const rr_cg_floats *floats) {
    for (size_t r = 0; r + 1 < floats->rows; r++) {
        for (size_t c = floats->cols; c < floats->stride; c++) {
            if (!is_fill(&floats->found[r * floats->stride + c])) {
                rr_cg_fault(cg, "row %zu: wrote %zu columns behind its end", r, c - floats->cols);
                return;
            }
        }
    }
}

void rr_cg_compare(rr_cg *cg, const rr_cg_floats *floats) {
    double squares = 0, error_squares = 0;
    for (size_t r = 0; r < floats->rows; r++) {
        for (size_t c = 0; c < floats->cols; c++) {
            size_t at = r * floats->stride + c;
            double found = (double)floats->found[at], expected = (double)floats->expected[at];
            double error = fabs(found - expected), bound = floats->bound[r * floats->cols + c];
            if (is_fill(&floats->found[at])) {
                rr_cg_fault(cg, "row %zu column %zu was not written", r, c);
            } else if (!(error <= bound)) { /* also NaN */
                rr_cg_fault(cg, "row %zu column %zu: found %.9g, expected %.9g ± %.2g", r, c, found,
                    expected, bound);
            }
            squares += expected * expected;
            error_squares += error * error;
        }
    }
    if (floats->rows * floats->cols >= NMSE_RESULTS && !(error_squares <= floats->nmse * squares)) {
        rr_cg_fault(cg, "normalised mean square error %.3g, at most %.3g", error_squares / squares,
            floats->nmse);
    }
    compare_gaps(cg, floats);
}

void rr_cg_compare_bits(
    rr_cg *cg, const char *what, const void *found, const void *expected, size_t n, size_t cols) {
    const uint8_t *a = found, *b = expected;
    if (memcmp(a, b, n * sizeof(uint32_t)) == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t x, y;
        memcpy(&x, a + i * sizeof x, sizeof x);
        memcpy(&y, b + i * sizeof y, sizeof y);
        if (x != y) {
            rr_cg_fault(cg, "%s: row %zu column %zu: bits %08" PRIx32 ", expected %08" PRIx32, what,
                i / cols, i % cols, x, y);
            return;
        }
    }
}

/* The f16 values around `exact` (equal when it is one). */
static void neighbours(double exact, double *below, double *above) {
    double magnitude = fabs(exact);
    int exponent;
    frexp(magnitude, &exponent);
    double unit = ldexp(1, exponent - 11 < -24 ? -24 : exponent - 11);
    double low = floor(magnitude / unit) * unit, high = ceil(magnitude / unit) * unit;
    *below = exact < 0 ? -high : low;
    *above = exact < 0 ? -low : high;
}

void rr_cg_compare_f16(rr_cg *cg, uint16_t found, double exact, double error, size_t index) {
    double value = (double)rr_f16_to_f32(found), low, high, unused;
    neighbours(exact - error, &low, &unused);
    neighbours(exact + error, &unused, &high);
    cg->result->n_f16++;
    if (!(value >= low && value <= high)) {
        rr_cg_fault(cg, "f16 value %zu: found %.9g, expected %.9g (between %.9g and %.9g)", index,
            value, exact, low, high);
    } else if (fabs(value - exact) >
        2 * error + fabs((double)rr_f16_to_f32(rr_f32_to_f16((float)exact)) - exact)) {
        cg->result->n_f16_far++;
    }
}

/* What one group's values leave open. Let v be the values with bounds e, m = max |v| and E = max e.
 * The kernel computes most within E of m, d = most / M, M = RR_LANES_MOST (division: 2.5 units of 2
 * u, Vulkan's precision table), and w = v' (M / most), the quotient and the product each rounded:
 * |w - M v / m| <= M e / (m - E) + M |v| E / (m (m - E)) + 7 u |w|. Turning w into an integer
 * rounds once more, exactly. */
typedef struct code_limits {
    double m, e, d, d_error;
} code_limits;

static code_limits limits_of(const float *expected, const double *bound, size_t n) {
    code_limits l = {0};
    for (size_t i = 0; i < n; i++) {
        l.m = fmax(l.m, fabs((double)expected[i]));
        l.e = fmax(l.e, bound[i]);
    }
    l.d = l.m / RR_LANES_MOST;
    l.d_error = l.e / RR_LANES_MOST + 5 * RR_CG_U * (l.d + l.e / RR_LANES_MOST);
    return l;
}

/* How far from the exact quotient a code may lie. */
static double code_slack(const code_limits *l, double v, double bound) {
    if (l->m <= l->e) {
        return INFINITY;
    }
    return RR_LANES_MOST * (bound + fabs(v) * l->e / l->m) / (l->m - l->e) +
        7 * RR_CG_U * (RR_LANES_MOST + 1);
}

void rr_cg_compare_codes(rr_cg *cg, const rr_cg_codes *c) {
    enum { GROUP = 32 };
    double squares = 0, steps = 0, float_squares = 0;
    size_t n_groups = c->rows * c->cols / GROUP;
    for (size_t g = 0; g < n_groups; g++) {
        const int16_t *found = c->found + g * GROUP;
        const float *expected = c->expected + g * GROUP;
        const double *bound = c->bound + g * GROUP;
        size_t row = g * GROUP / c->cols, column = g * GROUP % c->cols;
        code_limits l = limits_of(expected, bound, GROUP);
        float d;
        memcpy(&d, &c->groups[2 * g], sizeof d);
        /* a group that is as good as zero may be all zeros */
        bool tiny = l.m - l.e < 1e-30 && d == 0;
        if (!tiny && !(fabs((double)d - l.d) <= l.d_error)) {
            rr_cg_fault(cg, "row %zu columns %zu…: scale %.9g, expected %.9g ± %.2g", row, column,
                (double)d, l.d, l.d_error);
        }
        for (size_t i = 0; i < GROUP; i++) {
            double exact = l.m > 0 ? (double)expected[i] / l.d : 0,
                   slack = code_slack(&l, (double)expected[i], bound[i]);
            double away = fabs(found[i] - exact);
            if (tiny ? found[i] != 0 : !(away <= 0.5 + slack) || abs(found[i]) > RR_LANES_MOST) {
                rr_cg_fault(cg, "row %zu column %zu: code %d, expected %.6g ± %.2g", row,
                    column + i, found[i], exact, 0.5 + slack);
            }
            double tie = fabs(fabs(exact - floor(exact)) - 0.5);
            cg->result->n_codes++;
            cg->result->n_codes_tied += !tiny && tie <= slack;
            double error = (double)d * found[i] - (double)expected[i];
            squares += error * error;
            float_squares += bound[i] * bound[i];
        }
        steps += GROUP * (double)d * (double)d;
        if (c->groups[2 * g + 1] != rr_ref_code_sums(found)) {
            rr_cg_fault(cg,
                "row %zu columns %zu…: code sums %08" PRIx32 ", the codes make %08" PRIx32, row,
                column, c->groups[2 * g + 1], rr_ref_code_sums(found));
        }
    }
    /* a rounding to the nearest step has a mean square of 1/12; 256 groups are within 7 % of
     * that */
    if (n_groups >= 256 && !(squares <= 1.2 * steps / 12 + 2 * float_squares)) {
        rr_cg_fault(
            cg, "mean square of the rounding: %.3g of a step, expected 1/12", squares / steps);
    }
}
