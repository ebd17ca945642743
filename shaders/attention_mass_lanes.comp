#version 460
// Attention weights of listed rows and their sums over spans, for software devices: one subgroup takes the (at most 8) query heads of one
// listed row and KV head, no shared memory. Formula and layouts: attention_mass.h. Scores and weights: lane = key, in tiles of
// KEYS × WIDTH that share each load of K among the heads, dimensions ascending. Spans: lane = span, positions ascending. Every order is
// fixed by the row's own position and the span alone. Grid: x = listed row, y = KV head.
#include "common.glsl"
#include "attention_mass.h"
#include "kv.glsl"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(constant_id = 1) const uint HEADS = 8; // query heads a KV head; unused ones repeat the last
layout(constant_id = 2) const uint WIDTH = 8;
layout(local_size_x_id = 2) in;
#include "lanes.glsl"
#include "lanes_reduce.glsl"
#include "lanes_stack.glsl"
#include "lanes_exp.glsl"
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer rr_weights { float at[]; }; // of other lanes, too
const uint KEYS = 4;
const uint TILE = WIDTH * KEYS;
const float NONE = -3.0e38; // below every score; a finite stand-in for −infinity

uint lane, group, kv_head, i;
float largest[HEADS];

uint head_of(uint h) { return kv_head * group + min(h, group - 1u); }
rr_weights weights_of(uint h) { return rr_weights(rr_at(p.weights, i * p.n_heads + head_of(h), p.w_stride * 4u)); }

void make_scores(rr_row row, uvec2 q[HEADS]) {
    for (uint key0 = 0; key0 <= row.position; key0 += TILE) {
        uvec2 keys = rr_kv_row(rr_kv_page(row.pages, key0), p.kv_offset, kv_head, key0, HEAD_SIZE);
        uint last = row.position - key0;
        float score[HEADS][KEYS];
        uvec2 key[KEYS];
        [[unroll]] for (uint c = 0; c < KEYS; c++) {
            key[c] = rr_add(keys, min(c * WIDTH + lane, last) * HEAD_SIZE * 2u);
            [[unroll]] for (uint h = 0; h < HEADS; h++) {
                score[h][c] = 0.0;
            }
        }
        for (uint d = 0; d < HEAD_SIZE; d += 8u) {
            vec2 k[KEYS][4];
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                [[unroll]] for (uint j = 0; j < 4; j++) {
                    k[c][j] = unpackHalf2x16(rr_words(key[c]).at[d / 2u + j]);
                }
            }
            [[unroll]] for (uint h = 0; h < HEADS; h++) {
                float x[8];
                rr_spread8(q[h], d, x);
                [[unroll]] for (uint j = 0; j < 8; j++) {
                    [[unroll]] for (uint c = 0; c < KEYS; c++) {
                        score[h][c] = fma(x[j], k[c][j / 2][j % 2], score[h][c]);
                    }
                }
            }
        }
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            rr_weights to = weights_of(h);
            int highest = rr_order(largest[h]);
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                uint at = key0 + c * WIDTH + lane;
                float s = at <= row.position ? score[h][c] * p.scale : NONE;
                highest = max(highest, rr_order(s));
                if (at <= row.position && h < group) {
                    to.at[at] = s;
                }
            }
            largest[h] = rr_from_order(highest); // of the lane's own keys
        }
    }
}

void main() {
    rr_align_stack(p.q, p.n_listed);
    lane = gl_SubgroupInvocationID;
    group = p.n_heads / p.n_kv_heads;
    i = gl_WorkGroupID.x;
    kv_head = gl_WorkGroupID.y;
    uint r = rr_words(p.list).at[i];
    rr_row row = rr_rows(p.rows).at[r];
    uvec2 q[HEADS];
    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        q[h] = rr_add(rr_at(p.q, r, p.q_stride * 4u), head_of(h) * HEAD_SIZE * 4u + rr_lane_bytes());
        largest[h] = NONE;
    }
    make_scores(row, q);
    float own[HEADS];
    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        largest[h] = rr_from_order(rr_max_of_lanes(rr_order(largest[h])));
        own[h] = 0.0;
    }
    for (uint key = lane; key < p.n_keys; key += WIDTH) {
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            if (h < group) {
                rr_weights w = weights_of(h);
                float e = key <= row.position ? rr_exp(w.at[key] - largest[h]) : 0.0; // as the lane itself left it
                w.at[key] = e;
                own[h] += e;
            }
        }
    }
    memoryBarrierBuffer();
    subgroupBarrier();
    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        float total = rr_sum_of_lanes(own[h]);
        uint at = i * p.n_heads + head_of(h);
        if (h < group) {
            if (lane == 0u) {
                rr_floats(p.totals).at[at] = total;
            }
            rr_weights w = weights_of(h);
            rr_floats mass = rr_floats(rr_at(p.mass, at, p.n_spans * 4u));
            for (uint s = lane; s < p.n_spans; s += WIDTH) {
                uint end = min(rr_words(p.spans).at[s * 2u + 1u], row.position + 1u);
                float m = 0.0;
                for (uint key = rr_words(p.spans).at[s * 2u]; key < end; key++) {
                    m += w.at[key];
                }
                mass.at[s] = m / total;
            }
        }
    }
}
