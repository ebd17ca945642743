#include "runtime/model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/model/utf8.h"

/* The sizes that tensor shapes are made of. */
typedef enum dimension { ONE, D_MODEL, Q_ROWS, KV_ROWS, D_FFN, N_VOCAB, DIMENSION_COUNT } dimension;

/* What a tensor of the file must be: its shape, and where it goes in rr_model_layer. Vectors have
 * rows ONE. */
static const struct {
    const char *suffix;
    size_t place;
    dimension rows, cols;
} layer_weights[] = {
    {"attn_norm.weight", offsetof(rr_model_layer, attn_norm), ONE, D_MODEL},
    {"attn_q.weight", offsetof(rr_model_layer, q), Q_ROWS, D_MODEL},
    {"attn_k.weight", offsetof(rr_model_layer, k), KV_ROWS, D_MODEL},
    {"attn_v.weight", offsetof(rr_model_layer, v), KV_ROWS, D_MODEL},
    {"attn_q.bias", offsetof(rr_model_layer, q_bias), ONE, Q_ROWS},
    {"attn_k.bias", offsetof(rr_model_layer, k_bias), ONE, KV_ROWS},
    {"attn_v.bias", offsetof(rr_model_layer, v_bias), ONE, KV_ROWS},
    {"attn_output.weight", offsetof(rr_model_layer, o), D_MODEL, Q_ROWS},
    {"ffn_norm.weight", offsetof(rr_model_layer, ffn_norm), ONE, D_MODEL},
    {"ffn_gate.weight", offsetof(rr_model_layer, gate), D_FFN, D_MODEL},
    {"ffn_up.weight", offsetof(rr_model_layer, up), D_FFN, D_MODEL},
    {"ffn_down.weight", offsetof(rr_model_layer, down), D_MODEL, D_FFN},
};
enum { N_LAYER_WEIGHTS = sizeof layer_weights / sizeof layer_weights[0] };

/* Integer keys and the range that the engine accepts. */
static const struct {
    const char *key;
    size_t place;
    uint32_t least, most;
} config_keys[] = {
    {"qwen2.block_count", offsetof(rr_model_config, n_layers), 1, RR_MODEL_MAX_LAYERS},
    {"qwen2.embedding_length", offsetof(rr_model_config, d_model), 32, 1u << 16},
    {"qwen2.feed_forward_length", offsetof(rr_model_config, d_ffn), 32, 1u << 20},
    {"qwen2.attention.head_count", offsetof(rr_model_config, n_heads), 1, 1024},
    {"qwen2.attention.head_count_kv", offsetof(rr_model_config, n_kv_heads), 1, 1024},
    {"qwen2.context_length", offsetof(rr_model_config, n_context), 1, 1u << 24},
};
enum { MAX_VOCAB = 1 << 24, MAX_HEADS_A_KV_HEAD = 8 };

#define USE_ANOTHER "use a Qwen2 or Qwen2.5 model in GGUF form"

static rr_status read_u32(const rr_gguf *gguf, const char *key, uint32_t least, uint32_t most,
    uint32_t *out, rr_diag *diag) {
    uint64_t value = 0;
    RR_TRY(rr_gguf_u64(gguf, key, &value, diag));
    if (value < least || value > most) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: key \"%s\": found %llu, expected %u to %u; " USE_ANOTHER, rr_gguf_path(gguf), key,
            (unsigned long long)value, least, most);
    }
    *out = (uint32_t)value;
    return RR_OK;
}

static rr_status read_f32(
    const rr_gguf *gguf, const char *key, double least, double most, float *out, rr_diag *diag) {
    double value = 0.0;
    RR_TRY(rr_gguf_f64(gguf, key, &value, diag));
    if (!(value >= least && value <= most)) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: key \"%s\": found %g, expected %g to %g; " USE_ANOTHER, rr_gguf_path(gguf), key,
            value, least, most);
    }
    *out = (float)value;
    return RR_OK;
}

