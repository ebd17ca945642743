/* The reference ops on cases whose results are known without computing. */
#include <math.h>

#include "runtime/ref/ref.h"
#include "tests/check.h"

static void test_matrix_sources(void) {
    enum { ROWS = 3, COLS = 256 };
    size_t n;
    const rr_qtype_info *all = rr_qtype_all(&n);
    for (size_t f = 0; f < n; f++) {
        float weights[COLS], one[COLS], other[COLS];
        rr_planes planes;
        rr_diag diag = {0};
        size_t row_bytes = COLS / all[f].block_weights * all[f].block_bytes;
        uint8_t *blocks = malloc(ROWS * row_bytes);
        for (uint32_t r = 0; r < ROWS; r++) {
            for (uint32_t c = 0; c < COLS; c++) {
                weights[c] = (float)((int)((c * 37 + r * 11) % 101) - 50) / 16;
            }
            rr_blocks_quantize(all[f].type, weights, COLS, blocks + r * row_bytes);
        }
        CHECK_OK(rr_planes_plan(all[f].type, ROWS, COLS, &planes, &diag), diag);
        uint8_t *device = malloc(planes.bytes);
        rr_planes_pack(&planes, blocks, 0, ROWS, device);
        rr_ref_matrix file = {.rows = ROWS, .cols = COLS, .type = all[f].type, .blocks = blocks};
        rr_ref_matrix packed = {.rows = ROWS, .cols = COLS, .planes = &planes, .device = device};
        for (uint32_t r = 0; r < ROWS; r++) {
            rr_ref_embed(&file, &r, 1, one);
            rr_ref_embed(&packed, &r, 1, other);
            CHECK_MSG(memcmp(one, other, sizeof one) == 0, "%s row %u: blocks and planes differ",
                all[f].name, r);
        }
        free(blocks);
        free(device);
    }
}

static void test_matmul(void) {
    const float w[2 * 32] = {[0] = 1, [1] = 2, [31] = 3, [32] = -1, [63] = 4};
    const float x[2 * 36] = {[0] = 10, [1] = 100, [31] = 1000, [36] = 1, [67] = 2};
    const float bias[2] = {0.5f, -0.5f};
    float y[2 * 3] = {7, 8, 99, 9, 10, 99}, scratch[32];
    rr_ref_matmul_params params = {.matrix = {.rows = 2, .cols = 32, .type = RR_Q_F32, .blocks = w},
        .x = x,
        .x_stride = 36,
        .y_stride = 3,
        .n_tokens = 2,
        .bias = bias,
        .residual = y,
        .y = y,
        .scratch = scratch};
    rr_ref_matmul(&params);
    const float expected[6] = {10 + 200 + 3000 + 0.5f + 7, -10 + 4000 - 0.5f + 8, 99,
        1 + 6 + 0.5f + 9, -1 + 8 - 0.5f + 10, 99};
    for (int i = 0; i < 6; i++) {
        CHECK_MSG(
            y[i] == expected[i], "%d: found %g, expected %g", i, (double)y[i], (double)expected[i]);
    }
}

static void test_rmsnorm(void) {
    float x[2 * 4] = {3, -3, 3, 3, 0, 0, 0, 0};
    const float weight[4] = {1, 2, 0, -1}, expected[8] = {1, -2, 0, -1, 0, 0, 0, 0};
    rr_ref_rmsnorm(x, weight, 2, 4, 0, x);
    CHECK(x[0] == expected[0] && x[1] == expected[1] && x[2] == expected[2] && x[3] == expected[3]);
    CHECK(isnan(x[4])); /* 0 / 0 with epsilon 0 */
    float small[4] = {1e-3f, 1e-3f, 1e-3f, 1e-3f};
    rr_ref_rmsnorm(small, weight, 1, 4, 3e-6f, small);
    CHECK_MSG(fabsf(small[0] - 0.5f) < 1e-6f, "epsilon: found %g", (double)small[0]);
}

static void test_rope_and_cache(void) {
    enum { SIZE = 16, CONTEXT = 8 };
    float table[CONTEXT * SIZE], row[3 * SIZE];
    uint16_t half[2 * CONTEXT * SIZE] = {0};
    rr_ref_rope_table(100, SIZE, CONTEXT, table);
    CHECK(table[0] == 1 && table[1] == 0); /* position 0 turns nothing */
    CHECK_MSG(fabs((double)table[3 * SIZE + 2] - cos(3 * pow(100, -2.0 / SIZE))) < 1e-7, "found %g",
        (double)table[3 * SIZE + 2]);
    for (int i = 0; i < 3 * SIZE; i++) {
        row[i] = (float)(i % SIZE == 1); /* dimension 1 of each head */
    }
    const uint32_t position = 3;
    rr_ref_rope(row, 3 * SIZE, &position, 1, table, 2, SIZE);
    for (int h = 0; h < 2; h++) {
        CHECK(row[h * SIZE + 1] == table[3 * SIZE + 2] &&
            row[h * SIZE + 1 + SIZE / 2] == table[3 * SIZE + 3]);
    }
    CHECK(row[2 * SIZE + 1] == 1 && row[2 * SIZE + 1 + SIZE / 2] == 0); /* v is not turned */

    rr_ref_kv kv = {.n_kv_heads = 1, .n_context = CONTEXT, .head_size = SIZE, .f16 = half};
    row[2 * SIZE] = 1.0f + 1.0f / 4096; /* not an f16: rounds to 1 */
    rr_ref_kv_write(&kv, 5, row + SIZE, row + 2 * SIZE);
    CHECK_INT(half[(CONTEXT + 5) * SIZE], rr_f32_to_f16(1.0f));
    CHECK_INT(half[5 * SIZE + 1], rr_f32_to_f16(table[3 * SIZE + 2]));
    CHECK_INT(half[4 * SIZE + 1], 0);
}

