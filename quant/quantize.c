/* Floats to the file's blocks by plain rounding, for tests and synthetic models.
 * Source of the rounding: ggml's reference quantizers; the K formats leave out the search for
 * better scales. */
#include "quant/codec.h"
#include "quant/put.h"

#include <assert.h>
#include <math.h>

/* 0 also for steps too small to have a finite inverse: such weights become codes of zero. */
static float inverse(float value) {
    float result = 1.0f / value;
    return isfinite(result) ? result : 0.0f;
}

/* `value` rounded to the nearest code, within 0…top. */
static uint8_t round_code(float value, int top) {
    float code = floorf(value + 0.5f);
    return (uint8_t)(code > 0.0f ? (code > (float)top ? (float)top : code) : 0.0f);
}

/* `value` rounded to the nearest integer within low…high, 0 of what is no number. */
static int8_t round_signed(float value, float low, float high) {
    float code = roundf(value);
    code = code > high ? high : code < low ? low : code;
    return isnan(code) ? 0 : (int8_t)code;
}

/* The value of largest magnitude, with its sign. */
static float peak(const float *x, int n) {
    float best = 0.0f;
    for (int i = 0; i < n; i++) {
        best = fabsf(x[i]) > fabsf(best) ? x[i] : best;
    }
    return best;
}

static void range(const float *x, int n, float *low, float *high) {
    *low = *high = x[0];
    for (int i = 1; i < n; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
    }
}

/* Q4_0, Q5_0: the peak becomes the lowest code. */
static void quantize_symmetric(
    const float *x, int bias, uint8_t *high, uint8_t *qs, uint8_t *block) {
    uint8_t codes[RR_GROUP];
    float d = peak(x, RR_GROUP) / (float)-bias;
    float id = inverse(d);
    for (int i = 0; i < RR_GROUP; i++) {
        codes[i] = round_code(x[i] * id + (float)bias, 2 * bias - 1);
    }
    rr_store_u16(block, rr_f32_to_f16(d));
    rr_put_codes(codes, high, qs);
}

/* Q4_1, Q5_1: from the lowest value to the highest. */
static void quantize_affine(const float *x, int top, uint8_t *high, uint8_t *qs, uint8_t *block) {
    uint8_t codes[RR_GROUP];
    float low, most;
    range(x, RR_GROUP, &low, &most);
    float d = (most - low) / (float)top;
    float id = inverse(d);
    for (int i = 0; i < RR_GROUP; i++) {
        codes[i] = round_code((x[i] - low) * id, top);
    }
    rr_store_u16(block, rr_f32_to_f16(d));
    rr_store_u16(block + 2, rr_f32_to_f16(low));
    rr_put_codes(codes, high, qs);
}

static void quantize_q8_0(const float *x, uint8_t *block) {
    float d = fabsf(peak(x, RR_GROUP)) / 127.0f;
    float id = inverse(d);
    rr_store_u16(block, rr_f32_to_f16(d));
    for (int i = 0; i < RR_GROUP; i++) {
        block[2 + i] = (uint8_t)round_signed(x[i] * id, -127.0f, 127.0f);
    }
}

/* Q4_K, Q5_K: weight = (d sc) q - (dmin m), sc and m of six bits a group. */
static void quantize_k(const float *x, int top, uint8_t *qh, uint8_t *qs, uint8_t *block) {
    float steps[8], depths[8], max_step = 0.0f, max_depth = 0.0f;
    for (int g = 0; g < 8; g++) {
        float low, most;
        range(x + g * RR_GROUP, RR_GROUP, &low, &most);
        low = low < 0.0f ? low : 0.0f;
        most = most > 0.0f ? most : 0.0f;
        steps[g] = (most - low) / (float)top;
        depths[g] = -low;
        max_step = steps[g] > max_step ? steps[g] : max_step;
        max_depth = depths[g] > max_depth ? depths[g] : max_depth;
    }
    uint16_t d_half = rr_f32_to_f16(max_step / 63.0f), m_half = rr_f32_to_f16(max_depth / 63.0f);
    float d = rr_f16_to_f32(d_half), dmin = rr_f16_to_f32(m_half);
    uint8_t scales[8], minima[8], codes[RR_SUPER];
    for (int g = 0; g < 8; g++) {
        scales[g] = round_code(steps[g] * inverse(d), 63);
        minima[g] = round_code(depths[g] * inverse(dmin), 63);
        float id = inverse(d * (float)scales[g]), depth = dmin * (float)minima[g];
        for (int i = g * RR_GROUP; i < (g + 1) * RR_GROUP; i++) {
            codes[i] = round_code((x[i] + depth) * id, top);
        }
    }
    rr_store_u16(block, d_half);
    rr_store_u16(block + 2, m_half);
    rr_put_k_scales(scales, minima, block + 4);
    rr_put_k_codes(codes, qh, qs);
}

/* weight = (d sc) (q - 32), sc a signed byte for 16 weights. */
static void quantize_q6k(const float *x, uint8_t *block) {
    float steps[16];
    for (int s = 0; s < 16; s++) {
        steps[s] = peak(x + s * 16, 16) / -32.0f;
    }
    float largest = peak(steps, 16);
    uint16_t d_half = rr_f32_to_f16(largest / -128.0f);
    float d = rr_f16_to_f32(d_half);
    uint8_t codes[RR_SUPER];
    for (int s = 0; s < 16; s++) {
        int8_t scale = round_signed(steps[s] * inverse(d), -128.0f, 127.0f);
        float id = inverse(d * (float)scale);
        block[192 + s] = (uint8_t)scale;
        for (int i = s * 16; i < (s + 1) * 16; i++) {
            codes[i] = round_code(x[i] * id + 32.0f, 63);
        }
    }
    rr_put_q6k_codes(codes, block);
    rr_store_u16(block + 208, d_half);
}

static uint16_t bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

static void quantize_block(rr_qtype type, const float *x, uint8_t *block) {
    switch (type) {
    case RR_Q_F32:
        memcpy(block, x, 4);
        break;
    case RR_Q_F16:
        rr_store_u16(block, rr_f32_to_f16(*x));
        break;
    case RR_Q_BF16:
        rr_store_u16(block, bf16_of(*x));
        break;
    case RR_Q_Q4_0:
        quantize_symmetric(x, 8, NULL, block + 2, block);
        break;
    case RR_Q_Q4_1:
        quantize_affine(x, 15, NULL, block + 4, block);
        break;
    case RR_Q_Q5_0:
        quantize_symmetric(x, 16, block + 2, block + 6, block);
        break;
    case RR_Q_Q5_1:
        quantize_affine(x, 31, block + 4, block + 8, block);
        break;
    case RR_Q_Q8_0:
        quantize_q8_0(x, block);
        break;
    case RR_Q_Q4_K:
        quantize_k(x, 15, NULL, block + 16, block);
        break;
    case RR_Q_Q5_K:
        quantize_k(x, 31, block + 16, block + 48, block);
        break;
    case RR_Q_Q6_K:
        quantize_q6k(x, block);
        break;
    }
}

void rr_blocks_quantize(rr_qtype type, const float *weights, uint32_t cols, void *blocks) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    assert(info != NULL && cols % info->block_weights == 0);
    uint8_t *block = blocks;
    for (uint32_t c = 0; c < cols; c += info->block_weights, block += info->block_bytes) {
        quantize_block(type, weights + c, block);
    }
}
