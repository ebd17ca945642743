/* Comparing results with the reference. */
#include "tests/checkgpu/internal.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A mean needs some results: a few of them may all lie near 0 by chance, where every relative error is large. */
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
                rr_cg_fault(cg, "row %zu column %zu: found %.9g, expected %.9g ± %.2g", r, c, found, expected, bound);
            }
            squares += expected * expected;
            error_squares += error * error;
        }
    }
    if (floats->rows * floats->cols >= NMSE_RESULTS && !(error_squares <= floats->nmse * squares)) {
        rr_cg_fault(cg, "normalised mean square error %.3g, at most %.3g", error_squares / squares, floats->nmse);
    }
    compare_gaps(cg, floats);
}

void rr_cg_compare_bits(rr_cg *cg, const char *what, const void *found, const void *expected, size_t n, size_t cols) {
    const uint8_t *a = found, *b = expected;
    if (memcmp(a, b, n * sizeof(uint32_t)) == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t x, y;
        memcpy(&x, a + i * sizeof x, sizeof x);
        memcpy(&y, b + i * sizeof y, sizeof y);
        if (x != y) {
            rr_cg_fault(cg, "%s: row %zu column %zu: bits %08" PRIx32 ", expected %08" PRIx32, what, i / cols, i % cols,
                        x, y);
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
        rr_cg_fault(cg, "f16 value %zu: found %.9g, expected %.9g (between %.9g and %.9g)", index, value, exact, low,
                    high);
    } else if (fabs(value - exact) > 2 * error + fabs((double)rr_f16_to_f32(rr_f32_to_f16((float)exact)) - exact)) {
        cg->result->n_f16_far++;
    }
}
