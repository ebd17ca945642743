/* Adapters as peft writes them: adapter_config.json and adapter_model.safetensors. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/model/adapter_internal.h"

static const uint64_t max_config_bytes = (uint64_t)16 << 20;

/* Fields that change what is computed, where they are there and not null, false or empty. */
static const char *const unsupported[] = {"use_dora", "lora_bias", "use_qalora", "use_bdlora",
    "layer_replication", "target_parameters", "kasa_config", "arrow_config", "corda_config",
    "alora_invocation_tokens", "trainable_token_indices", "modules_to_save"};

/* Starts that change the base while training. */
static const char *const moved_bases[] = {"pissa", "olora", "corda", "loftq"};

static bool is_off(yyjson_val *value) {
    return value == NULL || yyjson_is_null(value) || yyjson_is_false(value) ||
        (yyjson_is_ctn(value) && yyjson_get_len(value) == 0);
}

static rr_status check_features(rr_json_object config, rr_diag *diag) {
    rr_text type = {"", 0}, bias = {"none", 4};
    bool fan_in = false;
    RR_TRY(rr_json_get_text(config, "peft_type", &type, diag));
    if (!rr_text_is(type, "LORA")) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "%s: peft_type: %s found, LORA expected",
            config.place, rr_text_show(type).text);
    }
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        if (!is_off(yyjson_obj_get(config.value, unsupported[i]))) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: %s: found, which is not computed; plain LoRA expected", config.place,
                unsupported[i]);
        }
    }
    RR_TRY(rr_json_get_text(config, "bias", &bias, diag));
    if (!rr_text_is(bias, "none")) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "%s: bias: %s found, none expected", config.place,
            rr_text_show(bias).text);
    }
    RR_TRY(rr_json_get_bool(config, "fan_in_fan_out", &fan_in, diag));
    if (fan_in) {
        rr_log(RR_LOG_WARN, "%s: fan_in_fan_out is true, which means nothing for a Qwen2 model",
            config.place);
    }
    yyjson_val *start = yyjson_obj_get(config.value, "init_lora_weights");
    for (size_t i = 0; yyjson_is_str(start) && i < sizeof moved_bases / sizeof moved_bases[0];
         i++) {
        const rr_text name = rr_json_string(start);
        if (name.bytes >= strlen(moved_bases[i]) &&
            rr_ascii_same(name.data, moved_bases[i], strlen(moved_bases[i]))) {
            rr_log(RR_LOG_WARN,
                "%s: init_lora_weights is %s, which changes the base while training: unless the adapter "
                "was converted afterwards it is wrong on the plain model",
                config.place, rr_text_show(name).text);
        }
    }
    return RR_OK;
}

/* Tensors */

/* A key in parts: "…layers.0.self_attn.q_proj" "lora_A" "default" "weight". */
typedef struct key_parts {
    uint32_t layer;
    rr_text module; /* "self_attn.q_proj" */
    bool is_b;
    rr_text adapter; /* between lora_A and weight; empty = nothing */
} key_parts;

static const char *find_text(rr_text in, const char *part) {
    const size_t n = strlen(part);
    for (size_t at = 0; at + n <= in.bytes; at++) {
        if (memcmp(in.data + at, part, n) == 0) {
            return in.data + at;
        }
    }
    return NULL;
}

static rr_text rest_of(rr_text text, const char *from) {
    return (rr_text){from, (size_t)(text.data + text.bytes - from)};
}

static rr_status refuse_tensor(
    const rr_adapter *adapter, rr_text name, const char *why, rr_diag *diag) {
    return rr_fail(
        diag, RR_E_UNSUPPORTED, "%s: tensor %s: %s", adapter->path, rr_text_show(name).text, why);
}

