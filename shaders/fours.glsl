// Four neighbouring weights of a row, for kernels that keep columns on lanes and walk the rows. Includer: quant.glsl before
// this, and a push block with lo, hi, scale, super and cols. Layout of the planes: quant/quant.h.

// Words a row.
uint rr_lo_words() { return rr_lo_stride(p.cols) / 4u; }
uint rr_hi_words() { return rr_hi_stride(p.cols) / 4u; }
uint rr_scale_words() { return rr_scale_stride(p.cols) / 4u; }
uint rr_super_words() { return rr_super_stride(p.cols) / 4u; }

// Weights c … c + 3 of `row` before the scale; c is a multiple of 4.
vec4 rr_four(uint row, uint c) {
    rr_words lo = rr_words(p.lo);
    uint at = row * rr_lo_words();
    if (FORMAT == Q_F32) {
        at += c;
        return uintBitsToFloat(uvec4(lo.at[at], lo.at[at + 1u], lo.at[at + 2u], lo.at[at + 3u]));
    }
    if (FORMAT_FLOAT) {
        uint a = lo.at[at + c / 2u], b = lo.at[at + c / 2u + 1u];
        if (FORMAT == Q_F16) {
            return vec4(unpackHalf2x16(a), unpackHalf2x16(b));
        }
        return uintBitsToFloat(uvec4(a << 16, a & 0xFFFF0000u, b << 16, b & 0xFFFF0000u));
    }
    if (FORMAT == Q8_0) {
        int w = int(lo.at[at + c / 4u]);
        return vec4(bitfieldExtract(w, 0, 8), bitfieldExtract(w, 8, 8), bitfieldExtract(w, 16, 8), w >> 24);
    }
    uint second = c / 4u & 1u; // of the word's two halves
    uint w = lo.at[at + c / 8u] >> (second * 4u) & 0x0F0F0F0Fu;
    if (FORMAT_HI1) {
        uint h = rr_words(p.hi).at[row * rr_hi_words() + c / 32u];
        w |= (h >> ((c / 8u & 3u) * 2u + second) & 0x01010101u) << 4;
    } else if (FORMAT == Q6_K) {
        uint h = rr_words(p.hi).at[row * rr_hi_words() + c / 16u];
        w |= (h >> ((c / 8u & 1u) * 4u + second * 2u) & 0x03030303u) << 4;
    }
    return vec4(w & 0xFFu, w >> 8 & 0xFFu, w >> 16 & 0xFFu, w >> 24);
}

// The word with the scale entry of column c's group, and its super-block's; 0 where the format has none.
uint rr_scale_word(uint row, uint c) {
    uint group = c / 32u;
    return FORMAT_FLOAT ? 0u
                        : rr_words(p.scale).at[row * rr_scale_words() + (FORMAT == Q4_1 || FORMAT == Q5_1 ? group : group / 2u)];
}
uint rr_super_word(uint row, uint c) {
    return FORMAT_K ? rr_words(p.super).at[row * rr_super_words() + c / 256u] : 0u;
}

// (scale, offset) of column c from these words.
vec2 rr_scale_in(uint scale, uint super, uint c) {
    if (FORMAT_FLOAT) {
        return vec2(1.0, 0.0);
    }
    if (FORMAT != Q4_1 && FORMAT != Q5_1) {
        scale = scale >> ((c / 32u & 1u) * 16u) & 0xFFFFu;
    }
    return rr_scale_from(scale, unpackHalf2x16(super), (c / 16u & 1u) != 0u);
}

vec4 rr_scaled(vec4 q, vec2 s) {
    return FORMAT_FLOAT ? q : fma(q, vec4(s.x), vec4(s.y));
}
