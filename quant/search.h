/* Scales that lose least, for one group of weights.
 * A group of n weights x with importances w is stored as x' = scale * code + low; its loss is
 * sum w (x - x')^2. Owns: the search in one group. Pure, thread safe; sums have eight fixed lanes,
 * so that the result is the same on every processor. */
#ifndef RR_QUANT_SEARCH_H
#define RR_QUANT_SEARCH_H

#include "quant/codec.h"

typedef struct rr_affine_fit {
    float scale, low;
} rr_affine_fit;

/* For codes -bias … bias - 1 and low = 0; n = 16 or 32. The scale may be negative; it is 0 where all
 * weights are zero. */
float rr_search_symmetric(const float *x, const float *w, int n, int bias);

/* For codes 0 … top of 32 weights. With `below`, low is not above 0. */
rr_affine_fit rr_search_affine(const float *x, const float *w, int top, bool below);

/* The codes least … most that come nearest to n weights (a multiple of 8), stored less `least`; and
 * their loss. `codes` may be NULL. */
float rr_search_codes(
    const float *x, const float *w, int n, rr_affine_fit fit, int least, int most, uint8_t *codes);

/* 1 / value; 0 where that is not finite. */
float rr_search_inverse(float value);

#endif
