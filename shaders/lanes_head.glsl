// lm_head. Formula and layouts: lanes.h. Item: units of 32 rows, as many as a pass takes.

void rr_head(rr_args_lanes_head p, uint item) {
    uint n_units = (p.n_rows + 31u) / 32u;
    uint unit[UNITS];
    [[unroll]] for (uint n = 0; n < UNITS; n++) {
        unit[n] = min(item * UNITS + n, n_units - 1u);
    }
    rr_head_product(p.w, p.s, p.codes, p.groups, p.cols, p.n_tokens, unit);
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        if (t0 + t < p.n_tokens) {
            float rms = rr_floats(p.rms).at[t0 + t];
            rr_floats y = rr_floats(rr_at(p.y, t0 + t, p.n_rows * 4u));
            [[unroll]] for (uint c = 0; c < 4; c++) {
                uint row = unit[c / HELD] * 32u + lane * HELD + c % HELD;
                if (row < p.n_rows) {
                    y.at[row] = sums[t][c] * rms;
                }
            }
        }
    }
}
