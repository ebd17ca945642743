/* Codes with scales and zero points by groups: every value against a slow reading of the layout,
 * blocks against values bit for bit, and the conventions of zeros. */
#include "quant/grouped.h"

#include <math.h>

#include "quant/codec.h"
#include "tests/check.h"

enum { ROWS = 40, COLS = 192, MAX_GROUPS = COLS };

static uint64_t seed = 7;

static uint32_t random_below(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* A layer as it is meant, and as it is stored. */
typedef struct layer {
    uint32_t bits, group, n_groups;
    uint32_t code[COLS][ROWS], zero[MAX_GROUPS][ROWS], groups[COLS];
    uint16_t scale[MAX_GROUPS][ROWS]; /* f16 */
    uint8_t codes[COLS * ROWS], zeros[MAX_GROUPS * ROWS];
    rr_grouped grouped;
} layer;

static void put(uint8_t *words, size_t word, uint32_t place, uint32_t bits, uint32_t value) {
    uint32_t w;
    memcpy(&w, words + 4 * word, sizeof w);
    w |= value << (place * bits);
    memcpy(words + 4 * word, &w, sizeof w);
}

/* Stores codes and zeros of a layer. `less` is what the writer subtracts from a zero. */
static void store(layer *l, rr_grouped_layout layout, uint32_t less) {
    static const uint32_t order[8] = {0, 2, 4, 6, 1, 3, 5, 7}; /* nibble k of AWQ is this output */
    const uint32_t per_word = 32 / l->bits, most = (1u << l->bits) - 1;
    memset(l->codes, 0, sizeof l->codes);
    memset(l->zeros, 0, sizeof l->zeros);
    for (uint32_t i = 0; i < COLS; i++) {
        for (uint32_t o = 0; o < ROWS; o++) {
            if (layout == RR_GROUPED_GPTQ) {
                put(l->codes, (size_t)(i / per_word) * ROWS + o, i % per_word, l->bits,
                    l->code[i][o]);
            }
        }
        for (uint32_t w = 0; w < ROWS / 8 && layout == RR_GROUPED_AWQ; w++) {
            for (uint32_t k = 0; k < 8; k++) {
                put(l->codes, (size_t)i * (ROWS / 8) + w, k, 4, l->code[i][8 * w + order[k]]);
            }
        }
    }
    for (uint32_t g = 0; g < l->n_groups; g++) {
        for (uint32_t w = 0; w < ROWS / per_word; w++) {
            for (uint32_t k = 0; k < per_word; k++) {
                const uint32_t o = per_word * w + (layout == RR_GROUPED_AWQ ? order[k] : k);
                put(l->zeros, (size_t)g * (ROWS / per_word) + w, k, l->bits,
                    (l->zero[g][o] - less) & most);
            }
        }
    }
}

/* zero < 0 = random ones. */
static void make(layer *l, rr_grouped_layout layout, uint32_t bits, uint32_t group, int zero,
    uint32_t less, bool scattered) {
    l->bits = bits;
    l->group = group;
    l->n_groups = (COLS + group - 1) / group;
    for (uint32_t i = 0; i < COLS; i++) {
        l->groups[i] = scattered ? random_below(l->n_groups) : i / group;
        for (uint32_t o = 0; o < ROWS; o++) {
            l->code[i][o] = random_below(1u << bits);
        }
    }
    for (uint32_t g = 0; g < l->n_groups; g++) {
        for (uint32_t o = 0; o < ROWS; o++) {
            l->zero[g][o] = zero < 0 ? random_below(1u << bits) : (uint32_t)zero;
            l->scale[g][o] = (uint16_t)(0x2000 + random_below(0x1000) + (random_below(2) << 15));
        }
    }
    store(l, layout, less);
    l->grouped = (rr_grouped){.layout = layout,
        .bits = bits,
        .rows = ROWS,
        .cols = COLS,
        .group = group,
        .n_groups = l->n_groups,
        .codes = l->codes,
        .zeros = l->zeros,
        .scales = (const uint8_t *)l->scale,
        .scale_type = RR_Q_F16,
        .groups = scattered ? l->groups : NULL,
        .zero_rule = less == 0 ? RR_ZERO_AS_STORED : RR_ZERO_PLUS_ONE};
}

/* Values and blocks of some rows in the middle and of all. */
static void check(const layer *l, rr_qtype type, const char *what) {
    static float found[ROWS][COLS], expected[ROWS][COLS], again[COLS];
    static uint8_t blocks[ROWS * COLS * 4];
    for (uint32_t o = 0; o < ROWS; o++) {
        for (uint32_t i = 0; i < COLS; i++) {
            const uint32_t g = l->groups[i];
            expected[o][i] =
                (float)((int)l->code[i][o] - (int)l->zero[g][o]) * rr_f16_to_f32(l->scale[g][o]);
        }
    }
    rr_grouped_unpack(&l->grouped, 0, ROWS, &found[0][0]);
    CHECK_MSG(memcmp(found, expected, sizeof found) == 0, "%s: values", what);
    rr_grouped_unpack(&l->grouped, 7, 3, &found[0][0]);
    CHECK_MSG(memcmp(found, expected[7], 3 * sizeof expected[0]) == 0, "%s: rows 7 to 9", what);
    CHECK_MSG(rr_grouped_type(&l->grouped) == type, "%s: type %d, expected %d", what,
        (int)rr_grouped_type(&l->grouped), (int)type);
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    const size_t row_bytes = COLS / info->block_weights * info->block_bytes;
    for (uint32_t first = 0; first < 2; first++) {
        rr_grouped_blocks(&l->grouped, type, first, ROWS - first, blocks);
        for (uint32_t o = first; o < ROWS; o++) {
            rr_blocks_unpack(type, blocks + (o - first) * row_bytes, COLS, again);
            CHECK_MSG(
                memcmp(again, expected[o], sizeof again) == 0, "%s: blocks of row %u", what, o);
        }
    }
}

static void reads_layers(void) {
    static layer l;
    static const uint32_t sizes[] = {32, 64, 96, 128, COLS};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (uint32_t less = 0; less < 2; less++) {
            make(&l, RR_GROUPED_GPTQ, 4, sizes[s], 8, less, false);
            check(&l, RR_Q_Q4_0, "gptq 4 symmetric");
            make(&l, RR_GROUPED_GPTQ, 4, sizes[s], -1, less, false);
            check(&l, RR_Q_Q5_0, "gptq 4");
            make(&l, RR_GROUPED_GPTQ, 8, sizes[s], 128, less, false);
            check(&l, RR_Q_Q8_0, "gptq 8 symmetric");
            make(&l, RR_GROUPED_GPTQ, 8, sizes[s], -1, less, false);
            check(&l, RR_Q_F32, "gptq 8");
        }
        make(&l, RR_GROUPED_GPTQ, 4, sizes[s], 8, 1, sizes[s] != COLS);
        check(&l, sizes[s] != COLS ? RR_Q_F32 : RR_Q_Q4_0, "act-order");
        make(&l, RR_GROUPED_AWQ, 4, sizes[s], -1, 0, false);
        check(&l, RR_Q_Q5_0, "awq");
        make(&l, RR_GROUPED_AWQ, 4, sizes[s], 8, 0, false);
        l.grouped.zeros = NULL;
        check(&l, RR_Q_Q4_0, "awq without zeros");
    }
    make(&l, RR_GROUPED_GPTQ, 4, 24, 8, 1, false);
    check(&l, RR_Q_F32, "a group across blocks");
}