static rr_status check_architecture(const rr_gguf *gguf, rr_diag *diag) {
    rr_text architecture;
    RR_TRY(rr_gguf_string(gguf, "general.architecture", &architecture, diag));
    if (!rr_text_is(architecture, "qwen2")) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found a model of architecture \"%s\", expected \"qwen2\"; " USE_ANOTHER,
            rr_gguf_path(gguf), rr_text_show(architecture).text);
    }
    uint64_t n_parts = 1;
    if (rr_gguf_find(gguf, "split.count") != NULL) {
        RR_TRY(rr_gguf_u64(gguf, "split.count", &n_parts, diag));
    }
    if (n_parts > 1) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found one of %llu parts of a model, expected a single file; join the parts "
            "(llama-gguf-split --merge)",
            rr_gguf_path(gguf), (unsigned long long)n_parts);
    }
    return RR_OK;
}

/* Rows of a model that looks both ways would be computed as another model's. */
static rr_status check_attention(const rr_gguf *gguf, rr_diag *diag) {
    bool causal = true;
    if (rr_gguf_find(gguf, "qwen2.attention.causal") != NULL) {
        RR_TRY(rr_gguf_bool(gguf, "qwen2.attention.causal", &causal, diag));
    }
    if (!causal) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: key \"qwen2.attention.causal\": found false (a model that makes embeddings), expected true; " USE_ANOTHER,
            rr_gguf_path(gguf));
    }
    return RR_OK;
}

/* The factor by which positions are stretched, 1 where the file has none; 0 means none, too. The
 * second key is the name that old files use. */
static rr_status read_rope_factor(const rr_gguf *gguf, double *factor, rr_diag *diag) {
    static const char *const keys[] = {"qwen2.rope.scaling.factor", "qwen2.rope.scale_linear"};
    *factor = 1.0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (rr_gguf_find(gguf, keys[i]) != NULL) {
            RR_TRY(rr_gguf_f64(gguf, keys[i], factor, diag));
            *factor = *factor == 0.0 ? 1.0 : *factor;
            return RR_OK;
        }
    }
    return RR_OK;
}

/* Stretched positions would silently change every result, so they are refused. A factor without a
 * type means linear, and a linear factor of 1 stretches nothing. */
static rr_status check_rope(const rr_gguf *gguf, uint32_t head_size, rr_diag *diag) {
    rr_text type = {"linear", strlen("linear")};
    double factor;
    RR_TRY(read_rope_factor(gguf, &factor, diag));
    if (rr_gguf_find(gguf, "qwen2.rope.scaling.type") != NULL) {
        RR_TRY(rr_gguf_string(gguf, "qwen2.rope.scaling.type", &type, diag));
    }
    const bool is_linear = rr_text_is(type, "linear");
    if (!rr_text_is(type, "none") && !(is_linear && factor == 1.0)) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found RoPE scaling \"%s\" by %g, expected none, or linear by 1; use the model's file without "
            "context extension",
            rr_gguf_path(gguf), rr_text_show(type).text, factor);
    }
    uint32_t rotated = head_size;
    if (rr_gguf_find(gguf, "qwen2.rope.dimension_count") != NULL) {
        RR_TRY(read_u32(gguf, "qwen2.rope.dimension_count", head_size, head_size, &rotated, diag));
    }
    return RR_OK;
}

static rr_status read_head_size(const rr_gguf *gguf, rr_model_config *config, rr_diag *diag) {
    const char *path = rr_gguf_path(gguf);
    if (config->n_heads % config->n_kv_heads != 0 ||
        config->n_heads / config->n_kv_heads > MAX_HEADS_A_KV_HEAD) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found %u query heads over %u KV heads, expected 1 to %d query heads a KV head; " USE_ANOTHER,
            path, config->n_heads, config->n_kv_heads, MAX_HEADS_A_KV_HEAD);
    }
    config->head_size = config->d_model / config->n_heads;
    if (rr_gguf_find(gguf, "qwen2.attention.key_length") != NULL) {
        RR_TRY(read_u32(gguf, "qwen2.attention.key_length", 1, 1u << 16, &config->head_size, diag));
    } else if (config->d_model % config->n_heads != 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: found an embedding of %u over %u heads, expected a multiple; " USE_ANOTHER, path,
            config->d_model, config->n_heads);
    }
    uint32_t size = config->head_size, value_size = config->head_size;
    if (rr_gguf_find(gguf, "qwen2.attention.value_length") != NULL) {
        RR_TRY(read_u32(gguf, "qwen2.attention.value_length", size, size, &value_size, diag));
    }
    if (size < 16 || size > 128 || (size & (size - 1)) != 0) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found heads of size %u, expected a power of two from 16 to 128; " USE_ANOTHER,
            path, size);
    }
    return RR_OK;
}

