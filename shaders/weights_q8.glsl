// Weights as integers for products with int8 activations: what quant.glsl reads as floats, a group of 32 at a time.
#include "quant.glsl"
layout(buffer_reference, std430, buffer_reference_align = 8) buffer rr_words2 { uvec2 at[]; };

const bool FORMAT_MIN = FORMAT == Q4_1 || FORMAT == Q5_1 || FORMAT == Q4_K || FORMAT == Q5_K;
const int ZERO = FORMAT == Q4_0 ? 8 : FORMAT == Q5_0 ? 16 : FORMAT == Q6_K ? 32 : 0;

// A group's bits as they lie in the planes: lo (Q8_0: its first 16 bytes), more (Q8_0: its other 16; else the high bits).
struct rr_qgroup {
    uvec4 lo, more;
};

rr_qgroup rr_group_load(rr_qrow r, uint g) {
    rr_qgroup q;
    q.more = uvec4(0u);
    if (FORMAT == Q8_0) {
        rr_words4 lo = rr_words4(rr_add(r.lo, g * 32u));
        q.lo = lo.at[0];
        q.more = lo.at[1];
        return q;
    }
    q.lo = rr_words4(rr_add(r.lo, g * 16u)).at[0];
    if (FORMAT_HI1) {
        q.more.x = rr_words(rr_add(r.hi, g * 4u)).at[0];
    } else if (FORMAT == Q6_K) {
        q.more.xy = rr_words2(rr_add(r.hi, g * 8u)).at[0];
    }
    return q;
}

// Its 32 integers q, 4 columns a word, columns ascending.
void rr_group_unpack(rr_qgroup q, out uint w[8]) {
    [[unroll]] for (uint i = 0; i < 4; i++) {
        if (FORMAT == Q8_0) {
            w[i] = q.lo[i];
            w[4 + i] = q.more[i];
            continue;
        }
        uint a = q.lo[i] & 0x0F0F0F0Fu;
        uint b = (q.lo[i] >> 4) & 0x0F0F0F0Fu;
        if (FORMAT_HI1) {
            uint h = q.more.x >> (2u * i);
            a |= (h & 0x01010101u) << 4;
            b |= (h & 0x02020202u) << 3;
        } else if (FORMAT == Q6_K) {
            uint h = q.more[i >> 1] >> (4u * (i & 1u));
            a |= (h & 0x03030303u) << 4;
            b |= (h & 0x0C0C0C0Cu) << 2;
        }
        w[2 * i] = a;
        w[2 * i + 1] = b;
    }
}

// Four of them less ZERO, as signed bytes.
uint rr_less_zero(uint w) { return ZERO == 0 ? w : ((w | 0x80808080u) - uint(ZERO) * 0x01010101u) ^ 0x80808080u; }

// (scale, offset) of a group; Q6_K: the scales of its halves.
vec2 rr_group_scale(rr_qrow r, uint g) {
    bool pairs = FORMAT == Q4_1 || FORMAT == Q5_1;
    uint s = rr_words(rr_add(r.scale, pairs ? g * 4u : (g >> 1) * 4u)).at[0];
    s = pairs ? s : (s >> ((g & 1u) * 16u)) & 0xFFFFu;
    vec2 d = FORMAT_K ? unpackHalf2x16(rr_words(rr_add(r.super, (g >> 3) * 4u)).at[0]) : vec2(0.0);
    vec2 scale = rr_scale_from(s, d, false);
    return FORMAT == Q6_K ? vec2(scale.x, rr_scale_from(s, d, true).x) : scale;
}

// What a token's group gives to every row: where the integer sums of the group's halves start, d, and d times the sum.
struct rr_xgroup {
    ivec2 start;
    float d, d_sum;
};

rr_xgroup rr_x_group(uvec2 group) {
    int first = bitfieldExtract(int(group.y), 0, 16), second = int(group.y) >> 16;
    rr_xgroup x;
    x.d = uintBitsToFloat(group.x);
    x.start = FORMAT == Q6_K ? ivec2(-ZERO * first, -ZERO * second) : ivec2(-ZERO * (first + second), 0);
    x.d_sum = FORMAT_MIN ? x.d * float(first + second) : 0.0;
    return x;
}

// sum + the product of a row's group with a token's. w, v: 4 integers a word; s: rr_group_scale.
float rr_group_add(uint w[8], vec2 s, uint v[8], rr_xgroup x, float sum) {
    int a = x.start.x, b = x.start.y;
    [[unroll]] for (uint i = 0; i < 4; i++) {
        a = rr_dot4(w[i], v[i], a);
    }
    [[unroll]] for (uint i = 4; i < 8; i++) {
        if (FORMAT == Q6_K) {
            b = rr_dot4(w[i], v[i], b);
        } else {
            a = rr_dot4(w[i], v[i], a);
        }
    }
    sum = fma(s.x, x.d * float(a), sum);
    return FORMAT == Q6_K ? fma(s.y, x.d * float(b), sum) : FORMAT_MIN ? fma(s.y, x.d_sum, sum) : sum;
}
