/* What the attention of chosen rows rests on. Per listed row and query head: the weights
 * softmax(scale q K^T) over positions 0 … rows[r].position of the row's session, and their sums
 * over spans of positions. Head h reads KV head h / (n_heads / n_kv_heads). The keys are those that
 * the row's own attention sees, so K of all positions up to the row's is written before. */
#ifndef RR_SHADERS_ATTENTION_MASS_H
#define RR_SHADERS_ATTENTION_MASS_H
#include "push.h"
RR_PUSH(attention_mass,
    /* f32 [rows of the pass][q_stride], head h at h * head_size; already rotated */
    RR_ADDR(q) RR_ADDR(rows) /* rr_row [rows of the pass] */
    RR_ADDR(list)            /* u32 [n_listed]: which of them */
    /* u32 [n_spans][2]: positions [begin, end); what lies behind the row's position weighs 0 */
    RR_ADDR(spans)
    /* f32 [n_listed][n_heads][w_stride]: e^(score − largest score) of positions 0 … n_keys − 1, 0
     * behind the row's */
    RR_ADDR(weights) RR_ADDR(totals) /* f32 [n_listed][n_heads]: their sums */
    RR_ADDR(mass)     /* f32 [n_listed][n_heads][n_spans]: sum over the span / total */
    RR_U32(kv_offset) /* as in rope.h */
    RR_U32(n_listed) RR_U32(n_heads) RR_U32(n_kv_heads) RR_U32(q_stride) RR_U32(w_stride)
        RR_U32(n_spans) RR_U32(n_keys) /* of the listed row that sees the most: its position + 1 */
    RR_F32(scale))
#endif
