/* y[r][c] = g / (1 + exp(-g)) * u with g = gate_up[r][c], u = gate_up[r][cols + c]. */
#ifndef RR_SHADERS_SWIGLU_H
#define RR_SHADERS_SWIGLU_H
#include "push.h"
RR_PUSH(swiglu,
    RR_ADDR(gate_up) /* f32 [n_rows][2 * cols] */
    RR_ADDR(y)       /* f32 [n_rows][cols] */
    RR_U32(cols) RR_U32(n_rows))
#endif
