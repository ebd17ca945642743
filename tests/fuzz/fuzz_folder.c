/* The files of a Hugging Face folder: the first byte of an input says which file of a small, right
 * folder the rest replaces. Whatever it is, a status and a text, or a model whose weights and
 * tokens can be read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "runtime/base/log.h"
#include "runtime/model/model.h"
#include "runtime/model/tokenizer.h"
#include "tests/support/folder.h"
#include "tests/support/hf_folder.h"
#include "tests/support/synth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A folder with tokenizer.json and shards, one with vocab.json and one file of weights, and one whose
 * settings say GPTQ. */
enum { SHARDED, SINGLE, QUANTIZED, N_FOLDERS };
static const struct {
    int folder;
    const char *name;
    bool of_tokens; /* the vocabulary depends on it: making a tokenizer takes most of the time */
} targets[] = {{SHARDED, "config.json", false}, {SHARDED, "model.safetensors.index.json", false},
    {SHARDED, "tokenizer.json", true}, {SHARDED, "tokenizer_config.json", true},
    {SHARDED, "generation_config.json", true}, {SHARDED, "quantize_config.json", false},
    {SINGLE, "vocab.json", true}, {SINGLE, "merges.txt", true},
    {SINGLE, "tokenizer_config.json", true}, {SINGLE, "added_tokens.json", true},
    {SINGLE, "model.safetensors", false}, {SINGLE, "config.json", false},
    {QUANTIZED, "model.safetensors", false}, {QUANTIZED, "quantize_config.json", false}};
enum { N_TARGETS = sizeof targets / sizeof targets[0] };

static char folders[N_FOLDERS][256];
static rr_buf originals[N_TARGETS]; /* empty = the folder has no such file */

static void must(bool kept) {
    if (!kept) {
        abort();
    }
}

static void path_of(int target, char *out, size_t room) {
    snprintf(out, room, "%s/%s", folders[targets[target].folder], targets[target].name);
}

static void remove_folders(void) {
    for (int f = 0; f < N_FOLDERS; f++) {
        rr_folder_remove(folders[f]);
    }
}

static void set_up(void) {
    static const rr_hf_form forms[N_FOLDERS] = {[SHARDED] = {.type = RR_Q_BF16, .n_shards = 2},
        [SINGLE] = {.type = RR_Q_F16, .vocab_json = true},
        [QUANTIZED] = {.type = RR_Q_F16, .no_vocabulary = true}};
    rr_buf storage = {0};
    rr_model *model = NULL;
    const rr_synth params = {.n_layers = 1,
        .d_model = 32,
        .n_heads = 2,
        .n_kv_heads = 1,
        .d_ffn = 32,
        .n_vocab = RR_SYNTH_MIN_VOCAB,
        .with_vocabulary = true};
    rr_log_set_level(RR_LOG_ERROR); /* warnings of every input */
    must(rr_synth_open(&params, &storage, &model, NULL) == RR_OK);
    for (int f = 0; f < N_FOLDERS; f++) {
        rr_test_folder(folders[f], sizeof folders[f]);
        must(rr_hf_write(model, folders[f], &forms[f], NULL) == RR_OK);
    }
    atexit(remove_folders);
    rr_model_close(&model);
    rr_buf_destroy(&storage);
    static const char settings[] = "{\"bits\":4,\"group_size\":32,\"sym\":false}";
    char file[400];
    snprintf(file, sizeof file, "%s/quantize_config.json", folders[QUANTIZED]);
    must(rr_file_write_atomic(file, settings, sizeof settings - 1, NULL) == RR_OK);
    for (int t = 0; t < N_TARGETS; t++) {
        char path[400];
        path_of(t, path, sizeof path);
        (void)rr_file_read(path, 1 << 24, &originals[t], NULL);
    }
}

/* In place: a new file each time would take most of the time. */
static void write_file(int target, const void *data, size_t bytes, bool exists) {
    char path[400];
    path_of(target, path, sizeof path);
    if (!exists) {
        must(remove(path) == 0);
        return;
    }
    FILE *file = fopen(path, "wb");
    must(file != NULL && fwrite(data, 1, bytes, file) == bytes);
    must(fclose(file) == 0);
}

static void read_rows(const rr_weight *weight) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)weight->type);
    must(info != NULL && weight->cols % info->block_weights == 0);
    must(rr_weight_row_bytes(weight) * weight->rows == weight->bytes);
    float *row = malloc(weight->cols * sizeof *row);
    uint8_t *blocks = malloc((size_t)rr_weight_row_bytes(weight));
    must(row != NULL && blocks != NULL);
    rr_weight_unpack(weight, weight->rows - 1, 1, row);
    rr_weight_blocks(weight, weight->rows - 1, 1, blocks);
    free(blocks);
    free(row);
}

static void read_tokens(const rr_source *source) {
    static const char text[] = "the \xC3\xA9 <|im_end|> 12";
    rr_diag diag = {0};
    rr_tokenizer *tokenizer = NULL;
    const rr_status status = rr_tokenizer_create(source, &tokenizer, &diag);
    must((status == RR_OK) == (tokenizer != NULL) && (status == RR_OK || strlen(diag.text) > 10));
    if (tokenizer != NULL) {
        rr_tokens tokens = {0};
        must(rr_tokenizer_encode_special(tokenizer, text, sizeof text - 1, &tokens, NULL) == RR_OK);
        rr_tokens_destroy(&tokens);
    }
    rr_tokenizer_destroy(&tokenizer);
}

static void read_model(rr_source **source) {
    rr_diag diag = {0};
    rr_model *model = NULL;
    const rr_status status = rr_model_from_source(source, &model, &diag);
    must(*source == NULL && (status == RR_OK) == (model != NULL));
    must(status == RR_OK || strlen(diag.text) > 10);
    if (model != NULL) {
        read_rows(&model->embedding);
        read_rows(&model->output);
        read_rows(&model->layers[0].q);
        read_rows(&model->layers[0].k_bias);
        read_rows(&model->layers[0].o);
        read_rows(&model->layers[0].down);
    }
    rr_model_close(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static bool ready;
    if (!ready) {
        set_up();
        ready = true;
    }
    if (bytes == 0) {
        return 0;
    }
    const int target = data[0] % N_TARGETS;
    rr_diag diag = {0};
    rr_source *source = NULL;
    write_file(target, data + 1, bytes - 1, true);
    const rr_status status = rr_source_open(folders[targets[target].folder], &source, &diag);
    must((status == RR_OK) == (source != NULL) && (status == RR_OK || strlen(diag.text) > 10));
    if (source != NULL && targets[target].of_tokens) {
        read_tokens(source);
    }
    if (source != NULL) {
        read_model(&source);
    }
    write_file(
        target, originals[target].data, originals[target].bytes, originals[target].data != NULL);
    return 0;
}