static rr_status read_config(const rr_gguf *gguf, rr_model_config *config, rr_diag *diag) {
    for (size_t i = 0; i < sizeof config_keys / sizeof config_keys[0]; i++) {
        uint32_t *to = (uint32_t *)(void *)((char *)config + config_keys[i].place);
        RR_TRY(read_u32(
            gguf, config_keys[i].key, config_keys[i].least, config_keys[i].most, to, diag));
    }
    RR_TRY(read_head_size(gguf, config, diag));
    if (config->d_model % 32 != 0 || config->d_ffn % 32 != 0 ||
        config->n_heads * config->head_size % 32 != 0) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found an embedding of %u, %u × %u heads and a feed-forward width of %u, "
            "expected multiples of 32; " USE_ANOTHER,
            rr_gguf_path(gguf), config->d_model, config->n_heads, config->head_size, config->d_ffn);
    }
    RR_TRY(read_f32(gguf, "qwen2.rope.freq_base", 1.0, 1e12, &config->rope_theta, diag));
    RR_TRY(read_f32(
        gguf, "qwen2.attention.layer_norm_rms_epsilon", 1e-12, 0.1, &config->rms_epsilon, diag));
    RR_TRY(check_attention(gguf, diag));
    return check_rope(gguf, config->head_size, diag);
}

/* The vocabulary's size stands in the embedding's shape alone. */
static rr_status read_vocabulary_size(const rr_gguf *gguf, rr_model_config *config, rr_diag *diag) {
    const rr_gguf_tensor *embedding = rr_gguf_tensor_find(gguf, "token_embd.weight");
    if (embedding == NULL) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor \"token_embd.weight\": not found, expected the embedding; the file is "
            "not a complete model",
            rr_gguf_path(gguf));
    }
    uint64_t n_tokens = 1;
    const rr_gguf_value *tokens = rr_gguf_find(gguf, "tokenizer.ggml.tokens");
    if (tokens != NULL && tokens->type == RR_GGUF_ARRAY) {
        n_tokens = tokens->n_items;
    }
    if (embedding->dims[1] < n_tokens || embedding->dims[1] > MAX_VOCAB) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor \"token_embd.weight\": found %llu rows, expected %llu (the tokens of "
            "the vocabulary) to %d; " USE_ANOTHER,
            rr_gguf_path(gguf), (unsigned long long)embedding->dims[1],
            (unsigned long long)n_tokens, MAX_VOCAB);
    }
    config->n_vocab = (uint32_t)embedding->dims[1];
    config->tied = rr_gguf_tensor_find(gguf, "output.weight") == NULL;
    return RR_OK;
}

/* State of checking the tensors: which of the file's were asked for. */
typedef struct checker {
    const rr_gguf *gguf;
    uint32_t sizes[DIMENSION_COUNT];
    bool *claimed; /* [n_tensors] */
    rr_diag *diag;
} checker;

