/* Weights to the file's blocks with scales that lose least.
 * The K formats store the scales of a super-block as small integers times a common step: these are
 * searched too, once the groups' own scales are known. */
#include "quant/put.h"
#include "quant/search.h"

#include <assert.h>
#include <math.h>

enum { N_GROUPS = RR_SUPER / RR_GROUP, HALF_GROUP = 16, N_HALVES = RR_SUPER / HALF_GROUP };

static float half_of(float value, uint16_t *half) {
    *half = rr_f32_to_f16(value);
    return rr_f16_to_f32(*half);
}

/* Q4_0, Q5_0 */
static void fit_symmetric(
    const float *x, const float *w, int bias, uint8_t *high, uint8_t *qs, uint8_t *block) {
    uint16_t half;
    uint8_t codes[RR_GROUP];
    const float scale = half_of(rr_search_symmetric(x, w, RR_GROUP, bias), &half);
    (void)rr_search_codes(x, w, RR_GROUP, (rr_affine_fit){scale, 0.0f}, -bias, bias - 1, codes);
    rr_store_u16(block, half);
    rr_put_codes(codes, high, qs);
}

/* Q4_1, Q5_1 */
static void fit_affine(
    const float *x, const float *w, int top, uint8_t *high, uint8_t *qs, uint8_t *block) {
    uint16_t scale, low;
    uint8_t codes[RR_GROUP];
    rr_affine_fit fit = rr_search_affine(x, w, top, false);
    fit = (rr_affine_fit){half_of(fit.scale, &scale), half_of(fit.low, &low)};
    (void)rr_search_codes(x, w, RR_GROUP, fit, 0, top, codes);
    rr_store_u16(block, scale);
    rr_store_u16(block + 2, low);
    rr_put_codes(codes, high, qs);
}

/* The largest weight has the code 127: a search would gain next to nothing. */
static void fit_q8_0(const float *x, const float *w, uint8_t *block) {
    uint16_t half;
    uint8_t codes[RR_GROUP];
    float peak = 0.0f;
    for (int i = 0; i < RR_GROUP; i++) {
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    }
    const float scale = half_of(peak / 127.0f, &half);
    (void)rr_search_codes(x, w, RR_GROUP, (rr_affine_fit){scale, 0.0f}, -127, 127, codes);
    rr_store_u16(block, half);
    for (int i = 0; i < RR_GROUP; i++) {
        block[2 + i] = (uint8_t)(codes[i] - 127);
    }
}

/* A super-block of Q4_K or Q5_K. */
typedef struct k_block {
    const float *x, *w;
    int top;
    uint16_t d_half, m_half;
    float d, m; /* the halves' values: x' = d scale code - m minimum */
    uint8_t scales[N_GROUPS], minima[N_GROUPS];
    uint8_t codes[RR_SUPER];
    float loss;
} k_block;

static rr_affine_fit k_fit(const k_block *k, int scale, int minimum) {
    return (rr_affine_fit){k->d * (float)scale, -(k->m * (float)minimum)};
}

static int clamp_to(float value, int least, int most) {
    const float code = rintf(value);
    return !(code > (float)least) ? least : code > (float)most ? most : (int)code;
}

/* The integers of a group, next to its own scale and minimum, that lose least. */
static void k_choose(k_block *k, int group, rr_affine_fit own) {
    const float *x = k->x + group * RR_GROUP, *w = k->w + group * RR_GROUP;
    const int scale = clamp_to(own.scale * rr_search_inverse(k->d), 0, 63);
    const int minimum = clamp_to(-own.low * rr_search_inverse(k->m), 0, 63);
    float least = INFINITY;
    int best_scale = scale, best_minimum = minimum;
    for (int s = scale > 0 ? scale - 1 : 0; s <= scale + 1 && s <= 63; s++) {
        for (int m = minimum > 0 ? minimum - 1 : 0; m <= minimum + 1 && m <= 63; m++) {
            const float loss = rr_search_codes(x, w, RR_GROUP, k_fit(k, s, m), 0, k->top, NULL);
            if (loss < least) {
                least = loss;
                best_scale = s;
                best_minimum = m;
            }
        }
    }
    k->scales[group] = (uint8_t)best_scale;
    k->minima[group] = (uint8_t)best_minimum;
}

/* All integers of a super-block for the steps d and m, which become halves. */
static void k_fill(k_block *k, float d, float m, const rr_affine_fit own[N_GROUPS]) {
    k->d = half_of(d, &k->d_half);
    k->m = half_of(m, &k->m_half);
    k->loss = 0.0f;
    for (int g = 0; g < N_GROUPS; g++) {
        k_choose(k, g, own[g]);
        k->loss += rr_search_codes(k->x + g * RR_GROUP, k->w + g * RR_GROUP, RR_GROUP,
            k_fit(k, k->scales[g], k->minima[g]), 0, k->top, k->codes + g * RR_GROUP);
    }
}

/* The steps that lose least with the integers as they are: two linear equations. False = none. */
static bool k_steps(const k_block *k, float *d, float *m) {
    double aa = 0.0, ab = 0.0, bb = 0.0, ax = 0.0, bx = 0.0;
    for (int i = 0; i < RR_SUPER; i++) {
        const double a = (double)k->scales[i / RR_GROUP] * k->codes[i];
        const double b = -(double)k->minima[i / RR_GROUP], w = (double)k->w[i];
        aa += w * a * a;
        ab += w * a * b;
        bb += w * b * b;
        ax += w * a * (double)k->x[i];
        bx += w * b * (double)k->x[i];
    }
    const double determinant = aa * bb - ab * ab;
    if (!(determinant > 0.0)) {
        return false;
    }
    *d = (float)((ax * bb - bx * ab) / determinant);
    *m = (float)((bx * aa - ax * ab) / determinant);
    return *d > 0.0f && *m > 0.0f;
}

