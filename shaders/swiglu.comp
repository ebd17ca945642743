#version 460
// SwiGLU. Formula and layouts: swiglu.h. One invocation a result: x = column, y = row.
#include "common.glsl"
#include "swiglu.h"
layout(local_size_x = 64) in;

void main() {
    uint c = gl_GlobalInvocationID.x;
    uint r = gl_GlobalInvocationID.y;
    if (c >= p.cols) {
        return;
    }
    rr_floats row = rr_floats(rr_at(p.gate_up, r, p.cols * 8u));
    float g = row.at[c];
    rr_floats(rr_at(p.y, r, p.cols * 4u)).at[c] = g / (1.0 + exp(-g)) * row.at[p.cols + c];
}
