#include "runtime/model/gguf_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/model/gguf_names.h"
#include "runtime/model/gguf_parts.h"
#include "runtime/model/source_internal.h"

typedef struct gguf_source {
    rr_source base;
    rr_gguf_parts parts;
    bool **claimed; /* [parts][tensors]: those that a weight was made of */
} gguf_source;

/* The part with the metadata. */
static const rr_gguf *gguf_of(const rr_source *source) {
    return ((const gguf_source *)source)->parts.items[0];
}

#define USE_ANOTHER "use a Qwen2 or Qwen2.5 model in GGUF form"

/* The configuration */

static rr_status read_u32(const rr_gguf *gguf, const char *key, uint32_t least, uint32_t most,
    uint32_t *out, rr_diag *diag) {
    uint64_t value;
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
    RR_TRY(rr_gguf_string(gguf, KEY_ARCHITECTURE, &architecture, diag));
    if (!rr_text_is(architecture, "qwen2")) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found a model of architecture \"%s\", expected \"qwen2\"; " USE_ANOTHER,
            rr_gguf_path(gguf), rr_text_show(architecture).text);
    }
    return RR_OK;
}

/* Rows of a model that looks both ways would be computed as another model's. */
static rr_status check_attention(const rr_gguf *gguf, rr_diag *diag) {
    bool causal = true;
    if (rr_gguf_find(gguf, KEY_CAUSAL) != NULL) {
        RR_TRY(rr_gguf_bool(gguf, KEY_CAUSAL, &causal, diag));
    }
    if (!causal) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: key \"" KEY_CAUSAL
            "\": found false (a model that makes embeddings), expected true; " USE_ANOTHER,
            rr_gguf_path(gguf));
    }
    return RR_OK;
}

/* The factor by which positions are stretched, 1 where the file has none; 0 means none, too. */
static rr_status read_rope_factor(const rr_gguf *gguf, double *factor, rr_diag *diag) {
    static const char *const keys[] = {KEY_SCALING_FACTOR, KEY_OLD_FACTOR};
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
    if (rr_gguf_find(gguf, KEY_SCALING) != NULL) {
        RR_TRY(rr_gguf_string(gguf, KEY_SCALING, &type, diag));
    }
    const bool is_linear = rr_text_is(type, "linear");
    if (!rr_text_is(type, "none") && !(is_linear && factor == 1.0)) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found RoPE scaling \"%s\" by %g, expected none, or linear by 1; use the model's file without "
            "context extension",
            rr_gguf_path(gguf), rr_text_show(type).text, factor);
    }
    uint32_t rotated = head_size;
    if (rr_gguf_find(gguf, KEY_ROTATED) != NULL) {
        RR_TRY(read_u32(gguf, KEY_ROTATED, head_size, head_size, &rotated, diag));
    }
    return RR_OK;
}

static rr_status read_sizes(const rr_gguf *gguf, rr_model_config *config, rr_diag *diag) {
    for (int f = 0; f < RR_CONFIG_SIZE_COUNT; f++) {
        const rr_config_size *size = rr_config_size_at((rr_config_field)f);
        uint32_t *to = (uint32_t *)(void *)((char *)config + size->place);
        RR_TRY(read_u32(gguf, rr_gguf_size_keys[f], size->least, size->most, to, diag));
    }
    if (rr_gguf_find(gguf, KEY_HEAD_SIZE) != NULL) {
        RR_TRY(read_u32(gguf, KEY_HEAD_SIZE, 1, 1u << 16, &config->head_size, diag));
    }
    RR_TRY(rr_config_check(config, rr_gguf_path(gguf), diag));
    uint32_t size = config->head_size;
    if (rr_gguf_find(gguf, KEY_VALUE_SIZE) != NULL) {
        RR_TRY(read_u32(gguf, KEY_VALUE_SIZE, size, size, &size, diag));
    }
    return RR_OK;
}

