// The exponential function of the softmax on software devices.
#ifndef RR_SHADERS_LANES_EXP_GLSL
#define RR_SHADERS_LANES_EXP_GLSL
// e^x for x <= 0, at least 2^-126, right to 2e-7 but for the rounding of x log2 e: 2^n times a polynomial in what is left, −1/2 … 1/2.
// (The driver's own has a float maximum and a minimum.)
float rr_exp(float x) {
    float t = x * 1.44269504;
    t = t < -126.0 ? -126.0 : t;
    precise float shifted = t + 12582912.0; // rounds: see rr_code
    int n = floatBitsToInt(shifted) - 0x4B400000;
    float f = t - float(n);
    float y = 1.5403530e-4;
    y = fma(y, f, 1.3333558e-3);
    y = fma(y, f, 9.6181291e-3);
    y = fma(y, f, 5.5504109e-2);
    y = fma(y, f, 2.4022651e-1);
    y = fma(y, f, 6.9314718e-1);
    y = fma(y, f, 1.0);
    return intBitsToFloat(floatBitsToInt(y) + (n << 23));
}
#endif
