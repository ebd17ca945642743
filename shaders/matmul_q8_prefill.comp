#version 460
// Int8 matrix product for prompt tokens. Formula and layouts: matmul_q8.h.
// A workgroup makes BLOCK rows × TILE tokens, a group of 32 columns a step: the next group's weights and activations are on
// their way from memory to registers while this one's are multiplied out of shared memory (two buffers, one barrier a step).
// Each weight is unpacked once a tile. Lane (a, b) keeps float sums of ROWS rows × TOKENS tokens: slots a + i A and tokens
// b + j B. Order: groups ascending, so a result depends on its row and its token alone, whatever the tiles are.
// Rows and tokens past the end repeat the last one and are not stored. Grid: x = token tile (fastest: the weights of a block
// stay in cache), y = block of rows.
#include "common.glsl"
#include "matmul_q8.h"
#include "dot.glsl"
#include "weights_q8.glsl"
layout(constant_id = 2) const uint TILE = 32;
layout(constant_id = 3) const uint BLOCK = 64;
layout(constant_id = 4) const uint ROWS = 4; // even
layout(constant_id = 5) const uint TOKENS = 8;
layout(constant_id = 6) const uint LANES = 64;
layout(local_size_x_id = 6) in;
const uint A = BLOCK / ROWS;
const uint B = TILE / TOKENS;
const uint TASKS = (BLOCK + TILE + LANES - 1) / LANES; // rows and tokens that a lane fetches
#define RR_Q8_STAGE (END == RR_END_SWIGLU ? B * BLOCK / 8u : 1u)
#include "ends_q8.glsl"
#include "q8.glsl"
shared uvec4 w_tile[2][2][BLOCK]; // [buffer][half group][slot]
shared uvec4 x_tile[2][2][TILE];
shared vec2 w_scale[2][BLOCK];
shared uvec2 x_scale[2][TILE];

// Slot a + i A of a block is row i of lane a. For pairs, ROWS / 2 neighbours and their partners.
uint slot_row(uint block, uint slot) {
    if (END == RR_END_F32) {
        return min(block * BLOCK + slot, p.n_out - 1u);
    }
    uint i = slot / A, a = slot % A;
    uint pair = block * (BLOCK / 2u) + a * (ROWS / 2u) + i % (ROWS / 2u);
    return rr_pair_row(min(pair, p.n_out / 2u - 1u)) + i / (ROWS / 2u) * p.gap;
}

