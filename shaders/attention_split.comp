#version 460
// Attention of generated tokens, a row's keys split over workgroups. Formula, layouts, split: attention.h. One workgroup =
// one chunk × one KV head × one row, all of its (at most 8) query heads per K/V read; tiles of 128 keys, running maximum.
// Scores: four neighbouring lanes share a key, its dimensions dealt round in pieces of 8; 2 keys a lane, whose whole rows are
// in flight at once. Output: lane = (slice of the keys, 4 dimensions); AHEAD × 4 keys in flight, before the softmax if all.
// Slices, then chunks are added in order, the latter by the workgroup that comes last. Every order is fixed by the row's own
// position alone. All sums are f32. Grid: x = chunk, y = row × n_kv_heads + KV head.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"
#include "attention.h"
#include "kv.glsl"
#include "attention_end.glsl"
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(constant_id = 1) const uint AHEAD = 1; // divides VALUES
layout(local_size_x = 256) in;
#include "attention_split.glsl"

uvec2 keys, values; // the tile's first rows
uvec2 v[AHEAD][4];
vec2 score[KEYS]; // of heads sub, sub + 4

// Of a tile of n keys, the slice's that stand together in weight [first, first + AHEAD), four each.
void load_values(uint n, uint first) {
    [[unroll]] for (uint i = 0; i < AHEAD; i++) {
        [[unroll]] for (uint c = 0; c < 4; c++) {
            uint key = min((slice * VALUES + first + i) * 2u + c / 2u + c % 2u * QUADS, n - 1u);
            v[i][c] = rr_word_pairs(values).at[key * DIMS4 + min(dim4, DIMS4 - 1u)];
        }
    }
}

// The sum over four lanes of heads 0 … 7: each lane keeps half of the heads, twice.
vec2 sum_quad(float part[HEADS]) {
    float half_sum[HEADS / 2];
    bool odd = (sub & 1u) != 0u, high = (sub & 2u) != 0u;
    [[unroll]] for (uint i = 0; i < HEADS / 2; i++) {
        float a = part[2 * i], b = part[2 * i + 1];
        half_sum[i] = (odd ? b : a) + subgroupShuffleXor(odd ? a : b, 1u);
    }
    vec2 sum;
    [[unroll]] for (uint i = 0; i < 2; i++) {
        float a = half_sum[2 * i], b = half_sum[2 * i + 1];
        sum[i] = (high ? b : a) + subgroupShuffleXor(high ? a : b, 2u);
    }
    return sum;
}

void make_scores(uint n) {
    uvec4 k[KEYS][STEPS];
    float part[KEYS][HEADS];
    [[unroll]] for (uint c = 0; c < KEYS; c++) {
        uint key = min(quad + QUADS * c, n - 1u) * PIECES;
        [[unroll]] for (uint s = 0; s < STEPS; s++) {
            k[c][s] = rr_words4(keys).at[key + min(s * 4u + sub, PIECES - 1u)];
        }
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            part[c][h] = 0.0;
        }
    }
    barrier(); // q is there; the last tile's weights have been read
    [[unroll]] for (uint s = 0; s < 2 * STEPS; s++) {
        vec4 d[KEYS];
        [[unroll]] for (uint c = 0; c < KEYS; c++) {
            uvec2 w = s % 2 == 0 ? k[c][s / 2].xy : k[c][s / 2].zw;
            d[c] = vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y));
        }
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            vec4 a = area[(h * STEPS + s / 2) * 8u + sub * 2u + s % 2];
            [[unroll]] for (uint c = 0; c < KEYS; c++) {
                float x = fma(a.y, d[c].y, fma(a.x, d[c].x, part[c][h]));
                part[c][h] = fma(a.w, d[c].w, fma(a.z, d[c].z, x));
            }
        }
    }
    [[unroll]] for (uint c = 0; c < KEYS; c++) {
        vec2 s = sum_quad(part[c]);
        score[c] = quad + QUADS * c < n ? s : vec2(NONE);
    }
}

float weigh(float s, float highest) { return s == NONE ? 0.0 : exp(s - highest); }

