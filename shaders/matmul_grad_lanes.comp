#version 460
// The backward op of a product on software devices, which have no cheap shared memory. Formula and layouts: matmul_grad.h.
// One subgroup a workgroup makes TOKENS × 4 WIDTH results: a lane keeps four neighbouring columns of TOKENS tokens. Rows of W are
// walked WIDTH at a time: lane i loads d_y and the scales of row i, and all lanes get them by broadcast, so that a row costs one
// load of its codes. Order: one fma a row, rows ascending, so a result depends on its column and its token alone; then the factor,
// then what is added to. Grid: x = token tile (fastest: the weights of a column tile stay in cache), y = column tile.
#include "common.glsl"
#include "matmul_grad.h"
#include "quant.glsl"
#include "fours.glsl"
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "lanes_stack.glsl"
const uint TOKENS = RR_TOKENS;
layout(constant_id = 1) const uint WIDTH = 8; // subgroup size, 4 to 16: a lane's groups of 32 columns stand in one word of scales
layout(local_size_x_id = 1) in;
const bool TWO_WORDS = WIDTH == 16 && (FORMAT == Q4_1 || FORMAT == Q5_1); // … but of these formats in two

uint t0, c0, c;
vec4 sums[TOKENS];
float d_y[TOKENS];          // of the lane's row
uint scale[2], super;       // of the lane's row, of the first and the last column's group

// Row i of those that the lanes hold.
void add_row(uint r0, uint i) {
    uint s = subgroupBroadcast(scale[0], i);
    if (TWO_WORDS) {
        uint last = subgroupBroadcast(scale[1], i);
        s = (c - c0) < 32u ? s : last;
    }
    vec4 w = rr_scaled(rr_four(min(r0 + i, p.n_out - 1u), c), rr_scale_in(s, subgroupBroadcast(super, i), c));
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        sums[t] = fma(w, vec4(subgroupBroadcast(d_y[t], i)), sums[t]);
    }
}

void main() {
    rr_align_stack(p.d_y, p.n_tokens);
    uint lane = gl_SubgroupInvocationID;
    t0 = gl_WorkGroupID.x * TOKENS;
    c0 = gl_WorkGroupID.y * (4u * WIDTH);
    c = min(c0 + lane * 4u, p.cols - 4u);
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        sums[t] = vec4(0.0);
    }
    for (uint r0 = 0; r0 < p.n_out; r0 += WIDTH) {
        uint row = min(r0 + lane, p.n_out - 1u);
        scale[0] = rr_scale_word(row, c0);
        scale[1] = TWO_WORDS ? rr_scale_word(row, min(c0 + 32u, p.cols - 4u)) : 0u;
        super = rr_super_word(row, c0);
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            float v = rr_floats(rr_at(p.d_y, min(t0 + t, p.n_tokens - 1u), p.y_stride * 4u)).at[row];
            d_y[t] = r0 + lane < p.n_out ? v : 0.0; // rows past the end count nothing
        }
        add_row(r0, 0), add_row(r0, 1), add_row(r0, 2), add_row(r0, 3);
        if (WIDTH >= 8) {
            add_row(r0, 4), add_row(r0, 5), add_row(r0, 6), add_row(r0, 7);
        }
        if (WIDTH >= 16) {
            add_row(r0, 8), add_row(r0, 9), add_row(r0, 10), add_row(r0, 11);
            add_row(r0, 12), add_row(r0, 13), add_row(r0, 14), add_row(r0, 15);
        }
    }
    if (c0 + lane * 4u < p.cols) {
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            if (t0 + t < p.n_tokens) {
                rr_floats d_x = rr_floats(rr_add(rr_at(p.d_x, t0 + t, p.x_stride * 4u), c * 4u));
                [[unroll]] for (uint i = 0; i < 4; i++) {
                    float v = sums[t][i] * p.factor;
                    d_x.at[i] = (p.flags & RR_MATMUL_GRAD_ADDS) != 0u ? d_x.at[i] + v : v;
                }
            }
        }
    }
}
