/* Drawing a token from logits. Pure. */
#ifndef RR_ENGINE_SAMPLE_H
#define RR_ENGINE_SAMPLE_H

#include <stdint.h>

/* One draw. `rng` advances by one step a draw. temperature 0 = arg max. O(n_vocab), plus a sort of
 * the candidates when top_p cuts. `scratch` holds n_vocab entries. */
typedef struct rr_candidate {
    float p;
    int32_t id;
} rr_candidate;
int32_t rr_sample(const float *logits, uint32_t n_vocab, float temperature, float top_p,
    uint64_t *rng, rr_candidate *scratch);
int32_t rr_argmax(const float *logits, uint32_t n_vocab);

#endif
