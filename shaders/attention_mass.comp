#version 460
// Attention weights of listed rows and their sums over spans. Formula and layouts: attention_mass.h. One workgroup = one listed row ×
// one query head. Scores first, each into its place of `weights`, by SPREAD neighbouring lanes a key, dimensions dealt round in pieces
// of 8, KEYS keys of a lane in flight; then the weights e^(score − largest); then the spans, SPREAD lanes a span.
// RR_SUBGROUP: SPREAD = 4 lanes add up by shuffles; else 1. All sums are f32; every order is fixed by the row's own position and the
// span alone. Grid: x = listed row, y = query head.
#include "common.glsl"
#include "attention_mass.h"
#include "kv.glsl"
#ifdef RR_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define SPREAD 4
#define KEYS 2
#define LANES 128
#else
#define SPREAD 1
#define KEYS 1
#define LANES 64
#endif
layout(constant_id = 0) const uint HEAD_SIZE = 64;
layout(local_size_x = LANES) in;
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer rr_weights { float at[]; }; // of other lanes, too
const uint PIECES = HEAD_SIZE / 8;
const uint STEPS = (PIECES + SPREAD - 1) / SPREAD; // pieces a lane
const uint TEAMS = LANES / SPREAD;
const float NONE = -3.0e38; // below every score; a finite stand-in for −infinity
shared vec4 query[HEAD_SIZE / 4];
shared float part[LANES];
uint lane, member, team;

// The sum over the lanes that share a key or a span.
float sum_team(float v) {
#ifdef RR_SUBGROUP
    v += subgroupShuffleXor(v, 1u);
    v += subgroupShuffleXor(v, 2u);
#endif
    return v;
}

// The largest, or the sum, of all lanes' values, by a tree over the lanes.
float reduce(float v, bool largest) {
    barrier();
    part[lane] = v;
    [[unroll]] for (uint step = LANES / 2; step > 0u; step /= 2u) {
        barrier();
        if (lane < step) {
            float a = part[lane], b = part[lane + step];
            part[lane] = largest ? max(a, b) : a + b;
        }
    }
    barrier();
    return part[0];
}

// Scores of all keys up to the row's position; returns the largest of the lane's.
float make_scores(rr_weights scores, rr_row row, uint kv_head) {
    const uint n_keys = row.position + 1u;
    float largest = NONE;
    for (uint first = 0; first < n_keys; first += TEAMS * KEYS) {
        uvec4 k[KEYS][STEPS];
        [[unroll]] for (uint c = 0; c < KEYS; c++) {
            uint key = min(first + c * TEAMS + team, n_keys - 1u);
            rr_words4 from = rr_words4(rr_kv_row(rr_kv_page(row.pages, key), p.kv_offset, kv_head, key, HEAD_SIZE));
            [[unroll]] for (uint s = 0; s < STEPS; s++) {
                k[c][s] = from.at[min(s * SPREAD + member, PIECES - 1u)];
            }
        }
        [[unroll]] for (uint c = 0; c < KEYS; c++) {
            float sum = 0.0;
            [[unroll]] for (uint s = 0; s < STEPS; s++) {
                uint piece = s * SPREAD + member;
                if (PIECES % SPREAD == 0u || piece < PIECES) {
                    vec2 a = unpackHalf2x16(k[c][s].x), b = unpackHalf2x16(k[c][s].y);
                    vec2 d = unpackHalf2x16(k[c][s].z), e = unpackHalf2x16(k[c][s].w);
                    vec4 q0 = query[piece * 2u], q1 = query[piece * 2u + 1u];
                    sum = fma(q0.y, a.y, fma(q0.x, a.x, sum));
                    sum = fma(q0.w, b.y, fma(q0.z, b.x, sum));
                    sum = fma(q1.y, d.y, fma(q1.x, d.x, sum));
                    sum = fma(q1.w, e.y, fma(q1.z, e.x, sum));
                }
            }
            sum = sum_team(sum);
            uint key = first + c * TEAMS + team;
            if (key < n_keys) {
                largest = max(largest, sum);
                if (member == 0u) {
                    scores.at[key] = sum;
                }
            }
        }
    }
    return largest;
}

void main() {
    lane = gl_LocalInvocationID.x;
    member = lane % SPREAD;
    team = lane / SPREAD;
    uint i = gl_WorkGroupID.x, head = gl_WorkGroupID.y;
    uint kv_head = head / (p.n_heads / p.n_kv_heads);
    uint at = i * p.n_heads + head;
    uint r = rr_words(p.list).at[i];
    rr_row row = rr_rows(p.rows).at[r];
    rr_floats4 q = rr_floats4(rr_add(rr_at(p.q, r, p.q_stride * 4u), head * HEAD_SIZE * 4u));
    for (uint d = lane; d < HEAD_SIZE / 4u; d += LANES) {
        query[d] = q.at[d] * p.scale;
    }
    barrier();
    rr_weights weights = rr_weights(rr_at(p.weights, at, p.w_stride * 4u));
    float largest = make_scores(weights, row, kv_head);
    memoryBarrierBuffer(); // in front of the barriers of reduce()
    largest = reduce(largest, true);
    float sum = 0.0;
    for (uint key = lane; key < p.n_keys; key += LANES) {
        float e = key <= row.position ? exp(weights.at[key] - largest) : 0.0;
        weights.at[key] = e;
        sum += e;
    }
    memoryBarrierBuffer();
    float total = reduce(sum, false);
    if (lane == 0u) {
        rr_floats(p.totals).at[at] = total;
    }
    rr_floats mass = rr_floats(rr_at(p.mass, at, p.n_spans * 4u));
    for (uint first = 0; first < p.n_spans; first += TEAMS) {
        uint s = min(first + team, p.n_spans - 1u);
        uint begin = rr_words(p.spans).at[s * 2u], end = min(rr_words(p.spans).at[s * 2u + 1u], row.position + 1u);
        float m = 0.0;
        for (uint key = begin + member; key < end; key += SPREAD) {
            m += weights.at[key];
        }
        m = sum_team(m);
        if (member == 0u && first + team < p.n_spans) {
            mass.at[s] = m / total;
        }
    }
}
