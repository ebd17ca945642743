/* Adapters: the first byte of an input says what the rest is: adapter_config.json or the tensors of
 * a small, right folder, or a GGUF file. Whatever it is, a status and a text, or pairs that can be
 * merged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/folder.h"
#include "runtime/base/log.h"
#include "runtime/model/adapted.h"
#include "tests/support/folder.h"
#include "tests/support/st_writer.h"
#include "tests/support/synth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { D = 64, RANK = 4, N_TARGETS = 3 };
static const char *const names[N_TARGETS] = {
    "adapter_config.json", "adapter_model.safetensors", "a.gguf"};
static char folder[256];
static rr_buf originals[N_TARGETS], storage;
static rr_model *model;

static void must(bool kept) {
    if (!kept) {
        abort();
    }
}

static void write_file(int target, const void *data, size_t bytes) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, names[target]);
    FILE *file = fopen(path, "wb");
    must(file != NULL && (bytes == 0 || fwrite(data, 1, bytes, file) == bytes));
    must(fclose(file) == 0);
}

static void tear_down(void) {
    rr_model_close(&model);
    rr_buf_destroy(&storage);
    rr_buf_destroy(&originals[0]);
    rr_buf_destroy(&originals[1]);
    rr_folder_remove(folder);
}

static void set_up(void) {
    static const uint16_t values[D * RANK] = {0x3C00};
    rr_st_writer writer = {0};
    rr_log_set_level(RR_LOG_ERROR); /* warnings of every input */
    must(rr_synth_open(&(rr_synth){0}, &storage, &model, NULL) == RR_OK);
    rr_test_folder(folder, sizeof folder);
    atexit(tear_down);
    rr_sw_tensor(&writer, "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "F16",
        "[4, 64]", values, sizeof values);
    rr_sw_tensor(&writer, "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", "F16",
        "[64, 4]", values, sizeof values);
    must(rr_sw_finish(&writer, &originals[1]) == RR_OK);
    rr_buf_text(&originals[0], "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8}");
    write_file(0, originals[0].data, originals[0].bytes);
    write_file(1, originals[1].data, originals[1].bytes);
}

/* A row of the first pair that fits the model. */
static void merge(const rr_adapter *adapter) {
    const rr_adapter_pair *pair = &adapter->pairs[0];
    const rr_model_layer *layer = &model->layers[pair->layer];
    const rr_weight *weight = pair->role == RR_ROLE_Q ? &layer->q
        : pair->role == RR_ROLE_K                     ? &layer->k
        : pair->role == RR_ROLE_V                     ? &layer->v
        : pair->role == RR_ROLE_O                     ? &layer->o
        : pair->role == RR_ROLE_GATE                  ? &layer->gate
        : pair->role == RR_ROLE_UP                    ? &layer->up
                                                      : &layer->down;
    float *row = malloc(weight->cols * sizeof *row);
    must(row != NULL);
    must(rr_adapter_merge(pair, weight, weight->rows - 1, 1, row, NULL) == RR_OK);
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (model == NULL) {
        set_up();
    }
    if (bytes == 0) {
        return 0;
    }
    const int target = data[0] % N_TARGETS;
    char path[400];
    snprintf(path, sizeof path, "%s%s", folder, target == 2 ? "/a.gguf" : "");
    write_file(target, data + 1, bytes - 1);
    rr_diag diag = {0};
    rr_adapter *adapter = NULL;
    rr_status status = rr_adapter_open(path, &adapter, &diag);
    must((status == RR_OK) == (adapter != NULL) && (status == RR_OK || strlen(diag.text) > 10));
    if (adapter != NULL) {
        must(adapter->n_pairs > 0 && rr_adapter_n_parameters(adapter) > 0);
        status = rr_adapter_check(adapter, model, &diag);
        must(status == RR_OK || strlen(diag.text) > 10);
        if (status == RR_OK) {
            merge(adapter);
        }
    }
    rr_adapter_close(&adapter);
    if (target < 2) {
        write_file(target, originals[target].data, originals[target].bytes);
    }
    return 0;
}
