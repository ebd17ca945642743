#include "quant/grouped.h"

#include <assert.h>

#include "quant/codec.h"

/* Where output o of eight stands in a word of AWQ. */
static const uint8_t awq_place[8] = {0, 4, 1, 5, 2, 6, 3, 7};

static uint32_t lane(uint32_t word, uint32_t place, uint32_t bits) {
    return word >> (place * bits) & ((1u << bits) - 1);
}

/* The stored word and the lane in it of an output's zero point. */
static uint32_t zero_word(const rr_grouped *g, uint32_t group, uint32_t o, uint32_t *place) {
    const uint32_t per_word = 32 / g->bits, words = g->rows / per_word;
    const uint32_t in_word = o % per_word;
    *place = g->layout == RR_GROUPED_AWQ ? awq_place[in_word] : in_word;
    return rr_load_u32(g->zeros + 4 * ((size_t)group * words + o / per_word));
}

static int zero_of(const rr_grouped *g, uint32_t group, uint32_t o) {
    if (g->zeros == NULL) {
        return 1 << (g->bits - 1);
    }
    uint32_t place;
    uint32_t word = zero_word(g, group, o, &place);
    if (g->zero_rule == RR_ZERO_PLUS_ONE_WORD) {
        word += g->bits == 4 ? 0x11111111u : 0x01010101u;
    }
    uint32_t zero = lane(word, place, g->bits);
    if (g->zero_rule == RR_ZERO_PLUS_ONE) {
        zero = (zero + 1) & ((1u << g->bits) - 1);
    }
    return (int)zero;
}

static float scale_of(const rr_grouped *g, uint32_t group, uint32_t o) {
    const size_t at = (size_t)group * g->rows + o;
    float scale;
    rr_floats_unpack(
        g->scale_type, g->scales + at * (g->scale_type == RR_Q_F32 ? 4 : 2), 1, &scale);
    return scale;
}

static int code_of(const rr_grouped *g, uint32_t i, uint32_t o) {
    if (g->layout == RR_GROUPED_AWQ) {
        const uint32_t word = rr_load_u32(g->codes + 4 * ((size_t)i * (g->rows / 8) + o / 8));
        return (int)lane(word, awq_place[o % 8], 4);
    }
    const uint32_t per_word = 32 / g->bits;
    const uint32_t word = rr_load_u32(g->codes + 4 * ((size_t)(i / per_word) * g->rows + o));
    return (int)lane(word, i % per_word, g->bits);
}

static uint32_t group_of(const rr_grouped *g, uint32_t i) {
    return g->groups != NULL ? g->groups[i] : i / g->group;
}

rr_zero_range rr_grouped_stored_zeros(const rr_grouped *grouped) {
    rr_zero_range range = {UINT32_MAX, 0};
    for (uint32_t group = 0; group < grouped->n_groups; group++) {
        for (uint32_t o = 0; o < grouped->rows; o++) {
            uint32_t place;
            const uint32_t word = zero_word(grouped, group, o, &place);
            const uint32_t zero = lane(word, place, grouped->bits);
            range.least = zero < range.least ? zero : range.least;
            range.most = zero > range.most ? zero : range.most;
        }
    }
    return range;
}

/* Whether every scale is the value of an f16. NaN is: blocks keep it, as some NaN. */
static bool scales_are_f16(const rr_grouped *g) {
    if (g->scale_type == RR_Q_F16) {
        return true;
    }
    for (uint32_t group = 0; group < g->n_groups; group++) {
        for (uint32_t o = 0; o < g->rows; o++) {
            const float scale = scale_of(g, group, o);
            if (scale == scale && rr_f16_to_f32(rr_f32_to_f16(scale)) != scale) {
                return false;
            }
        }
    }
    return true;
}

rr_qtype rr_grouped_type(const rr_grouped *grouped) {
    const bool in_runs = grouped->groups == NULL &&
        (grouped->group % RR_GROUP == 0 || grouped->n_groups == 1) && grouped->cols % RR_GROUP == 0;
    if (!in_runs || !scales_are_f16(grouped)) {
        return RR_Q_F32;
    }
    const int middle = 1 << (grouped->bits - 1);
    for (uint32_t group = 0; group < grouped->n_groups; group++) {
        for (uint32_t o = 0; o < grouped->rows; o++) {
            if (zero_of(grouped, group, o) != middle) {
                return grouped->bits == 4 ? RR_Q_Q5_0 : RR_Q_F32;
            }
        }
    }
    return grouped->bits == 4 ? RR_Q_Q4_0 : RR_Q_Q8_0;
}

/* A block of 32 values (−16 … 15, or −128 … 127) times `scale`. */
static void put_block(rr_qtype type, uint16_t scale, const int8_t values[RR_GROUP], uint8_t *out) {
    rr_store_u16(out, scale);
    if (type == RR_Q_Q8_0) {
        memcpy(out + 2, values, RR_GROUP);
        return;
    }
    const int bias = type == RR_Q_Q4_0 ? 8 : 16;
    uint8_t *low = out + 2;
    if (type == RR_Q_Q5_0) {
        uint32_t high = 0;
        for (int k = 0; k < RR_GROUP; k++) {
            high |= (uint32_t)((values[k] + bias) >> 4 & 1) << k;
        }
        rr_store_u32(out + 2, high);
        low = out + 6;
    }
    for (int k = 0; k < RR_GROUP / 2; k++) {
        const int a = values[k] + bias, b = values[k + RR_GROUP / 2] + bias;
        low[k] = (uint8_t)((a & 15) | (b & 15) << 4);
    }
}

void rr_grouped_blocks(
    const rr_grouped *grouped, rr_qtype type, uint32_t row, uint32_t n, void *blocks) {
    if (type == RR_Q_F32) {
        rr_grouped_unpack(grouped, row, n, blocks);
        return;
    }
    const uint32_t block_bytes = rr_qtype_get((uint32_t)type)->block_bytes;
    const uint32_t n_blocks = grouped->cols / RR_GROUP;
    for (uint32_t b = 0; b < n_blocks; b++) {
        const uint32_t begin = b * RR_GROUP, group = begin / grouped->group;
        for (uint32_t r = 0; r < n; r++) {
            const uint32_t o = row + r;
            const int zero = zero_of(grouped, group, o);
            int8_t values[RR_GROUP];
            for (uint32_t k = 0; k < RR_GROUP; k++) {
                values[k] = (int8_t)(code_of(grouped, begin + k, o) - zero);
            }
            put_block(type, rr_f32_to_f16(scale_of(grouped, group, o)), values,
                (uint8_t *)blocks + ((size_t)r * n_blocks + b) * block_bytes);
        }
    }
}

void rr_grouped_unpack(const rr_grouped *grouped, uint32_t row, uint32_t n, float *out) {
    for (uint32_t i = 0; i < grouped->cols; i++) {
        const uint32_t group = group_of(grouped, i);
        for (uint32_t r = 0; r < n; r++) {
            const int value = code_of(grouped, i, row + r) - zero_of(grouped, group, row + r);
            out[(size_t)r * grouped->cols + i] = (float)value * scale_of(grouped, group, row + r);
        }
    }
}
