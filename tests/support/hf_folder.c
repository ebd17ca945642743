#include "tests/support/hf_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"

enum { MAX_WEIGHTS = 3 + 12 * RR_MODEL_MAX_LAYERS };

typedef struct entry {
    char name[96];
    const rr_weight *weight;
} entry;

typedef struct writer {
    const rr_model *model;
    const rr_hf_form *form;
    const char *folder;
    entry *entries;
    size_t n;
    rr_diag *diag;
} writer;

static void add(writer *w, const rr_weight *weight, const char *format, uint32_t layer) {
    entry *e = &w->entries[w->n++];
    e->weight = weight;
    snprintf(e->name, sizeof e->name, format, layer);
}

static void list_weights(writer *w) {
    const rr_model *m = w->model;
    add(w, &m->embedding, "model.embed_tokens.weight", 0);
    add(w, &m->output_norm, "model.norm.weight", 0);
    if (!m->config.tied) {
        add(w, &m->output, "lm_head.weight", 0);
    }
    for (uint32_t l = 0; l < m->config.n_layers; l++) {
        const rr_model_layer *layer = &m->layers[l];
        add(w, &layer->attn_norm, "model.layers.%u.input_layernorm.weight", l);
        add(w, &layer->q, "model.layers.%u.self_attn.q_proj.weight", l);
        add(w, &layer->q_bias, "model.layers.%u.self_attn.q_proj.bias", l);
        add(w, &layer->k, "model.layers.%u.self_attn.k_proj.weight", l);
        add(w, &layer->k_bias, "model.layers.%u.self_attn.k_proj.bias", l);
        add(w, &layer->v, "model.layers.%u.self_attn.v_proj.weight", l);
        add(w, &layer->v_bias, "model.layers.%u.self_attn.v_proj.bias", l);
        add(w, &layer->o, "model.layers.%u.self_attn.o_proj.weight", l);
        add(w, &layer->ffn_norm, "model.layers.%u.post_attention_layernorm.weight", l);
        add(w, &layer->gate, "model.layers.%u.mlp.gate_proj.weight", l);
        add(w, &layer->up, "model.layers.%u.mlp.up_proj.weight", l);
        add(w, &layer->down, "model.layers.%u.mlp.down_proj.weight", l);
    }
}

static uint64_t bytes_of(const writer *w, const rr_weight *weight) {
    return (uint64_t)weight->rows * weight->cols * (w->form->type == RR_Q_F32 ? 4 : 2);
}

static const char *dtype(const writer *w) {
    return w->form->type == RR_Q_F32 ? "F32" : w->form->type == RR_Q_F16 ? "F16" : "BF16";
}

static void shard_name(const writer *w, uint32_t shard, char *out, size_t room) {
    if (w->form->n_shards <= 1) {
        snprintf(out, room, "model.safetensors");
    } else {
        snprintf(out, room, "model-%05u-of-%05u.safetensors", shard + 1, w->form->n_shards);
    }
}

/* Every n-th weight goes to a shard, so that a layer's are spread. */
static bool is_in(const writer *w, size_t i, uint32_t shard) {
    return w->form->n_shards <= 1 || i % w->form->n_shards == shard;
}

static void append_header(const writer *w, uint32_t shard, rr_buf *out) {
    uint64_t at = 0;
    rr_buf json = {0};
    rr_buf_text(&json, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < w->n; i++) {
        if (!is_in(w, i, shard)) {
            continue;
        }
        const rr_weight *weight = w->entries[i].weight;
        rr_buf_printf(&json, ",\"%s\":{\"dtype\":\"%s\",\"shape\":", w->entries[i].name, dtype(w));
        if (weight->rows == 1) {
            rr_buf_printf(&json, "[%u]", weight->cols);
        } else {
            rr_buf_printf(&json, "[%u,%u]", weight->rows, weight->cols);
        }
        rr_buf_printf(&json, ",\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
            (unsigned long long)(at + bytes_of(w, weight)));
        at += bytes_of(w, weight);
    }
    rr_buf_text(&json, "}");
    while (json.bytes % 8 != 0) {
        rr_buf_text(&json, " ");
    }
    const uint64_t length = json.bytes;
    rr_buf_append(out, &length, sizeof length);
    rr_buf_append(out, json.data, json.bytes);
    out->failed = out->failed || json.failed;
    rr_buf_destroy(&json);
}

