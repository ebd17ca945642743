/* y[r] = the smallest c with x[r][c] maximal (NaN never wins). Two terms: x[r] += x[n_rows + r]
 * before. */
#ifndef RR_SHADERS_ARGMAX_H
#define RR_SHADERS_ARGMAX_H
#include "push.h"
RR_PUSH(argmax,
    RR_ADDR(x) /* f32 [n_terms][n_rows][cols] */
    RR_ADDR(y) /* u32 [n_rows] */
    RR_U32(cols) RR_U32(n_rows) RR_U32(n_terms))
#endif
