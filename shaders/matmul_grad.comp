#version 460
// The backward op of a product. Formula and layouts: matmul_grad.h. A workgroup makes TOKENS × 256 results: a lane keeps four
// neighbouring columns of TOKENS tokens and walks the rows of W; d_y is staged in shared memory, 32 rows at a time.
// Order: one fma a row, rows ascending, so a result depends on its column and its token alone; then the factor, then what is
// added to. Grid: x = token tile (fastest: the weights of a column tile stay in cache), y = column tile.
#include "common.glsl"
#include "matmul_grad.h"
#include "quant.glsl"
#include "fours.glsl"
layout(constant_id = 1) const uint TOKENS = 8;
layout(local_size_x = 64) in;
const uint ROWS = 32; // staged at a time
shared float staged[ROWS][TOKENS];

vec4 sums[TOKENS];

// Rows [r0, r0 + ROWS) of the tile's tokens; those past an end count nothing.
void stage(uint t0, uint r0) {
    for (uint i = gl_LocalInvocationID.x; i < TOKENS * ROWS; i += 64u) {
        uint t = t0 + i / ROWS, r = r0 + i % ROWS;
        staged[i % ROWS][i / ROWS] = t < p.n_tokens && r < p.n_out ? rr_floats(rr_at(p.d_y, t, p.y_stride * 4u)).at[r] : 0.0;
    }
}

void main() {
    uint t0 = gl_WorkGroupID.x * TOKENS;
    uint column = gl_WorkGroupID.y * 256u + gl_LocalInvocationID.x * 4u;
    uint c = min(column, p.cols - 4u);
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        sums[t] = vec4(0.0);
    }
    for (uint r0 = 0; r0 < p.n_out; r0 += ROWS) {
        barrier();
        stage(t0, r0);
        barrier();
        uint n = min(ROWS, p.n_out - r0);
        for (uint r = 0; r < n; r++) {
            vec2 s = rr_scale_in(rr_scale_word(r0 + r, c), rr_super_word(r0 + r, c), c);
            vec4 w = rr_scaled(rr_four(r0 + r, c), s);
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                sums[t] = fma(w, vec4(staged[r][t]), sums[t]);
            }
        }
    }
    if (column < p.cols) {
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            if (t0 + t < p.n_tokens) {
                rr_floats d_x = rr_floats(rr_add(rr_at(p.d_x, t0 + t, p.x_stride * 4u), column * 4u));
                [[unroll]] for (uint i = 0; i < 4; i++) {
                    float v = sums[t][i] * p.factor;
                    d_x.at[i] = (p.flags & RR_MATMUL_GRAD_ADDS) != 0u ? d_x.at[i] + v : v;
                }
            }
        }
    }
}