/* Q4_K, Q5_K */
static void fit_k(
    const float *x, const float *w, int top, uint8_t *qh, uint8_t *qs, uint8_t *block) {
    rr_affine_fit own[N_GROUPS];
    float max_scale = 0.0f, max_low = 0.0f, d, m;
    for (int g = 0; g < N_GROUPS; g++) {
        own[g] = rr_search_affine(x + g * RR_GROUP, w + g * RR_GROUP, top, true);
        max_scale = own[g].scale > max_scale ? own[g].scale : max_scale;
        max_low = -own[g].low > max_low ? -own[g].low : max_low;
    }
    k_block best = {.x = x, .w = w, .top = top}, other = best;
    k_fill(&best, max_scale / 63.0f, max_low / 63.0f, own);
    if (k_steps(&best, &d, &m)) {
        k_fill(&other, d, m, own);
        best = other.loss < best.loss ? other : best;
    }
    rr_store_u16(block, best.d_half);
    rr_store_u16(block + 2, best.m_half);
    rr_put_k_scales(best.scales, best.minima, block + 4);
    rr_put_k_codes(best.codes, qh, qs);
}

/* A super-block of Q6_K: x' = d scale code. */
typedef struct q6k_block {
    const float *x, *w;
    uint16_t d_half;
    int8_t scales[N_HALVES];
    uint8_t codes[RR_SUPER];
    float loss;
} q6k_block;

static void q6k_fill(q6k_block *k, float step, const float own[N_HALVES]) {
    const float d = half_of(step, &k->d_half), inverse = rr_search_inverse(d);
    k->loss = 0.0f;
    for (int h = 0; h < N_HALVES; h++) {
        const float *x = k->x + h * HALF_GROUP, *w = k->w + h * HALF_GROUP;
        const int scale = clamp_to(own[h] * inverse, -128, 127);
        float least = INFINITY;
        for (int s = scale > -128 ? scale - 1 : -128; s <= scale + 1 && s <= 127; s++) {
            const float loss = rr_search_codes(
                x, w, HALF_GROUP, (rr_affine_fit){d * (float)s, 0.0f}, -32, 31, NULL);
            if (loss < least) {
                least = loss;
                k->scales[h] = (int8_t)s;
            }
        }
        k->loss += rr_search_codes(x, w, HALF_GROUP, (rr_affine_fit){d * (float)k->scales[h], 0.0f},
            -32, 31, k->codes + h * HALF_GROUP);
    }
}

static float q6k_step(const q6k_block *k) {
    double aa = 0.0, ax = 0.0;
    for (int i = 0; i < RR_SUPER; i++) {
        const double a = (double)k->scales[i / HALF_GROUP] * (k->codes[i] - 32);
        aa += (double)k->w[i] * a * a;
        ax += (double)k->w[i] * a * (double)k->x[i];
    }
    return aa > 0.0 ? (float)(ax / aa) : 0.0f;
}

static void fit_q6k(const float *x, const float *w, uint8_t *block) {
    float own[N_HALVES], largest = 0.0f;
    for (int h = 0; h < N_HALVES; h++) {
        own[h] = rr_search_symmetric(x + h * HALF_GROUP, w + h * HALF_GROUP, HALF_GROUP, 32);
        largest = fabsf(own[h]) > fabsf(largest) ? own[h] : largest;
    }
    q6k_block best = {.x = x, .w = w}, other = best;
    q6k_fill(&best, largest / -128.0f, own);
    const float step = q6k_step(&best);
    if (step != 0.0f) {
        q6k_fill(&other, step, own);
        best = other.loss < best.loss ? other : best;
    }
    rr_put_q6k_codes(best.codes, block);
    memcpy(block + 192, best.scales, N_HALVES);
    rr_store_u16(block + 208, best.d_half);
}

static void fit_block(rr_qtype type, const float *x, const float *w, uint8_t *block) {
    switch (type) {
    case RR_Q_Q4_0:
        fit_symmetric(x, w, 8, NULL, block + 2, block);
        break;
    case RR_Q_Q4_1:
        fit_affine(x, w, 15, NULL, block + 4, block);
        break;
    case RR_Q_Q5_0:
        fit_symmetric(x, w, 16, block + 2, block + 6, block);
        break;
    case RR_Q_Q5_1:
        fit_affine(x, w, 31, block + 4, block + 8, block);
        break;
    case RR_Q_Q4_K:
        fit_k(x, w, 15, NULL, block + 16, block);
        break;
    case RR_Q_Q5_K:
        fit_k(x, w, 31, block + 16, block + 48, block);
        break;
    case RR_Q_Q6_K:
        fit_q6k(x, w, block);
        break;
    case RR_Q_Q8_0:
        fit_q8_0(x, w, block);
        break;
    case RR_Q_F32:
    case RR_Q_F16:
    case RR_Q_BF16:
        assert(false); /* rr_blocks_search rounds them */
    }
}

void rr_blocks_search(
    rr_qtype type, const float *weights, const float *importance, uint32_t cols, void *blocks) {
    static const float even[RR_SUPER] = {
#define X8 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f
#define X64 X8, X8, X8, X8, X8, X8, X8, X8
        X64, X64, X64, X64
#undef X64
#undef X8
    };
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    assert(info != NULL && cols % info->block_weights == 0);
    if (info->lo_bits > 8) {
        rr_blocks_quantize(type, weights, cols, blocks);
        return;
    }
    uint8_t *block = blocks;
    for (uint32_t c = 0; c < cols; c += info->block_weights, block += info->block_bytes) {
        fit_block(type, weights + c, importance != NULL ? importance + c : even, block);
    }
}
