#version 460
// Int8 matrix product for prompt tokens on matrix units: matmul_q8_prefill.comp with another multiplication. Formula and
// layouts: matmul_q8.h.
// A workgroup makes BLOCK rows × TOKENS tokens; its subgroups (GM along rows × GN along tokens) have SM × SN matrices of
// M rows × N tokens each. Of every group of 32 columns the matrix unit makes the integer sums I, exactly (int8 to int32; with
// RR_COOP_F16 integers as f16 to f32, exact as well); then y (+= offset · (d sum x)) += scale · (d I) in float, elementwise, with
// matrices that hold a scale a row or a token (loads with a stride of 0). Order: groups ascending. The next group is on
// its way from memory while this one is multiplied out of shared memory (two buffers, one barrier a step).
// Grid: x = token tile (fastest: the weights of a block stay in cache), y = block of rows.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#ifdef RR_COOP_F16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define RR_FACTOR float16_t
#define RR_PRODUCT float
#else
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#define RR_FACTOR int8_t
#define RR_PRODUCT int
#endif
#include "common.glsl"
#include "matmul_q8.h"
#include "dot.glsl"
#include "weights_q8.glsl"
layout(constant_id = 2) const uint M = 16;
layout(constant_id = 3) const uint N = 16;
layout(constant_id = 4) const uint K = 16; // 8, 16 or 32; at most 16 for Q6_K, whose halves have scales of their own
layout(constant_id = 5) const uint SM = 2;
layout(constant_id = 6) const uint SN = 2;
layout(constant_id = 7) const uint GM = 4;
layout(constant_id = 8) const uint GN = 2;
layout(constant_id = 9) const uint LANES = 256;
layout(local_size_x_id = 9) in;
const uint BLOCK = M * SM * GM;
const uint TILE = N * SN; // tokens of a row of subgroups
const uint TOKENS = TILE * GN;
const uint TASKS = (BLOCK + TOKENS + LANES - 1) / LANES; // rows and tokens that a lane fetches
const uint STEPS = 32 / K;
#ifdef RR_COOP_F16
const uint PIECES = 4; // 16 bytes each, of a row's or token's group
#else
const uint PIECES = 2;
#endif
const uint UNIT = PIECES / STEPS > 0 ? PIECES / STEPS : 1; // of them a step; 8 integers fill half a piece
const uint PLANE = STEPS * UNIT * (BLOCK + TOKENS);         // of a buffer: [step][row, then token][unit]
const uint HALF = STEPS > 1 ? STEPS / 2 : 1;                // steps of half a group
const uint POOL = 2 * PLANE > TILE * BLOCK / 4 ? 2 * PLANE : TILE * BLOCK / 4;
#define RR_Q8_STAGE (END == RR_END_SWIGLU ? LANES : 1u)
#include "ends_q8.glsl"
#include "q8.glsl"
shared uvec4 pool[POOL]; // two buffers; at the end the sums, f32 [token][row], TILE tokens at a time
shared float w_scale[2][2][BLOCK]; // [buffer][scale, offset or second scale][row]
shared float x_scale[2][2][TOKENS];  // [buffer][d, d × sum][token]
#define RR_SUM(k) uintBitsToFloat(pool[(k) / 4u][(k) % 4u])
#include "finish_q8.glsl"

#define RR_SUMS coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>

