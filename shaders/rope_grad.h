/* The backward op of rope.h's rotation: turns the gradients of q and k back by the same angles,
 * in place; that of v stays as it is. */
#ifndef RR_SHADERS_ROPE_GRAD_H
#define RR_SHADERS_ROPE_GRAD_H
#include "push.h"
RR_PUSH(rope_grad,
    /* f32 [n_rows][stride]: n_heads + 2 n_kv_heads heads of head_size: of q, k, v */
    RR_ADDR(d_qkv) RR_ADDR(rows) /* rr_row [n_rows] */
    RR_ADDR(table)               /* f32 [n_context][head_size / 2][2]: cos, sin */
    RR_U32(n_rows) RR_U32(n_heads) RR_U32(n_kv_heads))
#endif
