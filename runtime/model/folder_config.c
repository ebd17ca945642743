/* config.json of a Hugging Face folder, field by field, in both forms that transformers writes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/model/folder_internal.h"

#define ARCHITECTURE "Qwen2ForCausalLM"

static const char *const size_fields[RR_CONFIG_SIZE_COUNT] = {
    [RR_CONFIG_LAYERS] = "num_hidden_layers",
    [RR_CONFIG_D_MODEL] = "hidden_size",
    [RR_CONFIG_D_FFN] = "intermediate_size",
    [RR_CONFIG_HEADS] = "num_attention_heads",
    [RR_CONFIG_KV_HEADS] = "num_key_value_heads",
    [RR_CONFIG_CONTEXT] = "max_position_embeddings",
};
enum { DEFAULT_CONTEXT = 32768, LEAST_WINDOW = 16 };

static rr_status check_architecture(rr_json_object config, rr_diag *diag) {
    yyjson_val *list = NULL;
    rr_text type = {"", 0};
    RR_TRY(rr_json_get_list(config, "architectures", &list, diag));
    RR_TRY(rr_json_get_text(config, "model_type", &type, diag));
    size_t i, n;
    yyjson_val *name;
    yyjson_arr_foreach(list, i, n, name) {
        if (!yyjson_is_str(name)) {
            return rr_fail(diag, RR_E_INPUT, "%s: architectures: string expected, %s found",
                config.place, rr_json_type(name));
        }
        if (!rr_text_is(rr_json_string(name), ARCHITECTURE)) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: architectures: %s found, " ARCHITECTURE
                " expected; use a Qwen2 or Qwen2.5 model",
                config.place, rr_text_show(rr_json_string(name)).text);
        }
    }
    if (type.bytes > 0 && !rr_text_is(type, "qwen2")) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: model_type: %s found, qwen2 expected; use a Qwen2 or Qwen2.5 model", config.place,
            rr_text_show(type).text);
    }
    if (type.bytes == 0 && yyjson_arr_size(list) == 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: neither architectures nor model_type found, [\"" ARCHITECTURE
            "\"] and \"qwen2\" expected",
            config.place);
    }
    return RR_OK;
}

static rr_status missing(rr_json_object config, const char *field, rr_diag *diag) {
    return rr_fail(diag, RR_E_INPUT, "%s: %s: missing, number expected", config.place, field);
}

static rr_status read_sizes(rr_json_object config, rr_model_config *out, rr_diag *diag) {
    for (int f = 0; f < RR_CONFIG_SIZE_COUNT; f++) {
        const rr_config_size *size = rr_config_size_at((rr_config_field)f);
        int64_t value = 0;
        RR_TRY(rr_json_get_integer(config, size_fields[f], size->least, size->most, &value, diag));
        if (value == 0 && f == RR_CONFIG_KV_HEADS) {
            value = out->n_heads; /* each has its own */
        } else if (value == 0 && f == RR_CONFIG_CONTEXT) {
            value = DEFAULT_CONTEXT;
        } else if (value == 0) {
            return missing(config, size_fields[f], diag);
        }
        *(uint32_t *)(void *)((char *)out + size->place) = (uint32_t)value;
    }
    int64_t n_vocab = 0, head_size = 0;
    RR_TRY(rr_json_get_integer(config, "vocab_size", 1, RR_MODEL_MAX_VOCAB, &n_vocab, diag));
    RR_TRY(rr_json_get_integer(config, "head_dim", 1, 1 << 16, &head_size, diag));
    if (n_vocab == 0) {
        return missing(config, "vocab_size", diag);
    }
    out->n_vocab = (uint32_t)n_vocab;
    out->head_size = (uint32_t)head_size;
    if (out->n_heads % out->n_kv_heads != 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: num_attention_heads %u found over num_key_value_heads %u, a multiple expected",
            config.place, out->n_heads, out->n_kv_heads);
    }
    return rr_config_check(out, config.place, diag);
}