#include "matmul_q8_coop.glsl"

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint block = gl_WorkGroupID.y, t0 = gl_WorkGroupID.x * TOKENS;
    uint m0 = gl_SubgroupID % GM * (M * SM), part = gl_SubgroupID / GM, n0 = part * TILE;
    RR_SUMS sums[SM * SN];
    [[unroll]] for (uint i = 0; i < SM * SN; i++) {
        sums[i] = RR_SUMS(0.0);
    }
    rr_qrow source[TASKS]; // of a token: lo = values, scale = groups
    [[unroll]] for (uint n = 0; n < TASKS; n++) {
        uint k = lane + n * LANES;
        if (k < BLOCK) {
            source[n] = rr_qrow_at(p.lo, p.hi, p.scale, p.super, block_row(block, k), p.cols);
        } else {
            uint token = min(t0 + k - BLOCK, p.n_tokens - 1u);
            source[n].lo = rr_at(p.x, token, p.cols);
            source[n].scale = rr_at(p.x_groups, token, p.cols / 4u);
        }
    }
    rr_qgroup bits[TASKS];
    uvec2 scale[TASKS]; // bits of rr_group_scale, or the token's group entry
    uint n_groups = p.cols / 32u;
    for (uint g = 0; g <= n_groups; g++) {
        if (g < n_groups) {
            [[unroll]] for (uint n = 0; n < TASKS; n++) {
                uint k = lane + n * LANES;
                if (k < BLOCK) {
                    bits[n] = rr_group_load(source[n], g);
                    scale[n] = floatBitsToUint(rr_group_scale(source[n], g));
                } else if (k < BLOCK + TOKENS) {
                    rr_words4 x = rr_words4(rr_add(source[n].lo, g * 32u));
                    bits[n].lo = x.at[0];
                    bits[n].more = x.at[1];
                    scale[n] = rr_q8_groups(rr_add(source[n].scale, g * 8u)).at[0];
                }
            }
        }
        if (g > 0u) {
            uint from = (g - 1u) & 1u, base = from * PLANE;
            coopmat<RR_FACTOR, gl_ScopeSubgroup, K, N, gl_MatrixUseB> x[SN * STEPS];
            RR_SUMS d[SN];
            if (FORMAT_MIN) {
                [[unroll]] for (uint j = 0; j < SN; j++) {
                    RR_SUMS d_sum, offset;
                    coopMatLoad(d_sum, x_scale[from][1], n0 + j * N, 0, gl_CooperativeMatrixLayoutRowMajor);
                    [[unroll]] for (uint i = 0; i < SM; i++) {
                        coopMatLoad(offset, w_scale[from][1], m0 + i * M, 0, gl_CooperativeMatrixLayoutColumnMajor);
                        sums[i * SN + j] += offset * d_sum;
                    }
                }
            }
            [[unroll]] for (uint j = 0; j < SN; j++) {
                [[unroll]] for (uint step = 0; step < STEPS; step++) {
                    coopMatLoad(x[j * STEPS + step], pool,
                                base + (step * (BLOCK + TOKENS) + BLOCK + n0 + j * N) * UNIT, UNIT,
                                gl_CooperativeMatrixLayoutColumnMajor);
                }
                coopMatLoad(d[j], x_scale[from][0], n0 + j * N, 0, gl_CooperativeMatrixLayoutRowMajor);
            }
            [[unroll]] for (uint i = 0; i < SM; i++) {
                coopmat<RR_FACTOR, gl_ScopeSubgroup, M, K, gl_MatrixUseA> w[STEPS];
                RR_SUMS s, s2;
                [[unroll]] for (uint step = 0; step < STEPS; step++) {
                    coopMatLoad(w[step], pool, base + (step * (BLOCK + TOKENS) + m0 + i * M) * UNIT, UNIT,
                                gl_CooperativeMatrixLayoutRowMajor);
                }
                coopMatLoad(s, w_scale[from][0], m0 + i * M, 0, gl_CooperativeMatrixLayoutColumnMajor);
                if (FORMAT == Q6_K) {
                    coopMatLoad(s2, w_scale[from][1], m0 + i * M, 0, gl_CooperativeMatrixLayoutColumnMajor);
                }
                [[unroll]] for (uint j = 0; j < SN; j++) {
                    coopmat<RR_PRODUCT, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> sum =
                        coopmat<RR_PRODUCT, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
                    [[unroll]] for (uint step = 0; step < STEPS; step++) {
                        sum = coopMatMulAdd(w[step], x[j * STEPS + step], sum);
                        if (FORMAT == Q6_K && step % HALF == HALF - 1u) {
                            if (step < HALF) {
                                sums[i * SN + j] += s * (d[j] * RR_SUMS(sum));
                            } else {
                                sums[i * SN + j] += s2 * (d[j] * RR_SUMS(sum));
                            }
                            sum = coopmat<RR_PRODUCT, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
                        }
                    }
                    if (FORMAT != Q6_K) {
                        sums[i * SN + j] += s * (d[j] * RR_SUMS(sum));
                    }
                }
            }
        }
        if (g < n_groups) {
            uint to = g & 1u;
            [[unroll]] for (uint n = 0; n < TASKS; n++) {
                uint k = lane + n * LANES, u[8];
                if (k < BLOCK) {
                    rr_group_unpack(bits[n], u);
                    [[unroll]] for (uint i = 0; i < 8; i++) {
                        u[i] = rr_less_zero(u[i]);
                    }
                    put(to, k, u);
                    w_scale[to][0][k] = uintBitsToFloat(scale[n].x);
                    w_scale[to][1][k] = uintBitsToFloat(scale[n].y);
                } else if (k < BLOCK + TOKENS) {
                    [[unroll]] for (uint i = 0; i < 8; i++) {
                        u[i] = i < 4u ? bits[n].lo[i] : bits[n].more[i - 4u];
                    }
                    put(to, k, u);
                    rr_xgroup x = rr_x_group(scale[n]);
                    x_scale[to][0][k - BLOCK] = x.d;
                    x_scale[to][1][k - BLOCK] = x.d_sum;
                }
            }
            barrier();
        }
    }
    for (uint n = 0; n < GN; n++) {
        barrier();
        if (part == n) {
            [[unroll]] for (uint i = 0; i < SM; i++) {
                [[unroll]] for (uint j = 0; j < SN; j++) {
                    coopMatStore(sums[i * SN + j], pool, (j * N * BLOCK + m0 + i * M) / 4u, BLOCK / 4u,
                                 gl_CooperativeMatrixLayoutColumnMajor);
                }
            }
        }
        barrier();
        rr_finish(block, t0 + n * TILE);
    }
}
