// Reading the planes of a weight matrix (layout: quant/quant.h). The format is specialization constant 0, so one module
// serves all of them, or the literal RR_FORMAT. Every weight comes out as fma(q, scale, offset): one rounding, the same float as the file's own
// dequantization gives.
#ifdef RR_FORMAT
const uint FORMAT = RR_FORMAT;
#else
layout(constant_id = 0) const uint FORMAT = 2;
#endif

const uint Q_F32 = 0, Q_F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q4_K = 12, Q5_K = 13, Q6_K = 14, Q_BF16 = 30;

const bool FORMAT_FLOAT = FORMAT == Q_F32 || FORMAT == Q_F16 || FORMAT == Q_BF16;
const bool FORMAT_K = FORMAT == Q4_K || FORMAT == Q5_K || FORMAT == Q6_K;
const bool FORMAT_HI1 = FORMAT == Q5_0 || FORMAT == Q5_1 || FORMAT == Q5_K;
const bool FORMAT_NIBBLE = !FORMAT_FLOAT && FORMAT != Q8_0;
const uint LO_BITS = FORMAT == Q_F32 ? 32 : FORMAT_FLOAT ? 16 : FORMAT == Q8_0 ? 8 : 4;

// Strides in bytes of a row of `cols` weights, as rr_planes_plan makes them.
uint rr_stride(uint bytes) { return (bytes + 15u) & ~15u; }
uint rr_lo_stride(uint cols) { return rr_stride(cols / 8u * LO_BITS); }
uint rr_hi_stride(uint cols) { return rr_stride(FORMAT == Q6_K ? cols / 4u : cols / 8u); }
uint rr_scale_stride(uint cols) { return rr_stride(cols / 32u * (FORMAT == Q4_1 || FORMAT == Q5_1 ? 4u : 2u)); }
uint rr_super_stride(uint cols) { return rr_stride(cols / 256u * 4u); }

// One row's planes.
struct rr_qrow {
    uvec2 lo, hi, scale, super;
};

rr_qrow rr_qrow_at(uvec2 lo, uvec2 hi, uvec2 scale, uvec2 super, uint row, uint cols) {
    rr_qrow r;
    r.lo = rr_at(lo, row, rr_lo_stride(cols));
    r.hi = rr_at(hi, row, rr_hi_stride(cols));
    r.scale = rr_at(scale, row, rr_scale_stride(cols));
    r.super = rr_at(super, row, rr_super_stride(cols));
    return r;
}

uint rr_u16(uvec2 base, uint index) {
    return (rr_words(base).at[index >> 1] >> ((index & 1u) * 16u)) & 0xFFFFu;
}

// (scale, offset) from a group's scale entry and its super-block's pair; `second`: of the group's second half (Q6_K).
vec2 rr_scale_from(uint s, vec2 d, bool second) {
    if (FORMAT == Q4_1 || FORMAT == Q5_1) {
        return unpackHalf2x16(s);
    }
    if (FORMAT == Q6_K) {
        float sc = d.x * float(bitfieldExtract(int(s), second ? 8 : 0, 8));
        return vec2(sc, -32.0 * sc);
    }
    if (FORMAT_K) {
        return vec2(d.x * float(s & 0xFFu), -(d.y * float(s >> 8)));
    }
    float scale = unpackHalf2x16(s).x;
    return vec2(scale, FORMAT == Q4_0 ? -8.0 * scale : FORMAT == Q5_0 ? -16.0 * scale : 0.0);
}

// (scale, offset) of 16 weights: half `h16` of the row, h16 = column / 16.
vec2 rr_scale_of(rr_qrow r, uint h16) {
    uint g = h16 >> 1;
    if (FORMAT_FLOAT) {
        return vec2(1.0, 0.0);
    }
    uint s = FORMAT == Q4_1 || FORMAT == Q5_1 ? rr_words(r.scale).at[g] : rr_u16(r.scale, g);
    vec2 d = FORMAT_K ? unpackHalf2x16(rr_words(r.super).at[g >> 3]) : vec2(0.0);
    return rr_scale_from(s, d, (h16 & 1u) != 0u);
}

// The 8 weights of octet `o` (column / 8) of a row, before the scale.
void rr_unpack8(rr_qrow r, uint o, out float q[8]) {
    if (FORMAT == Q_F32) {
        [[unroll]] for (uint i = 0; i < 8; i++) {
            q[i] = uintBitsToFloat(rr_words(r.lo).at[o * 8 + i]);
        }
    } else if (FORMAT_FLOAT) {
        [[unroll]] for (uint i = 0; i < 4; i++) {
            uint w = rr_words(r.lo).at[o * 4 + i];
            vec2 pair = FORMAT == Q_F16 ? unpackHalf2x16(w)
                                        : vec2(uintBitsToFloat(w << 16), uintBitsToFloat(w & 0xFFFF0000u));
            q[2 * i] = pair.x;
            q[2 * i + 1] = pair.y;
        }
    } else if (FORMAT == Q8_0) {
        int a = int(rr_words(r.lo).at[o * 2]);
        int b = int(rr_words(r.lo).at[o * 2 + 1]);
        [[unroll]] for (int i = 0; i < 4; i++) {
            q[i] = float(bitfieldExtract(a, i * 8, 8));
            q[4 + i] = float(bitfieldExtract(b, i * 8, 8));
        }
    } else {
        uint w = rr_words(r.lo).at[o];
        uint a = w & 0x0F0F0F0Fu;
        uint b = (w >> 4) & 0x0F0F0F0Fu;
        if (FORMAT_HI1) {
            uint h = rr_words(r.hi).at[o >> 2] >> ((o & 3u) * 2u);
            a |= (h & 0x01010101u) << 4;
            b |= (h & 0x02020202u) << 3;
        } else if (FORMAT == Q6_K) {
            uint h = rr_words(r.hi).at[o >> 1] >> ((o & 1u) * 4u);
            a |= (h & 0x03030303u) << 4;
            b |= (h & 0x0C0C0C0Cu) << 2;
        }
        [[unroll]] for (uint i = 0; i < 4; i++) {
            q[i] = float((a >> (i * 8)) & 0xFFu);
            q[4 + i] = float((b >> (i * 8)) & 0xFFu);
        }
    }
}
