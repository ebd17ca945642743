/* One step of AdamW over the parameters of adapters, all f32, with g = grad_scale * gradient:
 *   m = beta1 m + (1 − beta1) g;  v = beta2 v + (1 − beta2) g^2;
 *   w = w (1 − rate decay) − rate correction1 m / (sqrt(correction2 v) + epsilon)
 * with correction = 1 / (1 − beta^step), step counted from 1. */
#ifndef RR_SHADERS_ADAMW_H
#define RR_SHADERS_ADAMW_H
#include "push.h"
/* Workgroups in a row of the grid; a workgroup takes RR_ADAMW_LANES parameters. */
#define RR_ADAMW_GROUPS 32768
#define RR_ADAMW_LANES 64
RR_PUSH(adamw,
    RR_ADDR(w) RR_ADDR(m) RR_ADDR(v) RR_ADDR(g) /* f32 [n]; w, m and v change */
    RR_U32(n) RR_F32(grad_scale) RR_F32(rate) RR_F32(beta1) RR_F32(beta2) RR_F32(epsilon)
        RR_F32(decay) RR_F32(correction1) RR_F32(correction2))
#endif
