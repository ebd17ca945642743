#include "quant/search.h"

#include <math.h>

/* Compiled for wider vectors too. Nothing is contracted (compile_options.cmake), so the bytes are
 * the same. Which one is taken is found out before the thread sanitizer is ready: with it a program
 * would end at its start. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif
#define INLINE static inline __attribute__((always_inline))

/* Eight candidates are tried at once, one a lane, and there are up to three times as many. */
enum { LANES = 8, VECTORS = 3 };

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t lane_bits __attribute__((vector_size(4 * LANES)));

static const lanes zero = {0};
static const lanes eighths = {0, 1, 2, 3, 4, 5, 6, 7};

/* Added and taken away again, it rounds a float below 2^22 to the nearest integer. */
static const float rounder = 12582912.0f;

float rr_search_inverse(float value) {
    const float result = 1.0f / value;
    return isfinite(result) ? result : 0.0f;
}

/* `a` where the mask is set, else `b`. */
INLINE void choose(const lane_bits *mask, const lanes *a, const lanes *b, lanes *out) {
    *out = (lanes)((*mask & (lane_bits)*a) | (~*mask & (lane_bits)*b));
}

/* `values` rounded to integers within least … most. */
INLINE void round_within(lanes *values, float least, float most) {
    const lanes low = zero + least, high = zero + most;
    *values = (*values + rounder) - rounder;
    const lane_bits under = *values<low, over = *values> high;
    choose(&under, &low, values, values);
    choose(&over, &high, values, values);
}

INLINE float sum_of(const lanes *v) {
    return (((*v)[0] + (*v)[4]) + ((*v)[1] + (*v)[5])) +
        (((*v)[2] + (*v)[6]) + ((*v)[3] + (*v)[7]));
}

INLINE void load(const float *from, lanes *to) {
    memcpy(to, from, sizeof *to);
}

/* The lowest and the highest of n weights. */
INLINE void range_of(const float *x, int n, float *low, float *high) {
    lanes least, most, next;
    load(x, &least);
    most = least;
    for (int i = LANES; i < n; i += LANES) {
        load(x + i, &next);
        const lane_bits under = next<least, over = next> most;
        choose(&under, &next, &least, &least);
        choose(&over, &next, &most, &most);
    }
    *low = least[0];
    *high = most[0];
    for (int l = 1; l < LANES; l++) {
        *low = least[l] < *low ? least[l] : *low;
        *high = most[l] > *high ? most[l] : *high;
    }
}

/* Symmetric codes. With given ones the best scale is xq / qq (sum w x q, sum w q^2), and makes the
 * loss less by xq^2 / qq. */

typedef struct symmetric_best {
    float scale, gain;
} symmetric_best;

/* Codes by each of the candidates' inverse scales; keeps the scale for those that lose least. */
INLINE void try_symmetric(const float *x, const float *w, int n, int bias, const lanes *inverse,
    int n_vectors, symmetric_best *best) {
    lanes xq[VECTORS] = {{0}}, qq[VECTORS] = {{0}};
    for (int i = 0; i < n; i++) {
        const float wx = w[i] * x[i];
        for (int v = 0; v < n_vectors; v++) {
            lanes q = inverse[v] * x[i];
            round_within(&q, (float)-bias, (float)(bias - 1));
            xq[v] += q * wx;
            qq[v] += q * q * w[i];
        }
    }
    for (int v = 0; v < n_vectors; v++) {
        const lanes scale = xq[v] / qq[v], gain = xq[v] * scale; /* no number for codes of zero */
        for (int l = 0; l < LANES; l++) {
            if (gain[l] > best->gain) {
                *best = (symmetric_best){scale[l], gain[l]};
            }
        }
    }
}

/* Tried are scales that put the largest weight around the lowest code, and those of the other sign
 * that put it around the highest. */
INLINE float search_symmetric(const float *x, const float *w, int n, int bias) {
    float low, high;
    range_of(x, n, &low, &high);
    const float per_peak = rr_search_inverse(high > -low ? high : low);
    if (per_peak == 0.0f) {
        return 0.0f;
    }
    lanes inverse[VECTORS] = {eighths * 0.15f - ((float)bias + 0.7f),
        eighths * 0.15f - ((float)bias - 0.5f), (float)bias - 0.5f - eighths * 0.15f};
    for (int v = 0; v < VECTORS; v++) {
        inverse[v] *= per_peak;
    }
    symmetric_best best = {0.0f, 0.0f};
    try_symmetric(x, w, n, bias, inverse, VECTORS, &best);
    const lanes near = (eighths * 0.008f + 0.972f) * rr_search_inverse(best.scale);
    try_symmetric(x, w, n, bias, &near, 1, &best);
    return best.scale;
}

WIDE static float symmetric_32(const float *x, const float *w, int bias) {
    return search_symmetric(x, w, 32, bias);
}

WIDE static float symmetric_16(const float *x, const float *w, int bias) {
    return search_symmetric(x, w, 16, bias);
}

float rr_search_symmetric(const float *x, const float *w, int n, int bias) {
    return n == 32 ? symmetric_32(x, w, bias) : symmetric_16(x, w, bias);
}

/* Codes from a lowest weight on. With given ones, scale and low solve two linear equations. */

typedef struct affine_sums {
    float w, x, xx; /* sum w, sum w x, sum w x^2 */
} affine_sums;

typedef struct affine_best {
    rr_affine_fit fit;
    float loss;
} affine_best;

