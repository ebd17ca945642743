/* y = rms W x. What the lanes_ ops share: lanes.h. */
#ifndef RR_SHADERS_LANES_HEAD_H
#define RR_SHADERS_LANES_HEAD_H
#include "push.h"
RR_PUSH(lanes_head,
    RR_ADDR(w) RR_ADDR(s)          /* W [n_rows][cols] */
    RR_ADDR(codes) RR_ADDR(groups) /* x */
    RR_ADDR(rms)                   /* f32 [n_tokens] */
    RR_ADDR(y)                     /* f32 [n_tokens][n_rows] */
    RR_U32(cols) RR_U32(n_tokens) RR_U32(n_rows))
#endif