/* Equal scores give the mean of what a position may see; a far larger score takes all. */
static void test_attention(void) {
    enum { SIZE = 16, HEADS = 4, CONTEXT = 4 };
    float cache[2 * 2 * CONTEXT * SIZE] = {0}, q[HEADS * SIZE] = {0}, y[HEADS * SIZE];
    rr_ref_kv kv = {.n_kv_heads = 2, .n_context = CONTEXT, .head_size = SIZE, .f32 = cache};
    for (uint32_t p = 0; p < CONTEXT; p++) {
        float k[2 * SIZE] = {0}, v[2 * SIZE] = {0};
        k[SIZE] = (float)p; /* of the second KV head */
        v[0] = (float)(p + 1);
        v[SIZE] = (float)(10 * p);
        rr_ref_kv_write(&kv, p, k, v);
    }
    q[3 * SIZE] = 1000; /* the last query head */
    const uint32_t position = 2;
    double scratch[CONTEXT + 3 * SIZE];
    CHECK(rr_ref_attention_scratch(&kv) <= sizeof scratch / sizeof scratch[0]);
    rr_ref_attention_params params = {.q = q,
        .positions = &position,
        .n_rows = 1,
        .n_heads = HEADS,
        .q_stride = HEADS * SIZE,
        .scale = 0.25f,
        .kv = kv,
        .y = y};
    for (uint32_t h = 0; h < HEADS; h++) {
        rr_ref_attention_head(&params, h, scratch);
    }
    CHECK_MSG(y[0] == 2 && y[SIZE] == 2, "mean of 1, 2, 3: found %g and %g", (double)y[0],
        (double)y[SIZE]);
    CHECK_MSG(y[2 * SIZE] == 10, "mean of 0, 10, 20: found %g", (double)y[2 * SIZE]);
    CHECK_MSG(y[3 * SIZE] == 20, "the last visible key takes all: found %g", (double)y[3 * SIZE]);
}

/* Two query heads of two KV heads: one whose scores are equal, one whose scores are 0, ln 2, ln 4,
 * ln 8 by position. */
static void test_attention_mass(void) {
    enum { SIZE = 16, HEADS = 2, CONTEXT = 4, ROWS = 3, LISTED = 2, SPANS = 5, STRIDE = 6 };
    float cache[2 * HEADS * CONTEXT * SIZE] = {0}, q[ROWS * HEADS * SIZE] = {0};
    rr_ref_kv kv = {.n_kv_heads = HEADS, .n_context = CONTEXT, .head_size = SIZE, .f32 = cache};
    for (uint32_t p = 0; p < CONTEXT; p++) {
        float k[HEADS * SIZE] = {0}, v[HEADS * SIZE] = {0};
        k[SIZE] = (float)p;
        v[0] = v[SIZE] = NAN; /* is not looked at */
        rr_ref_kv_write(&kv, p, k, v);
    }
    for (int r = 0; r < ROWS; r++) {
        q[(r * HEADS + 1) * SIZE] = 4 * logf(2);
    }
    const uint32_t positions[ROWS] = {2, 0, 3}, list[LISTED] = {2, 0};
    const uint32_t spans[SPANS][2] = {{0, 4}, {1, 3}, {2, 2}, {3, 9}, {2, 3}};
    float weights[LISTED * HEADS * STRIDE], totals[LISTED * HEADS], mass[LISTED * HEADS * SPANS];
    double scratch[CONTEXT + 3 * SIZE], magnitude[LISTED * HEADS];
    for (int i = 0; i < LISTED * HEADS * STRIDE; i++) {
        weights[i] = 99;
    }
    const rr_ref_mass_params params = {.attention = {.q = q,
                                           .positions = positions,
                                           .n_rows = ROWS,
                                           .n_heads = HEADS,
                                           .q_stride = HEADS * SIZE,
                                           .scale = 0.25f,
                                           .kv = kv,
                                           .score_magnitude = magnitude},
        .list = list,
        .spans = &spans[0][0],
        .n_listed = LISTED,
        .n_spans = SPANS,
        .n_keys = CONTEXT,
        .w_stride = STRIDE,
        .weights = weights,
        .totals = totals,
        .mass = mass};
    for (uint32_t h = 0; h < HEADS; h++) {
        rr_ref_attention_mass_head(&params, h, scratch);
    }
    const float expected_weights[] = {1, 1, 1, 1, 99, 99, 0.125f, 0.25f, 0.5f, 1, 99, 99, 1, 1, 1,
        0, 99, 99, 0.25f, 0.5f, 1, 0, 99, 99};
    const float expected_totals[] = {4, 1.875f, 3, 1.75f};
    const float expected_mass[] = {1, 0.5f, 0, 0.25f, 0.25f, 1, 0.4f, 0, 8 / 15.0f, 4 / 15.0f, 1,
        2 / 3.0f, 0, 0, 1 / 3.0f, 1, 6 / 7.0f, 0, 0, 4 / 7.0f};
    for (int i = 0; i < LISTED * HEADS * STRIDE; i++) {
        CHECK_MSG(fabsf(weights[i] - expected_weights[i]) < 1e-6f,
            "weight %d: found %g, expected %g", i, (double)weights[i], (double)expected_weights[i]);
    }
    for (int i = 0; i < LISTED * HEADS; i++) {
        CHECK_MSG(fabsf(totals[i] - expected_totals[i]) < 2e-6f, "total %d: found %g, expected %g",
            i, (double)totals[i], (double)expected_totals[i]);
    }
    for (int i = 0; i < LISTED * HEADS * SPANS; i++) {
        CHECK_MSG(fabsf(mass[i] - expected_mass[i]) < 1e-6f, "mass %d: found %g, expected %g", i,
            (double)mass[i], (double)expected_mass[i]);
    }
    CHECK(magnitude[0] == 0 && fabs(magnitude[1] - 3 * log(2)) < 1e-6 &&
        fabs(magnitude[3] - 2 * log(2)) < 1e-6);
}