static rr_status write_weight(writer *w, const rr_weight *weight, rr_file_out *file) {
    const uint64_t row_bytes = bytes_of(w, weight) / weight->rows;
    float *row = malloc((size_t)weight->cols * sizeof *row);
    uint8_t *rounded = malloc((size_t)row_bytes);
    rr_status status = row == NULL || rounded == NULL
        ? rr_fail(w->diag, RR_E_MEMORY, "out of memory for a row")
        : RR_OK;
    for (uint32_t r = 0; status == RR_OK && r < weight->rows; r++) {
        rr_weight_unpack(weight, r, 1, row);
        rr_blocks_quantize(w->form->type, row, weight->cols, rounded);
        status = rr_file_out_write(file, rounded, (size_t)row_bytes, w->diag);
    }
    free(rounded);
    free(row);
    return status;
}

static rr_status write_shard(writer *w, uint32_t shard) {
    rr_buf path = {0}, head = {0};
    rr_file_out file = {0};
    char name[64];
    shard_name(w, shard, name, sizeof name);
    rr_buf_printf(&path, "%s/%s", w->folder, name);
    append_header(w, shard, &head);
    rr_status status = path.failed || head.failed
        ? rr_fail(w->diag, RR_E_MEMORY, "out of memory for a header")
        : rr_file_out_open(path.data, &file, w->diag);
    if (status == RR_OK) {
        status = rr_file_out_write(&file, head.data, head.bytes, w->diag);
        for (size_t i = 0; status == RR_OK && i < w->n; i++) {
            status = is_in(w, i, shard) ? write_weight(w, w->entries[i].weight, &file) : RR_OK;
        }
        if (status == RR_OK) {
            status = rr_file_out_finish(&file, w->diag);
        } else {
            rr_file_out_discard(&file);
        }
    }
    rr_buf_destroy(&head);
    rr_buf_destroy(&path);
    return status;
}

static rr_status write_text(const writer *w, const char *name, const rr_buf *text) {
    rr_buf path = {0};
    rr_buf_printf(&path, "%s/%s", w->folder, name);
    rr_status status = path.failed || text->failed
        ? rr_fail(w->diag, RR_E_MEMORY, "out of memory for %s", name)
        : rr_file_write_atomic(path.data, text->data, text->bytes, w->diag);
    rr_buf_destroy(&path);
    return status;
}

static rr_status write_index(const writer *w) {
    rr_buf text = {0};
    char name[64];
    rr_buf_text(&text, "{\"metadata\":{},\"weight_map\":{");
    for (size_t i = 0; i < w->n; i++) {
        shard_name(w, (uint32_t)(i % w->form->n_shards), name, sizeof name);
        rr_buf_printf(&text, "%s\"%s\":\"%s\"", i > 0 ? "," : "", w->entries[i].name, name);
    }
    rr_buf_text(&text, "}}");
    rr_status status = write_text(w, "model.safetensors.index.json", &text);
    rr_buf_destroy(&text);
    return status;
}

static rr_status write_config(const writer *w) {
    const rr_model_config *c = &w->model->config;
    rr_buf text = {0};
    rr_buf_printf(&text,
        "{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\",\"hidden_act\":\"silu\","
        "\"hidden_size\":%u,\"intermediate_size\":%u,\"num_hidden_layers\":%u,"
        "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,\"head_dim\":%u,\"vocab_size\":%u,"
        "\"max_position_embeddings\":%u,\"rms_norm_eps\":%.9g,\"tie_word_embeddings\":%s,"
        "\"use_sliding_window\":false,",
        c->d_model, c->d_ffn, c->n_layers, c->n_heads, c->n_kv_heads, c->head_size, c->n_vocab,
        c->n_context, (double)c->rms_epsilon, c->tied ? "true" : "false");
    rr_buf_printf(&text,
        w->form->rope_parameters
            ? "\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":%.9g}}"
            : "\"rope_theta\":%.9g}",
        (double)c->rope_theta);
    rr_status status = write_text(w, "config.json", &text);
    rr_buf_destroy(&text);
    return status;
}