/* The solutions for eight candidates of which the sums over w q, w q^2 and w x q are given. */
INLINE void solve_affine(const affine_sums *sums, const lanes *q1, const lanes *q2, const lanes *xq,
    bool below, affine_best *best) {
    const lanes determinant = *q2 * sums->w - *q1 * *q1;
    lanes scale = (*xq * sums->w - *q1 * sums->x) / determinant;
    lanes low = (*q2 * sums->x - *q1 * *xq) / determinant;
    if (below) {
        const lane_bits above = low > zero;
        const lanes alone = *xq / *q2;
        choose(&above, &alone, &scale, &scale);
        choose(&above, &zero, &low, &low);
    }
    const lanes loss = sums->xx - scale * *xq - low * sums->x;
    for (int l = 0; l < LANES; l++) {
        if (loss[l] < best->loss && determinant[l] > 0.0f && scale[l] > 0.0f) {
            *best = (affine_best){{scale[l], low[l]}, loss[l]};
        }
    }
}

INLINE void try_affine(const float *x, const float *w, float top, bool below,
    const affine_sums *sums, const lanes *inverse, const lanes *offset, int n_vectors,
    affine_best *best) {
    lanes q1[VECTORS] = {{0}}, q2[VECTORS] = {{0}}, xq[VECTORS] = {{0}};
    for (int i = 0; i < RR_GROUP; i++) {
        const float wx = w[i] * x[i];
        for (int v = 0; v < n_vectors; v++) {
            lanes q = inverse[v] * x[i] + offset[v];
            round_within(&q, 0.0f, top);
            const lanes wq = q * w[i];
            q1[v] += wq;
            q2[v] += wq * q;
            xq[v] += q * wx;
        }
    }
    for (int v = 0; v < n_vectors; v++) {
        solve_affine(sums, &q1[v], &q2[v], &xq[v], below, best);
    }
}

/* Tried are ranges that leave out some of the weights' range at either end. */
WIDE static rr_affine_fit search_affine(const float *x, const float *w, int top, bool below) {
    float low, high;
    lanes sum_w = {0}, sum_x = {0}, sum_xx = {0};
    for (int i = 0; i < RR_GROUP; i += LANES) {
        lanes value, weight;
        load(x + i, &value);
        load(w + i, &weight);
        sum_w += weight;
        sum_x += weight * value;
        sum_xx += weight * value * value;
    }
    const affine_sums sums = {sum_of(&sum_w), sum_of(&sum_x), sum_of(&sum_xx)};
    range_of(x, RR_GROUP, &low, &high);
    low = below && low > 0.0f ? 0.0f : low;
    high = below && high < 0.0f ? 0.0f : high;
    affine_best best = {{(high - low) / (float)top, low}, INFINITY};
    const float per_step = rr_search_inverse(best.fit.scale);
    if (per_step == 0.0f) {
        return best.fit;
    }
    /* in steps of the whole range: how much is cut at the low and at the high end */
    static const lanes low_cuts[VECTORS] = {{-0.3f, -0.3f, -0.3f, -0.3f, -0.3f, 0.2f, 0.2f, 0.2f},
        {0.2f, 0.2f, 0.7f, 0.7f, 0.7f, 0.7f, 0.7f, 1.2f},
        {1.2f, 1.2f, 1.2f, 1.2f, 1.7f, 1.7f, 1.7f, 1.7f}};
    static const lanes high_cuts[VECTORS] = {{-0.3f, 0.2f, 0.7f, 1.2f, 1.7f, -0.3f, 0.2f, 0.7f},
        {1.2f, 1.7f, -0.3f, 0.2f, 0.7f, 1.2f, 1.7f, -0.3f},
        {0.2f, 0.7f, 1.2f, 1.7f, -0.3f, 0.2f, 0.7f, 1.2f}};
    lanes inverse[VECTORS], offset[VECTORS];
    for (int v = 0; v < VECTORS; v++) {
        const lanes more = (float)top / ((float)top - low_cuts[v] - high_cuts[v]);
        inverse[v] = more * per_step;
        offset[v] = -(low * per_step + low_cuts[v]) * more;
    }
    try_affine(x, w, (float)top, below, &sums, inverse, offset, VECTORS, &best);
    const float again = rr_search_inverse(best.fit.scale);
    inverse[0] = (eighths * 0.01f + 0.965f) * again;
    offset[0] = -best.fit.low * inverse[0];
    try_affine(x, w, (float)top, below, &sums, inverse, offset, 1, &best);
    return best.fit;
}

rr_affine_fit rr_search_affine(const float *x, const float *w, int top, bool below) {
    return search_affine(x, w, top, below);
}

WIDE float rr_search_codes(
    const float *x, const float *w, int n, rr_affine_fit fit, int least, int most, uint8_t *codes) {
    const float inverse = rr_search_inverse(fit.scale), offset = -fit.low * inverse;
    lanes loss = {0};
    for (int i = 0; i < n; i += LANES) {
        lanes value, weight;
        load(x + i, &value);
        load(w + i, &weight);
        lanes q = value * inverse + offset;
        round_within(&q, (float)least, (float)most);
        const lanes off = value - (q * fit.scale + fit.low);
        loss += weight * off * off;
        for (int l = 0; codes != NULL && l < LANES; l++) {
            codes[i + l] = (uint8_t)((int)q[l] - least);
        }
    }
    return sum_of(&loss);
}
