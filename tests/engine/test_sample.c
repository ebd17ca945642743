/* rr_argmax, rr_sample and rr_choose: ties, NaN, seeds, the shape of the distribution, top-p's
 * cut. */
#include <math.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/sample.h"
#include "tests/check.h"

static void test_argmax(void) {
    const float ties[] = {1.0f, 3.0f, 3.0f, 2.0f};
    const float nans[] = {NAN, -5.0f, NAN, -4.0f};
    const float nothing[] = {NAN, NAN};
    CHECK_INT(rr_argmax(ties, 4), 1);
    CHECK_INT(rr_argmax(nans, 4), 3);
    CHECK_INT(rr_argmax(nothing, 2), 0);
}

static void test_greedy(void) {
    const float logits[] = {0.0f, 5.0f, 4.9f};
    rr_candidate scratch[3];
    uint64_t rng = 7;
    for (int i = 0; i < 100; i++) {
        CHECK_INT(rr_sample(logits, 3, 0.0f, 0.0f, &rng, scratch), 1);
    }
    CHECK_INT(rng, 7); /* a greedy step draws nothing */
}

/* Counts of many draws against softmax(logits / temperature): five standard deviations. */
static void test_distribution(float temperature) {
    const float logits[] = {1.0f, 2.0f, 0.5f, -1.0f};
    double weights[4], total = 0.0;
    for (int i = 0; i < 4; i++) {
        weights[i] = exp((double)logits[i] / (double)temperature);
        total += weights[i];
    }
    enum { DRAWS = 20000 };
    int counts[4] = {0};
    rr_candidate scratch[4];
    uint64_t rng = 42;
    for (int i = 0; i < DRAWS; i++) {
        counts[rr_sample(logits, 4, temperature, 0.0f, &rng, scratch)]++;
    }
    for (int i = 0; i < 4; i++) {
        double p = weights[i] / total;
        double bound = 5.0 * sqrt(DRAWS * p * (1.0 - p)) + 1.0;
        CHECK_MSG(fabs(counts[i] - DRAWS * p) < bound,
            "temperature %g id %d: %d draws, expected %.0f", (double)temperature, i, counts[i],
            DRAWS * p);
    }
}

static void test_top_p(void) {
    const float logits[] = {0.0f, 3.0f, 2.9f, -2.0f}; /* the two best hold 0.97 of the mass */
    rr_candidate scratch[4];
    uint64_t rng = 1;
    int seen[4] = {0};
    for (int i = 0; i < 2000; i++) {
        seen[rr_sample(logits, 4, 1.0f, 0.9f, &rng, scratch)]++;
    }
    CHECK_INT(seen[0] + seen[3], 0);
    CHECK(seen[1] > 0 && seen[2] > 0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(rr_sample(logits, 4, 1.0f, 0.1f, &rng, scratch), 1);
    }
}

static void test_seeds(void) {
    float logits[64];
    for (int i = 0; i < 64; i++) {
        logits[i] = (float)(i % 7) * 0.3f;
    }
    rr_candidate scratch[64];
    uint64_t a = 5, b = 5, c = 6;
    int differ = 0;
    for (int i = 0; i < 200; i++) {
        int32_t x = rr_sample(logits, 64, 1.0f, 0.95f, &a, scratch);
        CHECK_INT(rr_sample(logits, 64, 1.0f, 0.95f, &b, scratch), x);
        differ += rr_sample(logits, 64, 1.0f, 0.95f, &c, scratch) != x;
    }
    CHECK(differ > 100);
}

/* A choice among a few is a draw from a vocabulary of them. */
static void test_choose(void) {
    const float logits[] = {0.5f, 2.0f, 2.0f, NAN, 1.0f};
    rr_candidate scratch[5];
    uint64_t a = 9, b = 9;
    CHECK_INT(rr_choose(logits, 5, 0.0f, 0.0f, &a), 1);
    CHECK_INT(rr_choose(logits, 1, 0.0f, 0.0f, &a), 0);
    CHECK_INT(a, 9);
    bool seen[5] = {false};
    for (int i = 0; i < 200; i++) {
        size_t found = rr_choose(logits, 5, 1.5f, 0.99f, &a);
        CHECK_INT(found, rr_sample(logits, 5, 1.5f, 0.99f, &b, scratch));
        seen[found] = true;
    }
    CHECK(seen[0] && seen[1] && seen[2] && !seen[3] && seen[4]);
}

int main(void) {
    test_argmax();
    test_greedy();
    test_distribution(1.0f);
    test_distribution(0.5f);
    test_top_p();
    test_seeds();
    test_choose();
    return CHECK_END();
}
