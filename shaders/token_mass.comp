#version 460
// How much attention each position draws. Formula and layouts: token_mass.h. One lane = one position of one listed row; heads ascending.
// Grid: x = 64 positions, y = listed row.
#include "common.glsl"
#include "token_mass.h"
layout(local_size_x = 64) in;

void main() {
    uint key = gl_GlobalInvocationID.x, i = gl_WorkGroupID.y;
    if (key >= p.n_keys) {
        return;
    }
    float sum = 0.0;
    for (uint head = 0; head < p.n_heads; head++) {
        uint at = i * p.n_heads + head;
        float factor = rr_floats(p.factors).at[at] / rr_floats(p.totals).at[at];
        sum = fma(factor, rr_floats(rr_at(p.weights, at, p.w_stride * 4u)).at[key], sum);
    }
    rr_floats y = rr_floats(rr_at(p.y, i, p.y_stride * 4u));
    y.at[key] = p.adds != 0u ? y.at[key] + sum : sum;
}