static void test_token_mass(void) {
    enum { LISTED = 2, HEADS = 2, KEYS = 2, W_STRIDE = 3, Y_STRIDE = 4 };
    const float weights[LISTED * HEADS * W_STRIDE] = {1, 3, NAN, 1, 1, NAN, 1, 0, NAN, 1, 7, NAN};
    const float totals[LISTED * HEADS] = {4, 2, 1, 8}, factors[LISTED * HEADS] = {1, -2, 0.5f, 2};
    float y[LISTED * Y_STRIDE] = {10, 20, 99, 99, -1, 30, 99, 99};
    double magnitude[LISTED * KEYS];
    rr_ref_token_mass_params params = {.weights = weights,
        .totals = totals,
        .factors = factors,
        .n_listed = LISTED,
        .n_heads = HEADS,
        .n_keys = KEYS,
        .w_stride = W_STRIDE,
        .y_stride = Y_STRIDE,
        .adds = true,
        .y = y,
        .magnitude = magnitude};
    rr_ref_token_mass(&params);
    const float sums[LISTED * Y_STRIDE] = {
        0.25f - 1, 0.75f - 1, 99, 99, 0.5f + 0.25f, 1.75f, 99, 99};
    const float before[LISTED * Y_STRIDE] = {10, 20, 0, 0, -1, 30, 0, 0};
    for (int i = 0; i < LISTED * Y_STRIDE; i++) {
        CHECK_MSG(y[i] == before[i] + sums[i], "adding, %d: found %g, expected %g", i, (double)y[i],
            (double)(before[i] + sums[i]));
    }
    CHECK(magnitude[0] == 11.25 && magnitude[1] == 21.75 && magnitude[2] == 1.75 &&
        magnitude[3] == 31.75);
    params.adds = false;
    params.magnitude = NULL;
    rr_ref_token_mass(&params);
    for (int i = 0; i < LISTED * Y_STRIDE; i++) {
        CHECK_MSG(y[i] == sums[i], "%d: found %g, expected %g", i, (double)y[i], (double)sums[i]);
    }
}

static void test_rows(void) {
    const float gate_up[4] = {0, 2, 5, 3};
    float y[2];
    rr_ref_swiglu(gate_up, 1, 2, y);
    CHECK(y[0] == 0);
    CHECK_MSG(fabs((double)y[1] - 2 / (1 + exp(-2.0)) * 3) < 1e-6, "found %g", (double)y[1]);

    const float rows[5][4] = {{1, 3, 3, 2}, {NAN, -5, NAN, -4}, {NAN, -INFINITY, -INFINITY, NAN},
        {NAN, NAN, NAN, NAN}, {0.0f, -0.0f, -1, INFINITY}};
    const uint32_t expected[5] = {1, 3, 1, 0, 3};
    uint32_t best[5];
    rr_ref_argmax(&rows[0][0], 5, 4, best);
    for (int r = 0; r < 5; r++) {
        CHECK_INT(best[r], expected[r]);
    }
}

int main(void) {
    test_matrix_sources();
    test_matmul();
    test_rmsnorm();
    test_rope_and_cache();
    test_attention();
    test_attention_mass();
    test_token_mass();
    test_rows();
    return CHECK_END();
}