/* The vocabulary's size stands in the embedding's shape alone. */
static rr_status read_vocabulary_size(
    const gguf_source *own, rr_model_config *config, rr_diag *diag) {
    char name[RR_GGUF_NAME_ROOM], output[RR_GGUF_NAME_ROOM];
    rr_gguf_tensor_name(RR_ROLE_EMBEDDING, 0, name);
    rr_gguf_tensor_name(RR_ROLE_OUTPUT, 0, output);
    const rr_gguf *gguf = own->parts.items[0];
    size_t part;
    const rr_gguf_tensor *embedding = rr_gguf_parts_find(&own->parts, name, &part);
    if (embedding == NULL) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor \"%s\": not found, expected the embedding; the file is not a complete "
            "model",
            rr_gguf_path(gguf), name);
    }
    uint64_t n_tokens = 1;
    const rr_gguf_value *tokens = rr_gguf_find(gguf, KEY_TOKENS);
    if (tokens != NULL && tokens->type == RR_GGUF_ARRAY) {
        n_tokens = tokens->n_items;
    }
    if (embedding->dims[1] < n_tokens || embedding->dims[1] > RR_MODEL_MAX_VOCAB) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor \"%s\": found %llu rows, expected %llu (the tokens of the vocabulary) to "
            "%d; " USE_ANOTHER,
            rr_gguf_path(gguf), name, (unsigned long long)embedding->dims[1],
            (unsigned long long)n_tokens, RR_MODEL_MAX_VOCAB);
    }
    config->n_vocab = (uint32_t)embedding->dims[1];
    config->tied = rr_gguf_parts_find(&own->parts, output, &part) == NULL;
    return RR_OK;
}

static rr_status read_config(const rr_source *source, rr_model_config *out, rr_diag *diag) {
    const rr_gguf *gguf = gguf_of(source);
    rr_model_config config = {0};
    RR_TRY(check_architecture(gguf, diag));
    RR_TRY(read_sizes(gguf, &config, diag));
    RR_TRY(read_f32(gguf, KEY_THETA, 1.0, 1e12, &config.rope_theta, diag));
    RR_TRY(read_f32(gguf, KEY_EPSILON, 1e-12, 0.1, &config.rms_epsilon, diag));
    RR_TRY(check_attention(gguf, diag));
    RR_TRY(check_rope(gguf, config.head_size, diag));
    RR_TRY(read_vocabulary_size((const gguf_source *)source, &config, diag));
    *out = config;
    return RR_OK;
}

static rr_text model_name(const rr_source *source) {
    rr_text name = {"", 0};
    if (rr_gguf_find(gguf_of(source), KEY_NAME) != NULL) {
        (void)rr_gguf_string(gguf_of(source), KEY_NAME, &name, NULL); /* empty when no string */
    }
    return name;
}

static rr_text about(const rr_source *source) {
    (void)source;
    return (rr_text){"", 0}; /* types say all */
}

/* Weights */

static rr_status check_type(
    const rr_gguf *gguf, const rr_gguf_tensor *tensor, bool is_vector, rr_diag *diag) {
    const rr_qtype_info *info = rr_qtype_get(tensor->type);
    if (is_vector && tensor->type != RR_Q_F32 && tensor->type != RR_Q_F16 &&
        tensor->type != RR_Q_BF16) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: tensor \"%s\": found type %s (number %u), expected F32, F16 or BF16; use another "
            "conversion of the model",
            rr_gguf_path(gguf), rr_text_show(tensor->name).text,
            info != NULL ? info->name : "unknown", tensor->type);
    }
    if (info == NULL) {
        char list[128] = "";
        size_t n, used = 0;
        const rr_qtype_info *all = rr_qtype_all(&n);
        for (size_t i = 0; i < n && used < sizeof list; i++) {
            used += (size_t)snprintf(
                list + used, sizeof list - used, "%s%s", i > 0 ? " " : "", all[i].name);
        }
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: tensor \"%s\": found type number %u, expected one of %s; use another "
            "quantization of the model, Q4_K_M for example",
            rr_gguf_path(gguf), rr_text_show(tensor->name).text, tensor->type, list);
    }
    return RR_OK;
}