static rr_status check_type(
    const checker *c, const rr_gguf_tensor *tensor, const char *name, bool is_vector) {
    const rr_qtype_info *info = rr_qtype_get(tensor->type);
    if (is_vector && tensor->type != RR_Q_F32 && tensor->type != RR_Q_F16 &&
        tensor->type != RR_Q_BF16) {
        return rr_fail(c->diag, RR_E_UNSUPPORTED,
            "%s: tensor \"%s\": found type %s (number %u), expected F32, F16 or BF16; use another "
            "conversion of the model",
            rr_gguf_path(c->gguf), name, info != NULL ? info->name : "unknown", tensor->type);
    }
    if (info == NULL) {
        char list[128] = "";
        size_t n, used = 0;
        const rr_qtype_info *all = rr_qtype_all(&n);
        for (size_t i = 0; i < n && used < sizeof list; i++) {
            used += (size_t)snprintf(
                list + used, sizeof list - used, "%s%s", i > 0 ? " " : "", all[i].name);
        }
        return rr_fail(c->diag, RR_E_UNSUPPORTED,
            "%s: tensor \"%s\": found type number %u, expected one of %s; use another "
            "quantization of the model, Q4_K_M for example",
            rr_gguf_path(c->gguf), name, tensor->type, list);
    }
    return RR_OK;
}

static rr_status check_tensor(
    checker *c, const char *name, dimension rows, dimension cols, rr_weight *out) {
    uint64_t n_rows = c->sizes[rows], n_cols = c->sizes[cols];
    const rr_gguf_tensor *tensor = rr_gguf_tensor_find(c->gguf, name);
    if (tensor == NULL) {
        return rr_fail(c->diag, RR_E_INPUT,
            "%s: tensor \"%s\": not found, expected %llu rows of %llu; the file is not a "
            "complete model",
            rr_gguf_path(c->gguf), name, (unsigned long long)n_rows, (unsigned long long)n_cols);
    }
    if (tensor->dims[0] != n_cols || tensor->dims[1] != n_rows || tensor->dims[2] != 1 ||
        tensor->dims[3] != 1) {
        return rr_fail(c->diag, RR_E_INPUT,
            "%s: tensor \"%s\": found the shape %llu × %llu × %llu × %llu (columns first), "
            "expected %llu × %llu × 1 × 1 by the model's keys; " USE_ANOTHER,
            rr_gguf_path(c->gguf), name, (unsigned long long)tensor->dims[0],
            (unsigned long long)tensor->dims[1], (unsigned long long)tensor->dims[2],
            (unsigned long long)tensor->dims[3], (unsigned long long)n_cols,
            (unsigned long long)n_rows);
    }
    RR_TRY(check_type(c, tensor, name, rows == ONE));
    c->claimed[tensor - rr_gguf_tensor_at(c->gguf, 0)] = true;
    *out = (rr_weight){.name = tensor->name,
        .type = (rr_qtype)tensor->type,
        .rows = (uint32_t)n_rows,
        .cols = (uint32_t)n_cols,
        .data = tensor->data,
        .bytes = tensor->bytes};
    return RR_OK;
}

/* A tensor that nobody asked for means a model that computes something else. */
static rr_status check_leftovers(const checker *c) {
    for (size_t i = 0; i < rr_gguf_n_tensors(c->gguf); i++) {
        if (!c->claimed[i]) {
            return rr_fail(c->diag, RR_E_UNSUPPORTED,
                "%s: tensor \"%s\": found, but a Qwen2 model has no such tensor; " USE_ANOTHER,
                rr_gguf_path(c->gguf), rr_text_show(rr_gguf_tensor_at(c->gguf, i)->name).text);
        }
    }
    return RR_OK;
}