// Scores become weights; what was added up so far shrinks as the maximum grows.
void softmax() {
    vec2 highest = max(score[0], score[1]), top = vec2(highest_yet[sub], highest_yet[sub + 4u]);
    tops[lane] = highest;
    barrier();
    if (lane < 32u) {
        [[unroll]] for (uint i = 1; i < QUADS / 8; i++) {
            highest = max(highest, tops[i * 32u + lane]);
        }
        tops8[lane] = highest;
    }
    barrier();
    vec2 now = top;
    [[unroll]] for (uint i = 0; i < 8; i++) {
        now = max(now, tops8[i * 4u + sub]);
    }
    vec2 factor = vec2(now.x == top.x ? 1.0 : exp(top.x - now.x), now.y == top.y ? 1.0 : exp(top.y - now.y));
    vec2 e0 = vec2(weigh(score[0].x, now.x), weigh(score[1].x, now.x));
    vec2 e1 = vec2(weigh(score[0].y, now.y), weigh(score[1].y, now.y));
    weight[sub * QUADS + quad] = e0;
    weight[(sub + 4u) * QUADS + quad] = e1;
    if (lane < 4u) {
        shrink[sub] = factor.x;
        shrink[sub + 4u] = factor.y;
        highest_yet[sub] = now.x;
        highest_yet[sub + 4u] = now.y;
    }
    total = fma(total, factor, vec2(e0.x + e0.y, e1.x + e1.y));
    barrier();
}

// What load_values brought.
void add_loaded(uint first) {
    [[unroll]] for (uint i = 0; i < AHEAD; i++) {
        vec4 x[4];
        [[unroll]] for (uint c = 0; c < 4; c++) {
            x[c] = vec4(unpackHalf2x16(v[i][c].x), unpackHalf2x16(v[i][c].y));
        }
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            uint at = h * QUADS + (slice * VALUES + first + i) * 2u;
            vec4 e = vec4(weight[at], weight[at + 1u]);
            [[unroll]] for (uint c = 0; c < 4; c++) {
                sums[h] = fma(vec4(e[c]), x[c], sums[h]);
            }
        }
    }
}

void add_values(uint n) {
    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        sums[h] *= shrink[h];
    }
    if (AHEAD == VALUES) {
        add_loaded(0);
        return;
    }
    [[dont_unroll]] for (uint first = 0; first < VALUES; first += AHEAD) {
        load_values(n, first);
        add_loaded(first);
    }
}

void main() {
    lane = gl_LocalInvocationID.x;
    sub = lane & 3u;
    quad = lane >> 2;
    dim4 = lane % OUT_LANES;
    slice = lane / OUT_LANES;
    group = p.n_heads / p.n_kv_heads;
    r = gl_WorkGroupID.y / p.n_kv_heads;
    kv_head = gl_WorkGroupID.y % p.n_kv_heads;
    rr_row row = rr_rows(p.rows).at[r];
    uint n_keys = row.position + 1u;
    uint chunk = RR_ATTENTION_CHUNK(n_keys);
    uint n_chunks = (n_keys + chunk - 1u) / chunk;
    if (gl_WorkGroupID.x >= n_chunks) {
        return;
    }
    uint begin = gl_WorkGroupID.x * chunk, end = min(begin + chunk, n_keys);
    rr_floats4 q = rr_floats4(rr_add(rr_at(p.q, r, p.q_stride * 4u), kv_head * group * HEAD_SIZE * 4u));
    for (uint i = lane; i < HEADS * STEPS * 8u; i += LANES) {
        uint head = min(i / (STEPS * 8u), group - 1u), at = i % (STEPS * 8u);
        area[i] = at < DIMS4 ? q.at[head * DIMS4 + at] * p.scale : vec4(0.0);
    }
    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        sums[h] = vec4(0.0);
    }
    if (lane < HEADS) {
        highest_yet[lane] = NONE;
    }
    total = vec2(0.0);
    for (uint key0 = begin; key0 < end; key0 += TILE) {
        uvec2 page = rr_kv_page(row.pages, key0);
        keys = rr_kv_row(page, p.kv_offset, kv_head, key0, HEAD_SIZE);
        values = rr_kv_row(page, p.kv_offset, p.n_kv_heads + kv_head, key0, HEAD_SIZE);
        make_scores(end - key0);
        if (AHEAD == VALUES) {
            load_values(end - key0, 0);
        }
        softmax();
        add_values(end - key0);
    }
    finish_chunk(n_chunks);
    if (n_chunks > 1u && comes_last(n_chunks)) {
        merge(n_chunks);
    }
}