static rr_status read_weight(rr_source *source, rr_role role, uint32_t layer, uint32_t rows,
    uint32_t cols, rr_weight *out, rr_diag *diag) {
    gguf_source *own = (gguf_source *)source;
    char name[RR_GGUF_NAME_ROOM];
    rr_gguf_tensor_name(role, layer, name);
    size_t part = 0;
    const rr_gguf_tensor *tensor = rr_gguf_parts_find(&own->parts, name, &part);
    if (tensor == NULL) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor \"%s\": not found, expected %u rows of %u; the file is not a complete "
            "model",
            source->path, name, rows, cols);
    }
    if (tensor->dims[0] != cols || tensor->dims[1] != rows || tensor->dims[2] != 1 ||
        tensor->dims[3] != 1) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor \"%s\": found the shape %llu × %llu × %llu × %llu (columns first), "
            "expected %u × %u × 1 × 1 by the model's keys; " USE_ANOTHER,
            source->path, name, (unsigned long long)tensor->dims[0],
            (unsigned long long)tensor->dims[1], (unsigned long long)tensor->dims[2],
            (unsigned long long)tensor->dims[3], cols, rows);
    }
    const rr_gguf *gguf = own->parts.items[part];
    RR_TRY(check_type(gguf, tensor, rows == 1, diag));
    own->claimed[part][tensor - rr_gguf_tensor_at(gguf, 0)] = true;
    *out = (rr_weight){.name = tensor->name,
        .type = (rr_qtype)tensor->type,
        .rows = rows,
        .cols = cols,
        .data = tensor->data,
        .bytes = tensor->bytes};
    return RR_OK;
}

static rr_status check_leftovers(const rr_source *source, rr_diag *diag) {
    const gguf_source *own = (const gguf_source *)source;
    for (size_t part = 0; part < own->parts.n; part++) {
        const rr_gguf *gguf = own->parts.items[part];
        for (size_t i = 0; i < rr_gguf_n_tensors(gguf); i++) {
            if (!own->claimed[part][i]) {
                return rr_fail(diag, RR_E_UNSUPPORTED,
                    "%s: tensor \"%s\": found, but a Qwen2 model has no such tensor; " USE_ANOTHER,
                    rr_gguf_path(gguf), rr_text_show(rr_gguf_tensor_at(gguf, i)->name).text);
            }
        }
    }
    return RR_OK;
}

/* Tokens */

static rr_status check_kind(
    const rr_gguf *gguf, const char *key, const char *expected, rr_diag *diag) {
    rr_text found;
    RR_TRY(rr_gguf_string(gguf, key, &found, diag));
    if (!rr_text_is(found, expected)) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: %s: found \"%s\", supported is \"%s\" (Qwen2 and Qwen2.5)", rr_gguf_path(gguf),
            key, rr_text_show(found).text, expected);
    }
    return RR_OK;
}

static rr_status find_strings(
    const rr_gguf *gguf, const char *key, const rr_gguf_value **out, rr_diag *diag) {
    const rr_gguf_value *value = rr_gguf_find(gguf, key);
    if (value == NULL || value->type != RR_GGUF_ARRAY || value->item_type != RR_GGUF_STRING ||
        value->n_items > INT32_MAX / 4) {
        return rr_fail(diag, RR_E_INPUT, "%s: %s: %s, expected an array of strings",
            rr_gguf_path(gguf), key, value == NULL ? "missing" : "of another type or too long");
    }
    *out = value;
    return RR_OK;
}

static rr_status find_types(
    const rr_gguf *gguf, uint64_t n_tokens, const rr_gguf_value **out, rr_diag *diag) {
    const char *path = rr_gguf_path(gguf);
    const rr_gguf_value *types = rr_gguf_find(gguf, KEY_TOKEN_TYPES);
    if (types == NULL || types->type != RR_GGUF_ARRAY ||
        (types->item_type != RR_GGUF_I32 && types->item_type != RR_GGUF_U32)) {
        return rr_fail(diag, RR_E_INPUT, "%s: %s: %s, expected an array of 32-bit integers", path,
            KEY_TOKEN_TYPES, types == NULL ? "missing" : "of another type");
    }
    if (types->n_items != n_tokens) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: %s: found %llu entries, expected one for each of the %llu tokens", path,
            KEY_TOKEN_TYPES, (unsigned long long)types->n_items, (unsigned long long)n_tokens);
    }
    *out = types;
    return RR_OK;
}

