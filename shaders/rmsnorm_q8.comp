#version 460
// RMSNorm and quantization, or quantization alone. Formula and layouts: rmsnorm_q8.h, q8.glsl. One workgroup a row, lane l
// takes columns 4l … 4l + 3 of each 1024; float sums of squares, columns ascending in a lane, then a fixed tree over the 256.
#include "common.glsl"
#include "rmsnorm_q8.h"
#define RR_Q8_STAGE 256
#include "q8.glsl"
layout(local_size_x = 256) in;
shared float partial[256];

float inverse_norm(rr_floats4 x, uint lane) {
    float sum = 0.0;
    for (uint c = lane; c < p.cols / 4u; c += 256u) {
        vec4 v = x.at[c];
        sum = fma(v.x, v.x, sum);
        sum = fma(v.y, v.y, sum);
        sum = fma(v.z, v.z, sum);
        sum = fma(v.w, v.w, sum);
    }
    partial[lane] = sum;
    barrier();
    for (uint step = 128u; step > 0u; step >>= 1) {
        if (lane < step) {
            partial[lane] += partial[lane + step];
        }
        barrier();
    }
    return 1.0 / sqrt(partial[0] / float(p.cols) + p.epsilon);
}

void main() {
    uint r = gl_WorkGroupID.x;
    uint lane = gl_LocalInvocationID.x;
    rr_floats4 x = rr_floats4(rr_at(p.x, r, p.cols * 4u));
    uvec2 values = rr_at(p.y, r, p.cols);
    uvec2 groups = rr_at(p.groups, r, p.cols / 4u);
    bool norm = (p.weight.x | p.weight.y) != 0u;
    float scale = norm ? inverse_norm(x, lane) : 1.0;
    for (uint c0 = 0; c0 < p.cols / 4u; c0 += 256u) {
        uint c = c0 + lane;
        bool live = c < p.cols / 4u;
        if (live) {
            vec4 v = x.at[c];
            q8_stage[lane] = norm ? v * scale * rr_floats4(p.weight).at[c] : v;
        }
        barrier();
        vec4 rest = rr_q8_store(lane, live, values, groups, c);
        barrier();
        if (p.n_terms == 2u) {
            q8_stage[lane] = rest;
            barrier();
            rr_q8_store(lane, live, rr_at(p.y, p.n_rows + r, p.cols), rr_at(p.groups, p.n_rows + r, p.cols / 4u), c);
            barrier();
        }
    }
}
