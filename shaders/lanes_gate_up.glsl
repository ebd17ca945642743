// Gate and up projection, SwiGLU, quantization. Formula and layouts: lanes.h. Item: unit of d_ffn.

void rr_gate_up(rr_args_lanes_gate_up p, uint item) {
    uint unit = item;
    rr_gate_up_pair(p.w, p.s, p.codes, p.groups, p.cols, p.n_tokens, unit, p.d_ffn / 32u + unit);
    float rms = rr_floats(p.rms).at[min(t0 + lane, p.n_tokens - 1u)]; // of token `lane`
    // tokens past the end are the last one again and store the same once more, which costs less than asking
    [[unroll]] for (uint t = 0; t < TOKENS; t++) {
        float factor = subgroupBroadcast(rms, t);
        float v[HELD];
        [[unroll]] for (uint u = 0; u < HELD; u++) {
            float g = pair[0][t][u] * factor;
            v[u] = g / (1.0 + exp(-g)) * (pair[1][t][u] * factor);
        }
        rr_store_codes(rr_row_at(p.out_codes, t, p.n_tokens, p.d_ffn * 2u),
                       rr_row_at(p.out_groups, t, p.n_tokens, p.d_ffn / 4u), unit, v);
    }
}
