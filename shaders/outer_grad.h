/* The gradient of a matrix of an adapter: y[i][j] (+)= factor sum_t a[t][i] b[t][j], where i counts
 * the adapter's rank and j is the long side. Of A [rank][in]: a = d_y B, b = x, i_stride = in,
 * j_stride = 1. Of B [out][rank]: a = x A^T, b = d_y, i_stride = 1, j_stride = rank. */
#ifndef RR_SHADERS_OUTER_GRAD_H
#define RR_SHADERS_OUTER_GRAD_H
#include "push.h"
#define RR_OUTER_GRAD_ADDS 1u /* to what y holds */
/* Values of i a workgroup takes. */
#define RR_OUTER_GRAD_RANK 16
RR_PUSH(outer_grad,
    RR_ADDR(a) /* f32, token t at a + 4 * t * a_stride, n_a of them */
    RR_ADDR(b) /* f32, token t at b + 4 * t * b_stride, n_b of them */
    RR_ADDR(y) /* f32, (i, j) at y + 4 * (i * i_stride + j * j_stride) */
    RR_U32(n_a) RR_U32(n_b) RR_U32(n_tokens) RR_U32(a_stride) RR_U32(b_stride) RR_U32(i_stride)
        RR_U32(j_stride) RR_U32(flags) RR_F32(factor))
#endif
