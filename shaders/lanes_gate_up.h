/* g / (1 + exp(-g)) * u of g, u = rms W x, W = the gate's rows, then the up's; quantized. What the
 * lanes_ ops share: lanes.h. */
#ifndef RR_SHADERS_LANES_GATE_UP_H
#define RR_SHADERS_LANES_GATE_UP_H
#include "push.h"
RR_PUSH(lanes_gate_up,
    RR_ADDR(w) RR_ADDR(s)                                         /* W [2 d_ffn][cols] */
    RR_ADDR(codes) RR_ADDR(groups)                                /* x */
    RR_ADDR(rms)                                                  /* f32 [n_tokens] */
    RR_ADDR(out_codes) RR_ADDR(out_groups)                        /* [n_tokens][d_ffn] */
    RR_U32(cols) RR_U32(n_tokens) RR_U32(d_ffn) RR_U32(first_row) /* as in lanes_out.h */
    RR_ADDR(lora)     /* rr_args_lanes_lora of parts gate, up */
    RR_ADDR(tickets)) /* with adapters: as in lanes_out.h */
#endif
