#version 460
// d_k and d_v of attention on software devices. Formula and layouts: attention_grad.h. One subgroup takes MEMBERS keys of one KV head
// and walks the query rows that see one of them, WIDTH at a time. Weights: lane = row, dimensions ascending, K and V by broadcast.
// Outputs: lane = dimensions lane, lane + WIDTH, …, rows (token, then head) ascending. Grid: x = tile of keys, y = KV head.
#include "common.glsl"
#include "attention_grad_lanes.glsl"
const uint OUT = (HEAD_SIZE + WIDTH - 1) / WIDTH; // dimensions a lane

uint key0, end;
uvec2 keys[MEMBERS], values[MEMBERS];
float d_k[MEMBERS][OUT], d_v[MEMBERS][OUT];
float weight[MEMBERS], slope[MEMBERS]; // of the lane's row
uvec2 query, d_out;                    // where the lane's row lies

float half_at(uvec2 base, uint i) {
    vec2 pair = unpackHalf2x16(rr_words(base).at[i / 2u]);
    return (i & 1u) == 0u ? pair.x : pair.y;
}

// weight and slope of the lane's row as sums of products: q k and d_o v
void multiply() {
    [[unroll]] for (uint m = 0; m < MEMBERS; m++) {
        weight[m] = slope[m] = 0.0;
    }
    for (uint d0 = 0; d0 < HEAD_SIZE; d0 += 8u) {
        float k[MEMBERS], v[MEMBERS];
        [[unroll]] for (uint m = 0; m < MEMBERS; m++) {
            k[m] = half_at(keys[m], d0 + (lane & 7u));
            v[m] = half_at(values[m], d0 + (lane & 7u));
        }
        [[unroll]] for (uint i = 0; i < 8; i++) {
            float x = rr_floats(query).at[d0 + i], y = rr_floats(d_out).at[d0 + i];
            [[unroll]] for (uint m = 0; m < MEMBERS; m++) {
                weight[m] = fma(x, subgroupBroadcast(k[m], i), weight[m]);
                slope[m] = fma(y, subgroupBroadcast(v[m], i), slope[m]);
            }
        }
    }
}

// What lane `from`'s row adds to all keys.
#define ADD_ROW(from)                                                                              \
    {                                                                                              \
        rr_floats q = rr_floats(uvec2(subgroupBroadcast(query.x, from), subgroupBroadcast(query.y, from)));   \
        rr_floats d_o = rr_floats(uvec2(subgroupBroadcast(d_out.x, from), subgroupBroadcast(d_out.y, from))); \
        [[unroll]] for (uint i = 0; i < OUT; i++) {                                                \
            float x = q.at[min(lane + i * WIDTH, HEAD_SIZE - 1u)];                                 \
            float y = d_o.at[min(lane + i * WIDTH, HEAD_SIZE - 1u)];                               \
            [[unroll]] for (uint m = 0; m < MEMBERS; m++) {                                        \
                d_k[m][i] = fma(subgroupBroadcast(slope[m], from), x, d_k[m][i]);                  \
                d_v[m][i] = fma(subgroupBroadcast(weight[m], from), y, d_v[m][i]);                 \
            }                                                                                      \
        }                                                                                          \
    }

void add_rows() {
    ADD_ROW(0) ADD_ROW(1) ADD_ROW(2) ADD_ROW(3) ADD_ROW(4) ADD_ROW(5) ADD_ROW(6) ADD_ROW(7)
    if (WIDTH >= 16) {
        ADD_ROW(8) ADD_ROW(9) ADD_ROW(10) ADD_ROW(11) ADD_ROW(12) ADD_ROW(13) ADD_ROW(14) ADD_ROW(15)
    }
}

void main() {
    begin_lanes();
    end = p.first + p.n_listed;
    key0 = p.first + gl_WorkGroupID.x * MEMBERS;
    uint last = rr_rows_end(key0, min(key0 + MEMBERS, end) - 1u) * group - 1u;
    [[unroll]] for (uint m = 0; m < MEMBERS; m++) {
        keys[m] = rr_key(min(key0 + m, end - 1u), kv_head, HEAD_SIZE);
        values[m] = rr_key(min(key0 + m, end - 1u), p.n_kv_heads + kv_head, HEAD_SIZE);
        [[unroll]] for (uint i = 0; i < OUT; i++) {
            d_k[m][i] = d_v[m][i] = 0.0;
        }
    }
    for (uint row0 = key0 * group; row0 <= last; row0 += WIDTH) {
        uint row = row0 + lane, token = rr_token_of(row, last), head = rr_head_of(row, last), own = rr_segment(token).x;
        query = rr_query(p.q, p.q_stride, token, head, HEAD_SIZE);
        d_out = rr_query(p.d_o, p.n_heads * HEAD_SIZE, token, head, HEAD_SIZE);
        float l = rr_lse(token, head);
        float d = rr_delta(token, head);
        multiply();
        [[unroll]] for (uint m = 0; m < MEMBERS; m++) {
            bool counts = row <= last && rr_sees(token, own, key0 + m);
            weight[m] = counts ? rr_exp(weight[m] * p.scale - l) : 0.0;
            slope[m] = weight[m] * (slope[m] - d) * p.scale;
        }
        add_rows();
    }
    [[unroll]] for (uint m = 0; m < MEMBERS; m++) {
        rr_floats k_out = rr_floats(rr_d_qkv(min(key0 + m, end - 1u), p.n_heads + kv_head, HEAD_SIZE));
        rr_floats v_out = rr_floats(rr_d_qkv(min(key0 + m, end - 1u), p.n_heads + p.n_kv_heads + kv_head, HEAD_SIZE));
        [[unroll]] for (uint i = 0; i < OUT; i++) {
            if (key0 + m < end && lane + i * WIDTH < HEAD_SIZE) {
                k_out.at[lane + i * WIDTH] = d_k[m][i];
                v_out.at[lane + i * WIDTH] = d_v[m][i];
            }
        }
    }
}
