#include "runtime/model/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/base/log.h"
#include "runtime/model/folder_internal.h"

static const uint64_t max_config_bytes = (uint64_t)16 << 20;

/* Behind "model.layers.N." where a role is one of a layer. */
static const char *const tensor_names[RR_ROLE_COUNT] = {
    [RR_ROLE_EMBEDDING] = "model.embed_tokens.weight",
    [RR_ROLE_OUTPUT_NORM] = "model.norm.weight",
    [RR_ROLE_OUTPUT] = "lm_head.weight",
    [RR_ROLE_ATTN_NORM] = "input_layernorm.weight",
    [RR_ROLE_Q] = "self_attn.q_proj.weight",
    [RR_ROLE_K] = "self_attn.k_proj.weight",
    [RR_ROLE_V] = "self_attn.v_proj.weight",
    [RR_ROLE_Q_BIAS] = "self_attn.q_proj.bias",
    [RR_ROLE_K_BIAS] = "self_attn.k_proj.bias",
    [RR_ROLE_V_BIAS] = "self_attn.v_proj.bias",
    [RR_ROLE_O] = "self_attn.o_proj.weight",
    [RR_ROLE_FFN_NORM] = "post_attention_layernorm.weight",
    [RR_ROLE_GATE] = "mlp.gate_proj.weight",
    [RR_ROLE_UP] = "mlp.up_proj.weight",
    [RR_ROLE_DOWN] = "mlp.down_proj.weight",
};

static const rr_folder *folder_of(const rr_source *source) {
    return (const rr_folder *)source;
}

static int compare_strings(const void *a, const void *b) {
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

bool rr_folder_has(const rr_folder *folder, const char *name) {
    return folder->n_names > 0 &&
        bsearch(&name, folder->names, folder->n_names, sizeof name, compare_strings) != NULL;
}

/* The configuration and the head */

static bool equal_bytes(const rr_st_tensor *a, const rr_st_tensor *b) {
    return a->type == b->type && a->bytes == b->bytes &&
        memcmp(a->data, b->data, (size_t)a->bytes) == 0;
}

/* Whether the output matrix is the embedding is a matter of the tensors as much as of the flag. */
static rr_status decide_tied(const rr_folder *folder, rr_model_config *config, rr_diag *diag) {
    const rr_st_tensor *embedding = rr_folder_find(folder, tensor_names[RR_ROLE_EMBEDDING], NULL);
    const rr_st_tensor *head = rr_folder_find(folder, tensor_names[RR_ROLE_OUTPUT], NULL);
    if (config->tied && head != NULL && embedding != NULL && !equal_bytes(embedding, head)) {
        rr_log(RR_LOG_WARN,
            "%s: tie_word_embeddings is true, but lm_head.weight is another matrix than "
            "model.embed_tokens.weight: both are used",
            folder->config.label);
        config->tied = false;
    } else if (!config->tied && head == NULL &&
        rr_folder_find(folder, "lm_head.qweight", NULL) == NULL) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: tensor lm_head.weight not found, but tie_word_embeddings is false (%s): set it to "
            "true if the model's output is its embedding, else fetch the missing file",
            rr_folder_weights_label(folder), folder->config.label);
    }
    return RR_OK;
}

static rr_status read_config(const rr_source *source, rr_model_config *out, rr_diag *diag) {
    const rr_folder *folder = folder_of(source);
    rr_model_config config = folder->parsed;
    RR_TRY(decide_tied(folder, &config, diag));
    *out = config;
    return RR_OK;
}

/* In the hub's cache a folder is called by its revision: models--ORG--NAME/snapshots/REVISION. */
static rr_text model_name(const rr_source *source) {
    static const char before[] = "models--";
    const char *at = strstr(source->path, before);
    const char *end = at != NULL ? strstr(at, "/snapshots/") : NULL;
    rr_text name = {"", 0}; /* its folder's */
    for (const char *from = end != NULL ? at : NULL; from != NULL && from < end;) {
        const char *next = strstr(from, "--");
        if (next == NULL || next >= end) {
            break;
        }
        from = next + 2;
        name = (rr_text){from, (size_t)(end - from)};
    }
    return name;
}

static rr_text about(const rr_source *source) {
    const rr_folder *folder = folder_of(source);
    return (rr_text){folder->about, strlen(folder->about)};
}

/* Weights */

