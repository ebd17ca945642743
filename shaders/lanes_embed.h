/* x = W[rows[r].token] as floats, and quantized for the first norm. Planes of W: quant/quant.h.
 * What the lanes_ ops share: lanes.h. */
#ifndef RR_SHADERS_LANES_EMBED_H
#define RR_SHADERS_LANES_EMBED_H
#include "push.h"
RR_PUSH(lanes_embed,
    RR_ADDR(lo) RR_ADDR(hi) RR_ADDR(scale) RR_ADDR(super) /* planes of W [n_vocab][cols] */
    RR_ADDR(rows)                                         /* rr_row [n_tokens] */
    RR_ADDR(x)                                            /* f32 [n_tokens][cols] */
    RR_ADDR(norm)                                         /* f32 [cols] */
    RR_ADDR(codes) RR_ADDR(groups)                        /* of x * norm */
    RR_ADDR(rms)                                          /* f32 [n_tokens] */
    RR_U32(cols) RR_U32(n_tokens) RR_F32(epsilon) RR_U32(unused)
        RR_ADDR(lora)) /* rr_args_lanes_lora: what is taken */
#endif