/* The kind of the token `id`, whose type number stands at `at`. */
static rr_status read_kind(const rr_source *source, uint32_t id, const uint8_t *at, rr_text text,
    uint8_t *out, rr_diag *diag) {
    static const char *const names[] = {
        "", "normal", "unknown", "control", "user defined", "unused", "byte"};
    static const uint8_t kinds[] = {[1] = RR_TOKEN_NORMAL,
        [2] = RR_TOKEN_NORMAL,
        [3] = RR_TOKEN_CONTROL,
        [4] = RR_TOKEN_USER,
        [5] = RR_TOKEN_UNUSED,
        [6] = RR_TOKEN_NORMAL};
    static const uint32_t control = 3;
    uint32_t type =
        (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    if (type < 1 || type > 6) {
        return rr_fail(diag, RR_E_INPUT, "%s: %s: token %u has type %u, expected 1 to 6",
            source->path, KEY_TOKEN_TYPES, id, type);
    }
    if (type != control && rr_token_is_chat(text)) {
        rr_log(RR_LOG_WARN,
            "%s: %s: %s is token %u but has type %u (%s), expected %u (control): the converter left its type out; "
            "it is taken for a control token",
            source->path, KEY_TOKEN_TYPES, rr_text_show(text).text, id, type, names[type], control);
        type = control;
    }
    *out = kinds[type];
    return RR_OK;
}

static rr_status read_tokens(const rr_source *source, rr_token_list *out, rr_diag *diag) {
    const rr_gguf *gguf = gguf_of(source);
    const rr_gguf_value *tokens = NULL, *types = NULL, *merges = NULL;
    RR_TRY(check_kind(gguf, KEY_TOKENIZER, "gpt2", diag));
    RR_TRY(check_kind(gguf, KEY_PRETOKENIZER, "qwen2", diag));
    RR_TRY(find_strings(gguf, KEY_TOKENS, &tokens, diag));
    RR_TRY(find_types(gguf, tokens->n_items, &types, diag));
    RR_TRY(find_strings(gguf, KEY_MERGES, &merges, diag));
    RR_TRY(rr_token_list_allocate(out, (uint32_t)tokens->n_items, (uint32_t)merges->n_items, diag));
    out->label = source->path;
    out->tokens_label = KEY_TOKENS;
    out->merges_label = KEY_MERGES;
    uint64_t cursor = 0;
    for (uint32_t i = 0; i < out->n && rr_gguf_next_string(tokens, &cursor, &out->texts[i]); i++) {
        RR_TRY(
            read_kind(source, i, types->data + 4 * (size_t)i, out->texts[i], &out->kinds[i], diag));
    }
    cursor = 0;
    for (uint32_t i = 0; i < out->n_merges; i++) {
        (void)rr_gguf_next_string(merges, &cursor, &out->merges[i]); /* counted at open */
    }
    return RR_OK;
}

/* Keys for another file of the model */

static bool begins_with(rr_text text, const char *beginning) {
    const size_t n = strlen(beginning);
    return text.bytes >= n && memcmp(text.data, beginning, n) == 0;
}

/* How this file's own tensors are stored and cut, which is not the model's. */
static bool is_of_the_file(rr_text key) {
    static const char *const keys[] = {KEY_FILE_TYPE, KEY_QUANTIZATION_VERSION, KEY_ALIGNMENT};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (rr_text_is(key, keys[i])) {
            return true;
        }
    }
    return begins_with(key, "split.") || begins_with(key, "quantize.");
}

static rr_status put_keys(const rr_source *source, rr_gguf_writer *writer, rr_diag *diag) {
    const rr_gguf *gguf = gguf_of(source);
    for (size_t i = 0; i < rr_gguf_n_values(gguf); i++) {
        const rr_gguf_value *value = rr_gguf_value_at(gguf, i);
        if (!is_of_the_file(value->key)) {
            rr_gw_copy(writer, value);
        }
    }
    return writer->keys.failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : RR_OK;
}

