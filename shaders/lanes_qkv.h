/* Heads of q, k and v: y = rms W x + bias, q and k rotated as in rope.h; q to f32, k and v to the
 * KV cache as f16. What the lanes_ ops share: lanes.h. */
#ifndef RR_SHADERS_LANES_QKV_H
#define RR_SHADERS_LANES_QKV_H
#include "push.h"
RR_PUSH(lanes_qkv,
    /* codes and scales of W [(n_heads + 2 n_kv_heads) * head_size][cols] */
    RR_ADDR(w) RR_ADDR(s) RR_ADDR(codes) RR_ADDR(groups) /* x */
    RR_ADDR(rms)                                         /* f32 [n_tokens] */
    RR_ADDR(bias)                                        /* f32 [rows of W] */
    RR_ADDR(q)                                           /* f32 [n_tokens][n_heads * head_size] */
    RR_ADDR(rows) RR_ADDR(table) RR_U32(kv_offset)       /* as in rope.h */
    RR_U32(cols) RR_U32(n_tokens) RR_U32(n_heads) RR_U32(n_kv_heads) RR_U32(unused)
        RR_ADDR(lora)) /* rr_args_lanes_lora of parts q, k, v */
#endif
