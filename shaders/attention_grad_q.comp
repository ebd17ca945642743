#version 460
// d_q of attention. Formula and layouts: attention_grad.h; tiles: attention_grad.glsl. A workgroup takes SIDE query rows of one KV
// head and walks the keys; of the output, lane (a, b) holds rows a + 8i and dimension pairs b + 8k.
// Order: dimensions and keys ascending. Grid: x = tile of query rows, y = KV head.
#include "common.glsl"
#include "attention_grad.glsl"

vec2 sums[HELD][OUT];

void walk(uint row0, uint last, uint begin, uint end) {
    for (uint key0 = begin; key0 < end; key0 += SIDE) {
        barrier();
        load_keys(key0, end);
        barrier();
        PRODUCT(score, query, k_tile)
        PRODUCT(slope, d_out, v_tile)
        [[unroll]] for (uint i = 0; i < HELD; i++) {
            uint token = rr_token_of(row0 + a + 8u * i, last), head = rr_head_of(row0 + a + 8u * i, last);
            uint own = rr_segment(token).x;
            float l = rr_lse(token, head);
            float d = rr_delta(token, head);
            [[unroll]] for (uint j = 0; j < HELD; j++) {
                uint key = key0 + b + 8u * j;
                float weight = key < end && rr_sees(token, own, key) ? exp(score[i][j] * p.scale - l) : 0.0;
                factor[(a + 8u * i) * SIDE + b + 8u * j] = weight * (slope[i][j] - d) * p.scale;
            }
        }
        barrier();
        for (uint j = 0; j < SIDE; j++) {
            [[unroll]] for (uint k = 0; k < OUT; k++) {
                vec2 v = unpackHalf2x16(k_tile[j * PAIRS + min(b + 8u * k, PAIRS - 1u)]);
                [[unroll]] for (uint i = 0; i < HELD; i++) {
                    float f = factor[(a + 8u * i) * SIDE + j];
                    sums[i][k] = vec2(fma(f, v.x, sums[i][k].x), fma(f, v.y, sums[i][k].y));
                }
            }
        }
    }
}

void main() {
    begin_tiles();
    uint row0 = p.first * group + gl_WorkGroupID.x * SIDE, last = (p.first + p.n_listed) * group - 1u;
    uint n_keys = rr_token_of(row0 + SIDE - 1u, last) + 1u;
    load_rows(row0, last);
    [[unroll]] for (uint i = 0; i < HELD; i++) {
        [[unroll]] for (uint k = 0; k < OUT; k++) {
            sums[i][k] = vec2(0.0);
        }
    }
    walk(row0, last, 0u, min(p.n_prefix, n_keys));
    walk(row0, last, rr_own_keys(rr_segment(rr_token_of(row0, last)).x, SIDE), n_keys);
    [[unroll]] for (uint i = 0; i < HELD; i++) {
        uint row = row0 + a + 8u * i;
        if (row <= last) {
            rr_pairs y = rr_pairs(rr_d_qkv(rr_token_of(row, last), rr_head_of(row, last), HEAD_SIZE));
            [[unroll]] for (uint k = 0; k < OUT; k++) {
                if (b + 8u * k < PAIRS) {
                    y.at[b + 8u * k] = sums[i][k];
                }
            }
        }
    }
}
