/* y = softmax(scale q K^T) V per query head over positions 0 … rows[r].position of the row's
 * session. Query head h reads KV head h / (n_heads / n_kv_heads). Used by both families, prefill
 * and decode. In the prefill family all rows of one dispatch belong to one session and their
 * positions are consecutive. */
#ifndef RR_SHADERS_ATTENTION_H
#define RR_SHADERS_ATTENTION_H
#include "push.h"
RR_PUSH(attention,
    RR_ADDR(q) /* f32 [n_rows][q_stride], head h at h * head_size; already rotated */
    RR_ADDR(y) /* f32 [n_rows][n_heads * head_size], int8 when there are groups */
    /* of int8 activations (q8.glsl), head_size a multiple of 32; 0 = y is f32. Not of every row:
     * kern.h */
    RR_ADDR(groups) RR_ADDR(rows) /* rr_row [n_rows] */
    /* decode: RR_ATTENTION_SCRATCH words; the counters are zero before and after */
    RR_ADDR(scratch) RR_U32(kv_offset) /* as in rope.h */
    RR_U32(n_rows) RR_U32(n_heads) RR_U32(n_kv_heads) RR_U32(q_stride) RR_F32(scale)
        RR_U32(n_keys)) /* of the row that sees the most: its position + 1 */

/* The decode family's split. A row that sees n_keys cuts them into chunks of
 * RR_ATTENTION_CHUNK(n_keys), the last one shorter: a function of the row's position alone. At most
 * RR_ATTENTION_CHUNKS of them. */
#define RR_ATTENTION_TILE 128
#define RR_ATTENTION_CHUNKS 64
#define RR_ATTENTION_CHUNK(n_keys)                                  \
    (RR_ATTENTION_TILE *                                            \
        (((n_keys) + RR_ATTENTION_TILE * RR_ATTENTION_CHUNKS - 1) / \
            (RR_ATTENTION_TILE * RR_ATTENTION_CHUNKS)))
/* No row that sees at most n_keys has more chunks. */
#define RR_ATTENTION_MOST_CHUNKS(n_keys)                \
    ((n_keys) > RR_ATTENTION_TILE * RR_ATTENTION_CHUNKS \
            ? RR_ATTENTION_CHUNKS                       \
            : ((n_keys) + RR_ATTENTION_TILE - 1) / RR_ATTENTION_TILE)
/* Scratch, in words of 4 bytes: a counter a (row, KV head), RR_ATTENTION_ROWS rows, then a record a
 * (row, KV head, chunk, head of the group): f32 output [head_size], maximum, sum, 2 unused. */
#define RR_ATTENTION_ROWS 32
#define RR_ATTENTION_COUNTERS(n_kv_heads) (RR_ATTENTION_ROWS * (n_kv_heads))
#define RR_ATTENTION_SCRATCH(n_rows, n_heads, n_kv_heads, head_size, n_keys) \
    (RR_ATTENTION_COUNTERS(n_kv_heads) +                                     \
        (n_rows) * (n_heads)*RR_ATTENTION_MOST_CHUNKS(n_keys) * ((head_size) + 4))
#endif
