// The end of an int8 matmul whose sums lie in shared memory: RR_SUM(token × BLOCK + row) of TILE tokens × BLOCK rows of block
// `block`, tokens from t0 on. Blocks of pairs hold BLOCK / 2 first rows, then their partners. Called by all LANES lanes.
void rr_finish(uint block, uint t0) {
    uint lane = gl_LocalInvocationID.x;
    if (END == RR_END_F32) {
        for (uint k = lane; k < TILE * BLOCK; k += LANES) {
            uint row = block * BLOCK + k % BLOCK, token = t0 + k / BLOCK;
            if (row < p.n_out && token < p.n_tokens) {
                rr_store_f32(row, token, RR_SUM(k));
            }
        }
    } else if (END == RR_END_ROPE) {
        for (uint k = lane; k < TILE * BLOCK / 4u; k += LANES) { // two pairs
            uint j = k % (BLOCK / 4u) * 2u, t = k / (BLOCK / 4u), pair = block * (BLOCK / 2u) + j;
            uint at = t * BLOCK + j, partner = at + BLOCK / 2u;
            if (pair < p.n_out / 2u && t0 + t < p.n_tokens) {
                rr_store_rope(rr_pair_row(pair), t0 + t, vec2(RR_SUM(at), RR_SUM(at + 1u)),
                              vec2(RR_SUM(partner), RR_SUM(partner + 1u)));
            }
        }
    } else {
        for (uint k0 = 0; k0 < TILE * BLOCK / 8u; k0 += LANES) { // four pairs
            uint k = k0 + lane, j = k % (BLOCK / 8u) * 4u, t = k / (BLOCK / 8u), token = t0 + t;
            uint pair = block * (BLOCK / 2u) + j;
            bool live = k < TILE * BLOCK / 8u && pair < p.n_out / 2u && token < p.n_tokens;
            if (live) {
                uint at = t * BLOCK + j, partner = at + BLOCK / 2u;
                q8_stage[lane] = vec4(rr_swiglu(RR_SUM(at), RR_SUM(partner)), rr_swiglu(RR_SUM(at + 1u), RR_SUM(partner + 1u)),
                                      rr_swiglu(RR_SUM(at + 2u), RR_SUM(partner + 2u)),
                                      rr_swiglu(RR_SUM(at + 3u), RR_SUM(partner + 3u)));
            }
            barrier();
            rr_q8_store(lane, live, rr_at(p.y, token, p.n_out / 2u), rr_at(p.extra, token, p.n_out / 8u), pair / 4u);
        }
    }
}
