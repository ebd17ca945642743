/* The reference of quantized activations: known codes, and products against the floats they stand
 * for. */
#include <math.h>

#include "runtime/ref/lanes.h"
#include "tests/check.h"
#include "tests/support/blocks.h"

static float d_of(const uint32_t *group) {
    float d;
    memcpy(&d, group, sizeof d);
    return d;
}

static void test_quantize(void) {
    float x[3 * 64] = {0};
    int16_t codes[3 * 64];
    uint32_t groups[3 * 2 * 2];
    /* row 0: ties go to even, on both sides of 0; d is 1 */
    static const float ties[] = {
        2047, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 2045.5f, 1226.5f, 0.49f, 0.51f};
    static const int16_t expected[] = {2047, 0, 2, 2, 0, -2, -2, 2046, 1226, 0, 1};
    memcpy(x, ties, sizeof ties);
    x[16] = 3;
    x[31] = -5;
    x[32 + 7] = -4094; /* group 1: d is 2 */
    x[32 + 20] = 100;
    /* row 1: zeros; row 2: next to nothing, and just enough */
    x[128 + 1] = 9e-31f;
    x[128 + 32] = -1.1e-30f;
    rr_ref_quantize(x, 3, 64, &(rr_ref_codes){codes, groups});
    int first = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        CHECK_MSG(codes[i] == expected[i], "%g became %d, expected %d", (double)ties[i], codes[i],
            expected[i]);
        first += expected[i];
    }
    CHECK(codes[16] == 3 && codes[31] == -5 && d_of(&groups[0]) == 1.0f);
    CHECK_INT((int32_t)groups[1], first - 2 * 65536);
    CHECK(codes[39] == -2047 && codes[52] == 50 && d_of(&groups[2]) == 2.0f);
    CHECK_INT((int32_t)groups[3], -2047 + 50 * 65536);
    for (int i = 64; i < 160; i++) {
        CHECK_INT(codes[i], 0);
    }
    CHECK(groups[4] == 0 && groups[5] == 0 && groups[6] == 0 && groups[7] == 0 && groups[8] == 0 &&
        groups[9] == 0);
    CHECK(codes[160] == -2047 && d_of(&groups[10]) > 0);
    CHECK_INT((int32_t)groups[11], -2047);
    /* both words of the sums at their ends */
    for (int i = 0; i < 32; i++) {
        codes[i] = i < 16 ? -2047 : 2047;
        codes[32 + i] = (int16_t)-codes[i];
    }
    CHECK_INT((int32_t)rr_ref_code_sums(codes), -32752 + 32752 * 65536);
    CHECK_INT((int32_t)rr_ref_code_sums(codes + 32), 32752 - 32752 * 65536);
}

/* Against the unpacked floats of the layout, each within a rounding. */
static void test_product(rr_qtype a, rr_qtype b, uint32_t width) {
    enum { ROWS = 41, COLS = 256, TOKENS = 3 };
    rr_diag diag = {0};
    rr_lanes lanes = {0};
    const rr_qtype_info *info[2] = {rr_qtype_get((uint32_t)a), rr_qtype_get((uint32_t)b)};
    const uint32_t rows[2] = {32, ROWS - 32};
    uint8_t *blocks[2];
    rr_lanes_part parts[2];
    for (int i = 0; i < 2; i++) {
        size_t n = (size_t)rows[i] * COLS / info[i]->block_weights;
        blocks[i] = malloc(n * info[i]->block_bytes);
        rr_random_blocks(info[i]->type, 9 + (uint64_t)i, n, blocks[i]);
        parts[i] = (rr_lanes_part){info[i]->type, rows[i], blocks[i]};
    }
    CHECK_OK(rr_lanes_plan(parts, 2, COLS, width, &lanes, &diag), diag);
    uint8_t *device = malloc(lanes.bytes);
    for (uint32_t unit = 0; unit < lanes.n_units; unit++) {
        rr_lanes_pack_unit(&lanes, unit, device);
    }
    float x[TOKENS * COLS], weights[COLS];
    int16_t codes[TOKENS * COLS];
    uint32_t groups[TOKENS * COLS / 16];
    int32_t scratch[COLS];
    double y[TOKENS * ROWS], magnitude[TOKENS * ROWS];
    for (int i = 0; i < TOKENS * COLS; i++) {
        x[i] = (float)((i * 7919 + i * i * 13) % 2001 - 1000) / (float)(1 + i / COLS * 40);
    }
    rr_ref_codes quantized = {codes, groups};
    rr_ref_quantize(x, TOKENS, COLS, &quantized);
    rr_ref_lanes_product(&(rr_ref_lanes_product_params){.lanes = &lanes,
        .device = device,
        .x = &quantized,
        .n_tokens = TOKENS,
        .y = y,
        .magnitude = magnitude,
        .scratch = scratch});
    double worst = 0;
    for (uint32_t r = 0; r < ROWS; r++) {
        rr_lanes_unpack_row(&lanes, device, r, weights);
        for (uint32_t t = 0; t < TOKENS; t++) {
            double sum = 0, absolute = 0;
            for (uint32_t c = 0; c < COLS; c++) {
                double value = (double)d_of(&groups[(t * COLS + c) / 32 * 2]) * codes[t * COLS + c];
                sum += value * (double)weights[c];
                /* a weight with an offset is rounded from parts that are larger than it, in these
                 * blocks some hundreds */
                absolute += fabs(value) *
                    (fabs((double)weights[c]) + (lanes.format.scale == RR_LANES_AFFINE ? 600 : 0));
            }
            worst = fmax(worst, fabs(y[t * ROWS + r] - sum) / absolute);
            CHECK(magnitude[t * ROWS + r] >= fabs(y[t * ROWS + r]) * (1 - 1e-12));
        }
    }
    CHECK_MSG(worst < 1.0 / (1 << 23),
        "%s over %s, width %u: the product is %g away from the floats", info[0]->name,
        info[1]->name, width, worst);
    free(blocks[0]);
    free(blocks[1]);
    free(device);
}

static void test_norm_factor(void) {
    const float x[2 * 4] = {3, -3, 3, 3, 0, 0, 0, 0};
    double out[2];
    rr_ref_norm_factor(x, 2, 4, 0.25f, out);
    CHECK(fabs(out[0] - 1 / sqrt(9.25)) < 1e-15 && out[1] == 2.0);
}

int main(void) {
    static const rr_qtype types[] = {
        RR_Q_Q4_0, RR_Q_Q4_1, RR_Q_Q5_0, RR_Q_Q5_1, RR_Q_Q8_0, RR_Q_Q4_K, RR_Q_Q5_K, RR_Q_Q6_K};
    test_quantize();
    for (size_t a = 0; a < 8; a++) {
        for (size_t b = 0; b < 8; b++) {
            test_product(types[a], types[b], (a + b) % 2 == 0 ? 8 : 16);
        }
        test_product(types[a], types[a], 16);
    }
    test_norm_factor();
    return CHECK_END();
}