/* A number with a range; absent = what *value is. */
static rr_status read_number(rr_json_object object, const char *field, double least, double most,
    double *value, rr_diag *diag) {
    double found = *value;
    RR_TRY(rr_json_get_number(object, field, &found, diag));
    if (rr_json_has(object, field) && !(found >= least && found <= most)) {
        return rr_fail(diag, RR_E_INPUT, "%s: %s: %g found, %g to %g expected", object.place, field,
            found, least, most);
    }
    *value = found;
    return RR_OK;
}

/* The kind of RoPE that an object names, "default" when none; old files call the field `type`. */
static rr_status rope_kind(rr_json_object rope, rr_text *out, rr_diag *diag) {
    rr_text old = {NULL, 0}, kind = {NULL, 0};
    RR_TRY(rr_json_get_text(rope, "type", &old, diag));
    RR_TRY(rr_json_get_text(rope, "rope_type", &kind, diag));
    if (old.data != NULL && kind.data != NULL && rr_text_compare(old, kind) != 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: type %s and rope_type %s found, the same expected",
            rope.place, rr_text_show(old).text, rr_text_show(kind).text);
    }
    *out = kind.data != NULL ? kind : old.data != NULL ? old : (rr_text){"default", 7};
    return RR_OK;
}

static rr_status read_yarn(rr_json_object rope, rr_model_config *out, rr_diag *diag) {
    static const char *const unknown[] = {"mscale", "mscale_all_dim"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        if (rr_json_has(rope, unknown[i])) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: %s: found, no model of Qwen2 has it and it is not computed", rope.place,
                unknown[i]);
        }
    }
    rr_yarn yarn = {
        .original_context = out->n_context, .beta_fast = 32.0, .beta_slow = 1.0, .truncate = true};
    RR_TRY(read_number(rope, "factor", 1.0, 1e6, &yarn.factor, diag));
    if (yarn.factor == 0.0) {
        return missing(rope, "factor", diag);
    }
    yarn.attention_factor = 0.1 * log(yarn.factor) + 1.0;
    RR_TRY(read_number(
        rope, "original_max_position_embeddings", 1.0, 1 << 24, &yarn.original_context, diag));
    RR_TRY(read_number(rope, "attention_factor", 1e-6, 1e6, &yarn.attention_factor, diag));
    RR_TRY(read_number(rope, "beta_fast", 1e-6, 1e6, &yarn.beta_fast, diag));
    RR_TRY(read_number(rope, "beta_slow", 1e-6, 1e6, &yarn.beta_slow, diag));
    RR_TRY(rr_json_get_bool(rope, "truncate", &yarn.truncate, diag));
    if (out->rope_theta <= 1.0f) {
        return rr_fail(diag, RR_E_INPUT, "%s: rope_theta: %g found, more than 1 expected for yarn",
            rope.place, (double)out->rope_theta);
    }
    out->yarn = yarn;
    const double reach = yarn.original_context * yarn.factor;
    const double most = (double)rr_config_size_at(RR_CONFIG_CONTEXT)->most;
    if (reach >
        (double)out->n_context) { /* the config may still give the length before stretching */
        out->n_context = (uint32_t)fmin(reach, most);
    }
    return RR_OK;
}

/* transformers 5 writes rope_parameters, which wins; before it, rope_theta and rope_scaling. */
static rr_status read_rope(rr_json_object config, rr_model_config *out, rr_diag *diag) {
    char place[4096];
    yyjson_val *parameters = NULL, *scaling = NULL;
    RR_TRY(rr_json_get_object(config, "rope_parameters", &parameters, diag));
    RR_TRY(rr_json_get_object(config, "rope_scaling", &scaling, diag));
    snprintf(place, sizeof place, "%s: %s", config.place,
        parameters != NULL ? "rope_parameters" : "rope_scaling");
    const rr_json_object rope = {parameters != NULL ? parameters : scaling, place};
    RR_TRY(rr_json_check_unique(rope, diag));
    double theta = 10000.0; /* what transformers takes when none is written */
    RR_TRY(read_number(config, "rope_theta", 1.0, 1e12, &theta, diag));
    RR_TRY(read_number(rope, "rope_theta", 1.0, 1e12, &theta, diag));
    out->rope_theta = (float)theta;
    rr_text kind;
    RR_TRY(rope_kind(rope, &kind, diag));
    if (rr_text_is(kind, "yarn")) {
        return read_yarn(rope, out, diag);
    }
    if (!rr_text_is(kind, "default")) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: %s found, default or yarn expected; use the model's folder without context "
            "extension",
            place, rr_text_show(kind).text);
    }
    return RR_OK;
}

