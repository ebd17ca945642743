/* y[r] = q8(x[r] / sqrt(mean_c(x[r][c]^2) + epsilon) * weight), or q8(x[r]) when weight is 0. q8:
 * q8.glsl. Two terms: y[n_rows + r] = q8 of what q8 has lost of row r, so that both together are
 * exact to about 15 bits. */
#ifndef RR_SHADERS_RMSNORM_Q8_H
#define RR_SHADERS_RMSNORM_Q8_H
#include "push.h"
RR_PUSH(rmsnorm_q8,
    RR_ADDR(x)      /* f32 [n_rows][cols] */
    RR_ADDR(weight) /* f32 [cols], 0 = quantize only */
    RR_ADDR(y)      /* int8 [n_terms][n_rows][cols] */
    RR_ADDR(groups) /* rr_q8_group [n_terms][n_rows][cols / 32] */
    RR_U32(cols) RR_U32(n_rows) RR_U32(n_terms) RR_F32(epsilon))
#endif
