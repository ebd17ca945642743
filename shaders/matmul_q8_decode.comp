#version 460
// Int8 matrix product for 1 to 32 generated tokens: streams the weights once. Formula and layouts: matmul_q8.h.
// Lanes come in teams of SLICES. A team takes ROWS rows × TOKENS tokens at a time; lane s of it takes the groups s, s +
// SLICES, … in order (neighbouring lanes read neighbouring 16 bytes of a row) and the SLICES sums are added by a fixed binary tree, so
// a result depends on its row and its token alone, whatever the tiles are. A workgroup has BLOCK rows × TILE tokens: SPLIT
// teams share rows and differ in tokens, and each team does PASSES sets of rows. Grid: x = block of rows, y = token tile.
#include "common.glsl"
#include "matmul_q8.h"
#include "dot.glsl"
#include "weights_q8.glsl"
#ifdef RR_SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
layout(constant_id = 2) const uint TOKENS = 1;
layout(constant_id = 3) const uint ROWS = 4; // even; half of them first halves of pairs, half second
layout(constant_id = 4) const uint SLICES = 8;
layout(constant_id = 5) const uint SPLIT = 1;
layout(constant_id = 6) const uint PASSES = 1;
layout(constant_id = 7) const uint WIDTH = 8; // subgroup size, at least SLICES
layout(constant_id = 8) const uint LANES = 64;
layout(local_size_x_id = 8) in;
const uint ROW_TEAMS = LANES / SLICES / SPLIT;
const uint BLOCK = ROW_TEAMS * ROWS * PASSES;
const uint TILE = TOKENS * SPLIT;
#define RR_Q8_STAGE (END == RR_END_SWIGLU ? LANES : 1u)
#include "ends_q8.glsl"
#include "q8.glsl"
shared float sums[TILE * BLOCK]; // [token][row of the block]
#define RR_SUM(k) sums[k]
#include "finish_q8.glsl"
#ifndef RR_SUBGROUP
shared float partial[LANES];
#endif

const uint N = ROWS * TOKENS;

// Adds v over the team's lanes and puts the results into `sums`; v[t * ROWS + i] is row i of the team's rows.
uint place(uint k, uint row0, uint pair0, uint token0) {
    uint i = k % ROWS, t = k / ROWS;
    uint row = END == RR_END_F32 ? row0 + i : i < ROWS / 2u ? pair0 + i : BLOCK / 2u + pair0 + i - ROWS / 2u;
    return (token0 + t) * BLOCK + row;
}

void reduce(float v[N], uint slice, uint row0, uint pair0, uint token0) {
#ifdef RR_SUBGROUP
    // each step sends half of the values away and keeps the sums of the others
    uint first = 0u, live = N, most = N;
    [[unroll]] for (uint step = SLICES / 2u; step > 0u; step >>= 1) {
        bool upper = (slice & step) != 0u;
        if (most > 1u) {
            uint low = (most + 1u) / 2u;
            [[unroll]] for (uint i = 0; i < low; i++) {
                float above = i + low < most ? v[min(i + low, N - 1u)] : 0.0;
                float kept = upper ? above : v[i], sent = upper ? v[i] : above;
                v[i] = kept + subgroupShuffleXor(sent, step);
            }
            uint cut = min(low, live);
            first += upper ? cut : 0u;
            live = upper ? live - cut : cut;
            most = low;
        } else {
            v[0] += subgroupShuffleXor(v[0], step);
        }
    }
    [[unroll]] for (uint i = 0; i < most; i++) {
        if (i < live) { // the same value from several lanes, the same bits
            sums[place(first + i, row0, pair0, token0)] = v[i];
        }
    }
#else
    uint lane = gl_LocalInvocationID.x;
    [[unroll]] for (uint k = 0; k < N; k++) {
        partial[lane] = v[k];
        barrier();
        for (uint step = SLICES / 2u; step > 0u; step >>= 1) {
            float sum = partial[lane] + partial[lane ^ step];
            barrier();
            partial[lane] = sum;
            barrier();
        }
        if (slice == 0u) {
            sums[place(k, row0, pair0, token0)] = partial[lane];
        }
    }
#endif
}

// One set of a team's rows: everything in it, from the weights to `sums`.
void multiply(uint pass, uint slice, uint row_team, uint token0, uint block, uint t0) {
    uint row0 = (pass * ROW_TEAMS + row_team) * ROWS, pair0 = row0 / 2u;
    uint pair_row = rr_pair_row(min(block * (BLOCK / 2u) + pair0, p.n_out / 2u - ROWS / 2u));
    rr_qrow w[ROWS];
    float v[N];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        uint row = END == RR_END_F32 ? min(block * BLOCK + row0 + i, p.n_out - 1u)
                                     : pair_row + (i < ROWS / 2u ? i : p.gap + i - ROWS / 2u);
        w[i] = rr_qrow_at(p.lo, p.hi, p.scale, p.super, row, p.cols);
    }
    [[unroll]] for (uint k = 0; k < N; k++) {
        v[k] = 0.0;
    }
    uint x[TOKENS]; // tokens past the end repeat the last one
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        x[t] = min(t0 + token0 + t, p.n_tokens - 1u) * p.cols;
    }
    for (uint g = slice; g < p.cols / 32u; g += SLICES) {
        uint u[ROWS][8];
        vec2 s[ROWS];
        [[unroll]] for (uint i = 0; i < ROWS; i++) {
            rr_group_unpack(rr_group_load(w[i], g), u[i]);
            s[i] = rr_group_scale(w[i], g);
        }
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            uint at = x[t] + g * 32u;
            rr_words4 values = rr_words4(rr_add(p.x, at));
            uvec4 a = values.at[0], b = values.at[1];
            uint xs[8] = uint[](a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
            rr_xgroup x_group = rr_x_group(rr_q8_groups(rr_add(p.x_groups, at / 4u)).at[0]);
            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                v[t * ROWS + i] = rr_group_add(u[i], s[i], xs, x_group, v[t * ROWS + i]);
            }
        }
    }
    reduce(v, slice, row0, pair0, token0);
}

void main() {
#ifdef RR_SUBGROUP
    uint slice = gl_SubgroupInvocationID % SLICES;
    uint team = WIDTH == SLICES ? gl_SubgroupID
                                : gl_SubgroupID * (WIDTH / SLICES) + gl_SubgroupInvocationID / SLICES;
#else
    uint slice = gl_LocalInvocationID.x % SLICES, team = gl_LocalInvocationID.x / SLICES;
#endif
    uint block = gl_WorkGroupID.x, t0 = gl_WorkGroupID.y * TILE;
    uint token0 = team % SPLIT * TOKENS, row_team = team / SPLIT;
    if (PASSES == 1u) { // drivers keep a loop of one turn, and guess that it has many
        multiply(0u, slice, row_team, token0, block, t0);
    } else {
        for (uint pass = 0; pass < PASSES; pass++) {
            multiply(pass, slice, row_team, token0, block, t0);
        }
    }
    barrier();
    rr_finish(block, t0);
}