/* Whether a layer sees a window of the keys only: by layer_types, else by max_window_layers. */
static rr_status has_window(
    rr_json_object config, const rr_model_config *sizes, bool *out, rr_diag *diag) {
    bool wanted = false;
    int64_t first = INT32_MAX;
    yyjson_val *types = NULL, *type;
    RR_TRY(rr_json_get_bool(config, "use_sliding_window", &wanted, diag));
    RR_TRY(rr_json_get_integer(config, "max_window_layers", 0, INT32_MAX, &first, diag));
    RR_TRY(rr_json_get_list(config, "layer_types", &types, diag));
    if (types == NULL) {
        *out = wanted && first < (int64_t)sizes->n_layers;
        return RR_OK;
    }
    if (yyjson_arr_size(types) != sizes->n_layers) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: layer_types: %zu found, num_hidden_layers %u expected", config.place,
            yyjson_arr_size(types), sizes->n_layers);
    }
    size_t i, n;
    *out = false;
    yyjson_arr_foreach(types, i, n, type) {
        const rr_text text = rr_json_string(type);
        if (yyjson_is_str(type) && rr_text_is(text, "sliding_attention")) {
            *out = true;
        } else if (!yyjson_is_str(type) || !rr_text_is(text, "full_attention")) {
            return rr_fail(diag, RR_E_UNSUPPORTED,
                "%s: layer_types: %s found, full_attention or sliding_attention expected",
                config.place, yyjson_is_str(type) ? rr_text_show(text).text : rr_json_type(type));
        }
    }
    return RR_OK;
}

/* Attention over a window is not computed: a text that is no longer than the window is what it can
 * be right for. */
static rr_status read_window(rr_json_object config, rr_model_config *out, rr_diag *diag) {
    bool windowed = false;
    int64_t window = 0;
    RR_TRY(has_window(config, out, &windowed, diag));
    RR_TRY(rr_json_get_integer(config, "sliding_window", 1, INT32_MAX, &window, diag));
    if (!windowed || window == 0 || window >= (int64_t)out->n_context) {
        return RR_OK;
    }
    if (window < LEAST_WINDOW) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: sliding_window: %lld found in use, which is not computed; at least %d expected, or "
            "use_sliding_window false",
            config.place, (long long)window, LEAST_WINDOW);
    }
    rr_log(RR_LOG_WARN,
        "%s: sliding_window %lld is in use, which is not computed: the context is limited to it, "
        "where it changes nothing",
        config.place, (long long)window);
    out->n_context = (uint32_t)window;
    return RR_OK;
}

rr_status rr_folder_config(rr_json_object config, rr_model_config *out, rr_diag *diag) {
    if (!yyjson_is_obj(config.value)) {
        return rr_fail(diag, RR_E_INPUT, "%s: object expected, %s found", config.place,
            rr_json_type(config.value));
    }
    RR_TRY(rr_json_check_unique(config, diag));
    rr_model_config read = {0};
    RR_TRY(check_architecture(config, diag));
    RR_TRY(read_sizes(config, &read, diag));
    double epsilon = 1e-6;
    RR_TRY(read_number(config, "rms_norm_eps", 1e-12, 0.1, &epsilon, diag));
    read.rms_epsilon = (float)epsilon;
    rr_text act = {"silu", 4};
    RR_TRY(rr_json_get_text(config, "hidden_act", &act, diag));
    if (!rr_text_is(act, "silu")) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "%s: hidden_act: %s found, silu expected",
            config.place, rr_text_show(act).text);
    }
    RR_TRY(rr_json_get_bool(config, "tie_word_embeddings", &read.tied, diag));
    RR_TRY(read_rope(config, &read, diag));
    RR_TRY(read_window(config, &read, diag));
    *out = read;
    return RR_OK;
}
