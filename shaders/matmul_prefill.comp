#version 460
// Matrix product for prompt tokens. Formula and layouts: matmul.h, quant/quant.h.
// A workgroup makes TOKENS × (64 ROWS) results: lanes lie on output rows, each keeps ROWS × TOKENS float sums, every weight
// is unpacked once a tile, activations are staged in shared memory in chunks of 256 columns.
// Order: one fma a column, columns ascending, so a result depends on its row and its token alone.
// Grid: x = token tile (fastest: the weights of a row tile stay in cache), y = row tile.
#include "common.glsl"
#include "matmul.h"
#include "quant.glsl"
layout(constant_id = 1) const uint TOKENS = 8;
layout(constant_id = 2) const uint ROWS = 4;
layout(local_size_x = 64) in;
const uint CHUNK = 256;
shared vec4 staged[TOKENS * CHUNK / 4];

float sums[ROWS][TOKENS];

// Loads columns [c0, c0 + n) of the tile's tokens; tokens past the end repeat the last one.
void stage(uint t0, uint c0, uint n) {
    for (uint i = gl_LocalInvocationID.x; i < TOKENS * CHUNK / 4u; i += 64u) {
        uint t = min(t0 + i / (CHUNK / 4u), p.n_tokens - 1u);
        uint c = i % (CHUNK / 4u);
        if (c * 4u < n) {
            staged[i] = rr_floats4(rr_at(p.x, t, p.x_stride * 4u)).at[c0 / 4u + c];
        }
    }
}

void main() {
    uint t0 = gl_WorkGroupID.x * TOKENS;
    uint row0 = gl_WorkGroupID.y * (64u * ROWS) + gl_LocalInvocationID.x;
    rr_qrow w[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        w[i] = rr_qrow_at(p.lo, p.hi, p.scale, p.super, min(row0 + i * 64u, p.n_out - 1u), p.cols);
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            sums[i][t] = 0.0;
        }
    }
    for (uint c0 = 0; c0 < p.cols; c0 += CHUNK) {
        uint n = min(CHUNK, p.cols - c0);
        barrier();
        stage(t0, c0, n);
        barrier();
        for (uint h = 0; h < n / 16u; h++) {
            vec2 s[ROWS];
            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                s[i] = rr_scale_of(w[i], c0 / 16u + h);
            }
            for (uint o = 0; o < 2; o++) {
                float q[ROWS][8];
                [[unroll]] for (uint i = 0; i < ROWS; i++) {
                    rr_unpack8(w[i], c0 / 8u + h * 2u + o, q[i]);
                    [[unroll]] for (uint k = 0; k < 8; k++) {
                        q[i][k] = FORMAT_FLOAT ? q[i][k] : fma(q[i][k], s[i].x, s[i].y);
                    }
                }
                [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                    [[unroll]] for (uint k4 = 0; k4 < 2; k4++) {
                        vec4 x = staged[t * (CHUNK / 4u) + h * 4u + o * 2u + k4];
                        [[unroll]] for (uint k = 0; k < 4; k++) {
                            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                                sums[i][t] = fma(q[i][k4 * 4u + k], x[k], sums[i][t]);
                            }
                        }
                    }
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        uint row = row0 + i * 64u;
        if (row < p.n_out) {
            float bias = (p.flags & RR_MATMUL_BIAS) != 0u ? rr_floats(p.bias).at[row] : 0.0;
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                if (t0 + t < p.n_tokens) {
                    float v = sums[i][t] + bias;
                    if ((p.flags & RR_MATMUL_RESIDUAL) != 0u) {
                        v += rr_floats(rr_at(p.residual, t0 + t, p.y_stride * 4u)).at[row];
                    }
                    rr_floats(rr_at(p.y, t0 + t, p.y_stride * 4u)).at[row] = v;
                }
            }
        }
    }
}
