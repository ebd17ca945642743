#version 460
// Matrix product with lanes on output rows and activations handed round by subgroup broadcast: what a software device runs
// fast, since it has no cheap shared memory. Both families, by TOKENS. Formula and layouts: matmul.h, quant/quant.h.
// One subgroup a workgroup; lane l keeps ROWS × TOKENS float sums of rows l, l + WIDTH, …; a lane loads one of 8 (or 4)
// activations in a row, all lanes get each by broadcast; every weight is unpacked once a tile.
// Order: one fma a column, columns ascending, so a result depends on its row and its token alone.
// Grid: x = token tile (fastest: the weights of a row tile stay in cache), y = row tile.
#include "common.glsl"
#include "matmul.h"
#include "quant.glsl"
#ifdef RR_TOKENS
// literals, format included, let glslc unroll and fold everything: drivers that do neither then run 8 times faster
const uint TOKENS = RR_TOKENS;
const uint ROWS = RR_ROWS;
#else
layout(constant_id = 1) const uint TOKENS = 8;
layout(constant_id = 2) const uint ROWS = 4;
#endif
layout(constant_id = 3) const uint WIDTH = 8; // subgroup size, at least 4
layout(local_size_x_id = 3) in;
#include "lanes.glsl"

float sums[ROWS][TOKENS];

void main() {
    uint lane = gl_SubgroupInvocationID;
    uint t0 = gl_WorkGroupID.x * TOKENS;
    uint row0 = gl_WorkGroupID.y * (WIDTH * ROWS) + lane;
    rr_qrow w[ROWS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        w[i] = rr_qrow_at(p.lo, p.hi, p.scale, p.super, min(row0 + i * WIDTH, p.n_out - 1u), p.cols);
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            sums[i][t] = 0.0;
        }
    }
    uvec2 x[TOKENS];
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        x[t] = rr_add(rr_at(p.x, min(t0 + t, p.n_tokens - 1u), p.x_stride * 4u), rr_lane_bytes());
    }
    for (uint h = 0; h < p.cols / 16u; h++) {
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
                float v[8];
                rr_spread8(x[t], o * 8u, v);
                [[unroll]] for (uint k = 0; k < 8; k++) {
                    [[unroll]] for (uint i = 0; i < ROWS; i++) {
                        sums[i][t] = fma(q[i][k], v[k], sums[i][t]);
                    }
                }
            }
        }
    }
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        uint row = row0 + i * WIDTH;
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
