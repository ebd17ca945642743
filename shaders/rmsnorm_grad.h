/* The backward op of rmsnorm.h: with rho = 1 / sqrt(mean(x^2) + epsilon), h = x rho and g the
 * weights, d_x[r][c] (+)= rho (g d_y − h mean(g d_y h)). */
#ifndef RR_SHADERS_RMSNORM_GRAD_H
#define RR_SHADERS_RMSNORM_GRAD_H
#include "push.h"
#define RR_RMSNORM_GRAD_ADDS 1u /* to what d_x holds */
RR_PUSH(rmsnorm_grad,
    RR_ADDR(x)      /* f32 [n_rows][cols], the forward op's input */
    RR_ADDR(weight) /* f32 [cols] */
    RR_ADDR(d_y)    /* f32 [n_rows][cols] */
    RR_ADDR(d_x)    /* f32 [n_rows][cols]; may be d_y unless it is added to */
    RR_U32(cols) RR_U32(n_rows) RR_U32(flags) RR_F32(epsilon))
#endif
