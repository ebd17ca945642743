/* The block layouts of GGUF files, one reader a format.
 * Source: the GGUF specification and ggml's published block structures (fields in file order, no
 * padding):
 *   Q4_0  f16 d, u8 qs[16]                       nibbles: low = weights 0…15, high = 16…31
 *   Q4_1  f16 d, f16 m, u8 qs[16]                alike
 *   Q5_0  f16 d, u32 qh, u8 qs[16]               alike; bit j of qh is the fifth bit of weight j
 *   Q5_1  f16 d, f16 m, u32 qh, u8 qs[16]        alike
 *   Q8_0  f16 d, i8 qs[32]
 *   Q4_K  f16 d, f16 dmin, u8 sc[12], u8 qs[128] 32 bytes hold groups 2p (low nibbles) and 2p+1
 *         (high)
 *   Q5_K  f16 d, f16 dmin, u8 sc[12], u8 qh[32], u8 qs[128]   alike; bit g of qh[l] belongs to
 *         weight l of group g
 *   Q6_K  u8 ql[128], u8 qh[64], i8 sc[16], f16 d  two halves of 128 weights, see q6k_quads
 * sc[12] of Q4_K and Q5_K packs eight 6-bit scales and eight 6-bit minima, see k_scale. */
#include "quant/codec.h"

#include <assert.h>

#define NIBBLES 0x0F0F0F0Fu

/* Low nibbles of 16 bytes are weights 0…15, high nibbles 16…31. */
static void split_quads(const uint8_t *qs, uint32_t quads[RR_GROUP_QUADS]) {
    for (int k = 0; k < 4; k++) {
        uint32_t word = rr_load_u32(qs + 4 * k);
        quads[k] = word & NIBBLES;
        quads[k + 4] = word >> 4 & NIBBLES;
    }
}

/* Adds bit j of `high` as the fifth bit of weight j. */
static void add_fifth_bits(uint32_t high, uint32_t quads[RR_GROUP_QUADS]) {
    for (int k = 0; k < RR_GROUP_QUADS; k++) {
        uint32_t four = high >> (4 * k) & 0xFu;
        /* the product puts bit i of `four` at bit 8i (and copies elsewhere) */
        quads[k] |= (four * 0x00204081u & 0x01010101u) << 4;
    }
}

static void q4_0_quads(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]) {
    (void)group;
    split_quads(block + 2, quads);
}

static void q4_1_quads(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]) {
    (void)group;
    split_quads(block + 4, quads);
}

static void q5_0_quads(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]) {
    (void)group;
    split_quads(block + 6, quads);
    add_fifth_bits(rr_load_u32(block + 2), quads);
}

static void q5_1_quads(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]) {
    (void)group;
    split_quads(block + 8, quads);
    add_fifth_bits(rr_load_u32(block + 4), quads);
}

static void q8_0_quads(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]) {
    (void)group;
    memcpy(quads, block + 2, RR_GROUP);
}

static void q4k_quads(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]) {
    const uint8_t *qs = block + 16 + group / 2 * 32;
    uint32_t shift = group % 2 * 4;
    for (int k = 0; k < RR_GROUP_QUADS; k++) {
        quads[k] = rr_load_u32(qs + 4 * k) >> shift & NIBBLES;
    }
}

static void q5k_quads(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]) {
    const uint8_t *qh = block + 16;
    const uint8_t *qs = block + 48 + group / 2 * 32;
    uint32_t shift = group % 2 * 4;
    for (int k = 0; k < RR_GROUP_QUADS; k++) {
        uint32_t high = rr_load_u32(qh + 4 * k) >> group & 0x01010101u;
        quads[k] = (rr_load_u32(qs + 4 * k) >> shift & NIBBLES) | high << 4;
    }
}

/* Half h of a block holds its groups 4h…4h+3. Group 4h+j has its low nibbles in bytes 32 (j % 2)…
 * of the half's 64 bytes of ql (low nibble of the byte when j < 2) and its upper two bits at bit 2j
 * of the half's 32 bytes of qh. */
static void q6k_quads(const uint8_t *block, uint32_t group, uint32_t quads[RR_GROUP_QUADS]) {
    uint32_t half = group / 4, j = group % 4;
    const uint8_t *ql = block + half * 64 + j % 2 * 32;
    const uint8_t *qh = block + 128 + half * 32;
    for (int k = 0; k < RR_GROUP_QUADS; k++) {
        uint32_t high = rr_load_u32(qh + 4 * k) >> (2 * j) & 0x03030303u;
        quads[k] = (rr_load_u32(ql + 4 * k) >> (j / 2 * 4) & NIBBLES) | high << 4;
    }
}

static void scale_d(const uint8_t *block, uint32_t group, uint8_t *out) {
    (void)group;
    memcpy(out, block, 2);
}

static void scale_dm(const uint8_t *block, uint32_t group, uint8_t *out) {
    (void)group;
    memcpy(out, block, 4);
}

