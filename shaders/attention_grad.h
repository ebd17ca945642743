/* The backward pass of attention over the rows of a prefix with branches, without atomics: three ops,
 * one after another, with S = scale q k and P = e^(S − L):
 *   attention_lse      L = log sum_j e^S and D = sum(d_o o) of each row and query head
 *   attention_grad_q   d_q = scale sum_j P (d_o v − D) k
 *   attention_grad_kv  d_v = sum P d_o and d_k = scale sum P (d_o v − D) q, over all rows that see
 *                      the key and all query heads of its KV head
 * Rows [0, n_prefix) are the prefix, the others stand in branches of neighbouring rows. Row r sees
 * row j when j <= r and j is of the prefix or of r's own branch. Query head h reads KV head
 * h / (n_heads / n_kv_heads). K and V lie in the pages that the rows name (kv.h). A dispatch takes
 * rows [first, first + n_listed), of attention_grad_kv as keys; a result depends on its row alone,
 * however rows are cut into dispatches. */
#ifndef RR_SHADERS_ATTENTION_GRAD_H
#define RR_SHADERS_ATTENTION_GRAD_H
#include "push.h"
RR_PUSH(attention_grad,
    RR_ADDR(q)        /* f32 [n_rows][q_stride], head h at h * head_size; already rotated */
    RR_ADDR(o)        /* f32 [n_rows][n_heads * head_size], the forward's result */
    RR_ADDR(d_o)      /* f32, as o */
    RR_ADDR(d_qkv)    /* f32 [n_rows]: n_heads + 2 n_kv_heads heads of head_size: of q, k, v */
    RR_ADDR(lse)      /* f32 [n_rows][n_heads]: L */
    RR_ADDR(delta)    /* f32 [n_rows][n_heads]: D */
    RR_ADDR(rows)     /* rr_row [n_rows]; pages and positions count */
    RR_ADDR(segments) /* u32 [n_rows][2]: the rows [begin, end) of its branch, or of the prefix */
    RR_U32(kv_offset) /* as in rope.h */
    RR_U32(n_rows) RR_U32(n_prefix) RR_U32(n_heads) RR_U32(n_kv_heads) RR_U32(q_stride)
        RR_U32(first) RR_U32(n_listed) RR_F32(scale))
#endif
