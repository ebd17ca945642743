/* The backward op of swiglu.h: with e = gate_up[r][c], u = gate_up[r][cols + c] and sigma the
 * logistic function, d_gate_up[r][c] = d_y u sigma(e) (1 + e (1 − sigma(e))) and
 * d_gate_up[r][cols + c] = d_y e sigma(e). */
#ifndef RR_SHADERS_SWIGLU_GRAD_H
#define RR_SHADERS_SWIGLU_GRAD_H
#include "push.h"
RR_PUSH(swiglu_grad,
    RR_ADDR(gate_up)   /* f32 [n_rows][2 * cols] */
    RR_ADDR(d_y)       /* f32 [n_rows][cols] */
    RR_ADDR(d_gate_up) /* f32 [n_rows][2 * cols]; may be gate_up */
    RR_U32(cols) RR_U32(n_rows))
#endif
