/* GGUF reader, model check and the first steps of loading: whatever the bytes, a status and a text,
 * or a file whose every part can be read. */
#include "runtime/model/gguf_source.h"
#include "runtime/model/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A broken promise of the reader ends the run, as a crash would. */
static void promise(bool kept) {
    if (!kept) {
        abort();
    }
}

static uint64_t sum_bytes(const void *data, uint64_t bytes) {
    const uint8_t *from = data;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        sum += from[i];
    }
    return sum;
}

static uint64_t walk(const rr_gguf *gguf) {
    uint64_t sum = 0;
    for (size_t i = 0; i < rr_gguf_n_values(gguf); i++) {
        const rr_gguf_value *value = rr_gguf_value_at(gguf, i);
        sum += sum_bytes(value->key.data, value->key.bytes) +
            sum_bytes(value->data, value->data_bytes);
        uint64_t cursor = 0, n = 0;
        for (rr_text text; rr_gguf_next_string(value, &cursor, &text); n++) {
            sum += sum_bytes(text.data, text.bytes);
        }
        promise(value->type != RR_GGUF_ARRAY || value->item_type != RR_GGUF_STRING ||
            n == value->n_items);
    }
    for (size_t i = 0; i < rr_gguf_n_tensors(gguf); i++) {
        const rr_gguf_tensor *tensor = rr_gguf_tensor_at(gguf, i);
        sum += sum_bytes(tensor->name.data, tensor->name.bytes) +
            sum_bytes(tensor->data, tensor->bytes);
    }
    return sum;
}

/* Unpacks the first and last row of a weight from the file, and of small ones from their planes. */
static void unpack(const rr_weight *w) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)w->type);
    promise(info != NULL && w->cols % info->block_weights == 0);
    uint64_t row_bytes = (uint64_t)(w->cols / info->block_weights) * info->block_bytes;
    promise(row_bytes * w->rows == w->bytes);
    float *row = malloc(w->cols * sizeof *row);
    rr_planes planes;
    if (row != NULL) {
        rr_blocks_unpack(w->type, w->data, w->cols, row);
        rr_blocks_unpack(w->type, w->data + (w->rows - 1) * row_bytes, w->cols, row);
    }
    if (row != NULL && w->bytes < 65536 && w->cols % 32 == 0) {
        promise(rr_planes_plan(w->type, w->rows, w->cols, &planes, NULL) == RR_OK);
        uint8_t *device = malloc(planes.bytes);
        if (device != NULL) {
            rr_planes_pack(&planes, w->data, 0, w->rows, device);
            rr_planes_unpack_row(&planes, device, w->rows - 1, row);
        }
        free(device);
    }
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static volatile uint64_t sink;
    rr_diag diag = {0};
    rr_gguf *gguf = NULL;
    rr_status status = rr_gguf_parse(data, bytes, "fuzz", &gguf, &diag);
    promise((status == RR_OK) == (gguf != NULL));
    promise(status == RR_OK || strlen(diag.text) > 10);
    if (status != RR_OK) {
        return 0;
    }
    sink = sink + walk(gguf); /* keeps the reads alive */
    rr_source *source = NULL;
    rr_model *model = NULL;
    diag.text[0] = '\0';
    status = rr_source_from_gguf(&gguf, &source, &diag);
    promise(gguf == NULL && (status == RR_OK) == (source != NULL));
    status = status == RR_OK ? rr_model_from_source(&source, &model, &diag) : status;
    promise(source == NULL && (status == RR_OK) == (model != NULL));
    promise(status == RR_OK || strlen(diag.text) > 10);
    if (model != NULL) {
        unpack(&model->embedding);
        unpack(&model->output);
        for (uint32_t i = 0; i < model->config.n_layers; i++) {
            unpack(&model->layers[i].q);
            unpack(&model->layers[i].k_bias);
            unpack(&model->layers[i].down);
        }
    }
    rr_model_close(&model);
    return 0;
}
