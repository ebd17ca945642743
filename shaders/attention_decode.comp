#version 460
// Attention of generated tokens over the cache. Formula and layouts: attention.h. One workgroup = one row × one KV head,
// all of its (at most 8) query heads per K/V read; keys in tiles of 64 from position 0 with a running maximum.
// Scores: lane = key. Output: lane = (slice of the keys, dimension pair); the slices are added in order at the end. Every
// order is fixed by the row's own position alone. Grid: x = row, y = KV head.
#include "common.glsl"
#include "attention.h"
#include "kv.glsl"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(local_size_x = 64) in;
const uint TILE = 64;
const uint PAIRS = HEAD_SIZE / 2;
const uint SLICES = 64 / PAIRS;
const uint HEADS = 8; // query heads a KV head, at most; unused ones repeat the last
const float NONE = -3.0e38;
shared vec4 query[HEADS * HEAD_SIZE / 4];
shared float weight[HEADS * TILE];
shared float top[HEADS], total[HEADS], shrink[HEADS];
shared vec2 slice_sums[64];

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint group = p.n_heads / p.n_kv_heads;
    uint r = gl_WorkGroupID.x;
    uint kv_head = gl_WorkGroupID.y;
    rr_row row = rr_rows(p.rows).at[r];
    rr_floats4 q = rr_floats4(rr_add(rr_at(p.q, r, p.q_stride * 4u), kv_head * group * HEAD_SIZE * 4u));
    for (uint i = lane; i < HEADS * HEAD_SIZE / 4u; i += 64u) {
        uint head = min(i / (HEAD_SIZE / 4u), group - 1u);
        query[i] = q.at[head * (HEAD_SIZE / 4u) + i % (HEAD_SIZE / 4u)];
    }
    if (lane < HEADS) {
        top[lane] = NONE;
        total[lane] = 0.0;
    }
    vec2 sums[HEADS];
    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        sums[h] = vec2(0.0);
    }
    uint pair = lane % PAIRS, slice = lane / PAIRS;
    uint n_keys = row.position + 1u;
    for (uint key0 = 0; key0 < n_keys; key0 += TILE) {
        barrier();
        uvec2 page = rr_kv_page(row.pages, key0);
        uvec2 keys = rr_kv_row(page, p.kv_offset, kv_head, key0, HEAD_SIZE);
        rr_words values = rr_words(rr_kv_row(page, p.kv_offset, p.n_kv_heads + kv_head, key0, HEAD_SIZE));
        rr_words4 k = rr_words4(rr_add(keys, min(lane, n_keys - 1u - key0) * HEAD_SIZE * 2u));
        float score[HEADS];
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            score[h] = 0.0;
        }
        for (uint d = 0; d < HEAD_SIZE / 8u; d++) {
            uvec4 w = k.at[d];
            vec2 k0 = unpackHalf2x16(w.x), k1 = unpackHalf2x16(w.y), k2 = unpackHalf2x16(w.z), k3 = unpackHalf2x16(w.w);
            [[unroll]] for (uint h = 0; h < HEADS; h++) {
                vec4 q0 = query[h * (HEAD_SIZE / 4u) + d * 2u], q1 = query[h * (HEAD_SIZE / 4u) + d * 2u + 1u];
                float s = fma(q0.y, k0.y, fma(q0.x, k0.x, score[h]));
                s = fma(q0.w, k1.y, fma(q0.z, k1.x, s));
                s = fma(q1.y, k2.y, fma(q1.x, k2.x, s));
                score[h] = fma(q1.w, k3.y, fma(q1.z, k3.x, s));
            }
        }
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            weight[h * TILE + lane] = key0 + lane < n_keys ? score[h] * p.scale : NONE;
        }
        barrier();
        if (lane < HEADS) {
            float before = top[lane];
            float now = before;
            for (uint j = 0; j < TILE; j++) {
                now = max(now, weight[lane * TILE + j]);
            }
            float sum = 0.0;
            for (uint j = 0; j < TILE; j++) {
                float s = weight[lane * TILE + j];
                float e = s == NONE ? 0.0 : exp(s - now);
                weight[lane * TILE + j] = e;
                sum += e;
            }
            float f = now == before ? 1.0 : exp(before - now);
            top[lane] = now;
            shrink[lane] = f;
            total[lane] = fma(total[lane], f, sum);
        }
        barrier();
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            sums[h] *= shrink[h];
        }
        for (uint j = slice; j < min(TILE, n_keys - key0); j += SLICES) {
            vec2 v = unpackHalf2x16(values.at[j * PAIRS + pair]);
            [[unroll]] for (uint h = 0; h < HEADS; h++) {
                float e = weight[h * TILE + j];
                sums[h] = vec2(fma(e, v.x, sums[h].x), fma(e, v.y, sums[h].y));
            }
        }
    }
    rr_pairs y = rr_pairs(rr_add(rr_at(p.y, r, p.n_heads * HEAD_SIZE * 4u), kv_head * group * HEAD_SIZE * 4u));
    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        barrier();
        slice_sums[lane] = sums[h];
        barrier();
        if (slice == 0u && h < group) {
            vec2 sum = slice_sums[pair];
            for (uint s = 1; s < SLICES; s++) {
                sum += slice_sums[s * PAIRS + pair];
            }
            y.at[h * PAIRS + pair] = sum / total[h];
        }
    }
}