/* Takes the document. */
static rr_status write_json(const writer *w, const char *name, yyjson_mut_doc *doc) {
    size_t bytes = 0;
    char *json = yyjson_mut_write(doc, 0, &bytes);
    const rr_buf text = {.data = json, .bytes = bytes, .failed = json == NULL};
    rr_status status = write_text(w, name, &text);
    free(json);
    yyjson_mut_doc_free(doc);
    return status;
}

static yyjson_mut_val *text_of(yyjson_mut_doc *doc, rr_text text) {
    return yyjson_mut_strn(doc, text.data, text.bytes);
}

/* Token → id of what merges make. */
static yyjson_mut_val *vocabulary_of(yyjson_mut_doc *doc, const rr_token_list *list) {
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->kinds[i] == RR_TOKEN_NORMAL) {
            yyjson_mut_obj_add(out, text_of(doc, list->texts[i]), yyjson_mut_uint(doc, i));
        }
    }
    return out;
}

static bool is_added(const rr_token_list *list, uint32_t i) {
    return list->kinds[i] == RR_TOKEN_CONTROL || list->kinds[i] == RR_TOKEN_USER;
}

static yyjson_mut_val *added_of(yyjson_mut_doc *doc, const rr_token_list *list, uint32_t i) {
    yyjson_mut_val *out = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_val(doc, out, "content", text_of(doc, list->texts[i]));
    yyjson_mut_obj_add_bool(doc, out, "special", list->kinds[i] == RR_TOKEN_CONTROL);
    return out;
}

#define QWEN2_PATTERN                                                                         \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+" \
    "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Everything around vocabulary and merges as Qwen2.5's own file has it. */
static yyjson_mut_val *tokenizer_frame(yyjson_mut_doc *doc, yyjson_mut_val *model) {
    yyjson_mut_val *root = yyjson_mut_obj(doc), *normalizer = yyjson_mut_obj(doc);
    yyjson_mut_val *sequence = yyjson_mut_obj(doc), *steps = yyjson_mut_arr(doc);
    yyjson_mut_val *split = yyjson_mut_arr_add_obj(doc, steps);
    yyjson_mut_val *bytes = yyjson_mut_arr_add_obj(doc, steps);
    yyjson_mut_val *pattern = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, normalizer, "type", "NFC");
    yyjson_mut_obj_add_str(doc, pattern, "Regex", QWEN2_PATTERN);
    yyjson_mut_obj_add_str(doc, split, "type", "Split");
    yyjson_mut_obj_add_val(doc, split, "pattern", pattern);
    yyjson_mut_obj_add_str(doc, split, "behavior", "Isolated");
    yyjson_mut_obj_add_bool(doc, split, "invert", false);
    yyjson_mut_obj_add_str(doc, bytes, "type", "ByteLevel");
    yyjson_mut_obj_add_bool(doc, bytes, "add_prefix_space", false);
    yyjson_mut_obj_add_bool(doc, bytes, "use_regex", false);
    yyjson_mut_obj_add_str(doc, sequence, "type", "Sequence");
    yyjson_mut_obj_add_val(doc, sequence, "pretokenizers", steps);
    yyjson_mut_obj_add_val(doc, root, "normalizer", normalizer);
    yyjson_mut_obj_add_val(doc, root, "pre_tokenizer", sequence);
    yyjson_mut_obj_add_val(doc, root, "model", model);
    return root;
}

/* Every other merge as a pair, the others as "left right": both forms are in use. */
static yyjson_mut_val *merges_of(yyjson_mut_doc *doc, const rr_token_list *list) {
    yyjson_mut_val *out = yyjson_mut_arr(doc);
    for (uint32_t i = 0; i < list->n_merges; i++) {
        const rr_text line = list->merges[i];
        const char *space = memchr(line.data + 1, ' ', line.bytes - 1);
        if (i % 2 == 0 || space == NULL) {
            yyjson_mut_arr_append(out, text_of(doc, line));
            continue;
        }
        const size_t n = (size_t)(space - line.data);
        yyjson_mut_val *pair = yyjson_mut_arr_add_arr(doc, out);
        yyjson_mut_arr_append(pair, text_of(doc, (rr_text){line.data, n}));
        yyjson_mut_arr_append(pair, text_of(doc, (rr_text){space + 1, line.bytes - n - 1}));
    }
    return out;
}

