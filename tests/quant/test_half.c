#include "quant/quant.h"
#include "tests/check.h"

#include <math.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The definition: sign, mantissa, power of two. */
static double meaning(uint32_t half) {
    int exponent = (int)(half >> 10 & 31), mantissa = (int)(half & 1023);
    double magnitude = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

static void every_half(void) {
    int wrong = 0;
    for (uint32_t half = 0; half < 65536; half++) {
        float value = rr_f16_to_f32((uint16_t)half);
        uint16_t back = rr_f32_to_f16(value);
        bool special = (half >> 10 & 31) == 31;
        bool is_nan = special && (half & 1023) != 0;
        if (is_nan) {
            wrong += !isnan(value) || (bits_of(value) >> 31) != half >> 15 ||
                (bits_of(value) >> 13 & 1023) != (half & 1023);
            wrong += (back & 0x7C00) != 0x7C00 || (back & 0x3FF) == 0 ||
                (back & 0x8000) != (half & 0x8000);
            wrong += (back & 0x1FF) != (half & 0x1FF);
        } else {
            float expected =
                special ? (half & 0x8000 ? -INFINITY : INFINITY) : (float)meaning(half);
            wrong += bits_of(value) != bits_of(expected);
            wrong += back != half;
        }
    }
    CHECK_INT(wrong, 0);
}

/* Between each two neighbours: the middle goes to the even one, a hair beside it to the nearer
 * one. */
static void every_rounding(void) {
    int wrong = 0;
    for (uint32_t half = 0; half < 0x7C00; half++) {
        double low = meaning(half), high = half == 0x7BFF ? 65536.0 : meaning(half + 1);
        float middle = (float)((low + high) / 2); /* exact: a half has 13 bits less than a float */
        uint32_t even = half % 2 == 0 ? half : half + 1;
        for (uint32_t sign = 0; sign < 2; sign++) {
            float s = sign ? -1.0f : 1.0f;
            uint32_t bit = sign << 15;
            wrong += rr_f32_to_f16(s * middle) != (even | bit);
            wrong += rr_f32_to_f16(s * nextafterf(middle, 0.0f)) != (half | bit);
            wrong += rr_f32_to_f16(s * nextafterf(middle, INFINITY)) != ((half + 1) | bit);
        }
    }
    CHECK_INT(wrong, 0);
}

int main(void) {
    every_half();
    every_rounding();
    CHECK_INT(rr_f32_to_f16(65519.996f), 0x7BFF);
    CHECK_INT(rr_f32_to_f16(65520.0f), 0x7C00);
    CHECK_INT(rr_f32_to_f16(-3.4e38f), 0xFC00);
    CHECK_INT(rr_f32_to_f16(1e-45f), 0);
    CHECK_INT(rr_f32_to_f16(-1e-45f), 0x8000);
    CHECK_INT(rr_f32_to_f16(float_of(0xFF800001u)), 0xFE00); /* a NaN never becomes an infinity */
    for (uint32_t half = 0; half < 65536; half += 7) {
        CHECK(bits_of(rr_bf16_to_f32((uint16_t)half)) == half << 16);
    }
    return CHECK_END();
}