/* Groups 0…3: the lower six bits of bytes g (scale) and g + 4 (minimum). Groups 4…7: nibbles of
 * byte g + 4, with the upper two bits of the bytes g - 4 and g on top. */
static void k_scale(const uint8_t *block, uint32_t group, uint8_t *out) {
    const uint8_t *sc = block + 4;
    if (group < 4) {
        out[0] = sc[group] & 63;
        out[1] = sc[group + 4] & 63;
    } else {
        out[0] = (uint8_t)((sc[group + 4] & 15) | sc[group - 4] >> 6 << 4);
        out[1] = (uint8_t)(sc[group + 4] >> 4 | sc[group] >> 6 << 4);
    }
}

static void q6k_scale(const uint8_t *block, uint32_t group, uint8_t *out) {
    memcpy(out, block + 192 + 2 * group, 2);
}

static void k_super(const uint8_t *block, uint8_t *out) {
    memcpy(out, block, 4);
}

static void q6k_super(const uint8_t *block, uint8_t *out) {
    memcpy(out, block + 208, 2);
    memset(out + 2, 0, 2);
}

static rr_affine affine_d(const uint8_t *scale, const uint8_t *super) {
    (void)super;
    float d = rr_load_f16(scale);
    return (rr_affine){{d, d}, -0.0f};
}

static rr_affine affine_dm(const uint8_t *scale, const uint8_t *super) {
    (void)super;
    float d = rr_load_f16(scale);
    return (rr_affine){{d, d}, rr_load_f16(scale + 2)};
}

static rr_affine affine_k(const uint8_t *scale, const uint8_t *super) {
    float d = rr_load_f16(super) * (float)scale[0];
    return (rr_affine){{d, d}, -(rr_load_f16(super + 2) * (float)scale[1])};
}

static rr_affine affine_q6k(const uint8_t *scale, const uint8_t *super) {
    float d = rr_load_f16(super);
    return (rr_affine){{d * (float)(int8_t)scale[0], d * (float)(int8_t)scale[1]}, -0.0f};
}

static const rr_codec codecs[] = {
    {RR_Q_Q4_0, false, 8, q4_0_quads, scale_d, NULL, affine_d},
    {RR_Q_Q4_1, false, 0, q4_1_quads, scale_dm, NULL, affine_dm},
    {RR_Q_Q5_0, false, 16, q5_0_quads, scale_d, NULL, affine_d},
    {RR_Q_Q5_1, false, 0, q5_1_quads, scale_dm, NULL, affine_dm},
    {RR_Q_Q8_0, true, 0, q8_0_quads, scale_d, NULL, affine_d},
    {RR_Q_Q4_K, false, 0, q4k_quads, k_scale, k_super, affine_k},
    {RR_Q_Q5_K, false, 0, q5k_quads, k_scale, k_super, affine_k},
    {RR_Q_Q6_K, false, 32, q6k_quads, q6k_scale, q6k_super, affine_q6k},
};

const rr_codec *rr_codec_get(rr_qtype type) {
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (codecs[i].type == type) {
            return &codecs[i];
        }
    }
    return NULL;
}

void rr_codec_decode(
    const rr_codec *codec, const uint32_t quads[RR_GROUP_QUADS], rr_affine affine, float *out) {
    uint8_t codes[RR_GROUP];
    memcpy(codes, quads, sizeof codes);
    for (int i = 0; i < RR_GROUP; i++) {
        int code = codec->is_signed ? (int8_t)codes[i] : codes[i];
        out[i] = affine.scale[i / 16] * (float)(code - codec->bias) + affine.offset;
    }
}

void rr_floats_unpack(rr_qtype type, const uint8_t *data, uint32_t n, float *out) {
    if (type == RR_Q_F32) {
        memcpy(out, data, (size_t)n * sizeof *out);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint16_t half = rr_load_u16(data + 2 * (size_t)i);
        out[i] = type == RR_Q_F16 ? rr_f16_to_f32(half) : rr_bf16_to_f32(half);
    }
}

void rr_blocks_unpack(rr_qtype type, const void *blocks, uint32_t cols, float *out) {
    const rr_qtype_info *info = rr_qtype_get(type);
    assert(info != NULL && cols % info->block_weights == 0);
    const rr_codec *codec = rr_codec_get(type);
    if (codec == NULL) {
        rr_floats_unpack(type, blocks, cols, out);
        return;
    }
    const uint8_t *block = blocks;
    for (uint32_t c = 0; c < cols; c += info->block_weights, block += info->block_bytes) {
        uint8_t super[4] = {0};
        if (codec->super != NULL) {
            codec->super(block, super);
        }
        for (uint32_t group = 0; group < info->block_weights / RR_GROUP; group++) {
            uint32_t quads[RR_GROUP_QUADS];
            uint8_t scale[4];
            codec->quads(block, group, quads);
            codec->scale(block, group, scale);
            rr_codec_decode(codec, quads, codec->affine(scale, super), out + c + group * RR_GROUP);
        }
    }
}
