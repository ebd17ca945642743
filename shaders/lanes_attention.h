/* Attention as in attention.h, its result quantized for the output projection. What the lanes_ ops
 * share: lanes.h. */
#ifndef RR_SHADERS_LANES_ATTENTION_H
#define RR_SHADERS_LANES_ATTENTION_H
#include "push.h"
RR_PUSH(lanes_attention,
    /* f32 [n_rows][q_stride], head h at h * head_size; already rotated */
    RR_ADDR(q) RR_ADDR(codes) RR_ADDR(groups) /* [n_rows][n_heads * head_size] */
    RR_ADDR(rows)                             /* rr_row [n_rows] */
    RR_U32(kv_offset)                         /* as in rope.h */
    RR_U32(n_rows) RR_U32(n_heads) RR_U32(n_kv_heads) RR_U32(q_stride) RR_F32(scale)
        RR_ADDR(lora)                 /* rr_args_lanes_lora: what is taken */
    RR_U32(first_row) RR_U32(unused)) /* as in lanes_out.h */
#endif
