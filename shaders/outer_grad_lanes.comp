#version 460
// The gradient of a matrix of an adapter on software devices. Formula and layouts: outer_grad.h. One subgroup a workgroup makes
// RANK × 2 WIDTH results: a lane keeps two columns, WIDTH apart; a comes by broadcast.
// Order: one fma a token, tokens ascending, then the factor, then what is added to.
// Grid: x = column tile, y = tile of the rank.
#include "common.glsl"
#include "outer_grad.h"
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
const uint RANK = RR_OUTER_GRAD_RANK;
layout(constant_id = 0) const uint WIDTH = 8; // subgroup size, 8 or 16
layout(local_size_x_id = 0) in;
#include "lanes_stack.glsl"

vec2 sums[RANK];

void add_token(float a[2], vec2 b) {
    [[unroll]] for (uint i = 0; i < RANK; i++) {
        float v = WIDTH >= RANK ? subgroupBroadcast(a[0], i) : subgroupBroadcast(a[i / 8u], i % 8u);
        sums[i] = fma(vec2(v), b, sums[i]);
    }
}

void main() {
    rr_align_stack(p.a, p.n_tokens);
    uint lane = gl_SubgroupInvocationID;
    uint i0 = gl_WorkGroupID.y * RANK, column = gl_WorkGroupID.x * (2u * WIDTH) + lane;
    uint j[2] = uint[2](min(column, p.n_b - 1u), min(column + WIDTH, p.n_b - 1u));
    uint i[2] = uint[2](min(i0 + lane, p.n_a - 1u), min(i0 + lane + 8u, p.n_a - 1u));
    [[unroll]] for (uint k = 0; k < RANK; k++) {
        sums[k] = vec2(0.0);
    }
    for (uint t = 0; t < p.n_tokens; t++) {
        rr_floats of_a = rr_floats(rr_at(p.a, t, p.a_stride * 4u)), of_b = rr_floats(rr_at(p.b, t, p.b_stride * 4u));
        float a[2] = float[2](of_a.at[i[0]], WIDTH >= RANK ? 0.0 : of_a.at[i[1]]);
        add_token(a, vec2(of_b.at[j[0]], of_b.at[j[1]]));
    }
    [[unroll]] for (uint k = 0; k < RANK; k++) {
        [[unroll]] for (uint c = 0; c < 2; c++) {
            if (i0 + k < p.n_a && column + c * WIDTH < p.n_b) {
                rr_floats y = rr_floats(rr_add64(rr_at(p.y, i0 + k, p.i_stride * 4u), rr_at(uvec2(0u), j[c], p.j_stride * 4u)));
                float v = sums[k][c] * p.factor;
                y.at[0] = (p.flags & RR_OUTER_GRAD_ADDS) != 0u ? y.at[0] + v : v;
            }
        }
    }
}
