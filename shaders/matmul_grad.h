/* The backward op of y = x W^T: d_x[t][c] (+)= factor sum_r W[r][c] d_y[t][r], on the planes of W
 * as they are. */
#ifndef RR_SHADERS_MATMUL_GRAD_H
#define RR_SHADERS_MATMUL_GRAD_H
#include "push.h"
#define RR_MATMUL_GRAD_ADDS 1u /* to what d_x holds */
RR_PUSH(matmul_grad,
    /* planes of W [n_out][cols], each below 16 GiB; cols a multiple of 32 */
    RR_ADDR(lo) RR_ADDR(hi) RR_ADDR(scale) RR_ADDR(super)
        RR_ADDR(d_y) /* f32, token t at d_y + 4 * t * y_stride */
    RR_ADDR(d_x)     /* f32, token t at d_x + 4 * t * x_stride */
    RR_U32(n_out) RR_U32(cols) RR_U32(n_tokens) RR_U32(y_stride) RR_U32(x_stride) RR_U32(flags)
        RR_F32(factor))
#endif
