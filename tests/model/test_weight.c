/* Rows of a weight however it is held: as blocks, made of codes and scales, rounded from floats. */
#include "runtime/model/weight.h"

#include "runtime/model/model.h"
#include "tests/check.h"
#include "tests/support/synth.h"

enum { ROWS = 5, COLS = 288 }; /* a piece and a part of one */

static float values[ROWS][COLS];

static void fill(void) {
    uint64_t state = 3;
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLS; c++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            values[r][c] = (float)(int32_t)(state >> 32) / 2147483648.0f;
        }
    }
}

/* Rounding piece by piece gives what rounding whole rows gives. */
static void rounds(void) {
    static const rr_qtype types[] = {
        RR_Q_Q4_0, RR_Q_Q4_1, RR_Q_Q5_0, RR_Q_Q5_1, RR_Q_Q8_0, RR_Q_F16, RR_Q_BF16};
    static uint8_t stored[ROWS * COLS * 4 + 1], blocks[ROWS * COLS * 4], expected[COLS * 4];
    static float found[ROWS][COLS], row[COLS];
    memcpy(stored + 1, values, sizeof values); /* at an odd address, as files may have them */
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        rr_weight w = {.type = RR_Q_F32,
            .rows = ROWS,
            .cols = COLS,
            .data = stored + 1,
            .bytes = sizeof values};
        CHECK(rr_weight_quantize(&w, types[t]));
        CHECK(w.data == NULL && w.type == types[t]);
        const size_t row_bytes = (size_t)rr_weight_row_bytes(&w);
        CHECK_INT(w.bytes, row_bytes * ROWS);
        rr_weight_blocks(&w, 1, ROWS - 1, blocks);
        rr_weight_unpack(&w, 1, ROWS - 1, &found[1][0]);
        for (int r = 1; r < ROWS; r++) {
            rr_blocks_quantize(types[t], values[r], COLS, expected);
            rr_blocks_unpack(types[t], expected, COLS, row);
            CHECK_MSG(memcmp(blocks + (size_t)(r - 1) * row_bytes, expected, row_bytes) == 0,
                "type %d row %d", (int)types[t], r);
            CHECK_MSG(memcmp(found[r], row, sizeof row) == 0, "type %d row %d", (int)types[t], r);
        }
    }
}

static void leaves_others(void) {
    uint8_t blocks[64] = {0};
    rr_weight quantized = {.type = RR_Q_Q8_0, .rows = 2, .cols = 32, .data = blocks};
    rr_weight vector = {.type = RR_Q_F16, .rows = 1, .cols = 32, .data = blocks};
    rr_weight matrix = {.type = RR_Q_F16, .rows = 2, .cols = 32, .data = blocks};
    CHECK(!rr_weight_quantize(&quantized, RR_Q_Q4_0) && quantized.data == blocks);
    CHECK(!rr_weight_quantize(&vector, RR_Q_Q4_0) && vector.type == RR_Q_F16);
    CHECK(!rr_weight_quantize(&matrix, RR_Q_Q4_K) && matrix.type == RR_Q_F16); /* 32 columns */
    CHECK(!rr_weight_quantize(&matrix, (rr_qtype)99) && matrix.type == RR_Q_F16);
}

/* The matrices of a model that are floats, its embedding and head in more bits. */
static void quantizes_models(void) {
    rr_diag diag = {0};
    for (int tied = 0; tied < 2; tied++) {
        const rr_synth params = {.tied = tied == 1, .down = RR_Q_Q5_0, .vectors = RR_Q_F16};
        rr_buf storage = {0};
        rr_model *model = NULL;
        CHECK_OK(rr_synth_open(&params, &storage, &model, &diag), diag);
        if (model != NULL) {
            const uint64_t fingerprint = rr_model_fingerprint(model);
            rr_model_quantize(model, RR_Q_Q4_0);
            const rr_model_layer *l = &model->layers[1];
            CHECK(l->q.type == RR_Q_Q4_0 && l->o.type == RR_Q_Q4_0 && l->gate.type == RR_Q_Q4_0);
            CHECK(l->down.type == RR_Q_Q5_0 && l->down.data != NULL);
            CHECK(model->embedding.type == RR_Q_Q8_0 && model->output.type == RR_Q_Q8_0);
            CHECK(l->attn_norm.type == RR_Q_F16 && l->q_bias.type == RR_Q_F16);
            CHECK((model->output.floats == model->embedding.floats) == (tied == 1));
            CHECK(rr_model_fingerprint(model) == fingerprint);
        }
        rr_model_close(&model);
        rr_buf_destroy(&storage);
    }
}

int main(void) {
    fill();
    rounds();
    leaves_others();
    quantizes_models();
    return CHECK_END();
}