static rr_status check_tensors(checker *c, rr_model *model) {
    RR_TRY(check_tensor(c, "token_embd.weight", N_VOCAB, D_MODEL, &model->embedding));
    RR_TRY(check_tensor(c, "output_norm.weight", ONE, D_MODEL, &model->output_norm));
    model->output = model->embedding;
    if (!model->config.tied) {
        RR_TRY(check_tensor(c, "output.weight", N_VOCAB, D_MODEL, &model->output));
    }
    for (uint32_t layer = 0; layer < model->config.n_layers; layer++) {
        for (size_t i = 0; i < N_LAYER_WEIGHTS; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%u.%s", layer, layer_weights[i].suffix);
            rr_weight *to =
                (rr_weight *)(void *)((char *)&model->layers[layer] + layer_weights[i].place);
            RR_TRY(check_tensor(c, name, layer_weights[i].rows, layer_weights[i].cols, to));
        }
    }
    return check_leftovers(c);
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
    const char *path = rr_gguf_path(model->gguf);
    const char *slash = strrchr(path, '/');
    rr_text name = {slash != NULL ? slash + 1 : path, 0};
    name.bytes = strlen(name.data);
    if (rr_gguf_find(model->gguf, "general.name") != NULL) {
        /* the file's name stays when it is no string */
        rr_gguf_string(model->gguf, "general.name", &name, NULL);
    }
    const size_t n = cut(name, sizeof model->name - 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name.data[i];
        model->name[i] = c < ' ' || c == 0x7F ? '?' : (char)c;
    }
    model->name[n] = '\0';
}

static rr_status fill_model(rr_model *model, rr_diag *diag) {
    rr_model_config *config = &model->config;
    RR_TRY(check_architecture(model->gguf, diag));
    RR_TRY(read_config(model->gguf, config, diag));
    RR_TRY(read_vocabulary_size(model->gguf, config, diag));
    set_name(model);
    checker c = {
        .gguf = model->gguf,
        .sizes = {[ONE] = 1,
            [D_MODEL] = config->d_model,
            [Q_ROWS] = config->n_heads * config->head_size,
            [KV_ROWS] = config->n_kv_heads * config->head_size,
            [D_FFN] = config->d_ffn,
            [N_VOCAB] = config->n_vocab},
        .claimed = calloc(rr_gguf_n_tensors(model->gguf), sizeof *c.claimed),
        .diag = diag,
    };
    model->layers = calloc(config->n_layers, sizeof *model->layers);
    rr_status status = c.claimed == NULL || model->layers == NULL
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", rr_gguf_path(model->gguf))
        : check_tensors(&c, model);
    free(c.claimed);
    return status;
}

rr_status rr_model_from_gguf(rr_gguf **gguf, rr_model **out, rr_diag *diag) {
    rr_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        rr_gguf_close(gguf);
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    model->gguf = *gguf;
    *gguf = NULL;
    rr_status status = fill_model(model, diag);
    if (status != RR_OK) {
        rr_model_close(&model);
        return status;
    }
    *out = model;
    return RR_OK;
}

rr_status rr_model_open(const char *path, rr_model **out, rr_diag *diag) {
    rr_gguf *gguf = NULL;
    RR_TRY(rr_gguf_open(path, &gguf, diag));
    return rr_model_from_gguf(&gguf, out, diag);
}

void rr_model_close(rr_model **model) {
    if (*model == NULL) {
        return;
    }
    rr_gguf_close(&(*model)->gguf);
    free((*model)->layers);
    free(*model);
    *model = NULL;
}

/* Every tensor of the file is one of the model's, each once. */
uint64_t rr_model_weight_bytes(const rr_model *model) {
    uint64_t sum = 0;
    for (size_t i = 0; i < rr_gguf_n_tensors(model->gguf); i++) {
        sum += rr_gguf_tensor_at(model->gguf, i)->bytes;
    }
    return sum;
}

uint64_t rr_model_n_parameters(const rr_model *model) {
    uint64_t sum = 0;
    for (size_t i = 0; i < rr_gguf_n_tensors(model->gguf); i++) {
        const rr_gguf_tensor *tensor = rr_gguf_tensor_at(model->gguf, i);
        sum += tensor->dims[0] * tensor->dims[1];
    }
    return sum;
}

static uint64_t hash_vector(uint64_t hash, const rr_weight *vector) {
    for (uint32_t i = 0; i < vector->cols; i++) {
        float value;
        rr_blocks_unpack(vector->type,
            vector->data + (size_t)i * rr_qtype_get((uint32_t)vector->type)->block_bytes, 1,
            &value);
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
    return hash_vector(hash, &model->output_norm);
}
