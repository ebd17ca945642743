/* The reference of what the ops of software devices (shaders/lanes.h) have beside those of ref.h:
 * quantized activations and the product of these with weights in the layout of quant/lanes.h. RoPE,
 * SwiGLU, norm and attention are those of ref.h. Owns: what a code means. Group sums are exact
 * integers, sums over groups run in double. Pure and thread safe. */
#ifndef RR_REF_LANES_H
#define RR_REF_LANES_H

#include "quant/lanes.h"

enum { RR_REF_CODE_MOST = 2047 }; /* the largest code of an activation */

/* Activations as shaders/lanes_code.h lays them out. Groups with no value of 1e-30 or more are
 * zeros: d is 0 too. */
typedef struct rr_ref_codes {
    int16_t *codes;   /* [n_rows][cols] */
    uint32_t *groups; /* [n_rows][cols / 32][2]: the bits of f32 d, the code sums */
} rr_ref_codes;

/* The sums of the 16 first and the 16 last codes of a group, as one word. */
uint32_t rr_ref_code_sums(const int16_t codes[32]);

/* Quantizes x [n_rows][cols], cols a multiple of 32. */
void rr_ref_quantize(const float *x, uint32_t n_rows, uint32_t cols, const rr_ref_codes *out);

/* y[t][r] = sum_c W[r][c] d code[t][c] with the layout's own scales and offsets; magnitude (or
 * NULL) gets the same with all terms of the sum over groups taken absolute. Both
 * [n_tokens][rows]. */
typedef struct rr_ref_lanes_product_params {
    const rr_lanes *lanes;
    const void *device; /* the packed weights */
    const rr_ref_codes *x;
    uint32_t n_tokens;
    double *y, *magnitude;
    int32_t *scratch; /* [cols] */
} rr_ref_lanes_product_params;
void rr_ref_lanes_product(const rr_ref_lanes_product_params *params);

/* 1 / sqrt(mean(x^2) + epsilon) of each row. */
void rr_ref_norm_factor(const float *x, uint32_t n_rows, uint32_t cols, float epsilon, double *out);

#endif
