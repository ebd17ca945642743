#version 460
// d_q of attention on software devices. Formula and layouts: attention_grad.h; tiles: attention_grad_rows_lanes.glsl. Of the
// output, a lane has four dimensions from 4 lane, 4 (lane + WIDTH), …, keys ascending. Grid: x = tile of query rows, y = KV head.
#include "common.glsl"
#include "attention_grad_rows_lanes.glsl"
const uint OUT = (FOURS + WIDTH - 1) / WIDTH; // times four dimensions a lane

vec4 sums[MEMBERS][OUT];
float slope[MEMBERS][KEYS];
float factor[MEMBERS]; // of the lane's key in the column of keys at hand

// sums += factor of the column's key `from` (lane `from`'s) × its K
#define ADD_KEY(from)                                                                              \
    {                                                                                              \
        uvec2 row = uvec2(subgroupBroadcast(key.x, from), subgroupBroadcast(key.y, from));         \
        vec4 k[OUT];                                                                               \
        [[unroll]] for (uint i = 0; i < OUT; i++) {                                                \
            k[i] = load4(row, min(lane + i * WIDTH, FOURS - 1u));                                  \
        }                                                                                          \
        [[unroll]] for (uint r = 0; r < MEMBERS; r++) {                                            \
            float f = subgroupBroadcast(factor[r], from);                                          \
            [[unroll]] for (uint i = 0; i < OUT; i++) {                                            \
                sums[r][i] = fma(vec4(f), k[i], sums[r][i]);                                       \
            }                                                                                      \
        }                                                                                          \
    }

void add_keys(uvec2 key) {
    ADD_KEY(0) ADD_KEY(1) ADD_KEY(2) ADD_KEY(3) ADD_KEY(4) ADD_KEY(5) ADD_KEY(6) ADD_KEY(7)
    if (WIDTH >= 16) {
        ADD_KEY(8) ADD_KEY(9) ADD_KEY(10) ADD_KEY(11) ADD_KEY(12) ADD_KEY(13) ADD_KEY(14) ADD_KEY(15)
    }
}

void walk(uint begin, uint end) {
    for (uint key0 = begin; key0 < end; key0 += TILE) {
        find_keys(key0, end);
        PRODUCT(score, query, keys)
        PRODUCT(slope, d_out, values)
        [[unroll]] for (uint r = 0; r < MEMBERS; r++) {
            uint head = rr_head_of(row0 + r, last);
            float l = rr_lse(token[r], head);
            float d = rr_delta(token[r], head);
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                bool counts = seen(r, key0 + c * WIDTH + lane, end);
                slope[r][c] = counts ? rr_exp(score[r][c] * p.scale - l) * (slope[r][c] - d) * p.scale : 0.0;
            }
        }
        for (uint c = 0; c < KEYS && key0 + c * WIDTH < end; c++) {
            [[unroll]] for (uint r = 0; r < MEMBERS; r++) {
                factor[r] = c == 0 ? slope[r][0] : c == 1 ? slope[r][1] : c == 2 ? slope[r][2] : slope[r][3];
            }
            add_keys(c == 0 ? keys[0] : c == 1 ? keys[1] : c == 2 ? keys[2] : keys[3]);
        }
    }
}

void main() {
    begin_rows();
    [[unroll]] for (uint r = 0; r < MEMBERS; r++) {
        [[unroll]] for (uint i = 0; i < OUT; i++) {
            sums[r][i] = vec4(0.0);
        }
    }
    uint n_keys = token[MEMBERS - 1u] + 1u;
    walk(0u, min(p.n_prefix, n_keys));
    walk(rr_own_keys(own[0], TILE), n_keys);
    [[unroll]] for (uint r = 0; r < MEMBERS; r++) {
        rr_floats4 y = rr_floats4(rr_d_qkv(token[r], rr_head_of(row0 + r, last), HEAD_SIZE));
        [[unroll]] for (uint i = 0; i < OUT; i++) {
            if (row0 + r <= last && lane + i * WIDTH < FOURS) {
                y.at[lane + i * WIDTH] = sums[r][i];
            }
        }
    }
}
