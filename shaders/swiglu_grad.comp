#version 460
// SwiGLU's backward op. Formula and layouts: swiglu_grad.h. One invocation a pair of results: x = column, y = row.
// e^−|e| neither overflows nor loses 1 − sigma for large e.
#include "common.glsl"
#include "swiglu_grad.h"
layout(local_size_x = 64) in;

void main() {
    uint c = gl_GlobalInvocationID.x;
    uint r = gl_GlobalInvocationID.y;
    if (c >= p.cols) {
        return;
    }
    rr_floats from = rr_floats(rr_at(p.gate_up, r, p.cols * 8u)), to = rr_floats(rr_at(p.d_gate_up, r, p.cols * 8u));
    float e = from.at[c], u = from.at[p.cols + c], d = rr_floats(rr_at(p.d_y, r, p.cols * 4u)).at[c];
    float small = exp(-abs(e)), inverse = 1.0 / (1.0 + small);
    float sigma = e >= 0.0 ? inverse : small * inverse; // and 1 − sigma the other one
    float rest = e >= 0.0 ? small * inverse : inverse;
    to.at[c] = d * u * (sigma * fma(e, rest, 1.0));
    to.at[p.cols + c] = d * (e * sigma);
}
