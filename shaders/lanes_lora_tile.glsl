// Adapters of a tile of tokens: what is added to a unit's results, and what is taken from them. For lanes_common.glsl.
#include "lanes_lora.glsl"
float added[TOKENS][HELD]; // [token][row of the lane]
float taken[TOKENS][HELD];

// added = B h of 32 rows: unit `unit` of a part whose B is `b`, its ranks [first, first + rank). `first_row` = the pass's row
// that is the op's row 0.
void rr_lora_add(rr_args_lanes_lora l, uvec2 b, uint first, uint rank, uint unit, uint first_row, uint n_tokens) {
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        [[unroll]] for (uint u = 0; u < HELD; u++) {
            added[t][u] = 0.0;
        }
    }
    uint row = first_row + min(t0 + min(lane, TOKENS - 1u), n_tokens - 1u); // of token `lane`
    uint64_t from = rr_address(l.h) + (uint64_t(row) * l.n_sums * l.width + first) * 4u;
    uint64_t rows = rr_address(b) + uint64_t(unit) * rank * 128u + lane * (HELD * 4u);
    for (uint k0 = 0; k0 < rank; k0 += 8u) {
        vec2 h[4];
        [[unroll]] for (uint i = 0; i < 4; i++) {
            h[i] = rr_two(rr_longs(from + (k0 + 2u * i) * 4u).at[0]);
        }
        for (uint n = 1; n < l.n_sums; n++) {
            [[unroll]] for (uint i = 0; i < 4; i++) {
                h[i] += rr_two(rr_longs(from + (n * l.width + k0 + 2u * i) * 4u).at[0]);
            }
        }
        [[unroll]] for (uint k = 0; k < 8; k++) {
            float w[HELD];
            [[unroll]] for (uint u = 0; u < HELD; u += 2) {
                vec2 two = rr_two(rr_longs(rows + (k0 + k) * 128u).at[u / 2u]);
                w[u] = two.x;
                w[u + 1] = two.y;
            }
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                float v = subgroupBroadcast(h[k / 2][k % 2], t);
                [[unroll]] for (uint u = 0; u < HELD; u++) {
                    added[t][u] = fma(w[u], v, added[t][u]);
                }
            }
        }
    }
}

// Stores A's product with `taken`, columns 32 unit … of the tile's rows.
void rr_lora_take(rr_args_lanes_lora l, uint unit, uint n_units, uint first_row, uint n_tokens) {
    for (uint k0 = 0; k0 < l.out_width; k0 += BLOCK) {
        rr_longs columns = rr_lora_columns(l, unit, k0);
        vec2 sum[TOKENS];
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            sum[t] = vec2(0.0);
        }
        [[unroll]] for (uint c = 0; c < 32; c++) {
            vec2 w = rr_two(columns.at[c * WIDTH]);
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                sum[t] = fma(w, vec2(subgroupBroadcast(taken[t][c % HELD], c / HELD)), sum[t]);
            }
        }
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            if (t0 + t < n_tokens) {
                rr_lora_store(l, first_row + t0 + t, unit, n_units, k0, sum[t]);
            }
        }
    }
}

// Adds up what all units of the tile's rows have stored, units in order.
void rr_lora_total(rr_args_lanes_lora l, uint n_units, uint first_row, uint n_tokens) {
    for (uint t = 0; t < TOKENS && t0 + t < n_tokens; t++) {
        uint row = first_row + t0 + t;
        rr_lora_sums from = rr_lora_sums(rr_address(l.sums) + uint64_t(row) * n_units * l.out_width * 4u);
        rr_longs to = rr_longs(rr_address(l.total) + uint64_t(row) * l.out_width * 4u);
        for (uint k = lane; k < l.out_width / 2u; k += WIDTH) {
            vec2 sum = vec2(0.0);
            for (uint unit = 0; unit < n_units; unit++) {
                sum += rr_two(from.at[unit * (l.out_width / 2u) + k]);
            }
            to.at[k] = rr_long(sum);
        }
    }
}
