#include "rerank/eval/stats.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/base/random.h"

/* The continued fraction of I_x(a, b); converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x) {
    const double tiny = 1e-300;
    double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0);
    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double value = d;
    for (int m = 1; m <= 100000; m++) {
        double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        double factor = 1.0;
        for (int part = 0; part < 2; part++) {
            double term = part == 0 ? even : odd;
            d = 1.0 + term * d;
            d = 1.0 / (fabs(d) < tiny ? tiny : d);
            c = 1.0 + term / c;
            c = fabs(c) < tiny ? tiny : c;
            factor = c * d;
            value *= factor;
        }
        if (fabs(factor - 1.0) < DBL_EPSILON) {
            break;
        }
    }
    return value;
}

double rr_incomplete_beta(double a, double b, double x) {
    if (isnan(x) || x <= 0.0) {
        return isnan(x) ? x : 0.0;
    }
    if (x >= 1.0) {
        return 1.0;
    }
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1.0) / (a + b + 2.0) ? front * beta_fraction(a, b, x) / a
                                         : 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

double rr_student_two_sided(double t, double df) {
    return isinf(t) ? 0.0 : rr_incomplete_beta(df / 2.0, 0.5, df / (df + t * t));
}

rr_t_test rr_t_test_paired(const double *a, const double *b, size_t n) {
    rr_t_test test = {.n = n, .df = n > 0 ? (double)n - 1.0 : 0.0, .t = NAN, .p = NAN};
    double sum = 0.0, squares = 0.0, largest = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += b[i] - a[i];
        largest = fmax(largest, fmax(fabs(a[i]), fabs(b[i])));
    }
    test.difference = n > 0 ? sum / (double)n : 0.0;
    if (n < 2) {
        return test;
    }
    for (size_t i = 0; i < n; i++) {
        double off = b[i] - a[i] - test.difference;
        squares += off * off;
    }
    double deviation = sqrt(squares / test.df);
    if (deviation <= 4.0 * DBL_EPSILON * largest) { /* a constant difference, but for rounding */
        test.t = fabs(test.difference) <= 4.0 * DBL_EPSILON * largest
            ? 0.0
            : copysign(INFINITY, test.difference);
    } else {
        test.t = test.difference / (deviation / sqrt((double)n));
    }
    test.p = rr_student_two_sided(test.t, test.df);
    return test;
}

double rr_bonferroni(double p, size_t n_tests) {
    double corrected = p * (double)n_tests;
    return corrected > 1.0 ? 1.0 : corrected;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

bool rr_bootstrap_mean(const double *values, size_t n, uint32_t n_samples, double level,
    uint64_t seed, rr_interval *out) {
    *out = (rr_interval){NAN, NAN};
    if (n < 2 || n_samples == 0) {
        return true;
    }
    double *means = malloc(n_samples * sizeof *means);
    if (means == NULL) {
        return false;
    }
    for (uint32_t sample = 0; sample < n_samples; sample++) {
        double sum = 0.0;
        for (size_t i = 0; i < n; i++) {
            /* n is far below 2^64: the bias of the remainder is nothing */
            sum += values[rr_random(&seed) % n];
        }
        means[sample] = sum / (double)n;
    }
    qsort(means, n_samples, sizeof *means, by_size);
    /* on each side; 0.05 is a little less than that */
    const size_t n_outside = (size_t)((1.0 - level) / 2.0 * n_samples + 1e-6);
    *out = (rr_interval){means[n_outside], means[n_samples - 1 - n_outside]};
    free(means);
    return true;
}
