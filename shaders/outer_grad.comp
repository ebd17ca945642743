#version 460
// The gradient of a matrix of an adapter. Formula and layouts: outer_grad.h. A workgroup makes RANK × COLUMNS results: SLICES lanes
// share a column, each adds up every SLICES-th token; a is staged in shared memory, CHUNK tokens at a time.
// Order: one fma a token, a slice's tokens ascending, then slices (0 + 2) + (1 + 3), then the factor, then what is added to.
// Grid: x = column tile, y = tile of the rank.
#include "common.glsl"
#include "outer_grad.h"
const uint RANK = RR_OUTER_GRAD_RANK;
const uint COLUMNS = 32;
const uint SLICES = 4;
const uint LANES = COLUMNS * SLICES;
const uint CHUNK = 32;
layout(local_size_x = LANES) in;
const uint PART = RANK * COLUMNS; // sums of a slice
shared float work[2 * PART];      // a as [token of the chunk][i], then sums as [slice][i][column]

void main() {
    uint lane = gl_LocalInvocationID.x, slice = lane / COLUMNS;
    uint i0 = gl_WorkGroupID.y * RANK, column = gl_WorkGroupID.x * COLUMNS + lane % COLUMNS;
    uint j = min(column, p.n_b - 1u);
    float sums[RANK];
    [[unroll]] for (uint i = 0; i < RANK; i++) {
        sums[i] = 0.0;
    }
    for (uint t0 = 0; t0 < p.n_tokens; t0 += CHUNK) {
        barrier();
        for (uint k = lane; k < CHUNK * RANK; k += LANES) {
            uint t = min(t0 + k / RANK, p.n_tokens - 1u), i = min(i0 + k % RANK, p.n_a - 1u);
            work[k] = rr_floats(rr_at(p.a, t, p.a_stride * 4u)).at[i];
        }
        barrier();
        uint n = min(CHUNK, p.n_tokens - t0);
        for (uint k = slice; k < n; k += SLICES) {
            float b = rr_floats(rr_at(p.b, t0 + k, p.b_stride * 4u)).at[j];
            [[unroll]] for (uint i = 0; i < RANK; i++) {
                sums[i] = fma(work[k * RANK + i], b, sums[i]);
            }
        }
    }
    for (uint step = SLICES / 2; step > 0u; step /= 2u) {
        barrier();
        [[unroll]] for (uint i = 0; i < RANK; i++) {
            if (slice >= step && slice < 2u * step) {
                work[(slice - step) * PART + i * COLUMNS + lane % COLUMNS] = sums[i];
            }
        }
        barrier();
        [[unroll]] for (uint i = 0; i < RANK; i++) {
            if (slice < step) {
                sums[i] += work[slice * PART + i * COLUMNS + lane % COLUMNS];
            }
        }
    }
    [[unroll]] for (uint i = 0; i < RANK; i++) {
        if (slice == 0u && i0 + i < p.n_a && column < p.n_b) {
            rr_floats y = rr_floats(rr_add64(rr_at(p.y, i0 + i, p.i_stride * 4u), rr_at(uvec2(0u), column, p.j_stride * 4u)));
            float v = sums[i] * p.factor;
            y.at[0] = (p.flags & RR_OUTER_GRAD_ADDS) != 0u ? y.at[0] + v : v;
        }
    }
}
