/* The paired t-test, and intervals of a mean by the bootstrap.
 * Owns: Student's t distribution and the incomplete beta function behind it; the resampling. Plain
 * arithmetic, no state. */
#ifndef RR_RERANK_EVAL_STATS_H
#define RR_RERANK_EVAL_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The regularized incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1: the continued
 * fraction of DLMF 8.17.22 by Lentz's method, good to some 1e-14 for a, b up to 1e5. */
double rr_incomplete_beta(double a, double b, double x);

/* The chance that |T| >= |t| for Student's t with df > 0 degrees of freedom, 0 to 1. NaN in, NaN
 * out. */
double rr_student_two_sided(double t, double df);

typedef struct rr_t_test {
    size_t n;          /* pairs */
    double difference; /* mean of b - a */
    /* of b - a; 0 when a and b are equal in all pairs, infinite when they differ by a constant */
    double t;
    double df; /* n - 1 */
    double p;  /* two-sided, 0 to 1; NaN with less than two pairs */
} rr_t_test;

/* Paired t-test of a[n] and b[n]. Cost: two passes. */
rr_t_test rr_t_test_paired(const double *a, const double *b, size_t n);

/* Bonferroni: p for one of n_tests tests, at most 1. */
double rr_bonferroni(double p, size_t n_tests);

typedef struct rr_interval {
    double low, high; /* NaN with less than two values */
} rr_interval;

/* The interval that holds the mean of values[n] with the chance `level` (0 to 1), by the percentile
 * bootstrap (Efron 1979; Sakai 2006 for rankings): what is left of the means of n_samples samples
 * of n values when the (1 - level) / 2 lowest and highest are gone; drawn with replacement by
 * splitmix64 from `seed`, so that the same values give the same interval. False: out of memory.
 * Cost: n × n_samples. */
bool rr_bootstrap_mean(const double *values, size_t n, uint32_t n_samples, double level,
    uint64_t seed, rr_interval *out);

#endif