/* Tensors that are no half of a pair and change what is computed. */
static rr_status check_kind(const rr_adapter *adapter, rr_text name, rr_diag *diag) {
    static const struct {
        const char *part, *why;
    } kinds[] = {{"lora_embedding_", "adapters of the embedding are not computed"},
        {"lora_magnitude_vector", "DoRA is not computed"},
        {"modules_to_save", "whole matrices beside the pairs are not read"},
        {"lm_head.", "adapters of the output are not computed"},
        {"embed_tokens.", "whole matrices beside the pairs are not read"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (find_text(name, kinds[i].part) != NULL) {
            return refuse_tensor(adapter, name, kinds[i].why, diag);
        }
    }
    return RR_OK;
}

/* Whatever stands before "layers.N.": writers differ, and wrappers add their own. */
static rr_status split_key(const rr_adapter *adapter, rr_text name, key_parts *out, rr_diag *diag) {
    const char *at = find_text(name, "layers.");
    rr_text rest = at != NULL ? rest_of(name, at + strlen("layers.")) : (rr_text){"", 0};
    size_t n_digits = 0;
    out->layer = 0;
    while (n_digits < rest.bytes && n_digits < 6 && rest.data[n_digits] >= '0' &&
        rest.data[n_digits] <= '9') {
        out->layer = out->layer * 10 + (uint32_t)(rest.data[n_digits++] - '0');
    }
    if (n_digits == 0 || n_digits == rest.bytes || rest.data[n_digits] != '.') {
        return refuse_tensor(adapter, name, "belongs to no layer of a Qwen2 model", diag);
    }
    rest = rest_of(rest, rest.data + n_digits + 1);
    const char *half = find_text(rest, ".lora_");
    rr_text tail = half != NULL ? rest_of(rest, half + strlen(".lora_")) : (rr_text){"", 0};
    if (tail.bytes < 2 || (tail.data[0] != 'A' && tail.data[0] != 'B') || tail.data[1] != '.') {
        return refuse_tensor(adapter, name, "is neither lora_A nor lora_B", diag);
    }
    out->module = (rr_text){rest.data, (size_t)(half - rest.data)};
    out->is_b = tail.data[0] == 'B';
    tail = rest_of(tail, tail.data + 2);
    static const char weight[] = "weight";
    const size_t n_weight = sizeof weight - 1;
    if (tail.bytes < n_weight || memcmp(tail.data + tail.bytes - n_weight, weight, n_weight) != 0) {
        return refuse_tensor(
            adapter, name, "a weight expected; trained biases are not computed", diag);
    }
    tail.bytes -= n_weight;
    out->adapter = (rr_text){tail.data, tail.bytes > 0 ? tail.bytes - 1 : 0};
    return RR_OK;
}

static rr_status find_module(const rr_adapter *adapter, const key_parts *key, rr_role *role,
    const char **module, rr_diag *diag) {
    char name[96];
    snprintf(name, sizeof name, "model.layers.%u.%s", key->layer, rr_text_show(key->module).text);
    for (size_t i = 0; i < RR_ADAPTER_N_MODULES; i++) {
        if (rr_text_is(key->module, rr_adapter_modules[i].hf)) {
            *role = rr_adapter_modules[i].role;
            *module = rr_arena_copy(&adapter->files->arena, name, strlen(name));
            return *module != NULL ? RR_OK
                                   : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", adapter->path);
        }
    }
    return rr_fail(diag, RR_E_UNSUPPORTED,
        "%s: module %s found, but a Qwen2 model has no such linear layer", adapter->path, name);
}

static rr_status read_half(rr_adapter *adapter, const rr_st_tensor *tensor, const key_parts *key,
    rr_adapter_half *out, rr_diag *diag) {
    rr_role role = RR_ROLE_Q;
    const char *module = NULL;
    RR_TRY(find_module(adapter, key, &role, &module, diag));
    const bool is_float =
        tensor->type == RR_ST_F32 || tensor->type == RR_ST_F16 || tensor->type == RR_ST_BF16;
    if (!is_float || tensor->n_dims != 2 || tensor->dims[0] == 0 || tensor->dims[1] == 0 ||
        tensor->dims[0] > UINT32_MAX / 2 || tensor->dims[1] > UINT32_MAX / 2) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: tensor %s: %s %s found, a matrix of F32, F16 or BF16 expected", adapter->path,
            rr_text_show(tensor->name).text, tensor->type_name, rr_st_shape_of(tensor).text);
    }
    *out = (rr_adapter_half){.layer = key->layer,
        .role = role,
        .is_b = key->is_b,
        .module = module,
        .weight = {.name = tensor->name,
            .type = tensor->type == RR_ST_F32 ? RR_Q_F32
                : tensor->type == RR_ST_F16   ? RR_Q_F16
                                              : RR_Q_BF16,
            .rows = (uint32_t)tensor->dims[0],
            .cols = (uint32_t)tensor->dims[1],
            .data = tensor->data,
            .bytes = tensor->bytes}};
    return RR_OK;
}