/* The fields that shapes follow from, for messages. */
static rr_status wrong_shape(const rr_folder *folder, const char *path, const rr_st_tensor *found,
    const char *expected, rr_diag *diag) {
    const rr_model_config *c = &folder->parsed;
    return rr_fail(diag, RR_E_INPUT,
        "%s: tensor %s: shape %s found, %s expected by config.json (vocab_size %u, hidden_size %u, "
        "intermediate_size %u, num_attention_heads %u, num_key_value_heads %u, head_dim %u)",
        path, rr_text_show(found->name).text, rr_st_shape_of(found).text, expected, c->n_vocab,
        c->d_model, c->d_ffn, c->n_heads, c->n_kv_heads, c->head_size);
}

static void name_of(rr_role role, uint32_t layer, char *out, size_t room) {
    if (role >= RR_ROLE_ATTN_NORM) {
        snprintf(out, room, "model.layers.%u.%s", layer, tensor_names[role]);
    } else {
        snprintf(out, room, "%s", tensor_names[role]);
    }
}

static rr_status not_found(
    const rr_folder *folder, const char *name, const char *shape, rr_diag *diag) {
    return rr_fail(diag, RR_E_INPUT,
        "%s: tensor %s not found, shape %s expected by config.json (num_hidden_layers %u)",
        rr_folder_weights_label(folder), name, shape, folder->parsed.n_layers);
}

static rr_status plain_type(
    const char *path, const rr_st_tensor *tensor, rr_qtype *out, rr_diag *diag) {
    switch (tensor->type) {
    case RR_ST_F32:
        *out = RR_Q_F32;
        return RR_OK;
    case RR_ST_F16:
        *out = RR_Q_F16;
        return RR_OK;
    case RR_ST_BF16:
        *out = RR_Q_BF16;
        return RR_OK;
    default:
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: tensor %s: dtype %s found, F32, F16 or BF16 expected", path,
            rr_text_show(tensor->name).text, tensor->type_name);
    }
}

void rr_folder_claim(rr_folder *folder, size_t shard, const rr_st_tensor *tensor) {
    folder->claimed[shard][tensor - rr_safetensors_at(folder->shards[shard], 0)] = true;
}

static rr_status read_weight(rr_source *source, rr_role role, uint32_t layer, uint32_t rows,
    uint32_t cols, rr_weight *out, rr_diag *diag) {
    rr_folder *folder = (rr_folder *)source;
    char name[96], shape[32];
    size_t shard = 0;
    name_of(role, layer, name, sizeof name);
    const bool is_vector = rows == 1;
    static const char ending[] = ".weight";
    if (!is_vector && role != RR_ROLE_EMBEDDING) {
        bool found = false;
        char module[96];
        snprintf(module, sizeof module, "%.*s", (int)(strlen(name) - (sizeof ending - 1)), name);
        RR_TRY(rr_folder_quantized(folder, module, rows, cols, out, &found, diag));
        if (found) {
            return RR_OK;
        }
    }
    snprintf(shape, sizeof shape, is_vector ? "[%u]" : "[%u, %u]", is_vector ? cols : rows, cols);
    const rr_st_tensor *tensor = rr_folder_find(folder, name, &shard);
    if (tensor == NULL && role == RR_ROLE_EMBEDDING && folder->parsed.tied) {
        tensor = rr_folder_find(folder, tensor_names[RR_ROLE_OUTPUT], &shard); /* the only one */
    }
    if (tensor == NULL) {
        return not_found(folder, name, shape, diag);
    }
    const char *path = rr_safetensors_path(folder->shards[shard]);
    const bool fits = is_vector
        ? tensor->n_dims == 1 && tensor->dims[0] == cols
        : tensor->n_dims == 2 && tensor->dims[0] == rows && tensor->dims[1] == cols;
    if (!fits) {
        return wrong_shape(folder, path, tensor, shape, diag);
    }
    rr_qtype type;
    RR_TRY(plain_type(path, tensor, &type, diag));
    rr_folder_claim(folder, shard, tensor);
    *out = (rr_weight){.name = tensor->name,
        .type = type,
        .rows = rows,
        .cols = cols,
        .data = tensor->data,
        .bytes = tensor->bytes};
    return RR_OK;
}

static bool ends_with(rr_text text, const char *ending) {
    const size_t n = strlen(ending);
    return text.bytes >= n && memcmp(text.data + text.bytes - n, ending, n) == 0;
}

