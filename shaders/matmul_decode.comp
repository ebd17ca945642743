#version 460
// Matrix product for 1 to 32 generated tokens. Formula and layouts: matmul.h, quant/quant.h.
// 64 invocations = 8 slices of the columns × 8 lanes of ROWS output rows each; slice s takes groups of 32 columns s, s + 8, …
// in order, one fma a column, and the 8 slices are added by a fixed tree. So a result depends on its row and its token
// alone, whatever TOKENS is. Neighbouring lanes read neighbouring groups of a row.
// Grid: x = row tile (8 ROWS rows), y = token tile.
#include "common.glsl"
#include "matmul.h"
#include "quant.glsl"
layout(constant_id = 1) const uint TOKENS = 1;
layout(constant_id = 2) const uint ROWS = 4;
layout(local_size_x = 64) in;
shared float partial[64];

void store(uint row, uint token, float v) {
    if ((p.flags & RR_MATMUL_BIAS) != 0u) {
        v += rr_floats(p.bias).at[row];
    }
    if ((p.flags & RR_MATMUL_RESIDUAL) != 0u) {
        v += rr_floats(rr_at(p.residual, token, p.y_stride * 4u)).at[row];
    }
    rr_floats(rr_at(p.y, token, p.y_stride * 4u)).at[row] = v;
}

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint slice = lane & 7u;
    uint row0 = (gl_WorkGroupID.x * 8u + (lane >> 3)) * ROWS;
    uint t0 = gl_WorkGroupID.y * TOKENS;
    rr_qrow w[ROWS];
    float sums[ROWS][TOKENS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        w[i] = rr_qrow_at(p.lo, p.hi, p.scale, p.super, min(row0 + i, p.n_out - 1u), p.cols);
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            sums[i][t] = 0.0;
        }
    }
    uvec2 x[TOKENS];
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        x[t] = rr_at(p.x, min(t0 + t, p.n_tokens - 1u), p.x_stride * 4u);
    }
    for (uint g = slice; g < p.cols / 32u; g += 8u) {
        for (uint h = g * 2u; h < g * 2u + 2u; h++) {
            vec2 s[ROWS];
            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                s[i] = rr_scale_of(w[i], h);
            }
            for (uint o = h * 2u; o < h * 2u + 2u; o++) {
                float q[ROWS][8];
                [[unroll]] for (uint i = 0; i < ROWS; i++) {
                    rr_unpack8(w[i], o, q[i]);
                    [[unroll]] for (uint k = 0; k < 8; k++) {
                        q[i][k] = FORMAT_FLOAT ? q[i][k] : fma(q[i][k], s[i].x, s[i].y);
                    }
                }
                [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                    [[unroll]] for (uint k4 = 0; k4 < 2; k4++) {
                        vec4 v = rr_floats4(x[t]).at[o * 2u + k4];
                        [[unroll]] for (uint k = 0; k < 4; k++) {
                            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                                sums[i][t] = fma(q[i][k4 * 4u + k], v[k], sums[i][t]);
                            }
                        }
                    }
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            barrier();
            partial[lane] = sums[i][t];
            barrier();
            if (slice == 0u && row0 + i < p.n_out && t0 + t < p.n_tokens) {
                float a = (partial[lane] + partial[lane + 1u]) + (partial[lane + 2u] + partial[lane + 3u]);
                float b = (partial[lane + 4u] + partial[lane + 5u]) + (partial[lane + 6u] + partial[lane + 7u]);
                store(row0 + i, t0 + t, a + b);
            }
        }
    }
}
