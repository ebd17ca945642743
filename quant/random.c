/* Blocks of pseudo-random weights, for synthetic models. The layouts are those of blocks.c; the
 * rule of each type stands at its function. u = the standard deviation of a block's codes, as
 * written in `kinds`. */
#include "quant/codec.h"

#include <assert.h>
#include <math.h>

enum { N_SCALES = 256, N_VALUES = 4096, MAX_WORDS = 27 };

/* What the blocks of one call share. */
typedef struct block_rule {
    uint16_t scale[N_SCALES];  /* f16, from s to 2s */
    uint16_t offset[N_SCALES]; /* f16, what makes the mean of a block with that scale zero */
    uint16_t value[N_VALUES];  /* 16-bit float types: evenly spread over ±sqrt(3) deviation */
    float step;                /* F32: one of 2^24 steps over that range */
} block_rule;

typedef struct block_kind {
    rr_qtype type;
    double u;
    float middle; /* the codes' mean, where an offset takes it away */
    void (*block)(const block_rule *rule, const uint64_t *bits, uint8_t *out);
} block_kind;

/* splitmix64 of a counter. */
static inline uint64_t bits_at(uint64_t seed, uint64_t index) {
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The codes' mean is half a step below zero: a scale of either sign takes that away over the
 * blocks. */
static uint16_t signed_scale(const block_rule *rule, uint64_t bits) {
    return (uint16_t)(rule->scale[bits & 255] | (bits >> 8 & 1) << 15);
}

static void block_f32(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    float value = (float)((int32_t)(bits[0] >> 40) - (1 << 23)) * rule->step;
    memcpy(out, &value, sizeof value);
}

static void block_f16(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    rr_store_u16(out, rule->value[bits[0] % N_VALUES]);
}

static void block_symmetric4(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    rr_store_u16(out, signed_scale(rule, bits[0]));
    memcpy(out + 2, bits + 1, 16);
}

static void block_symmetric5(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    rr_store_u16(out, signed_scale(rule, bits[0]));
    rr_store_u32(out + 2, (uint32_t)(bits[0] >> 32));
    memcpy(out + 6, bits + 1, 16);
}

static void block_affine4(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    rr_store_u16(out, rule->scale[bits[0] & 255]);
    rr_store_u16(out + 2, rule->offset[bits[0] & 255] ^ 0x8000);
    memcpy(out + 4, bits + 1, 16);
}

static void block_affine5(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    rr_store_u16(out, rule->scale[bits[0] & 255]);
    rr_store_u16(out + 2, rule->offset[bits[0] & 255] ^ 0x8000);
    rr_store_u32(out + 4, (uint32_t)(bits[0] >> 32));
    memcpy(out + 8, bits + 1, 16);
}

/* -128, which quantizers never write, becomes -127. */
static uint64_t without_lowest(uint64_t bytes) {
    uint64_t low = UINT64_C(0x7F7F7F7F7F7F7F7F), from = bytes ^ ~low;
    /* bit 7 of each byte that is zero in `from` */
    uint64_t is_lowest = ~(((from & low) + low) | from | low);
    return bytes | is_lowest >> 7;
}

static void block_q8_0(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    rr_store_u16(out, rule->scale[bits[0] & 255]);
    for (int i = 0; i < 4; i++) {
        uint64_t codes = without_lowest(bits[1 + i]);
        memcpy(out + 2 + 8 * i, &codes, 8);
    }
}

/* Scales of 32 to 63, each group's minimum equal to its scale. */
static void put_k_head(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    rr_store_u16(out, rule->scale[bits[0] & 255]);
    rr_store_u16(out + 2, rule->offset[bits[0] & 255]);
    uint32_t first = ((uint32_t)bits[1] & 0x1F1F1F1Fu) | 0x20202020u;
    uint32_t second = ((uint32_t)(bits[1] >> 32) & 0x1F1F1F1Fu) | 0x20202020u;
    uint32_t six = first | (second & 0x30303030u) << 2;
    rr_store_u32(out + 4, six);
    rr_store_u32(out + 8, six);
    rr_store_u32(out + 12, (second & 0x0F0F0F0Fu) * 0x11u);
}

static void block_q4k(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    put_k_head(rule, bits, out);
    memcpy(out + 16, bits + 2, 128);
}

static void block_q5k(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    put_k_head(rule, bits, out);
    memcpy(out + 16, bits + 2, 160);
}

/* Scales of 64 to 127 or -65 to -128. */
static void block_q6k(const block_rule *rule, const uint64_t *bits, uint8_t *out) {
    memcpy(out, bits + 3, 192);
    for (int i = 0; i < 2; i++) {
        uint64_t signs = (bits[1 + i] >> 7 & UINT64_C(0x0101010101010101)) * 0xFF;
        uint64_t scales =
            ((bits[1 + i] & UINT64_C(0x3F3F3F3F3F3F3F3F)) | UINT64_C(0x4040404040404040)) ^ signs;
        memcpy(out + 192 + 8 * i, &scales, 8);
    }
    rr_store_u16(out + 208, rule->scale[bits[0] & 255]);
}

static const block_kind kinds[] = {
    {RR_Q_F32, 1.0, 0.0f, block_f32}, {RR_Q_F16, 1.0, 0.0f, block_f16},
    {RR_Q_BF16, 1.0, 0.0f, block_f16}, {RR_Q_Q4_0, 4.64, 0.0f, block_symmetric4},
    {RR_Q_Q4_1, 4.61, 7.5f, block_affine4}, {RR_Q_Q5_0, 9.25, 0.0f, block_symmetric5},
    {RR_Q_Q5_1, 9.23, 15.5f, block_affine5}, {RR_Q_Q8_0, 73.9, 0.0f, block_q8_0},
    {RR_Q_Q4_K, 4.61 * 48.4, 7.5f, block_q4k}, /* scales of 32…63: 48.4 in the mean of squares */
    {RR_Q_Q5_K, 9.23 * 48.4, 15.5f, block_q5k},
    {RR_Q_Q6_K, 18.5 * 97.7, 0.0f, block_q6k}, /* scales of ±64…128: 97.7 */
};

static const block_kind *kind_of(rr_qtype type) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

static void make_rule(const block_kind *kind, double deviation, block_rule *out) {
    /* the mean of squares of what lies evenly between 1 and 2 is 7/3 */
    double scale = deviation / (kind->u * sqrt(7.0 / 3.0));
    for (int i = 0; i < N_SCALES; i++) {
        out->scale[i] = rr_f32_to_f16((float)(scale * (1.0 + i / (double)N_SCALES)));
        out->offset[i] = rr_f32_to_f16(rr_f16_to_f32(out->scale[i]) * kind->middle);
    }
    double half = deviation * sqrt(3.0);
    out->step = (float)(half / (1 << 23));
    if (kind->block == block_f16) {
        float values[N_VALUES];
        for (int i = 0; i < N_VALUES; i++) {
            values[i] = (float)(half * ((2 * i + 1) / (double)N_VALUES - 1.0));
        }
        rr_blocks_quantize(kind->type, values, N_VALUES, out->value);
    }
}

void rr_blocks_random(rr_qtype type, uint64_t seed, double deviation, uint64_t first_block,
    size_t n_blocks, void *blocks) {
    const block_kind *kind = kind_of(type);
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    assert(kind != NULL && info != NULL && deviation >= 1e-6 && deviation <= 1.0);
    block_rule rule;
    make_rule(kind, deviation, &rule);
    /* the first word (three of Q6_K, two of Q4_K and Q5_K) is for scales, the others are the
     * block's own bytes */
    uint32_t n_words = info->block_bytes <= 4 ? 1
        : type == RR_Q_Q6_K                   ? 27
                                              : 1 + (info->block_bytes + 7) / 8;
    assert(n_words <= MAX_WORDS);
    uint8_t *out = blocks;
    for (uint64_t b = first_block; b < first_block + n_blocks; b++, out += info->block_bytes) {
        uint64_t bits[MAX_WORDS];
        for (uint32_t w = 0; w < n_words; w++) {
            bits[w] = bits_at(seed, b * n_words + w);
        }
        kind->block(&rule, bits, out);
    }
}
