/* Cross entropy of scored rows and its gradient: with p = softmax(z) over the admitted columns,
 * log_p[r] = log p[target], and z becomes weight (p − [c = target]), 0 where c is not admitted.
 * Rows come in chunks: never all logits at once. */
#ifndef RR_SHADERS_CROSS_ENTROPY_H
#define RR_SHADERS_CROSS_ENTROPY_H
#include "push.h"
RR_PUSH(cross_entropy,
    RR_ADDR(z)       /* f32 [n_rows][cols]: logits, then their gradient */
    RR_ADDR(targets) /* u32 [n_rows], each admitted */
    RR_ADDR(weights) /* f32 [n_rows] */
    /* u32 [n_rows][(cols + 31) / 32]: bit c % 32 of word c / 32 = column c is admitted; 0 = all are */
    RR_ADDR(admitted) RR_ADDR(log_p) /* f32 [n_rows] */
    RR_U32(cols) RR_U32(n_rows))
#endif
