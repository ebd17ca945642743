// A product of one weight format, made by including this with the macros RR_PRODUCT and RR_PAIR (names of the two functions),
// RR_BITS, RR_GROUP and RR_SCALE (0 f16, 1 f32, 2 affine) set: TOKENS × 4 results a lane from 16-bit products of activations' codes and
// unsigned codes. Layouts: lanes.h, quant/lanes.h.
#define RR_PER_WORD (64u / RR_BITS)             /* codes a 64-bit word */
#define RR_WORDS (RR_GROUP / RR_PER_WORD)       /* words of a row a group */
#define RR_ZERO (RR_BITS == 4 ? 8 : 128)

// sums = W x of units `unit[…]`.
void RR_PRODUCT(uvec2 w, uvec2 s, uvec2 codes, uvec2 groups, uint cols, uint n_tokens, uint unit[UNITS]) {
    const uint scale_bytes = (RR_SCALE == 0 ? 2u : RR_SCALE == 1 ? 4u : 8u) * HELD; // a lane, a group
    uint64_t wp[UNITS], sp[UNITS], xp[TOKENS];
    [[unroll]] for (uint n = 0; n < UNITS; n++) {
        wp[n] = rr_address(w) + uint64_t(unit[n]) * (cols * RR_BITS * 4u) + lane * 8u;
        sp[n] = rr_address(s) + uint64_t(unit[n]) * (cols / RR_GROUP * WIDTH * scale_bytes) + lane * scale_bytes;
    }
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        xp[t] = rr_row_at(codes, t, n_tokens, cols * 2u) + lane * (HELD * 2u);
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
        int x[TOKENS][HELD]; // columns lane * HELD …
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            [[unroll]] for (uint i = 0; i < HELD / 2; i++) {
                int word = int(rr_words(uvec2(unpack32(xp[t] + g * 64u))).at[i]);
                x[t][2 * i] = (word << 16) >> 16;
                x[t][2 * i + 1] = word >> 16;
            }
        }
        [[unroll]] for (uint h = 0; h < 32u / RR_GROUP; h++) {
            uint at = g * (32u / RR_GROUP) + h;
            int zero = -RR_ZERO * (RR_GROUP == 32 ? first + last : h == 0 ? first : last);
            int acc[TOKENS][4];
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                int start = RR_SCALE == 2 ? 0 : subgroupBroadcast(zero, t);
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    acc[t][c] = start;
                }
            }
            [[unroll]] for (uint i = 0; i < RR_WORDS; i++) {
                uvec2 word[4];
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    word[c] = unpack32(rr_longs(wp[c / HELD] + (at * RR_WORDS * HELD * WIDTH) * 8u).at[(i * HELD + c % HELD) * WIDTH]);
                }
                [[unroll]] for (uint k = 0; k < RR_PER_WORD; k++) {
                    uint column = h * RR_GROUP + i * RR_PER_WORD + k;
                    int code[4];
                    [[unroll]] for (uint c = 0; c < 4; c++) {
                        code[c] = int((word[c][k / (RR_PER_WORD / 2)] >> (k % (RR_PER_WORD / 2) * RR_BITS)) & ((1u << RR_BITS) - 1u));
                    }
                    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                        int v = subgroupBroadcast(x[t][column % HELD], column / HELD);
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
                if (RR_SCALE == 0) {
                    uint pair = rr_words(uvec2(unpack32(e))).at[u >> 1];
                    ws[c] = (u & 1u) == 0u ? unpackHalf2x16(pair).x : unpackHalf2x16(pair).y;
                } else {
                    ws[c] = rr_floats(uvec2(unpack32(e))).at[u];
                }
                wo[c] = RR_SCALE == 2 ? rr_floats(uvec2(unpack32(e))).at[HELD + u] : 0.0;
            }
            float offset = d * float(RR_GROUP == 32 ? first + last : h == 0 ? first : last);
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                float dt = subgroupBroadcast(d, t);
                float ot = RR_SCALE == 2 ? subgroupBroadcast(offset, t) : 0.0;
                [[unroll]] for (uint c = 0; c < 4; c++) {
                    sums[t][c] = fma(float(acc[t][c]), ws[c] * dt, sums[t][c]);
                    if (RR_SCALE == 2) {
                        sums[t][c] = fma(wo[c], ot, sums[t][c]);
                    }
                }
            }
        }
    }
}

// Two units whose results belong together (halves of a head; gate and up): one pass where a pass holds two units, else two.
void RR_PAIR(uvec2 w, uvec2 s, uvec2 codes, uvec2 groups, uint cols, uint n_tokens, uint a, uint b) {
    uint unit[UNITS];
    if (UNITS == 2) {
        unit[0] = a;
        unit[UNITS - 1] = b;
        RR_PRODUCT(w, s, codes, groups, cols, n_tokens, unit);
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            [[unroll]] for (uint u = 0; u < HELD; u++) {
                pair[0][t][u] = sums[t][u];
                pair[1][t][u] = sums[t][min(HELD + u, 3u)];
            }
        }
    } else { // a loop, so that the long product stands once in the code
        [[dont_unroll]] for (uint pass = 0; pass < 2; pass++) {
            unit[0] = pass == 0u ? a : b;
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                [[unroll]] for (uint u = 0; u < HELD; u++) {
                    pair[0][t][u] = sums[t][u];
                }
            }
            RR_PRODUCT(w, s, codes, groups, cols, n_tokens, unit);
        }
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            [[unroll]] for (uint u = 0; u < HELD; u++) {
                pair[1][t][u] = sums[t][u];
            }
        }
    }
}

#undef RR_PER_WORD
#undef RR_WORDS
#undef RR_ZERO
#undef RR_PRODUCT
#undef RR_PAIR
#undef RR_BITS
#undef RR_GROUP
#undef RR_SCALE
