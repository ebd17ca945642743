/* y = softmax(scale q K^T) V per query head over positions 0 … rows[r].position of the row's session.
 * Query head h reads KV head h / (n_heads / n_kv_heads). Used by both families, prefill and decode. In the prefill
 * family all rows of one dispatch belong to one session and their positions are consecutive. */
#ifndef RR_SHADERS_ATTENTION_H
#define RR_SHADERS_ATTENTION_H
#include "push.h"
RR_PUSH(attention,
    RR_ADDR(q)         /* f32 [n_rows][q_stride], head h at h * head_size; already rotated */
    RR_ADDR(y)         /* f32 [n_rows][n_heads * head_size] */
    RR_ADDR(rows)      /* rr_row [n_rows] */
    RR_ADDR(kv_offset) /* as in rope.h */
    RR_U32(n_rows) RR_U32(n_heads) RR_U32(n_kv_heads) RR_U32(n_context) RR_U32(q_stride) RR_F32(scale))
#endif
