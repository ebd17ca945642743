/* y[r] = W[rows[r].token] as floats. Planes of W: quant/quant.h. */
#ifndef RR_SHADERS_EMBED_H
#define RR_SHADERS_EMBED_H
#include "push.h"
RR_PUSH(embed,
    RR_ADDR(lo) RR_ADDR(hi) RR_ADDR(scale) RR_ADDR(super) /* planes of W [n_vocab][cols] */
    RR_ADDR(rows)                                         /* rr_row [n_rows] */
    RR_ADDR(y)                                            /* f32 [n_rows][cols] */
    RR_U32(cols) RR_U32(n_rows))
#endif
