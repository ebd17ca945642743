#version 460
// Embedding rows. Formula and layouts: embed.h. One invocation = 8 weights of one row: x = octet, y = row. No sums.
#include "common.glsl"
#include "embed.h"
#include "quant.glsl"
layout(local_size_x = 64) in;

void main() {
    uint o = gl_GlobalInvocationID.x;
    uint r = gl_GlobalInvocationID.y;
    if (o * 8 >= p.cols) {
        return;
    }
    rr_qrow w = rr_qrow_at(p.lo, p.hi, p.scale, p.super, rr_rows(p.rows).at[r].token, p.cols);
    vec2 s = rr_scale_of(w, o >> 1);
    float q[8];
    rr_unpack8(w, o, q);
    rr_floats y = rr_floats(rr_at(p.y, r, p.cols * 4u));
    [[unroll]] for (uint i = 0; i < 8; i++) {
        y.at[o * 8 + i] = fma(q[i], s.x, s.y);
    }
}
