/* Rotates q in place, rotates k into the KV cache as f16, copies v there as f16.
 * Pairs (i, i + head_size / 2), angle position * theta^(-2 i / head_size) from the table. */
#ifndef RR_SHADERS_ROPE_H
#define RR_SHADERS_ROPE_H
#include "push.h"
RR_PUSH(rope,
    /* f32 [n_rows][stride]: n_heads + 2 n_kv_heads heads of head_size: q, k, v */
    RR_ADDR(qkv) RR_ADDR(rows) /* rr_row [n_rows] */
    RR_ADDR(table)             /* f32 [n_context][head_size / 2][2]: cos, sin */
    RR_U32(kv_offset)          /* bytes from the start of a page (kv.h) to this layer */
    RR_U32(n_rows) RR_U32(n_heads) RR_U32(n_kv_heads))
#endif
