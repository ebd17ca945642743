#include "runtime/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/model/utf8.h"

/* The sizes that weights' shapes are made of. */
typedef enum dimension { ONE, D_MODEL, Q_ROWS, KV_ROWS, D_FFN, N_VOCAB, DIMENSION_COUNT } dimension;

/* The shape of each role's weight, and where it goes in rr_model_layer or rr_model. Vectors have
 * rows ONE. */
static const struct {
    size_t place;
    dimension rows, cols;
} weights[RR_ROLE_COUNT] = {
    [RR_ROLE_EMBEDDING] = {offsetof(rr_model, embedding), N_VOCAB, D_MODEL},
    [RR_ROLE_OUTPUT_NORM] = {offsetof(rr_model, output_norm), ONE, D_MODEL},
    [RR_ROLE_OUTPUT] = {offsetof(rr_model, output), N_VOCAB, D_MODEL},
    [RR_ROLE_ATTN_NORM] = {offsetof(rr_model_layer, attn_norm), ONE, D_MODEL},
    [RR_ROLE_Q] = {offsetof(rr_model_layer, q), Q_ROWS, D_MODEL},
    [RR_ROLE_K] = {offsetof(rr_model_layer, k), KV_ROWS, D_MODEL},
    [RR_ROLE_V] = {offsetof(rr_model_layer, v), KV_ROWS, D_MODEL},
    [RR_ROLE_Q_BIAS] = {offsetof(rr_model_layer, q_bias), ONE, Q_ROWS},
    [RR_ROLE_K_BIAS] = {offsetof(rr_model_layer, k_bias), ONE, KV_ROWS},
    [RR_ROLE_V_BIAS] = {offsetof(rr_model_layer, v_bias), ONE, KV_ROWS},
    [RR_ROLE_O] = {offsetof(rr_model_layer, o), D_MODEL, Q_ROWS},
    [RR_ROLE_FFN_NORM] = {offsetof(rr_model_layer, ffn_norm), ONE, D_MODEL},
    [RR_ROLE_GATE] = {offsetof(rr_model_layer, gate), D_FFN, D_MODEL},
    [RR_ROLE_UP] = {offsetof(rr_model_layer, up), D_FFN, D_MODEL},
    [RR_ROLE_DOWN] = {offsetof(rr_model_layer, down), D_MODEL, D_FFN},
};

void rr_model_shape(const rr_model_config *config, rr_role role, uint32_t *rows, uint32_t *cols) {
    const uint32_t sizes[DIMENSION_COUNT] = {[ONE] = 1,
        [D_MODEL] = config->d_model,
        [Q_ROWS] = config->n_heads * config->head_size,
        [KV_ROWS] = config->n_kv_heads * config->head_size,
        [D_FFN] = config->d_ffn,
        [N_VOCAB] = config->n_vocab};
    *rows = sizes[weights[role].rows];
    *cols = sizes[weights[role].cols];
}

const rr_weight *rr_model_weight(const rr_model *model, rr_role role, uint32_t layer) {
    const char *owner =
        role >= RR_ROLE_ATTN_NORM ? (const char *)&model->layers[layer] : (const char *)model;
    return (const rr_weight *)(const void *)(owner + weights[role].place);
}

static rr_status find_weight(
    rr_model *model, rr_role role, uint32_t layer, void *owner, rr_diag *diag) {
    uint32_t rows, cols;
    rr_model_shape(&model->config, role, &rows, &cols);
    rr_weight *to = (rr_weight *)(void *)((char *)owner + weights[role].place);
    return rr_source_weight(model->source, role, layer, rows, cols, to, diag);
}

static rr_status find_weights(rr_model *model, rr_diag *diag) {
    RR_TRY(find_weight(model, RR_ROLE_EMBEDDING, 0, model, diag));
    RR_TRY(find_weight(model, RR_ROLE_OUTPUT_NORM, 0, model, diag));
    model->output = model->embedding;
    if (!model->config.tied) {
        RR_TRY(find_weight(model, RR_ROLE_OUTPUT, 0, model, diag));
    }
    for (uint32_t layer = 0; layer < model->config.n_layers; layer++) {
        for (int role = RR_ROLE_ATTN_NORM; role < RR_ROLE_COUNT; role++) {
            RR_TRY(find_weight(model, (rr_role)role, layer, &model->layers[layer], diag));
        }
    }
    return rr_source_finish(model->source, diag);
}

/* As many bytes of a text as fit, without a part of a character at the end. */
static size_t cut(rr_text text, size_t room) {
    size_t n = 0;
    while (n < text.bytes) {
        int32_t code_point;
        size_t bytes =
            rr_utf8_next((const unsigned char *)text.data + n, text.bytes - n, &code_point);
        if (n + bytes > room) {
            break;
        }
        n += bytes;
    }
    return n;
}