static bool begins_with(rr_text text, const char *beginning) {
    const size_t n = strlen(beginning);
    return text.bytes >= n && memcmp(text.data, beginning, n) == 0;
}

static bool is_zero(const rr_st_tensor *tensor) {
    for (uint64_t i = 0; i < tensor->bytes; i++) {
        /* the sign of a zero is no value */
        const bool may_be_sign =
            i + 1 == tensor->bytes || (tensor->type == RR_ST_F32 ? i % 4 == 3 : i % 2 == 1);
        if (tensor->data[i] != 0 && !(may_be_sign && tensor->data[i] == 0x80)) {
            return false;
        }
    }
    return true;
}

/* Tensors that no weight consists of: some are known and change nothing, some would. */
static rr_status check_leftover(
    const rr_folder *folder, const char *path, const rr_st_tensor *tensor, rr_diag *diag) {
    const rr_text name = tensor->name;
    const rr_shown shown = rr_text_show(name);
    const bool in_layer = begins_with(name, "model.layers.");
    if (ends_with(name, ".rotary_emb.inv_freq")) {
        return RR_OK; /* old files keep it; it follows from the configuration */
    }
    if (rr_text_is(name, tensor_names[RR_ROLE_OUTPUT])) {
        return RR_OK; /* the same as the embedding */
    }
    if (in_layer && ends_with(name, ".bias")) {
        if (is_zero(tensor)) {
            return RR_OK; /* older quantizers give every layer one */
        }
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: tensor %s: a bias found, a Qwen2 model has none there (zeros are accepted)", path,
            shown.text);
    }
    if (begins_with(name, "model.")) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "%s: tensor %s found, but a Qwen2 model of num_hidden_layers %u has no such tensor",
            path, shown.text, folder->parsed.n_layers);
    }
    rr_log(RR_LOG_WARN, "%s: tensor %s is not a Qwen2 model's and is not used", path, shown.text);
    return RR_OK;
}

static rr_status check_leftovers(const rr_source *source, rr_diag *diag) {
    const rr_folder *folder = folder_of(source);
    const rr_st_tensor *tensor;
    for (size_t s = 0; s < folder->n_shards; s++) {
        for (size_t i = 0; (tensor = rr_safetensors_at(folder->shards[s], i)) != NULL; i++) {
            if (!folder->claimed[s][i]) {
                RR_TRY(
                    check_leftover(folder, rr_safetensors_path(folder->shards[s]), tensor, diag));
            }
        }
    }
    return RR_OK;
}

/* Files */

static bool file_at(const rr_source *source, size_t index, rr_source_file *out) {
    const rr_folder *folder = folder_of(source);
    if (index >= folder->n_shards) {
        index -= folder->n_shards;
        *out = index < folder->n_others ? folder->others[index] : (rr_source_file){0};
        return index < folder->n_others;
    }
    const rr_safetensors *shard = folder->shards[index];
    *out = (rr_source_file){.path = rr_safetensors_path(shard),
        .bytes = rr_safetensors_bytes(shard),
        .modified_ns = rr_safetensors_modified_ns(shard)};
    out->head = rr_safetensors_head(shard, &out->head_bytes);
    return true;
}

static bool tensor_at(
    const rr_source *source, size_t index, const uint8_t **data, uint64_t *bytes) {
    const rr_folder *folder = folder_of(source);
    for (size_t s = 0; s < folder->n_shards; s++) {
        const size_t n = rr_safetensors_n(folder->shards[s]);
        if (index < n) {
            const rr_st_tensor *tensor = rr_safetensors_at(folder->shards[s], index);
            *data = tensor->data;
            *bytes = tensor->bytes;
            return true;
        }
        index -= n;
    }
    return false;
}

static void drop_pages(const rr_source *source) {
    const rr_folder *folder = folder_of(source);
    for (size_t s = 0; s < folder->n_shards; s++) {
        rr_safetensors_drop_pages(folder->shards[s]);
    }
}

static void close_folder(rr_source *source) {
    rr_folder *folder = (rr_folder *)source;
    for (size_t s = 0; folder->shards != NULL && s < folder->n_shards; s++) {
        rr_safetensors_close(&folder->shards[s]);
    }
    rr_json_destroy(&folder->index);
    rr_json_destroy(&folder->config);
    rr_arena_destroy(&folder->arena);
    free(folder);
}

/* Opening */

static bool visit_nothing(void *user, const char *name) {
    (void)user, (void)name;
    return false;
}

