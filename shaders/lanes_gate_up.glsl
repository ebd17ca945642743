// Gate and up projection, SwiGLU, quantization. Formula and layouts: lanes.h. Item: unit of d_ffn.

void rr_gate_up(rr_args_lanes_gate_up p, uint item) {
    uint unit = item;
    rr_gate_up_pair(p.w, p.s, p.codes, p.groups, p.cols, p.n_tokens, unit, p.d_ffn / 32u + unit);
    if (ADAPTED != 0) {
        rr_args_lanes_lora l = rr_lanes_lora(p.lora).at;
        [[unroll]] for (uint part = 0; part < 2; part++) {
            rr_lora_add(l, part == 0 ? l.b0 : l.b1, part == 0 ? l.first0 : l.first1, part == 0 ? l.rank0 : l.rank1, unit,
                        p.first_row, p.n_tokens);
            [[unroll]] for (uint t = 0; t < TOKENS; t++) {
                [[unroll]] for (uint u = 0; u < HELD; u++) {
                    pair[part][t][u] += added[t][u];
                }
            }
        }
    }
    float rms = rr_floats(p.rms).at[min(t0 + lane, p.n_tokens - 1u)]; // of token `lane`
    // tokens past the end are the last one again and store the same once more, which costs less than asking
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        float factor = subgroupBroadcast(rms, t);
        float v[HELD];
        [[unroll]] for (uint u = 0; u < HELD; u++) {
            float g = pair[0][t][u] * factor;
            v[u] = g / (1.0 + exp(-g)) * (pair[1][t][u] * factor);
            taken[t][u] = v[u];
        }
        rr_store_codes(rr_row_at(p.out_codes, t, p.n_tokens, p.d_ffn * 2u),
                       rr_row_at(p.out_groups, t, p.n_tokens, p.d_ffn / 4u), unit, v);
    }
    if (ADAPTED != 0) {
        rr_args_lanes_lora l = rr_lanes_lora(p.lora).at;
        uint n_units = p.d_ffn / 32u;
        rr_lora_take(l, unit, n_units, p.first_row, p.n_tokens);
        memoryBarrierBuffer();
        uint ticket = 0u;
        if (lane == 0u) {
            ticket = atomicAdd(rr_shared_words(p.tickets).at[t0 / TOKENS], 1u);
        }
        if (subgroupBroadcast(ticket, 0) + 1u == n_units) {
            memoryBarrierBuffer();
            rr_lora_total(l, n_units, p.first_row, p.n_tokens);
            if (lane == 0u) {
                rr_shared_words(p.tickets).at[t0 / TOKENS] = 0u;
            }
        }
    }
}
