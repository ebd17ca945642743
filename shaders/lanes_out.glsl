// Output projection and down projection with residual, norm weights, quantization. Formula and layouts: lanes.h.
// Item: units of 32 rows, as many as a pass takes. RR_OUT is its name, RR_OUT_PRODUCT the product that it uses.

void RR_OUT(rr_args_lanes_out p, uint item, uint n_items) {
    uint n_units = p.n_rows / 32u;
    uint unit[UNITS];
    [[unroll]] for (uint n = 0; n < UNITS; n++) {
        unit[n] = min(item * UNITS + n, n_units - 1u);
    }
    RR_OUT_PRODUCT(p.w, p.s, p.codes, p.groups, p.cols, p.n_tokens, unit);
    [[unroll]] for (uint n = 0; n < UNITS; n++) {
        if (item * UNITS + n < n_units) {
            uint row = unit[n] * 32u + lane * HELD;
            if (ADAPTED != 0) {
                rr_args_lanes_lora l = rr_lanes_lora(p.lora).at;
                rr_lora_add(l, l.b0, l.first0, l.rank0, unit[n], p.first_row, p.n_tokens);
                [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                    [[unroll]] for (uint u = 0; u < HELD; u++) {
                        sums[t][n * HELD + u] += added[t][u];
                    }
                }
            }
            float norm[HELD];
            [[unroll]] for (uint u = 0; u < HELD; u++) {
                norm[u] = rr_floats(p.norm).at[row + u];
            }
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                if (t0 + t < p.n_tokens) {
                    rr_floats x = rr_floats(rr_at(p.x, t0 + t, p.n_rows * 4u));
                    float v[HELD];
                    float squares = 0.0;
                    [[unroll]] for (uint u = 0; u < HELD; u++) {
                        float now = x.at[row + u] + sums[t][n * HELD + u];
                        x.at[row + u] = now;
                        squares = fma(now, now, squares);
                        v[u] = now * norm[u];
                        taken[t][u] = v[u];
                    }
                    squares = rr_sum_of_lanes(squares);
                    if (lane == 0u) {
                        rr_shared_floats(p.squares).at[unit[n] * p.n_tokens + t0 + t] = squares;
                    }
                    rr_store_codes(rr_row_at(p.out_codes, t, p.n_tokens, p.n_rows * 2u),
                                   rr_row_at(p.out_groups, t, p.n_tokens, p.n_rows / 4u), unit[n], v);
                }
            }
            if (ADAPTED != 0) {
                rr_lora_take(rr_lanes_lora(p.lora).at, unit[n], n_units, p.first_row, p.n_tokens);
            }
        }
    }
    memoryBarrierBuffer();
    uint ticket = 0u;
    if (lane == 0u) {
        ticket = atomicAdd(rr_shared_words(p.tickets).at[t0 / TOKENS], 1u);
    }
    if (subgroupBroadcast(ticket, 0) + 1u == n_items) {
        memoryBarrierBuffer();
        if (lane < TOKENS && t0 + lane < p.n_tokens) { // lane = token; units in order
            float sum = 0.0;
            for (uint i = 0; i < n_units; i++) {
                sum += rr_shared_floats(p.squares).at[i * p.n_tokens + t0 + lane];
            }
            rr_floats(p.out_rms).at[t0 + lane] = 1.0 / sqrt(sum / float(p.n_rows) + p.epsilon);
        }
        if (ADAPTED != 0) {
            rr_lora_total(rr_lanes_lora(p.lora).at, n_units, p.first_row, p.n_tokens);
        }
        if (lane == 0u) {
            rr_shared_words(p.tickets).at[t0 / TOKENS] = 0u;
        }
    }
}
#undef RR_OUT
#undef RR_OUT_PRODUCT