static rr_status read_tensors(rr_adapter *adapter, rr_diag *diag) {
    const rr_safetensors *file = adapter->files->tensors;
    const size_t n = rr_safetensors_n(file);
    rr_adapter_half *halves = rr_arena_alloc(&adapter->files->arena, n + 1, sizeof *halves);
    if (halves == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", adapter->path);
    }
    rr_text adapter_name = {NULL, 0};
    size_t n_halves = 0;
    for (size_t i = 0; i < n; i++) {
        const rr_st_tensor *tensor = rr_safetensors_at(file, i);
        key_parts key;
        if (find_text(tensor->name, ".base_layer.") != NULL) {
            continue; /* a copy of the frozen weight */
        }
        RR_TRY(check_kind(adapter, tensor->name, diag));
        RR_TRY(split_key(adapter, tensor->name, &key, diag));
        if (adapter_name.data != NULL && rr_text_compare(adapter_name, key.adapter) != 0) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: two adapters found, \"%s\" and \"%s\", one expected", adapter->path,
                rr_text_show(adapter_name).text, rr_text_show(key.adapter).text);
        }
        adapter_name = key.adapter;
        RR_TRY(read_half(adapter, tensor, &key, &halves[n_halves++], diag));
    }
    return rr_adapter_join(adapter, halves, n_halves, diag);
}

/* Scales */

/* The value of the first pattern that names a module, in the order of the file; else *out stays. */
static rr_status pattern_value(
    rr_json_object config, const char *field, const char *module, double *out, rr_diag *diag) {
    yyjson_val *patterns = NULL, *key;
    RR_TRY(rr_json_get_object(config, field, &patterns, diag));
    yyjson_obj_iter iter = yyjson_obj_iter_with(patterns);
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        bool matches = false;
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        RR_TRY(rr_adapter_matches(config.place, rr_json_string(key), module, &matches, diag));
        if (!matches) {
            continue;
        }
        if (!yyjson_is_num(value) || !isfinite(yyjson_get_num(value))) {
            return rr_fail(diag, RR_E_INPUT, "%s: %s: %s: a finite number expected", config.place,
                field, rr_text_show(rr_json_string(key)).text);
        }
        *out = yyjson_get_num(value);
        return RR_OK;
    }
    return RR_OK;
}

static rr_status set_scales(rr_adapter *adapter, rr_json_object config, rr_diag *diag) {
    int64_t rank = 0;
    double alpha = 0.0;
    bool by_root = false;
    RR_TRY(rr_json_get_integer(config, "r", 1, 1 << 20, &rank, diag));
    RR_TRY(rr_json_get_number(config, "lora_alpha", &alpha, diag));
    RR_TRY(rr_json_get_bool(config, "use_rslora", &by_root, diag));
    if (rank == 0 || !rr_json_has(config, "lora_alpha")) {
        return rr_fail(diag, RR_E_INPUT, "%s: %s: missing, number expected", config.place,
            rank == 0 ? "r" : "lora_alpha");
    }
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        rr_adapter_pair *pair = &adapter->pairs[i];
        double own_rank = (double)rank, own_alpha = alpha;
        RR_TRY(pattern_value(config, "rank_pattern", pair->module, &own_rank, diag));
        RR_TRY(pattern_value(config, "alpha_pattern", pair->module, &own_alpha, diag));
        if (own_rank != (double)pair->rank) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: %s: rank %g by the configuration, but lora_A has %u rows", config.place,
                pair->module, own_rank, pair->rank);
        }
        pair->scale = own_alpha / (by_root ? sqrt(own_rank) : own_rank);
    }
    return RR_OK;
}

rr_status rr_adapter_read_peft(rr_adapter *adapter, rr_diag *diag) {
    rr_adapter_files *files = adapter->files;
    RR_TRY(rr_json_read(adapter->path, RR_ADAPTER_CONFIG, max_config_bytes, &files->config, diag));
    const rr_json_object config = {yyjson_doc_get_root(files->config.doc), files->config.label};
    rr_text base = {"", 0};
    RR_TRY(rr_json_check_unique(config, diag));
    RR_TRY(check_features(config, diag));
    RR_TRY(rr_json_get_text(config, "base_model_name_or_path", &base, diag));
    adapter->base = rr_arena_copy(&files->arena, base.data, base.bytes);
    rr_buf path = {0};
    rr_buf_printf(&path, "%s/" RR_ADAPTER_TENSORS, adapter->path);
    rr_status status = path.failed || adapter->base == NULL
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", adapter->path)
        : rr_safetensors_open(path.data, &files->tensors, diag);
    rr_buf_destroy(&path);
    RR_TRY(status);
    rr_text fingerprint = {"", 0};
    (void)rr_safetensors_metadata(files->tensors, RR_ADAPTER_KEY_FINGERPRINT, &fingerprint);
    adapter->base_fingerprint = rr_adapter_fingerprint_of(fingerprint);
    RR_TRY(read_tensors(adapter, diag));
    return set_scales(adapter, config, diag);
}
