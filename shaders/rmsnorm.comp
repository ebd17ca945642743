#version 460
// RMSNorm. Formula and layouts: rmsnorm.h. One workgroup a row; float sums: invocation i takes columns i, i + 64, … in
// order, then a fixed tree over the 64.
#include "common.glsl"
#include "rmsnorm.h"
layout(local_size_x = 64) in;
shared float partial[64];

void main() {
    uint r = gl_WorkGroupID.x;
    uint lane = gl_LocalInvocationID.x;
    rr_floats x = rr_floats(rr_at(p.x, r, p.cols * 4u));
    rr_floats y = rr_floats(rr_at(p.y, r, p.cols * 4u));
    rr_floats weight = rr_floats(p.weight);
    float sum = 0.0;
    for (uint c = lane; c < p.cols; c += 64u) {
        float v = x.at[c];
        sum = fma(v, v, sum);
    }
    partial[lane] = sum;
    barrier();
    for (uint step = 32u; step > 0u; step >>= 1) {
        if (lane < step) {
            partial[lane] += partial[lane + step];
        }
        barrier();
    }
    float scale = 1.0 / sqrt(partial[0] / float(p.cols) + p.epsilon);
    for (uint c = lane; c < p.cols; c += 64u) {
        y.at[c] = x.at[c] * scale * weight.at[c];
    }
}
