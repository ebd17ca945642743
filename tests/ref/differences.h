/* Gradients against finite differences: the loss is a fixed random combination of a forward op's
 * results, each input is moved by ± STEP. Forward results are rounded to float, which leaves about
 * 1e-5 of a difference open, and the third derivative about as much. */
#ifndef RR_TESTS_REF_DIFFERENCES_H
#define RR_TESTS_REF_DIFFERENCES_H

#include <math.h>

#include "runtime/base/random.h"
#include "tests/check.h"

#define DIFFERENCE_STEP 0.01f
#define DIFFERENCE_LIMIT 1e-3 /* of the largest gradient */

/* -1 … 1 */
static inline float random_value(uint64_t *state) {
    return (float)(rr_random(state) >> 40) / (float)(1 << 23) - 1;
}

static inline void random_values(uint64_t *state, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = random_value(state);
    }
}

static inline double combine(const float *weights, const float *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)weights[i] * y[i];
    }
    return sum;
}

/* The largest distance between `gradient` and the differences of `loss` by x[0 … n), in units of
 * the largest difference. */
static inline double worst_difference(
    double (*loss)(const void *user), const void *user, float *x, const float *gradient, size_t n) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        const float before = x[i], above = before + DIFFERENCE_STEP,
                    below = before - DIFFERENCE_STEP;
        x[i] = above;
        double high = loss(user);
        x[i] = below;
        double difference = (high - loss(user)) / ((double)above - (double)below);
        x[i] = before;
        worst = fmax(worst, fabs(difference - (double)gradient[i]));
        largest = fmax(largest, fabs(difference));
    }
    return largest > 0 ? worst / largest : INFINITY;
}

/* Also that the check can fail: a gradient one hundredth too large must. */
static inline void check_gradient(const char *what, double (*loss)(const void *user),
    const void *user, float *x, const float *gradient, size_t n) {
    double worst = worst_difference(loss, user, x, gradient, n);
    CHECK_MSG(worst < DIFFERENCE_LIMIT, "%s: %.3g of the largest gradient away from differences",
        what, worst);
    float *wrong = malloc(n * sizeof *wrong);
    for (size_t i = 0; i < n; i++) {
        wrong[i] = gradient[i] * 1.01f;
    }
    CHECK_MSG(worst_difference(loss, user, x, wrong, n) > DIFFERENCE_LIMIT,
        "%s: a gradient that is wrong by a hundredth passes", what);
    free(wrong);
}

#endif
