/* y[t][r] = sum_c W[r][c] x[t][c] of int8 activations (q8.glsl), then one of three ends. Used by
 * both families. A group of 32 columns g gives an exact integer I = sum (q − z) x, z = 8 (Q4_0), 16
 * (Q5_0), 32 (Q6_K), else 0, and
 *   y += scale_g (d I) + offset_g (d sum x)      the second for Q4_1, Q5_1, Q4_K, Q5_K; for Q6_K
 *     twice, a half of 16 each
 * in float. Formats: those that have groups, not F32, F16, BF16.
 *   RR_END_F32     y = sum (+ bias) (+ residual), f32
 *   RR_END_ROPE    rows are heads of q, k, v: bias, then q rotated to y, k rotated and v to the KV
 *                  cache, as rope.h says
 *   RR_END_SWIGLU  rows are gate, then up: q8(silu(gate) up) */
#ifndef RR_SHADERS_MATMUL_Q8_H
#define RR_SHADERS_MATMUL_Q8_H
#include "push.h"
#define RR_END_F32 0
#define RR_END_ROPE 1
#define RR_END_SWIGLU 2
RR_PUSH(matmul_q8,
    RR_ADDR(lo) RR_ADDR(hi) RR_ADDR(scale) RR_ADDR(super) /* planes of W [n_out][cols] */
    RR_ADDR(x)                                            /* int8 [n_tokens][cols] */
    RR_ADDR(x_groups)                                     /* their groups */
    /* f32, token t at y + 4 * t * y_stride; SWIGLU: int8 [n_tokens][n_out / 2] */
    RR_ADDR(y)
    /* F32: residual, laid out as y and maybe y itself, or 0; SWIGLU: groups of y */
    RR_ADDR(extra) RR_ADDR(bias) /* F32, ROPE: f32 [n_out], or 0 */
    RR_ADDR(rows)                /* ROPE: rr_row [n_tokens] */
    RR_ADDR(table)               /* ROPE: as in rope.h */
    RR_U32(kv_offset)            /* ROPE: as in rope.h */
    RR_U32(heads)                /* ROPE: n_heads + n_kv_heads * 65536 */
    RR_U32(n_out) RR_U32(cols) RR_U32(n_tokens) RR_U32(y_stride)
        RR_U32(gap) /* rows r and r + gap belong together: half a head; SWIGLU: n_out / 2 */
    RR_U32(first))  /* ROPE: row 0 of W is row `first` of all of q, k, v; y begins there too */
#endif
