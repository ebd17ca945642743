#include "runtime/model/gguf_names.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/log.h"

const char *const rr_gguf_size_keys[RR_CONFIG_SIZE_COUNT] = {
    [RR_CONFIG_LAYERS] = "qwen2.block_count",
    [RR_CONFIG_D_MODEL] = "qwen2.embedding_length",
    [RR_CONFIG_D_FFN] = "qwen2.feed_forward_length",
    [RR_CONFIG_HEADS] = "qwen2.attention.head_count",
    [RR_CONFIG_KV_HEADS] = "qwen2.attention.head_count_kv",
    [RR_CONFIG_CONTEXT] = "qwen2.context_length",
};

/* Behind "blk.N." where a role is one of a layer. */
static const char *const tensor_names[RR_ROLE_COUNT] = {
    [RR_ROLE_EMBEDDING] = "token_embd.weight",
    [RR_ROLE_OUTPUT_NORM] = "output_norm.weight",
    [RR_ROLE_OUTPUT] = "output.weight",
    [RR_ROLE_ATTN_NORM] = "attn_norm.weight",
    [RR_ROLE_Q] = "attn_q.weight",
    [RR_ROLE_K] = "attn_k.weight",
    [RR_ROLE_V] = "attn_v.weight",
    [RR_ROLE_Q_BIAS] = "attn_q.bias",
    [RR_ROLE_K_BIAS] = "attn_k.bias",
    [RR_ROLE_V_BIAS] = "attn_v.bias",
    [RR_ROLE_O] = "attn_output.weight",
    [RR_ROLE_FFN_NORM] = "ffn_norm.weight",
    [RR_ROLE_GATE] = "ffn_gate.weight",
    [RR_ROLE_UP] = "ffn_up.weight",
    [RR_ROLE_DOWN] = "ffn_down.weight",
};

void rr_gguf_tensor_name(rr_role role, uint32_t layer, char out[RR_GGUF_NAME_ROOM]) {
    if (role >= RR_ROLE_ATTN_NORM) {
        snprintf(out, RR_GGUF_NAME_ROOM, "blk.%u.%s", layer, tensor_names[role]);
    } else {
        snprintf(out, RR_GGUF_NAME_ROOM, "%s", tensor_names[role]);
    }
}

void rr_gguf_put_config(const rr_model_config *config, rr_gguf_writer *writer) {
    rr_gw_string(writer, KEY_ARCHITECTURE, "qwen2");
    rr_gw_string(writer, KEY_TYPE, "model");
    for (int f = 0; f < RR_CONFIG_SIZE_COUNT; f++) {
        const rr_config_size *size = rr_config_size_at((rr_config_field)f);
        uint32_t value;
        memcpy(&value, (const char *)config + size->place, sizeof value);
        rr_gw_u32(writer, rr_gguf_size_keys[f], value);
    }
    if (config->head_size * config->n_heads != config->d_model) {
        rr_gw_u32(writer, KEY_HEAD_SIZE, config->head_size);
        rr_gw_u32(writer, KEY_VALUE_SIZE, config->head_size);
    }
    rr_gw_f32(writer, KEY_THETA, config->rope_theta);
    rr_gw_f32(writer, KEY_EPSILON, config->rms_epsilon);
}

static int32_t find_token(const rr_token_list *list, const char *text) {
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->kinds[i] == RR_TOKEN_CONTROL && rr_text_is(list->texts[i], text)) {
            return (int32_t)i;
        }
    }
    return -1;
}

static void put_id(rr_gguf_writer *writer, const char *key, int32_t id) {
    if (id >= 0) {
        rr_gw_u32(writer, key, (uint32_t)id);
    }
}

/* A file names one token that ends an answer; the two of a chat are known besides. */
static void put_special_ids(const rr_token_list *list, rr_gguf_writer *writer) {
    const int32_t im_end = find_token(list, "<|im_end|>");
    const int32_t end_of_text = find_token(list, "<|endoftext|>");
    put_id(writer, "tokenizer.ggml.eos_token_id",
        list->n_stops > 0 ? list->stops[0]
            : im_end >= 0 ? im_end
                          : end_of_text);
    put_id(writer, "tokenizer.ggml.padding_token_id", end_of_text);
    put_id(writer, "tokenizer.ggml.bos_token_id", end_of_text);
    rr_gw_bool(writer, "tokenizer.ggml.add_bos_token", false);
    for (uint32_t i = 0; i < list->n_stops; i++) {
        if (list->stops[i] != im_end && list->stops[i] != end_of_text) {
            rr_log(RR_LOG_WARN,
                "%s: token %d ends an answer: a GGUF file cannot say so beside <|im_end|>",
                list->label, list->stops[i]);
        }
    }
}

rr_status rr_gguf_put_tokens(const rr_token_list *list, rr_gguf_writer *writer, rr_diag *diag) {
    static const int32_t types[] = {
        [RR_TOKEN_NORMAL] = 1, [RR_TOKEN_CONTROL] = 3, [RR_TOKEN_USER] = 4, [RR_TOKEN_UNUSED] = 5};
    enum { PADDING_ROOM = 16 }; /* "[PAD16777215]" */
    rr_arena arena = {0};
    rr_text *texts = rr_arena_alloc(&arena, list->n, sizeof *texts);
    int32_t *numbers = rr_arena_alloc(&arena, list->n, sizeof *numbers);
    rr_status status = RR_OK;
    for (uint32_t i = 0; texts != NULL && numbers != NULL && i < list->n; i++) {
        texts[i] = list->texts[i];
        numbers[i] = types[list->kinds[i]];
        if (list->kinds[i] == RR_TOKEN_UNUSED && texts[i].bytes == 0) {
            char *padding = rr_arena_alloc(&arena, PADDING_ROOM, 1);
            if (padding == NULL) {
                status = RR_E_MEMORY;
                break;
            }
            const int n = snprintf(padding, PADDING_ROOM, "[PAD%u]", i);
            texts[i] = (rr_text){padding, (size_t)n};
        }
    }
    if (texts == NULL || numbers == NULL || status != RR_OK) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for a vocabulary of %u tokens", list->n);
    } else {
        rr_gw_string(writer, KEY_TOKENIZER, "gpt2");
        rr_gw_string(writer, KEY_PRETOKENIZER, "qwen2");
        rr_gw_texts(writer, KEY_TOKENS, texts, list->n);
        rr_gw_i32s(writer, KEY_TOKEN_TYPES, numbers, list->n);
        rr_gw_texts(writer, KEY_MERGES, list->merges, list->n_merges);
        put_special_ids(list, writer);
    }
    rr_arena_destroy(&arena);
    return status;
}
