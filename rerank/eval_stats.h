/* The paired t-test.
 * Owns: Student's t distribution and the incomplete beta function behind it. Plain arithmetic, no state. */
#ifndef RR_RERANK_EVAL_STATS_H
#define RR_RERANK_EVAL_STATS_H

#include <stddef.h>

/* The regularized incomplete beta function I_x(a, b) for a, b > 0 and 0 <= x <= 1: the continued fraction of DLMF 8.17.22 by
 * Lentz's method, good to some 1e-14 for a, b up to 1e5. */
double rr_incomplete_beta(double a, double b, double x);

/* The chance that |T| >= |t| for Student's t with df > 0 degrees of freedom, 0 to 1. NaN in, NaN out. */
double rr_student_two_sided(double t, double df);

typedef struct rr_t_test {
    size_t n;          /* pairs */
    double difference; /* mean of b - a */
    double t;          /* of b - a; 0 when a and b are equal in all pairs, infinite when they differ by a constant */
    double df;         /* n - 1 */
    double p;          /* two-sided, 0 to 1; NaN with less than two pairs */
} rr_t_test;

/* Paired t-test of a[n] and b[n]. Cost: two passes. */
rr_t_test rr_t_test_paired(const double *a, const double *b, size_t n);

/* Bonferroni: p for one of n_tests tests, at most 1. */
double rr_bonferroni(double p, size_t n_tests);

#endif