/* Scales of other types: where an f16 says the same, and where not. */
static void reads_scales(void) {
    static layer l;
    static float scales[MAX_GROUPS][ROWS];
    make(&l, RR_GROUPED_GPTQ, 4, 64, 8, 1, false);
    for (uint32_t g = 0; g < l.n_groups; g++) {
        for (uint32_t o = 0; o < ROWS; o++) {
            scales[g][o] = rr_f16_to_f32(l.scale[g][o]);
        }
    }
    l.grouped.scales = (const uint8_t *)scales;
    l.grouped.scale_type = RR_Q_F32;
    check(&l, RR_Q_Q4_0, "f32 scales that are f16");
    scales[2][5] = 0.1f;
    CHECK_INT(rr_grouped_type(&l.grouped), RR_Q_F32);
    float row[COLS];
    rr_grouped_unpack(&l.grouped, 5, 1, row);
    CHECK(row[COLS - 1] == (float)((int)l.code[COLS - 1][5] - 8) * 0.1f);
}

/* Two lanes of zeros 0 and 5, as two writers store them, and the words around. */
static void reads_borrowed_zeros(void) {
    static layer l;
    make(&l, RR_GROUPED_GPTQ, 4, COLS, 0, 1, false);
    for (uint32_t o = 0; o < ROWS; o++) {
        l.zero[0][o] = o % 2 == 0 ? 0 : 5;
    }
    store(&l, RR_GROUPED_GPTQ, 1);
    CHECK_INT(l.zeros[0], 0x4F); /* lane by lane */
    check(&l, RR_Q_Q5_0, "lane by lane");
    store(&l, RR_GROUPED_GPTQ, 0);
    for (uint32_t w = 0; w < ROWS / 8; w++) {
        uint32_t word;
        memcpy(&word, l.zeros + 4 * (size_t)w, sizeof word);
        word -= 0x11111111u;
        memcpy(l.zeros + 4 * (size_t)w, &word, sizeof word);
    }
    CHECK_INT(l.zeros[0], 0x3F); /* the borrow runs on */
    l.grouped.zero_rule = RR_ZERO_PLUS_ONE_WORD;
    check(&l, RR_Q_Q5_0, "word by word");
    const rr_zero_range range = rr_grouped_stored_zeros(&l.grouped);
    CHECK(range.least == 3 && range.most == 15);
}

int main(void) {
    reads_layers();
    reads_scales();
    reads_borrowed_zeros();
    return CHECK_END();
}
