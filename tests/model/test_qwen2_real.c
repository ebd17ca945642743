/* The default model's file: its configuration, and the last rows of some weights against hashes of
 * what the Python package gguf 0.19 computes from the same file. */
#include "runtime/base/hash.h"
#include "runtime/model/gguf.h"
#include "runtime/model/model.h"
#include "tests/check.h"
#include "tests/support/blocks.h"
#include "tests/support/real_model.h"

static const struct {
    const char *name;
    rr_qtype type;
    uint32_t rows;
    uint64_t hash; /* FNV-1a of the last row's floats */
} expected[] = {
    {"token_embd.weight", RR_Q_Q5_0, 151936, 0xe705a4fc297419af},
    {"output.weight", RR_Q_Q8_0, 151936, 0x52720a5783d1e3ec},
    {"output_norm.weight", RR_Q_F32, 1, 0x05864886003f682c},
    {"blk.0.attn_q.weight", RR_Q_Q5_0, 896, 0xaf725cbd5b219d04},
    {"blk.0.attn_v.weight", RR_Q_Q8_0, 128, 0xe5994a8d4289150a},
    {"blk.0.ffn_down.weight", RR_Q_Q6_K, 896, 0x708b9844847b002d},
    {"blk.5.ffn_down.weight", RR_Q_Q4_K, 896, 0x001397a61ff6d3d0},
    {"blk.23.ffn_gate.weight", RR_Q_Q5_0, 4864, 0x0ab4ab42000dfbc6},
    {"blk.23.attn_k.bias", RR_Q_F32, 1, 0x0f927976b4dd7ed1},
};

static void check_row(const rr_gguf *gguf, size_t i) {
    const rr_gguf_tensor *tensor = rr_gguf_tensor_find(gguf, expected[i].name);
    CHECK_MSG(tensor != NULL && tensor->type == (uint32_t)expected[i].type &&
            tensor->dims[1] == expected[i].rows,
        "%s", expected[i].name);
    if (tensor == NULL) {
        return;
    }
    uint32_t cols = (uint32_t)tensor->dims[0];
    uint64_t row_bytes = tensor->bytes / expected[i].rows;
    const uint8_t *row = tensor->data + (expected[i].rows - 1) * row_bytes;
    float *file = malloc(cols * sizeof *file), *plane = malloc(cols * sizeof *plane);
    rr_blocks_unpack(expected[i].type, row, cols, file);
    uint64_t hash = rr_fnv1a(file, cols * sizeof *file);
    CHECK_MSG(hash == expected[i].hash, "%s: hash %016" PRIx64 ", expected %016" PRIx64,
        expected[i].name, hash, expected[i].hash);
    rr_planes planes = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_planes_plan(expected[i].type, 1, cols, &planes, &diag), diag);
    void *device = malloc(planes.bytes);
    rr_planes_pack(&planes, row, 0, 1, device);
    rr_planes_unpack_row(&planes, device, 0, plane);
    CHECK(memcmp(file, plane, cols * sizeof *file) == 0);
    free(device);
    free(plane);
    free(file);
}

int main(void) {
    rr_diag diag = {0};
    rr_buf path = {0};
    if (!rr_real_model_path(&path)) {
        CHECK_SKIP("no real model found; set REARANK_TEST_MODEL to the default model's file");
    }
    rr_model *model = NULL;
    CHECK_OK(rr_model_open(path.data, &model, &diag), diag);
    rr_source_file file = {0};
    if (model == NULL) {
        return CHECK_END();
    }
    if (!rr_source_file_at(model->source, 0, &file) || file.bytes != 491400064) {
        CHECK_SKIP("%s is another model than the default one", path.data);
    }
    const rr_model_config *c = &model->config;
    CHECK_INT(c->n_layers, 24);
    CHECK_INT(c->d_model, 896);
    CHECK_INT(c->n_heads, 14);
    CHECK_INT(c->n_kv_heads, 2);
    CHECK_INT(c->head_size, 64);
    CHECK_INT(c->d_ffn, 4864);
    CHECK_INT(c->n_vocab, 151936);
    CHECK_INT(c->n_context, 32768);
    CHECK(c->rope_theta == 1e6f && c->rms_epsilon == 1e-6f && !c->tied);
    CHECK_INT(rr_model_n_parameters(model), 630167424);
    CHECK_INT(rr_model_weight_bytes(model), 485452288);
    CHECK(strstr(model->name, "0.5B") != NULL);
    rr_model_close(&model);
    rr_gguf *gguf = NULL;
    CHECK_OK(rr_gguf_open(path.data, &gguf, &diag), diag);
    for (size_t i = 0; gguf != NULL && i < sizeof expected / sizeof expected[0]; i++) {
        check_row(gguf, i);
    }
    rr_gguf_close(&gguf);
    rr_buf_destroy(&path);
    return CHECK_END();
}
