#version 460
// AdamW. Formula and layouts: adamw.h. One invocation a parameter. Grid: x, y = workgroups, RR_ADAMW_GROUPS a row.
#include "common.glsl"
#include "adamw.h"
layout(local_size_x = RR_ADAMW_LANES) in;

void main() {
    uint i = (gl_WorkGroupID.y * RR_ADAMW_GROUPS + gl_WorkGroupID.x) * RR_ADAMW_LANES + gl_LocalInvocationID.x;
    if (i >= p.n) {
        return;
    }
    float g = rr_floats(p.g).at[i] * p.grad_scale;
    float m = fma(p.beta1, rr_floats(p.m).at[i], (1.0 - p.beta1) * g);
    float v = fma(p.beta2, rr_floats(p.v).at[i], (1.0 - p.beta2) * g * g);
    float step = p.rate * p.correction1 * m / (sqrt(p.correction2 * v) + p.epsilon);
    float w = rr_floats(p.w).at[i];
    rr_floats(p.w).at[i] = w - w * (p.rate * p.decay) - step;
    rr_floats(p.m).at[i] = m;
    rr_floats(p.v).at[i] = v;
}
