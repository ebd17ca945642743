#version 460
// d_k and d_v of attention. Formula and layouts: attention_grad.h; tiles: attention_grad.glsl. A workgroup takes SIDE keys of one KV
// head and walks the query rows that see one of them, all heads of the group; of the outputs, lane (a, b) holds keys a + 8i and
// dimension pairs b + 8k. Order: dimensions, and rows (token, then head), ascending. Grid: x = tile of keys, y = KV head.
#include "common.glsl"
#include "attention_grad.glsl"

vec2 d_k[HELD][OUT], d_v[HELD][OUT];

#define ADD_ROWS(into, of_rows)                                                                    \
    [[dont_unroll]] for (uint r = 0; r < SIDE; r++) {                                              \
        [[unroll]] for (uint k = 0; k < OUT; k++) {                                                \
            vec2 v = of_rows[r * PAIRS + min(b + 8u * k, PAIRS - 1u)];                             \
            [[unroll]] for (uint i = 0; i < HELD; i++) {                                           \
                float f = factor[r * SIDE + a + 8u * i];                                           \
                into[i][k] = vec2(fma(f, v.x, into[i][k].x), fma(f, v.y, into[i][k].y));           \
            }                                                                                      \
        }                                                                                          \
    }

void add_tile(uint row0, uint last, uint key0) {
    barrier();
    load_rows(row0, last);
    barrier();
    PRODUCT(score, query, k_tile)
    PRODUCT(slope, d_out, v_tile)
    [[unroll]] for (uint i = 0; i < HELD; i++) {
        uint row = row0 + a + 8u * i, token = rr_token_of(row, last), head = rr_head_of(row, last);
        uint own = rr_segment(token).x;
        float l = rr_lse(token, head);
        float d = rr_delta(token, head);
        [[unroll]] for (uint j = 0; j < HELD; j++) {
            bool seen = row <= last && rr_sees(token, own, key0 + b + 8u * j);
            float weight = seen ? exp(score[i][j] * p.scale - l) : 0.0;
            factor[(a + 8u * i) * SIDE + b + 8u * j] = weight;
            slope[i][j] = weight * (slope[i][j] - d) * p.scale;
        }
    }
    barrier();
    ADD_ROWS(d_v, d_out)
    barrier();
    [[unroll]] for (uint i = 0; i < HELD; i++) {
        [[unroll]] for (uint j = 0; j < HELD; j++) {
            factor[(a + 8u * i) * SIDE + b + 8u * j] = slope[i][j];
        }
    }
    barrier();
    ADD_ROWS(d_k, query)
}

void main() {
    begin_tiles();
    uint end = p.first + p.n_listed, key0 = p.first + gl_WorkGroupID.x * SIDE;
    uint last = rr_rows_end(key0, min(key0 + SIDE, end) - 1u) * group - 1u;
    load_keys(key0, end);
    [[unroll]] for (uint i = 0; i < HELD; i++) {
        [[unroll]] for (uint k = 0; k < OUT; k++) {
            d_k[i][k] = d_v[i][k] = vec2(0.0);
        }
    }
    for (uint row0 = key0 * group; row0 <= last; row0 += SIDE) {
        add_tile(row0, last, key0);
    }
    [[unroll]] for (uint i = 0; i < HELD; i++) {
        uint key = key0 + a + 8u * i;
        if (key < end) {
            rr_pairs k_out = rr_pairs(rr_d_qkv(key, p.n_heads + kv_head, HEAD_SIZE));
            rr_pairs v_out = rr_pairs(rr_d_qkv(key, p.n_heads + p.n_kv_heads + kv_head, HEAD_SIZE));
            [[unroll]] for (uint k = 0; k < OUT; k++) {
                if (b + 8u * k < PAIRS) {
                    k_out.at[b + 8u * k] = d_k[i][k];
                    v_out.at[b + 8u * k] = d_v[i][k];
                }
            }
        }
    }
}
