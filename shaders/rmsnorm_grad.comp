#version 460
// RMSNorm's backward op. Formula and layouts: rmsnorm_grad.h. One workgroup a row; two float sums, of x x and of g d_y x:
// invocation i takes columns i, i + 64, … in order, then a fixed tree over the 64.
#include "common.glsl"
#include "rmsnorm_grad.h"
layout(local_size_x = 64) in;
shared vec2 partial[64];

void main() {
    uint r = gl_WorkGroupID.x;
    uint lane = gl_LocalInvocationID.x;
    rr_floats x = rr_floats(rr_at(p.x, r, p.cols * 4u));
    rr_floats d_y = rr_floats(rr_at(p.d_y, r, p.cols * 4u));
    rr_floats d_x = rr_floats(rr_at(p.d_x, r, p.cols * 4u));
    rr_floats weight = rr_floats(p.weight);
    vec2 sum = vec2(0.0);
    for (uint c = lane; c < p.cols; c += 64u) {
        float v = x.at[c];
        sum = fma(vec2(v), vec2(v, weight.at[c] * d_y.at[c]), sum);
    }
    partial[lane] = sum;
    barrier();
    for (uint step = 32u; step > 0u; step >>= 1) {
        if (lane < step) {
            partial[lane] += partial[lane + step];
        }
        barrier();
    }
    float rho = 1.0 / sqrt(partial[0].x / float(p.cols) + p.epsilon);
    float mean = partial[0].y * rho / float(p.cols); // of g d_y h
    for (uint c = lane; c < p.cols; c += 64u) {
        float v = rho * (weight.at[c] * d_y.at[c] - x.at[c] * rho * mean);
        d_x.at[c] = (p.flags & RR_RMSNORM_GRAD_ADDS) != 0u ? d_x.at[c] + v : v;
    }
}
