// The product of the lanes_ kernels: TOKENS × 4 results a lane from 16-bit products of int8 activations and unsigned codes.
// One subgroup a workgroup, no shared memory: on a software device a load costs the same however many lanes take part and
// barriers are dear, a broadcast from a literal lane is one instruction, and an integer product of two values that are known
// to fit 16 bits, added to a sum, is one or two (a float one always two). Layouts: lanes.h, quant/lanes.h.
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "lanes_code.glsl"
layout(constant_id = 0) const uint WIDTH = 8; // subgroup size, 8 or 16
layout(constant_id = 1) const uint TOKENS = 8;
layout(constant_id = 2) const uint BITS = 8;
layout(constant_id = 3) const uint GROUP = 32; // columns a scale, 32 or 16
layout(constant_id = 4) const uint SCALE = 0;  // 0 f16, 1 f32, 2 affine
layout(local_size_x_id = 0) in;
layout(buffer_reference, std430, buffer_reference_align = 8) buffer rr_longs { uint64_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer rr_halves { uint16_t at[]; };

const uint HELD = 32 / WIDTH;        // rows of a unit a lane
const uint UNITS = 4 / HELD;         // units a pass
const uint PER_WORD = 64 / BITS;     // codes a 64-bit word
const uint WORDS = GROUP / PER_WORD; // words of a row a group
const int ZERO = BITS == 4 ? 8 : 128;

uint64_t rr_address(uvec2 a) { return pack64(a); }

uint lane, t0;
float sums[TOKENS][4]; // [token][unit of the pass * HELD + row of the lane]

// Where a row of activations of `bytes` a row begins for token t0 + t; tokens past the end repeat the last.
uint64_t rr_row_at(uvec2 base, uint t, uint n_tokens, uint bytes) {
    return rr_address(base) + uint64_t(min(t0 + t, n_tokens - 1u)) * bytes;
}

// sums = W x of units `unit[…]`.
void rr_product(uvec2 w, uvec2 s, uvec2 codes, uvec2 groups, uint cols, uint n_tokens, uint unit[UNITS]) {
    const uint scale_bytes = (SCALE == 0 ? 2u : SCALE == 1 ? 4u : 8u) * HELD; // a lane, a group
    uint64_t wp[UNITS], sp[UNITS], xp[TOKENS];
    [[unroll]] for (uint n = 0; n < UNITS; n++) {
        wp[n] = rr_address(w) + uint64_t(unit[n]) * (cols * BITS * 4u) + lane * 8u;
        sp[n] = rr_address(s) + uint64_t(unit[n]) * (cols / GROUP * WIDTH * scale_bytes) + lane * scale_bytes;
    }
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        xp[t] = rr_row_at(codes, t, n_tokens, cols) + (lane & 7u) * 4u;
        [[unroll]] for (uint c = 0; c < 4; c++) {
            sums[t][c] = 0.0;
        }
    }
    uint64_t gp = rr_row_at(groups, lane < TOKENS ? lane : TOKENS - 1u, n_tokens, cols / 4u);
    for (uint g = 0; g < cols / 32u; g++) {
        uvec2 entry = unpack32(rr_longs(gp + g * 8u).at[0]);
        float d = uintBitsToFloat(entry.x);
        int first = int(entry.y << 16) >> 16;
        int last = (int(entry.y) - first) >> 16;
        int x[TOKENS][4]; // byte b of the lane's word: column 4 (lane & 7) + b
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            int word = int(rr_words(uvec2(unpack32(xp[t] + g * 32u))).at[0]);
            x[t][0] = (word << 24) >> 24;
            x[t][1] = (word << 16) >> 24;
            x[t][2] = (word << 8) >> 24;
            x[t][3] = word >> 24;
        }
        [[unroll]] for (uint h = 0; h < 32u / GROUP; h++) {
            uint at = g * (32u / GROUP) + h;
            int zero = -ZERO * (GROUP == 32 ? first + last : h == 0 ? first : last);
            int acc[TOKENS][4];
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                int start = SCALE == 2 ? 0 : subgroupBroadcast(zero, t);
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    acc[t][c] = start;
                }
            }
            [[unroll]] for (uint i = 0; i < WORDS; i++) {
                uvec2 word[4];
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    word[c] = unpack32(rr_longs(wp[c / HELD] + (at * WORDS * HELD * WIDTH) * 8u).at[(i * HELD + c % HELD) * WIDTH]);
                }
                [[unroll]] for (uint k = 0; k < PER_WORD; k++) {
                    uint column = h * GROUP + i * PER_WORD + k;
                    int code[4];
                    [[unroll]] for (uint c = 0; c < 4; c++) {
                        code[c] = int((word[c][k / (PER_WORD / 2)] >> (k % (PER_WORD / 2) * BITS)) & ((1u << BITS) - 1u));
                    }
                    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                        int v = subgroupBroadcast(x[t][column & 3u], column >> 2);
                        [[unroll]] for (uint c = 0; c < 4; c++) {
                            acc[t][c] += v * code[c];
                        }
                    }
                }
            }
            float ws[4], wo[4];
            [[unroll]] for (uint c = 0; c < 4; c++) {
                uint64_t e = sp[c / HELD] + at * (WIDTH * scale_bytes);
                uint u = c % HELD;
                if (SCALE == 0) {
                    uint pair = rr_words(uvec2(unpack32(e))).at[u >> 1];
                    ws[c] = (u & 1u) == 0u ? unpackHalf2x16(pair).x : unpackHalf2x16(pair).y;
                } else {
                    ws[c] = rr_floats(uvec2(unpack32(e))).at[u];
                }
                wo[c] = SCALE == 2 ? rr_floats(uvec2(unpack32(e))).at[HELD + u] : 0.0;
            }
            float offset = d * float(GROUP == 32 ? first + last : h == 0 ? first : last);
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                float dt = subgroupBroadcast(d, t);
                float ot = SCALE == 2 ? subgroupBroadcast(offset, t) : 0.0;
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    sums[t][c] = fma(float(acc[t][c]), ws[c] * dt, sums[t][c]);
                    if (SCALE == 2) {
                        sums[t][c] = fma(wo[c], ot, sums[t][c]);
                    }
                }
            }
        }
    }
}

// Quantizes values [0, HELD) of each lane, a unit of 32 neighbouring columns of a row of `cols`, and stores them.
void rr_store_codes(uint64_t codes, uint64_t groups, uint unit, float v[HELD]) {
    float most = 0.0;
    [[unroll]] for (uint u = 0; u < HELD; u++) {
        most = max(most, abs(v[u]));
    }
    most = subgroupMax(most);
    float inverse = most > 0.0 ? 127.0 / most : 0.0;
    uint packed = 0u;
    int sum = 0;
    [[unroll]] for (uint u = 0; u < HELD; u++) {
        int q = rr_code(v[u] * inverse);
        packed |= (uint(q) & 255u) << (8u * u);
        sum += q;
    }
    sum = subgroupAdd(lane < WIDTH / 2u ? sum : sum * 65536);
    uint64_t to = codes + unit * 32u;
    if (HELD == 4) {
        rr_words(uvec2(unpack32(to))).at[lane] = packed;
    } else {
        rr_halves(to).at[lane] = uint16_t(packed);
    }
    if (lane == 0u) {
        rr_longs(groups + unit * 8u).at[0] = pack64(uvec2(floatBitsToUint(most / 127.0), uint(sum)));
    }
}
