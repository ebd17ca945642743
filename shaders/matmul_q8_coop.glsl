// Which rows of W a workgroup of matmul_q8_coop.comp takes, and how integers lie in its buffers.
uint block_row(uint block, uint m) {
    if (END == RR_END_F32) {
        return min(block * BLOCK + m, p.n_out - 1u);
    }
    uint pair = min(block * (BLOCK / 2u) + m % (BLOCK / 2u), p.n_out / 2u - 1u);
    return rr_pair_row(pair) + m / (BLOCK / 2u) * p.gap;
}

// Puts a group's 32 integers (4 a word) at place `at`: a row of the block, or BLOCK + a token of the tile.
void put(uint buffer_, uint at, uint w[8]) {
    [[unroll]] for (uint i = 0; i < STEPS * UNIT; i++) {
#ifdef RR_COOP_F16
        uvec4 piece;
        [[unroll]] for (uint k = 0; k < 4; k++) {
            int pair = int(w[2u * i + k / 2u]) >> (16u * (k % 2u));
            piece[k] = packHalf2x16(vec2(float(bitfieldExtract(pair, 0, 8)), float(bitfieldExtract(pair, 8, 8))));
        }
#else
        uint k = i * (8u / (STEPS * UNIT)); // the first of its words; what is behind 8 integers is not read
        uvec4 piece = uvec4(w[k], w[k + 1u], w[(k + 2u) % 8u], w[(k + 3u) % 8u]);
#endif
        pool[buffer_ * PLANE + (i / UNIT * (BLOCK + TOKENS) + at) * UNIT + i % UNIT] = piece;
    }
}
