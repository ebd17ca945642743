#include "runtime/model/rope.h"

#include <math.h>

#define TWO_PI 6.283185307179586476925286766559

typedef struct rope {
    double frequencies[RR_CONFIG_MAX_HEAD_SIZE / 2]; /* radians a position */
    double magnitude; /* cos and sin are multiplied by it; 1 unless stretched */
} rope;

/* The pair, as a fraction, that turns `turns` times over the original context. */
static double pair_of(const rr_model_config *config, double turns) {
    const double size = (double)config->head_size;
    return size * log(config->yarn.original_context / (turns * TWO_PI)) /
        (2.0 * log((double)config->rope_theta));
}

/* Pairs that turn fast keep their frequency, slow ones are divided by the factor, those between are
 * mixed along a ramp. */
static void stretch(const rr_model_config *config, rope *out) {
    const rr_yarn *yarn = &config->yarn;
    double low = pair_of(config, yarn->beta_fast), high = pair_of(config, yarn->beta_slow);
    low = yarn->truncate ? floor(low) : low;
    high = yarn->truncate ? ceil(high) : high;
    low = fmax(low, 0.0);
    high = fmin(high, (double)config->head_size - 1.0);
    high = high == low ? high + 0.001 : high; /* no division by 0 */
    for (uint32_t i = 0; i < config->head_size / 2; i++) {
        const double ramp = fmin(fmax(((double)i - low) / (high - low), 0.0), 1.0);
        const double frequency = out->frequencies[i];
        out->frequencies[i] = frequency / yarn->factor * ramp + frequency * (1.0 - ramp);
    }
    out->magnitude = yarn->attention_factor;
}

void rr_rope_table(const rr_model_config *config, uint32_t n_context, float *table) {
    const uint32_t half = config->head_size / 2;
    rope turns = {.magnitude = 1.0};
    for (uint32_t i = 0; i < half; i++) {
        turns.frequencies[i] =
            pow((double)config->rope_theta, -2.0 * i / (double)config->head_size);
    }
    if (config->yarn.factor != 0.0) {
        stretch(config, &turns);
    }
    for (uint32_t position = 0; position < n_context; position++) {
        for (uint32_t i = 0; i < half; i++) {
            float *pair = table + ((size_t)position * half + i) * 2;
            const double angle = (double)position * turns.frequencies[i];
            pair[0] = (float)(turns.magnitude * cos(angle));
            pair[1] = (float)(turns.magnitude * sin(angle));
        }
    }
}
