/* What adapters (LoRA) add to the product of a lanes_ op, and what they take from its result for the
 * next product: in memory, one a layer and op. B (A x) is added to W x before anything follows;
 * A x is made where x is, from the values before they are quantized, a unit of 32 columns at a time
 * and a head at a time, so that a result depends on its row alone. Ranks come in multiples of 16.
 * Loads are what costs a software device, so two floats are one. */
#ifndef RR_SHADERS_LANES_LORA_H
#define RR_SHADERS_LANES_LORA_H
#include "push.h"
RR_ARGS(lanes_lora,
    /* Added: the matrices' rows are up to three parts, each with ranks of its own in h. */
    RR_ADDR(h)                          /* f32 [rows][n_sums][width], A x being the sum */
    RR_ADDR(b0) RR_ADDR(b1) RR_ADDR(b2) /* f32 [units of 32 rows][rank][32] */
    RR_U32(first0) RR_U32(first1) RR_U32(first2) RR_U32(rank0) RR_U32(rank1) RR_U32(rank2)
        RR_U32(n_sums) RR_U32(width)
    /* Taken, if out_width is not 0. A: f32 [cols / 32][a_width / (2 lanes)][32][lanes][2] */
    RR_ADDR(a) RR_ADDR(sums) /* f32 [rows][units, or heads][out_width]; not of lanes_embed */
    RR_ADDR(total)           /* f32 [rows][out_width]; not of lanes_attention */
    RR_U32(out_width) RR_U32(a_width)) /* out_width rounded up to a multiple of 2 lanes */
#endif
