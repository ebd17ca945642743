/* Student's t and the incomplete beta function against published and closed-form values. */
#include "tests/check.h"

#include <math.h>

#include "rerank/eval/stats.h"
#include "runtime/base/random.h"

static void near(double found, double expected, double within, const char *what) {
    CHECK_MSG(
        fabs(found - expected) <= within, "%s: found %.15g, expected %.15g", what, found, expected);
}

static void check_beta(void) {
    for (int i = 0; i <= 20; i++) {
        double x = i / 20.0;
        near(rr_incomplete_beta(1, 1, x), x, 1e-14, "I_x(1, 1) = x");
        near(rr_incomplete_beta(3, 1, x), x * x * x, 1e-14, "I_x(3, 1) = x^3");
        near(rr_incomplete_beta(0.5, 0.5, x), 2 / acos(-1.0) * asin(sqrt(x)), 1e-13,
            "the arcsine distribution");
        near(rr_incomplete_beta(2.5, 7, x), 1 - rr_incomplete_beta(7, 2.5, 1 - x), 1e-14,
            "symmetry");
        near(rr_incomplete_beta(2, 3, x), 6 * x * x - 8 * x * x * x + 3 * x * x * x * x, 1e-13,
            "I_x(2, 3)");
    }
    near(rr_incomplete_beta(50000, 50000, 0.5), 0.5, 1e-9, "large parameters");
    CHECK(isnan(rr_incomplete_beta(1, 1, NAN)));
}

static void check_student(void) {
    /* critical values of t tables: two-sided 5 % and 1 % */
    static const struct {
        double df, t, p;
    } table[] = {
        {1, 12.7062047364, 0.05},
        {1, 63.6567411629, 0.01},
        {2, 4.30265272991, 0.05},
        {5, 2.57058183661, 0.05},
        {10, 2.22813885196, 0.05},
        {10, 3.16927267262, 0.01},
        {30, 2.04227245630, 0.05},
        {100, 1.98397151845, 0.05},
        {1000, 1.96233908082, 0.05},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        near(rr_student_two_sided(table[i].t, table[i].df), table[i].p, 1e-9, "table of t");
        near(rr_student_two_sided(-table[i].t, table[i].df), table[i].p, 1e-9,
            "table of t, left side");
    }
    near(rr_student_two_sided(1.0, 1), 0.5, 1e-14, "Cauchy");
    near(rr_student_two_sided(0.0, 7), 1.0, 1e-14, "no difference");
    near(rr_student_two_sided(sqrt(2.0), 2), 1 - sqrt(2.0) / sqrt(4.0), 1e-14,
        "two degrees of freedom");
    CHECK(rr_student_two_sided(INFINITY, 4) == 0.0 && isnan(rr_student_two_sided(NAN, 4)));
}

static void check_paired(void) {
    /* Student's own example (1908): hours of sleep gained with two drugs, t = 4.0621, p =
     * 0.002833 */
    static const double a[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
    static const double b[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
    rr_t_test test = rr_t_test_paired(a, b, 10);
    CHECK_INT(test.n, 10);
    near(test.difference, 1.58, 1e-12, "mean difference");
    near(test.t, 4.0621, 5e-5, "t");
    near(test.p, 0.002833, 5e-7, "p");
    CHECK(test.df == 9.0);
    test = rr_t_test_paired(b, a, 10);
    near(test.t, -4.0621, 5e-5, "t the other way");
    test = rr_t_test_paired(a, a, 10);
    CHECK(test.t == 0.0 && test.p == 1.0);
    static const double c[] = {0.1, 0.2, 0.3}, d[] = {0.2, 0.3, 0.4};
    test = rr_t_test_paired(c, d, 3);
    CHECK(test.p == 0.0 && isinf(test.t) && test.t > 0);
    CHECK(isnan(rr_t_test_paired(a, b, 1).p) && isnan(rr_t_test_paired(NULL, NULL, 0).p));
    near(rr_bonferroni(0.01, 3), 0.03, 1e-15, "Bonferroni");
    CHECK(rr_bonferroni(0.5, 3) == 1.0 && isnan(rr_bonferroni(NAN, 3)));
}

static void check_bootstrap(void) {
    enum { N = 400, SAMPLES = 20000 };
    double values[N], sum = 0.0, squares = 0.0;
    uint64_t state = 7;
    for (size_t i = 0; i < N; i++) {
        values[i] = (double)(rr_random(&state) >> 11) / 9007199254740992.0;
        sum += values[i];
        squares += values[i] * values[i];
    }
    /* where the central limit holds, the interval is the normal one */
    double mean = sum / N, error = sqrt(squares / N - mean * mean) / sqrt(N);
    rr_interval interval, again;
    CHECK(rr_bootstrap_mean(values, N, SAMPLES, 0.95, 1, &interval));
    near(interval.low, mean - 1.959964 * error, 0.06 * error, "low end");
    near(interval.high, mean + 1.959964 * error, 0.06 * error, "high end");
    CHECK(rr_bootstrap_mean(values, N, SAMPLES, 0.95, 1, &again) && again.low == interval.low &&
        again.high == interval.high);
    CHECK(rr_bootstrap_mean(values, N, SAMPLES, 0.95, 2, &again) && again.low != interval.low);
    CHECK(rr_bootstrap_mean(values, N, SAMPLES, 0.5, 1, &again) && again.low > interval.low &&
        again.high < interval.high);
    /* two values: the mean of a sample is 0, 1/2 or 1 with chances 1/4, 1/2, 1/4 */
    const double two[] = {0.0, 1.0}, same[] = {0.3, 0.3, 0.3};
    CHECK(rr_bootstrap_mean(two, 2, SAMPLES, 0.4, 1, &interval) && interval.low == 0.5 &&
        interval.high == 0.5);
    CHECK(rr_bootstrap_mean(two, 2, SAMPLES, 0.6, 1, &interval) && interval.low == 0.0 &&
        interval.high == 1.0);
    CHECK(rr_bootstrap_mean(same, 3, 100, 0.95, 1, &interval));
    near(interval.low, 0.3, 1e-15, "no spread");
    near(interval.high, 0.3, 1e-15, "no spread");
    CHECK(rr_bootstrap_mean(two, 1, 100, 0.95, 1, &interval) && isnan(interval.low) &&
        isnan(interval.high));
    CHECK(rr_bootstrap_mean(NULL, 0, 100, 0.95, 1, &interval) && isnan(interval.low));
    CHECK(rr_bootstrap_mean(two, 2, 0, 0.95, 1, &interval) && isnan(interval.low));
}

int main(void) {
    check_beta();
    check_student();
    check_paired();
    check_bootstrap();
    return CHECK_END();
}
