#version 460
// Embedding rows, quantized for the first norm. Formula and layouts: lanes.h. One subgroup a token; lane l takes the groups
// of 32 columns l, l + WIDTH, … alone; squares are added lane by lane. Grid: x = token.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "common.glsl"
#include "longs.glsl"
#include "lanes_embed.h"
#include "quant.glsl"
#include "lanes_code.glsl"
layout(constant_id = 1) const uint WIDTH = 8;
layout(local_size_x_id = 1) in;
#include "lanes_lora.glsl"

void main() {
    uint lane = gl_SubgroupInvocationID;
    uint t = gl_WorkGroupID.x;
    rr_qrow w = rr_qrow_at(p.lo, p.hi, p.scale, p.super, rr_rows(p.rows).at[t].token, p.cols);
    rr_floats x = rr_floats(rr_at(p.x, t, p.cols * 4u));
    rr_words codes = rr_words(rr_at(p.codes, t, p.cols * 2u));
    rr_words groups = rr_words(rr_at(p.groups, t, p.cols / 4u));
    float squares = 0.0;
    for (uint g = lane; g < p.cols / 32u; g += WIDTH) {
        float most = 0.0;
        for (uint o = g * 4u; o < g * 4u + 4u; o++) {
            vec2 s = rr_scale_of(w, o >> 1);
            float q[8];
            rr_unpack8(w, o, q);
            [[unroll]] for (uint i = 0; i < 8; i++) {
                float v = fma(q[i], s.x, s.y);
                x.at[o * 8u + i] = v;
                squares = fma(v, v, squares);
                most = max(most, abs(v * rr_floats(p.norm).at[o * 8u + i]));
            }
        }
        most = rr_most(most);
        float inverse = most > 0.0 ? RR_MOST / most : 0.0;
        int sums = 0;
        for (uint k = 0; k < 16u; k++) {
            uint c = g * 32u + k * 2u;
            int a = rr_code(x.at[c] * rr_floats(p.norm).at[c] * inverse);
            int b = rr_code(x.at[c + 1u] * rr_floats(p.norm).at[c + 1u] * inverse);
            codes.at[g * 16u + k] = uint(a & 0xFFFF) | uint(b) << 16;
            sums += k < 8u ? a + b : (a + b) * 65536;
        }
        groups.at[g * 2u] = floatBitsToUint(most / RR_MOST);
        groups.at[g * 2u + 1u] = uint(sums);
    }
    if (ADAPTED != 0) { // all lanes' columns are needed, one of the next WIDTH a lane
        subgroupMemoryBarrierBuffer();
        subgroupBarrier();
        rr_args_lanes_lora l = rr_lanes_lora(p.lora).at;
        for (uint k0 = 0; k0 < l.out_width; k0 += BLOCK) {
            vec2 sum = vec2(0.0);
            for (uint c0 = 0; c0 < p.cols; c0 += WIDTH) {
                float v = x.at[c0 + lane] * rr_floats(p.norm).at[c0 + lane];
                rr_longs columns = rr_lora_columns(l, c0 / 32u, k0);
                [[unroll]] for (uint i = 0; i < WIDTH; i++) {
                    sum = fma(rr_two(columns.at[(c0 % 32u + i) * WIDTH]), vec2(subgroupBroadcast(v, i)), sum);
                }
            }
            if (k0 + lane * 2u < l.out_width) {
                rr_longs(rr_address(l.total) + uint64_t(t) * l.out_width * 4u).at[k0 / 2u + lane] = rr_long(sum);
            }
        }
    }
    squares = subgroupAdd(squares);
    if (lane == 0u) {
        rr_floats(p.rms).at[t] = 1.0 / sqrt(squares / float(p.cols) + p.epsilon);
    }
}