/* Files */

static void drop_pages(const rr_source *source) {
    const rr_gguf_parts *parts = &((const gguf_source *)source)->parts;
    for (size_t part = 0; part < parts->n; part++) {
        rr_gguf_drop_pages(parts->items[part]);
    }
}

static bool file_at(const rr_source *source, size_t index, rr_source_file *out) {
    const rr_gguf_parts *parts = &((const gguf_source *)source)->parts;
    if (index >= parts->n) {
        return false;
    }
    const rr_gguf *gguf = parts->items[index];
    *out = (rr_source_file){.path = rr_gguf_path(gguf),
        .bytes = rr_gguf_file_bytes(gguf),
        .modified_ns = rr_gguf_modified_ns(gguf)};
    out->head = rr_gguf_head(gguf, &out->head_bytes);
    return true;
}

static bool tensor_at(
    const rr_source *source, size_t index, const uint8_t **data, uint64_t *bytes) {
    const rr_gguf_parts *parts = &((const gguf_source *)source)->parts;
    for (size_t part = 0; part < parts->n; part++) {
        const size_t n = rr_gguf_n_tensors(parts->items[part]);
        if (index < n) {
            const rr_gguf_tensor *tensor = rr_gguf_tensor_at(parts->items[part], index);
            *data = tensor->data;
            *bytes = tensor->bytes;
            return true;
        }
        index -= n;
    }
    return false;
}

static void close_source(rr_source *source) {
    gguf_source *own = (gguf_source *)source;
    for (size_t part = 0; own->claimed != NULL && part < own->parts.n; part++) {
        free(own->claimed[part]);
    }
    free(own->claimed);
    rr_gguf_parts_close(&own->parts);
    free(own);
}

/* Takes the parts. */
static rr_status make_source(rr_gguf_parts *parts, rr_source **out, rr_diag *diag) {
    static const rr_source_reader reader = {.close = close_source,
        .name = model_name,
        .about = about,
        .config = read_config,
        .weight = read_weight,
        .finish = check_leftovers,
        .tokens = read_tokens,
        .keys = put_keys,
        .drop_pages = drop_pages,
        .file_at = file_at,
        .tensor_at = tensor_at};
    const char *path = rr_gguf_path(parts->items[0]);
    gguf_source *own = calloc(1, sizeof *own);
    if (own == NULL) {
        rr_status status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
        rr_gguf_parts_close(parts);
        return status;
    }
    *own = (gguf_source){.base = {&reader, path, path}, .parts = *parts};
    *parts = (rr_gguf_parts){0};
    own->claimed = calloc(own->parts.n, sizeof *own->claimed);
    bool failed = own->claimed == NULL;
    for (size_t part = 0; !failed && part < own->parts.n; part++) {
        own->claimed[part] =
            calloc(rr_gguf_n_tensors(own->parts.items[part]) + 1, sizeof **own->claimed);
        failed = own->claimed[part] == NULL;
    }
    if (failed) {
        rr_status status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
        close_source(&own->base);
        return status;
    }
    *out = &own->base;
    return RR_OK;
}

rr_status rr_source_open_gguf(const char *path, rr_source **out, rr_diag *diag) {
    rr_gguf_parts parts = {0};
    RR_TRY(rr_gguf_parts_open(path, &parts, diag));
    return make_source(&parts, out, diag);
}

rr_status rr_source_from_gguf(rr_gguf **gguf, rr_source **out, rr_diag *diag) {
    rr_gguf_parts parts = {0};
    RR_TRY(rr_gguf_parts_of(gguf, &parts, diag));
    return make_source(&parts, out, diag);
}

rr_status rr_source_parse_gguf(
    const void *data, uint64_t bytes, const char *label, rr_source **out, rr_diag *diag) {
    rr_gguf *gguf = NULL;
    RR_TRY(rr_gguf_parse(data, bytes, label, &gguf, diag));
    return rr_source_from_gguf(&gguf, out, diag);
}