static void set_name(rr_model *model) {
    rr_text name = rr_source_name(model->source);
    if (name.bytes == 0) {
        const char *path = rr_source_path(model->source);
        const char *slash = strrchr(path, '/');
        name.data = slash != NULL ? slash + 1 : path;
        name.bytes = strlen(name.data);
    }
    const size_t n = cut(name, sizeof model->name - 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name.data[i];
        model->name[i] = c < ' ' || c == 0x7F ? '?' : (char)c;
    }
    model->name[n] = '\0';
}

rr_status rr_model_from_source(rr_source **source, rr_model **out, rr_diag *diag) {
    rr_status status = RR_OK;
    rr_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        rr_source_close(source);
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    model->source = *source;
    *source = NULL;
    RR_TRY_GOTO(rr_source_config(model->source, &model->config, diag));
    set_name(model);
    model->layers = calloc(model->config.n_layers, sizeof *model->layers);
    if (model->layers == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "%s: out of memory", rr_source_path(model->source)));
    }
    RR_TRY_GOTO(find_weights(model, diag));
    *out = model;
    return RR_OK;
fail:
    rr_model_close(&model);
    return status;
}

rr_status rr_model_open(const char *path, rr_model **out, rr_diag *diag) {
    rr_source *source = NULL;
    RR_TRY(rr_source_open(path, &source, diag));
    return rr_model_from_source(&source, out, diag);
}

void rr_model_close(rr_model **model) {
    if (*model == NULL) {
        return;
    }
    rr_adapter_set_close(&(*model)->adapters);
    rr_source_close(&(*model)->source);
    free((*model)->layers);
    free(*model);
    *model = NULL;
}

void rr_model_quantize(rr_model *model, rr_qtype type) {
    (void)rr_weight_quantize(&model->embedding, RR_Q_Q8_0);
    (void)rr_weight_quantize(&model->output, RR_Q_Q8_0);
    for (uint32_t layer = 0; layer < model->config.n_layers; layer++) {
        char *owner = (char *)&model->layers[layer];
        for (int role = RR_ROLE_ATTN_NORM; role < RR_ROLE_COUNT; role++) {
            (void)rr_weight_quantize((rr_weight *)(void *)(owner + weights[role].place), type);
        }
    }
}

uint64_t rr_model_weight_bytes(const rr_model *model) {
    uint64_t sum = 0, bytes;
    const uint8_t *data;
    for (size_t i = 0; rr_source_tensor_at(model->source, i, &data, &bytes); i++) {
        sum += bytes;
    }
    return sum;
}

static uint64_t n_weights(const rr_weight *weight) {
    return (uint64_t)weight->rows * weight->cols;
}

uint64_t rr_model_n_parameters(const rr_model *model) {
    uint64_t sum = n_weights(&model->embedding) + n_weights(&model->output_norm);
    sum += model->config.tied ? 0 : n_weights(&model->output);
    for (uint32_t layer = 0; layer < model->config.n_layers; layer++) {
        const char *owner = (const char *)&model->layers[layer];
        for (int role = RR_ROLE_ATTN_NORM; role < RR_ROLE_COUNT; role++) {
            sum += n_weights((const rr_weight *)(const void *)(owner + weights[role].place));
        }
    }
    return sum;
}

static uint64_t hash_vector(uint64_t hash, const rr_weight *vector) {
    const uint32_t block_bytes = rr_qtype_get((uint32_t)vector->type)->block_bytes;
    for (uint32_t i = 0; i < vector->cols; i++) {
        float value;
        rr_blocks_unpack(vector->type, vector->data + (size_t)i * block_bytes, 1, &value);
        hash = rr_hash(hash, &value, sizeof value);
    }
    return hash;
}

uint64_t rr_model_fingerprint(const rr_model *model) {
    const rr_model_config *c = &model->config;
    const uint32_t shape[] = {
        c->n_layers, c->d_model, c->n_heads, c->n_kv_heads, c->head_size, c->d_ffn, c->n_vocab};
    uint64_t hash = rr_hash(0, shape, sizeof shape);
    for (uint32_t l = 0; l < c->n_layers; l++) {
        const rr_model_layer *layer = &model->layers[l];
        const rr_weight *vectors[] = {
            &layer->attn_norm, &layer->q_bias, &layer->k_bias, &layer->v_bias, &layer->ffn_norm};
        for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
            hash = hash_vector(hash, vectors[i]);
        }
    }
    hash = hash_vector(hash, &model->output_norm);
    const uint64_t adapters = rr_adapter_set_digest(model->adapters);
    return adapters == 0 ? hash : rr_hash(hash, &adapters, sizeof adapters);
}
