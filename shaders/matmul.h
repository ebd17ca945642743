/* y[t][r] = sum_c W[r][c] x[t][c] (+ bias[r]) (+ residual[t][r]). Used by both families, prefill
 * and decode. */
#ifndef RR_SHADERS_MATMUL_H
#define RR_SHADERS_MATMUL_H
#include "push.h"
#define RR_MATMUL_BIAS 1u
#define RR_MATMUL_RESIDUAL 2u /* residual has y's stride and may be y itself */
RR_PUSH(matmul,
    RR_ADDR(lo) RR_ADDR(hi) RR_ADDR(scale) RR_ADDR(super) /* planes of W [n_out][cols] */
    RR_ADDR(x)                                            /* f32, token t at x + 4 * t * x_stride */
    RR_ADDR(y)                                            /* f32, token t at y + 4 * t * y_stride */
    RR_ADDR(bias)                                         /* f32 [n_out] */
    RR_ADDR(residual) /* f32, token t at residual + 4 * t * y_stride */
    RR_U32(n_out) RR_U32(cols) RR_U32(n_tokens) RR_U32(x_stride) RR_U32(y_stride) RR_U32(flags))
#endif
