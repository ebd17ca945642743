/* The lane layout, read bit by bit as lanes.h words it, against the file's blocks. */
#include "quant/lanes.h"

#include <math.h>

#include "tests/check.h"
#include "tests/support/blocks.h"

enum { PAD = 0xA5 };

/* The least format of every type that has one. */
static const struct {
    rr_qtype type;
    rr_lanes_format least;
} formats[] = {{RR_Q_Q4_0, {4, 32, RR_LANES_F16}}, {RR_Q_Q4_1, {4, 32, RR_LANES_AFFINE}},
    {RR_Q_Q5_0, {8, 32, RR_LANES_F16}}, {RR_Q_Q5_1, {8, 32, RR_LANES_AFFINE}},
    {RR_Q_Q8_0, {8, 32, RR_LANES_F16}}, {RR_Q_Q4_K, {4, 32, RR_LANES_AFFINE}},
    {RR_Q_Q5_K, {8, 32, RR_LANES_AFFINE}}, {RR_Q_Q6_K, {8, 16, RR_LANES_F32}}};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

static bool equal(rr_lanes_format a, rr_lanes_format b) {
    return a.bits == b.bits && a.group == b.group && a.scale == b.scale;
}

/* The `n` bits from bit `at` of the bytes on, lowest first. */
static uint32_t bits_at(const uint8_t *bytes, uint64_t at, uint32_t n) {
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; i++) {
        out |= (uint32_t)(bytes[(at + i) / 8] >> ((at + i) % 8) & 1) << i;
    }
    return out;
}

