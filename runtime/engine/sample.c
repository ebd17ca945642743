/* Sampling on the host. Owns: the draw. Sums in double, ids in order, so that a seed gives the same
 * text everywhere. */
#include "runtime/engine/sample.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/base/random.h"
#include "runtime/engine/engine.h"

int32_t rr_argmax(const float *logits, uint32_t n_vocab) {
    int32_t best = -1;
    for (uint32_t i = 0; i < n_vocab; i++) {
        if (!isnan(logits[i]) && (best < 0 || logits[i] > logits[best])) {
            best = (int32_t)i;
        }
    }
    return best < 0 ? 0 : best;
}

/* In [0, 1). */
static double next_uniform(uint64_t *rng) {
    return (double)(rr_random(rng) >> 11) * 0x1.0p-53;
}

static int by_probability(const void *left, const void *right) {
    const rr_candidate *a = left;
    const rr_candidate *b = right;
    if (a->p != b->p) {
        return a->p < b->p ? 1 : -1;
    }
    return a->id < b->id ? -1 : 1;
}

int32_t rr_sample(const float *logits, uint32_t n_vocab, float temperature, float top_p,
    uint64_t *rng, rr_candidate *scratch) {
    int32_t best = rr_argmax(logits, n_vocab);
    if (!(temperature > 0.0f) || !isfinite(logits[best])) {
        return best;
    }
    double total = 0.0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        double p = exp(((double)logits[i] - (double)logits[best]) / (double)temperature);
        /* what cannot change a sum of ~1 in float is left out, which keeps the sort short */
        if (p > 1e-9) {
            scratch[n++] = (rr_candidate){.p = (float)p, .id = (int32_t)i};
            total += (double)(float)p;
        }
    }
    double mass = total;
    if (top_p > 0.0f && top_p < 1.0f) {
        qsort(scratch, n, sizeof *scratch, by_probability);
        double kept = 0.0;
        uint32_t n_kept = 0;
        while (n_kept < n && kept < (double)top_p * total) {
            kept += (double)scratch[n_kept++].p;
        }
        n = n_kept;
        mass = kept;
    }
    double draw = next_uniform(rng) * mass;
    for (uint32_t i = 0; i < n; i++) {
        draw -= (double)scratch[i].p;
        if (draw < 0.0) {
            return scratch[i].id;
        }
    }
    return n > 0 ? scratch[n - 1].id : best;
}

size_t rr_choose(const float *logits, size_t n, float temperature, float top_p, uint64_t *rng) {
    rr_candidate scratch[RR_CHOICES];
    assert(n > 0 && n <= RR_CHOICES);
    return (size_t)rr_sample(logits, (uint32_t)n, temperature, top_p, rng, scratch);
}
