// Two units whose results belong together (halves of a head; gate and up): one pass where a pass holds two units, else two.
float pair[2][TOKENS][HELD];

void rr_product_pair(uvec2 w, uvec2 s, uvec2 codes, uvec2 groups, uint cols, uint n_tokens, uint a, uint b) {
    uint unit[UNITS];
    if (UNITS == 2) {
        unit[0] = a;
        unit[UNITS - 1] = b;
        rr_product(w, s, codes, groups, cols, n_tokens, unit);
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
            rr_product(w, s, codes, groups, cols, n_tokens, unit);
        }
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            [[unroll]] for (uint u = 0; u < HELD; u++) {
                pair[1][t][u] = sums[t][u];
            }
        }
    }
}