struct fetched {
    rr_qgroup bits; // of a token: its 32 integers
    uvec2 scale;    // bits of rr_group_scale, or the token's group entry
};

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint block = gl_WorkGroupID.y, t0 = gl_WorkGroupID.x * TILE;
    uint a = lane % A, b = lane / A;
    float sums[ROWS][TOKENS];
    [[unroll]] for (uint i = 0; i < ROWS; i++) {
        [[unroll]] for (uint j = 0; j < TOKENS; j++) {
            sums[i][j] = 0.0;
        }
    }
    rr_qrow source[TASKS]; // of a token: lo = values, scale = groups
    [[unroll]] for (uint n = 0; n < TASKS; n++) {
        uint k = lane + n * LANES;
        if (k < BLOCK) {
            source[n] = rr_qrow_at(p.lo, p.hi, p.scale, p.super, slot_row(block, k), p.cols);
        } else {
            uint token = min(t0 + k - BLOCK, p.n_tokens - 1u);
            source[n].lo = rr_at(p.x, token, p.cols);
            source[n].scale = rr_at(p.x_groups, token, p.cols / 4u);
        }
    }
    fetched next[TASKS];
    uint n_groups = p.cols / 32u;
    for (uint g = 0; g <= n_groups; g++) {
        if (g < n_groups) {
            [[unroll]] for (uint n = 0; n < TASKS; n++) {
                uint k = lane + n * LANES;
                if (k < BLOCK) {
                    next[n].bits = rr_group_load(source[n], g);
                    next[n].scale = floatBitsToUint(rr_group_scale(source[n], g));
                } else if (k < BLOCK + TILE) {
                    rr_words4 x = rr_words4(rr_add(source[n].lo, g * 32u));
                    next[n].bits.lo = x.at[0];
                    next[n].bits.more = x.at[1];
                    next[n].scale = rr_q8_groups(rr_add(source[n].scale, g * 8u)).at[0];
                }
            }
        }
        if (g > 0u) {
            uint from = (g - 1u) & 1u;
            uint w[ROWS][8];
            vec2 s[ROWS];
            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                uvec4 first = w_tile[from][0][a + i * A], second = w_tile[from][1][a + i * A];
                w[i] = uint[](first.x, first.y, first.z, first.w, second.x, second.y, second.z, second.w);
                s[i] = w_scale[from][a + i * A];
            }
            [[unroll]] for (uint j = 0; j < TOKENS; j++) {
                uvec4 first = x_tile[from][0][b + j * B], second = x_tile[from][1][b + j * B];
                uint x[8] = uint[](first.x, first.y, first.z, first.w, second.x, second.y, second.z, second.w);
                rr_xgroup x_group = rr_x_group(x_scale[from][b + j * B]);
                [[unroll]] for (uint i = 0; i < ROWS; i++) {
                    sums[i][j] = rr_group_add(w[i], s[i], x, x_group, sums[i][j]);
                }
            }
        }
        if (g < n_groups) {
            uint to = g & 1u;
            [[unroll]] for (uint n = 0; n < TASKS; n++) {
                uint k = lane + n * LANES;
                if (k < BLOCK) {
                    uint u[8];
                    rr_group_unpack(next[n].bits, u);
                    w_tile[to][0][k] = uvec4(u[0], u[1], u[2], u[3]);
                    w_tile[to][1][k] = uvec4(u[4], u[5], u[6], u[7]);
                    w_scale[to][k] = uintBitsToFloat(next[n].scale);
                } else if (k < BLOCK + TILE) {
                    x_tile[to][0][k - BLOCK] = next[n].bits.lo;
                    x_tile[to][1][k - BLOCK] = next[n].bits.more;
                    x_scale[to][k - BLOCK] = next[n].scale;
                }
            }
            barrier();
        }
    }
    [[unroll]] for (uint j = 0; j < TOKENS; j++) {
        uint token = t0 + b + j * B;
        if (END == RR_END_F32) {
            [[unroll]] for (uint i = 0; i < ROWS; i++) {
                uint row = block * BLOCK + a + i * A;
                if (row < p.n_out && token < p.n_tokens) {
                    rr_store_f32(row, token, sums[i][j]);
                }
            }
        } else if (END == RR_END_ROPE) {
            [[unroll]] for (uint i = 0; i < ROWS / 2u; i += 2u) {
                uint pair = block * (BLOCK / 2u) + a * (ROWS / 2u) + i;
                if (pair < p.n_out / 2u && token < p.n_tokens) {
                    rr_store_rope(rr_pair_row(pair), token, vec2(sums[i][j], sums[i + 1u][j]),
                                  vec2(sums[ROWS / 2u + i][j], sums[ROWS / 2u + i + 1u][j]));
                }
            }
        } else {
            barrier();
            [[unroll]] for (uint i = 0; i < ROWS / 2u; i++) {
                uint at = b * (BLOCK / 2u) + a * (ROWS / 2u) + i;
                q8_stage[at / 4u][at % 4u] = rr_swiglu(sums[i][j], sums[ROWS / 2u + i][j]);
            }
            barrier();
            uint to = t0 + lane / (BLOCK / 8u) + j * B, pair = block * (BLOCK / 2u) + lane % (BLOCK / 8u) * 4u;
            bool live = lane < B * BLOCK / 8u && pair < p.n_out / 2u && to < p.n_tokens;
            rr_q8_store(lane, live, rr_at(p.y, to, p.n_out / 2u), rr_at(p.extra, to, p.n_out / 8u), pair / 4u);
        }
    }
}