static rr_status write_tokenizer_json(const writer *w, const rr_token_list *list) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *model = yyjson_mut_obj(doc), *added = yyjson_mut_arr(doc);
    yyjson_mut_obj_add_str(doc, model, "type", "BPE");
    yyjson_mut_obj_add_null(doc, model, "unk_token");
    yyjson_mut_obj_add_val(doc, model, "vocab", vocabulary_of(doc, list));
    yyjson_mut_obj_add_val(doc, model, "merges", merges_of(doc, list));
    yyjson_mut_val *root = tokenizer_frame(doc, model);
    for (uint32_t i = 0; i < list->n; i++) {
        if (is_added(list, i)) {
            yyjson_mut_val *token = added_of(doc, list, i);
            yyjson_mut_obj_add_uint(doc, token, "id", i);
            yyjson_mut_arr_append(added, token);
        }
    }
    yyjson_mut_obj_add_val(doc, root, "added_tokens", added);
    yyjson_mut_doc_set_root(doc, root);
    return write_json(w, "tokenizer.json", doc);
}

static rr_status write_vocab_json(const writer *w, const rr_token_list *list) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(doc, vocabulary_of(doc, list));
    RR_TRY(write_json(w, "vocab.json", doc));
    rr_buf lines = {0};
    rr_buf_text(&lines, "#version: 0.2\n");
    for (uint32_t i = 0; i < list->n_merges; i++) {
        rr_buf_append(&lines, list->merges[i].data, list->merges[i].bytes);
        rr_buf_text(&lines, "\n");
    }
    rr_status status = write_text(w, "merges.txt", &lines);
    rr_buf_destroy(&lines);
    return status;
}

static rr_status write_tokenizer_config(const writer *w, const rr_token_list *list) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *added = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, root, "tokenizer_class", "Qwen2Tokenizer");
    yyjson_mut_obj_add_str(doc, root, "chat_template",
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
        "{% endfor %}{{ '<|im_start|>assistant\n' }}");
    for (uint32_t i = 0; i < list->n; i++) {
        if (is_added(list, i)) {
            char id[16];
            snprintf(id, sizeof id, "%u", i);
            yyjson_mut_obj_add(added, yyjson_mut_strcpy(doc, id), added_of(doc, list, i));
        }
    }
    yyjson_mut_obj_add_val(doc, root, "added_tokens_decoder", added);
    yyjson_mut_doc_set_root(doc, root);
    return write_json(w, "tokenizer_config.json", doc);
}

static rr_status write_vocabulary(const writer *w) {
    rr_token_list list = {0};
    rr_status status = rr_source_tokens(w->model->source, &list, w->diag);
    if (status == RR_OK) {
        status = w->form->vocab_json ? write_vocab_json(w, &list) : write_tokenizer_json(w, &list);
    }
    if (status == RR_OK) {
        status = write_tokenizer_config(w, &list);
    }
    rr_token_list_destroy(&list);
    return status;
}

rr_status rr_hf_write(
    const rr_model *model, const char *folder, const rr_hf_form *form, rr_diag *diag) {
    writer w = {.model = model, .form = form, .folder = folder, .diag = diag};
    rr_status status = RR_OK;
    w.entries = calloc(MAX_WEIGHTS, sizeof *w.entries);
    if (w.entries == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    list_weights(&w);
    RR_TRY_GOTO(rr_folder_make(folder, diag));
    RR_TRY_GOTO(write_config(&w));
    RR_TRY_GOTO(form->n_shards > 1 ? write_index(&w) : RR_OK);
    for (uint32_t s = 0; s < (form->n_shards > 1 ? form->n_shards : 1); s++) {
        RR_TRY_GOTO(write_shard(&w, s));
    }
    RR_TRY_GOTO(form->no_vocabulary ? RR_OK : write_vocabulary(&w));
fail:
    free(w.entries);
    return status;
}