static float f32_at(const uint8_t *from) {
    float value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* What the layout says of weight (row, c), by the words of lanes.h. */
typedef struct stored {
    uint32_t code;
    float scale, offset; /* offset: AFFINE */
} stored;

static stored read_weight(const rr_lanes *l, const uint8_t *device, uint32_t row, uint32_t c) {
    const rr_lanes_format f = l->format;
    uint32_t held = 32 / l->width, unit = row / 32, lane = row % 32 / held, u = row % 32 % held;
    uint32_t per_word = 64 / f.bits;
    const uint8_t *codes = device + (uint64_t)unit * (l->cols * f.bits / 64) * held * l->width * 8;
    uint64_t word = ((uint64_t)(c / per_word) * held + u) * l->width + lane;
    uint32_t entry = (f.scale == RR_LANES_F16 ? 2 : f.scale == RR_LANES_F32 ? 4 : 8) * held;
    const uint8_t *scales = device + l->scale_offset +
        (uint64_t)unit * (l->cols / f.group) * l->width * entry +
        ((uint64_t)(c / f.group) * l->width + lane) * entry;
    stored s = {.code = bits_at(codes, word * 64 + c % per_word * f.bits, f.bits)};
    if (f.scale == RR_LANES_F16) {
        s.scale = rr_f16_to_f32((uint16_t)(scales[2 * u] | scales[2 * u + 1] << 8));
    } else {
        s.scale = f32_at(scales + 4 * u);
    }
    if (f.scale == RR_LANES_AFFINE) {
        s.offset = f32_at(scales + 4 * held + 4 * u);
    }
    return s;
}

/* Exact in double: a code has 8 bits, scale and offset 24. */
static double value_of(rr_lanes_format f, stored s) {
    if (f.scale == RR_LANES_AFFINE) {
        return (double)s.scale * s.code + (double)s.offset;
    }
    return (double)s.scale * ((double)s.code - (f.bits == 4 ? 8 : 128));
}

/* How far the layout's exact value may lie from the file's float. Without offsets the file's float
 * is the layout's value rounded. With them the file rounds the product with its own code, whose
 * magnitude is at most the product with the layout's code (where it was moved, by 8 or 128, its own
 * range lies inside), and then the sum. */
static double tolerance(rr_lanes_format f, stored s, float file) {
    const double u = 1.0 / (1 << 24);
    double product =
        f.scale == RR_LANES_AFFINE ? u * fabs((double)s.scale) * ((1u << f.bits) - 1) : 0;
    return product + u * fabs((double)file);
}

static void check_weight(const rr_lanes *l, const uint8_t *device, uint32_t row, uint32_t c,
    float file, float unpacked, const char *what) {
    stored s = read_weight(l, device, row, c);
    double value = value_of(l->format, s), allowed = tolerance(l->format, s, file);
    bool exact = l->format.scale != RR_LANES_AFFINE;
    if (exact ? memcmp(&file, &unpacked, sizeof file) != 0
              : fabs((double)unpacked - (double)file) > 2 * allowed) {
        CHECK_MSG(false, "%s: weight %u of row %u unpacks to %a, the file says %a", what, c, row,
            (double)unpacked, (double)file);
    }
    if (exact ? (float)value != file : fabs(value - (double)file) > allowed) {
        CHECK_MSG(false, "%s: weight %u of row %u reads %u: %a, the file says %a", what, c, row,
            s.code, value, (double)file);
    }
}

static void check_plan(
    const rr_lanes *l, rr_lanes_format format, uint32_t rows, uint32_t cols, uint32_t width) {
    uint32_t units = (rows + 31) / 32,
             scale = format.scale == RR_LANES_F16 ? 2
        : format.scale == RR_LANES_F32            ? 4
                                                  : 8;
    uint64_t codes = (uint64_t)units * 32 * cols * format.bits / 8;
    uint64_t scales = (uint64_t)units * 32 * (cols / format.group) * scale;
    CHECK(equal(l->format, format));
    CHECK(l->rows == rows && l->cols == cols && l->width == width && l->n_units == units);
    CHECK_INT(l->unit_bytes * units, codes);
    CHECK_INT(l->unit_scale_bytes * units, scales);
    CHECK(l->scale_offset % 256 == 0 && l->scale_offset >= codes && l->scale_offset < codes + 256);
    CHECK(l->bytes % 256 == 0 && l->bytes >= l->scale_offset + scales &&
        l->bytes < l->scale_offset + scales + 256);
}

/* Rows past the end read as zero codes with zero scales and offsets: 0 whatever the activations
 * are. */
static void check_ragged(const rr_lanes *l, const uint8_t *device, const char *what) {
    for (uint32_t row = l->rows; row < l->n_units * 32; row++) {
        for (uint32_t c = 0; c < l->cols; c++) {
            stored s = read_weight(l, device, row, c);
            uint32_t scale, offset;
            memcpy(&scale, &s.scale, sizeof scale);
            memcpy(&offset, &s.offset, sizeof offset);
            if (s.code != 0 || scale != 0 || offset != 0) {
                CHECK_MSG(
                    false, "%s: row %u, past the end, holds something at column %u", what, row, c);
                return;
            }
        }
    }
}

typedef struct stack {
    rr_qtype types[RR_LANES_PARTS];
    uint32_t rows[RR_LANES_PARTS], n;
} stack;

static void check_stack(const stack *s, uint32_t cols, uint32_t width, rr_lanes_format expected) {
    rr_diag diag = {0};
    rr_lanes l = {0};
    rr_lanes_part parts[RR_LANES_PARTS];
    uint8_t *blocks[RR_LANES_PARTS] = {NULL};
    size_t row_bytes[RR_LANES_PARTS];
    uint32_t rows = 0;
    char what[128] = "";
    for (uint32_t i = 0; i < s->n; i++) {
        const rr_qtype_info *info = rr_qtype_get((uint32_t)s->types[i]);
        row_bytes[i] = (size_t)(cols / info->block_weights) * info->block_bytes;
        blocks[i] = malloc(s->rows[i] * row_bytes[i]);
        rr_random_blocks(s->types[i], s->rows[i] * 1000003ull + cols + i,
            s->rows[i] * row_bytes[i] / info->block_bytes, blocks[i]);
        parts[i] = (rr_lanes_part){s->types[i], s->rows[i], blocks[i]};
        size_t used = strlen(what);
        snprintf(what + used, sizeof what - used, "%s %u, ", info->name, s->rows[i]);
        rows += s->rows[i];
    }
    size_t used = strlen(what);
    snprintf(what + used, sizeof what - used, "cols %u, width %u", cols, width);
    CHECK_OK(rr_lanes_plan(parts, s->n, cols, width, &l, &diag), diag);
    check_plan(&l, expected, rows, cols, width);
    uint8_t *device = malloc(l.bytes), *again = malloc(l.bytes);
    float *file = malloc(cols * sizeof *file), *unpacked = malloc(cols * sizeof *unpacked);
    memset(device, PAD, l.bytes);
    memset(again, PAD, l.bytes);
    for (uint32_t unit = 0; unit < l.n_units; unit++) {
        rr_lanes_pack_unit(&l, unit, device);
        /* in any order, each touches its own bytes only */
        rr_lanes_pack_unit(&l, l.n_units - 1 - unit, again);
    }
    CHECK_MSG(memcmp(device, again, l.bytes) == 0, "%s: the order of packing matters", what);
    for (uint32_t i = 0, row = 0; i < s->n; i++) {
        for (uint32_t r = 0; r < s->rows[i]; r++, row++) {
            rr_blocks_unpack(s->types[i], blocks[i] + r * row_bytes[i], cols, file);
            rr_lanes_unpack_row(&l, device, row, unpacked);
            for (uint32_t c = 0; c < cols; c++) {
                check_weight(&l, device, row, c, file[c], unpacked[c], what);
            }
        }
        free(blocks[i]);
    }
    check_ragged(&l, device, what);
    uint64_t codes_end = l.unit_bytes * l.n_units,
             end = l.scale_offset + l.unit_scale_bytes * l.n_units;
    for (uint64_t b = codes_end; b < l.bytes; b++) { /* between the parts and behind: nobody's */
        if ((b < l.scale_offset || b >= end) && device[b] != PAD) {
            CHECK_MSG(false, "%s: packing wrote byte %" PRIu64, what, b);
            break;
        }
    }
    free(unpacked);
    free(file);
    free(again);
    free(device);
}

/* Each type has its least format; it survives the way through a number, and no two formats share
 * one. */
static void knows_formats(void) {
    size_t n, known = 0;
    const rr_qtype_info *all = rr_qtype_all(&n);
    uint32_t codes[N_FORMATS];
    for (size_t t = 0; t < n; t++) {
        rr_lanes_format found = {77, 77, RR_LANES_F32};
        bool has = rr_lanes_format_of(all[t].type, &found);
        for (size_t i = 0; has && i < N_FORMATS; i++) {
            if (formats[i].type == all[t].type) {
                CHECK_MSG(equal(found, formats[i].least), "%s", all[t].name);
                codes[known] = rr_lanes_code(found);
                CHECK(codes[known] != 0 && equal(rr_lanes_decode(codes[known]), found));
                known++;
            }
        }
        CHECK_MSG(has == (all[t].lo_bits < 16), "%s", all[t].name);
        CHECK(has || found.bits == 77);
    }
    CHECK_INT(known, N_FORMATS);
    for (size_t i = 0; i < N_FORMATS; i++) {
        for (size_t k = 0; k < i; k++) {
            rr_lanes_format a = rr_lanes_decode(codes[i]), b = rr_lanes_decode(codes[k]);
            CHECK((codes[i] == codes[k]) == equal(a, b));
        }
    }
}

/* The joined format holds both: as many bits as the wider, as small groups as the finer, offsets
 * where one has them. */
static rr_lanes_format joined(const stack *s) {
    rr_lanes_format out = {0, 99, RR_LANES_F16};
    for (uint32_t i = 0; i < s->n; i++) {
        for (size_t f = 0; f < N_FORMATS; f++) {
            if (formats[f].type == s->types[i]) {
                out.bits = formats[f].least.bits > out.bits ? formats[f].least.bits : out.bits;
                out.group = formats[f].least.group < out.group ? formats[f].least.group : out.group;
                out.scale = formats[f].least.scale > out.scale ? formats[f].least.scale : out.scale;
            }
        }
    }
    return out;
}

static void check_both_widths(const stack *s, uint32_t cols) {
    check_stack(s, cols, 8, joined(s));
    check_stack(s, cols, 16, joined(s));
}

static void refuses(void) {
    rr_diag diag = {0};
    rr_lanes l = {.rows = 77};
    const uint8_t nothing[1] = {0};
    rr_lanes_part parts[3] = {
        {RR_Q_Q8_0, 32, nothing}, {RR_Q_Q8_0, 64, nothing}, {RR_Q_Q4_K, 5, nothing}};
    static const uint32_t widths[] = {0, 1, 4, 7, 9, 15, 17, 32, 64};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        CHECK_INT(rr_lanes_plan(parts, 1, 256, widths[i], &l, &diag), RR_E_UNSUPPORTED);
    }
    static const uint32_t cols[] = {0, 1, 31, 33, 240};
    for (size_t i = 0; i < sizeof cols / sizeof cols[0]; i++) {
        CHECK_INT(rr_lanes_plan(parts, 1, cols[i], 8, &l, &diag), RR_E_INPUT);
    }
    /* half a block of Q4_K is no block */
    CHECK_INT(rr_lanes_plan(parts, 3, 288, 8, &l, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "Q4_K") != NULL && strstr(diag.text, "288") != NULL);
    static const rr_qtype floats[] = {RR_Q_F32, RR_Q_F16, RR_Q_BF16};
    for (size_t i = 0; i < 3; i++) {
        parts[1].type = floats[i];
        CHECK_INT(rr_lanes_plan(parts, 3, 256, 8, &l, &diag), RR_E_UNSUPPORTED);
    }
    parts[1] = (rr_lanes_part){RR_Q_Q8_0, 48, nothing}; /* not whole units, and not the last */
    CHECK_INT(rr_lanes_plan(parts, 3, 256, 8, &l, &diag), RR_E_INPUT);
    parts[1].rows = 0;
    CHECK_INT(rr_lanes_plan(parts, 3, 256, 8, &l, &diag), RR_E_INPUT);
    parts[1].rows = UINT32_MAX / 32 * 32;
    CHECK_INT(rr_lanes_plan(parts, 3, 256, 8, &l, &diag), RR_E_INPUT);
    parts[2].rows = 0;
    parts[1].rows = 64;
    CHECK_INT(rr_lanes_plan(parts, 3, 256, 8, &l, NULL), RR_E_INPUT);
    CHECK_INT(l.rows, 77);
    /* large ones do not overflow inside */
    rr_lanes_part large = {RR_Q_Q6_K, UINT32_MAX - 63, nothing};
    CHECK_OK(rr_lanes_plan(&large, 1, 1u << 20, 16, &l, &diag), diag);
    CHECK_INT(l.unit_bytes, 32ull << 20);
    CHECK(l.scale_offset == l.unit_bytes * l.n_units && l.bytes > l.scale_offset);
}

int main(void) {
    static const uint32_t cols[] = {32, 64, 96, 256, 512, 896};
    static const uint32_t rows[] = {1, 31, 32, 33, 64, 97};
    for (size_t f = 0; f < N_FORMATS; f++) {
        uint32_t block = rr_qtype_get((uint32_t)formats[f].type)->block_weights;
        for (size_t c = 0; c < sizeof cols / sizeof cols[0]; c++) {
            for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
                if (cols[c] % block == 0) {
                    check_both_widths(&(stack){{formats[f].type}, {rows[r]}, 1}, cols[c]);
                }
            }
        }
        /* stacked with every other type, before and behind, the last one ragged; three as q, k and
         * v are */
        for (size_t g = 0; g < N_FORMATS; g++) {
            check_both_widths(&(stack){{formats[f].type, formats[g].type}, {64, 37}, 2}, 256);
            check_both_widths(
                &(stack){{formats[f].type, formats[f].type, formats[g].type}, {96, 32, 32}, 3},
                512);
        }
    }
    knows_formats();
    refuses();
    return CHECK_END();
}
