#include "runtime/model/config.h"

enum { MAX_HEADS_A_KV_HEAD = 8 };

static const rr_config_size sizes[RR_CONFIG_SIZE_COUNT] = {
    [RR_CONFIG_LAYERS] = {offsetof(rr_model_config, n_layers), 1, RR_MODEL_MAX_LAYERS},
    [RR_CONFIG_D_MODEL] = {offsetof(rr_model_config, d_model), 32, 1u << 16},
    [RR_CONFIG_D_FFN] = {offsetof(rr_model_config, d_ffn), 32, 1u << 20},
    [RR_CONFIG_HEADS] = {offsetof(rr_model_config, n_heads), 1, 1024},
    [RR_CONFIG_KV_HEADS] = {offsetof(rr_model_config, n_kv_heads), 1, 1024},
    [RR_CONFIG_CONTEXT] = {offsetof(rr_model_config, n_context), 1, 1u << 24},
};

const rr_config_size *rr_config_size_at(rr_config_field field) {
    return &sizes[field];
}

#define USE_ANOTHER "use a Qwen2 or Qwen2.5 model"

static rr_status check_heads(rr_model_config *config, const char *label, rr_diag *diag) {
    if (config->n_heads % config->n_kv_heads != 0 ||
        config->n_heads / config->n_kv_heads > MAX_HEADS_A_KV_HEAD) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found %u query heads over %u KV heads, expected 1 to %d query heads a KV head; " USE_ANOTHER,
            label, config->n_heads, config->n_kv_heads, MAX_HEADS_A_KV_HEAD);
    }
    if (config->head_size == 0) {
        if (config->d_model % config->n_heads != 0) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: found an embedding of %u over %u heads, expected a multiple; " USE_ANOTHER,
                label, config->d_model, config->n_heads);
        }
        config->head_size = config->d_model / config->n_heads;
    }
    const uint32_t size = config->head_size;
    if (size < 16 || size > RR_CONFIG_MAX_HEAD_SIZE || (size & (size - 1)) != 0) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found heads of size %u, expected a power of two from 16 to %d; " USE_ANOTHER,
            label, size, RR_CONFIG_MAX_HEAD_SIZE);
    }
    return RR_OK;
}

rr_status rr_config_check(rr_model_config *config, const char *label, rr_diag *diag) {
    RR_TRY(check_heads(config, label, diag));
    if (config->d_model % 32 != 0 || config->d_ffn % 32 != 0 ||
        config->n_heads * config->head_size % 32 != 0) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: found an embedding of %u, %u × %u heads and a feed-forward width of %u, "
            "expected multiples of 32; " USE_ANOTHER,
            label, config->d_model, config->n_heads, config->head_size, config->d_ffn);
    }
    return RR_OK;
}
