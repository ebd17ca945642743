/* Half precision by bits alone: the same result on every compiler and processor. */
#include "quant/quant.h"

#include <string.h>

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float rr_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1Fu;
    uint32_t mantissa = half & 0x3FFu;
    if (exponent == 0x1F) {
        return float_of_bits(sign | 0x7F800000u | mantissa << 13);
    }
    if (exponent != 0) {
        return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    }
    /* a subnormal is mantissa × 2^-24, exact in float */
    float magnitude = (float)mantissa * 0x1p-24f;
    return float_of_bits(sign | bits_of_float(magnitude));
}

uint16_t rr_f32_to_f16(float value) {
    uint32_t bits = bits_of_float(value);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) { /* NaN: quiet, the upper payload kept */
        return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x1FFu));
    }
    if (magnitude >= 0x477FF000u) { /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7C00u);
    }
    /* normal: rebias, then round to even; a carry moves into the exponent */
    if (magnitude >= 0x38800000u) {
        uint32_t rebased = magnitude - (112u << 23);
        return (uint16_t)(sign | (rebased + 0xFFFu + (rebased >> 13 & 1u)) >> 13);
    }
    if (magnitude < 0x33000000u) { /* below half of the smallest subnormal */
        return (uint16_t)sign;
    }
    uint32_t shift = 126 - (magnitude >> 23); /* 14…24: the result counts units of 2^-24 */
    uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    uint32_t half_unit = 1u << (shift - 1);
    uint32_t rounded = (mantissa + half_unit - 1 + (mantissa >> shift & 1u)) >> shift;
    return (uint16_t)(sign | rounded);
}

float rr_bf16_to_f32(uint16_t half) {
    return float_of_bits((uint32_t)half << 16);
}
