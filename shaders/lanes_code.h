/* The activations of the lanes_ ops, quantized once by whoever makes them: codes of 12 bits as
 * int16 [rows][cols], and per group of 32 columns 8 bytes [rows][cols / 32]: f32 d, then the sums
 * of the 16 first and the 16 last codes as first + 65536 * last. A value is d * code, d = max |v| /
 * RR_LANES_MOST, code = v / d to the nearest, ties to even. A group without a value of 1e-30 or
 * more is all zeros. 12 bits: products of 16 bits cost a software device what those of 8 cost, a
 * group's product with 8-bit weights stays below 2^24, exact as a float, and the sum of 16 codes
 * fits 16 bits. Against float activations the error is that of 8 bits / 16. */
#ifndef RR_SHADERS_LANES_CODE_H
#define RR_SHADERS_LANES_CODE_H
#define RR_LANES_MOST 2047
#endif