bool rr_is_folder(const char *path) {
    return rr_folder_list(path, visit_nothing, NULL, NULL) == RR_OK;
}

typedef struct lister {
    rr_folder *folder;
    size_t room;
    bool failed;
} lister;

static bool add_name(void *user, const char *name) {
    lister *l = user;
    rr_folder *folder = l->folder;
    if (folder->n_names == l->room) { /* the arena keeps the shorter lists: twice the longest */
        char **more = rr_arena_alloc(&folder->arena, l->room * 2 + 16, sizeof *more);
        if (more == NULL) {
            l->failed = true;
            return false;
        }
        if (folder->n_names > 0) {
            memcpy(more, folder->names, folder->n_names * sizeof *more);
        }
        folder->names = more;
        l->room = l->room * 2 + 16;
    }
    char *copy = rr_arena_copy(&folder->arena, name, strlen(name));
    l->failed = copy == NULL;
    folder->names[folder->n_names] = copy;
    folder->n_names += copy != NULL;
    return copy != NULL;
}

static rr_status list_names(rr_folder *folder, rr_diag *diag) {
    lister l = {.folder = folder};
    RR_TRY(rr_folder_list(folder->base.path, add_name, &l, diag));
    if (l.failed) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path);
    }
    if (folder->n_names > 1) {
        qsort(folder->names, folder->n_names, sizeof *folder->names, compare_strings);
    }
    return RR_OK;
}

/* The files besides weights on which results depend. */
static rr_status list_others(rr_folder *folder, rr_diag *diag) {
    static const char *const names[RR_FOLDER_OTHERS] = {"config.json", "quantize_config.json",
        "quant_config.json", "generation_config.json", "tokenizer.json", "vocab.json", "merges.txt",
        "tokenizer_config.json", "added_tokens.json"};
    for (size_t i = 0; i < RR_FOLDER_OTHERS; i++) {
        if (!rr_folder_has(folder, names[i])) {
            continue;
        }
        rr_buf path = {0};
        rr_mapping map = {0};
        rr_buf_printf(&path, "%s/%s", folder->base.path, names[i]);
        char *copy = path.failed ? NULL : rr_arena_copy(&folder->arena, path.data, path.bytes);
        rr_buf_destroy(&path);
        if (copy == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", folder->base.path);
        }
        RR_TRY(rr_file_map(copy, &map, diag));
        folder->others[folder->n_others++] =
            (rr_source_file){.path = copy, .bytes = map.bytes, .modified_ns = map.modified_ns};
        rr_file_unmap(&map);
    }
    return RR_OK;
}

static rr_status open_files(rr_folder *folder, rr_diag *diag) {
    RR_TRY(list_names(folder, diag));
    if (!rr_folder_has(folder, "config.json")) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: config.json not found, expected in the folder of a model", folder->base.path);
    }
    RR_TRY(rr_json_read(folder->base.path, "config.json", max_config_bytes, &folder->config, diag));
    RR_TRY(rr_folder_config(
        (rr_json_object){yyjson_doc_get_root(folder->config.doc), folder->config.label},
        &folder->parsed, diag));
    RR_TRY(rr_folder_read_quant(folder, diag));
    RR_TRY(list_others(folder, diag));
    return rr_folder_open_shards(folder, diag);
}

rr_status rr_source_open_folder(const char *path, rr_source **out, rr_diag *diag) {
    static const rr_source_reader reader = {.close = close_folder,
        .name = model_name,
        .about = about,
        .config = read_config,
        .weight = read_weight,
        .finish = check_leftovers,
        .tokens = rr_folder_tokens,
        .keys = rr_folder_keys,
        .drop_pages = drop_pages,
        .file_at = file_at,
        .tensor_at = tensor_at};
    rr_folder *folder = calloc(1, sizeof *folder);
    if (folder == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
    }
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    char *copy = rr_arena_copy(&folder->arena, path, n);
    char *stem = rr_arena_alloc(&folder->arena, n + sizeof "/model", 1);
    if (copy != NULL && stem != NULL) {
        memcpy(stem, path, n);
        strcpy(stem + n, "/model");
    }
    folder->base = (rr_source){&reader, copy, stem};
    rr_status status = copy == NULL || stem == NULL
        ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path)
        : open_files(folder, diag);
    if (status != RR_OK) {
        close_folder(&folder->base);
        return status;
    }
    *out = &folder->base;
    return RR_OK;
}
