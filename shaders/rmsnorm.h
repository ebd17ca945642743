/* y[r][c] = x[r][c] / sqrt(mean_c(x[r][c]^2) + epsilon) * weight[c]; y may be x. */
#ifndef RR_SHADERS_RMSNORM_H
#define RR_SHADERS_RMSNORM_H
#include "push.h"
RR_PUSH(rmsnorm,
    RR_ADDR(x)      /* f32 [n_rows][cols] */
    RR_ADDR(weight) /* f32 [cols] */
    RR_ADDR(y)      /* f32 [n_rows][cols] */
    RR_U32(cols) RR_U32(n_rows) RR_F32(epsilon))
#endif
