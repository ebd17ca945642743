/* x += W a, then x * norm quantized for the next product, and its rms. One workgroup of a tile of
 * tokens, the last to end, adds up the squares; `tickets` count them and are 0 before and after.
 * What the lanes_ ops share: lanes.h. */
#ifndef RR_SHADERS_LANES_OUT_H
#define RR_SHADERS_LANES_OUT_H
#include "push.h"
RR_PUSH(lanes_out,
    RR_ADDR(w) RR_ADDR(s)                  /* W [rows][cols] */
    RR_ADDR(codes) RR_ADDR(groups)         /* a */
    RR_ADDR(x)                             /* f32 [n_tokens][rows] */
    RR_ADDR(norm)                          /* f32 [rows] */
    RR_ADDR(out_codes) RR_ADDR(out_groups) /* of x * norm */
    RR_ADDR(out_rms)                       /* f32 [n_tokens] */
    RR_ADDR(squares)                       /* f32 scratch [rows / 32][n_tokens] */
    RR_ADDR(tickets)                       /* u32 [tiles of tokens] */
    RR_U32(cols) RR_U32(n_tokens) RR_U32(n_rows) RR_F32(epsilon)
        RR_ADDR(lora)                 /* rr_args_lanes_lora */
    RR_U32(first_row) RR_U32(unused)) /* of the pass: where adapters' rows begin */
#endif
