/* Small folders and split sets with known results, where they are at hand: every matrix bit for
 * bit, the logits of the reference model, and broken inputs refused with their fault named. */
#include <math.h>
#include <yyjson.h>

#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "runtime/model/adapted.h"
#include "runtime/model/folder.h"
#include "runtime/ref/ref.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/sha256.h"

enum { MAX_TOKENS = 64, MAX_NAMES = 128 };
static const double LIMIT = 1e-3, LIMIT_FOLDED = 0.1;
static char root[512], scratch[256];
static rr_diag diag;

static yyjson_doc *read_json(const char *path) {
    yyjson_read_err error;
    yyjson_doc *doc = yyjson_read_file(path, 0, NULL, &error);
    CHECK_MSG(doc != NULL, "%s: %s", path, error.msg);
    return doc;
}

typedef struct comparison {
    const float *expected; /* [n][n_vocab] */
    uint32_t n_vocab;
    double worst;
    size_t n_seen;
} comparison;

static rr_status compare(void *user, size_t position, const float *logits, rr_diag *d) {
    comparison *c = user;
    (void)d;
    for (uint32_t i = 0; i < c->n_vocab; i++) {
        c->worst = fmax(
            c->worst, fabs((double)logits[i] - (double)c->expected[position * c->n_vocab + i]));
    }
    c->n_seen++;
    return RR_OK;
}

static void check_logits(
    const rr_model *model, yyjson_val *expected, const char *logits_path, double limit) {
    int32_t tokens[MAX_TOKENS];
    size_t i, n;
    yyjson_val *token;
    rr_buf file = {0};
    rr_ref_model *ref = NULL;
    yyjson_arr_foreach(yyjson_obj_get(expected, "tokens"), i, n, token) {
        tokens[i < MAX_TOKENS ? i : 0] = (int32_t)yyjson_get_int(token);
    }
    CHECK(n > 0 && n <= MAX_TOKENS);
    CHECK_OK(rr_file_read(logits_path, 1 << 24, &file, &diag), diag);
    comparison c = {
        .expected = (const float *)(const void *)file.data, .n_vocab = model->config.n_vocab};
    CHECK_INT(file.bytes, n * c.n_vocab * sizeof(float));
    CHECK_OK(
        rr_ref_model_create(model, &(rr_ref_model_params){.n_context = MAX_TOKENS}, &ref, &diag),
        diag);
    if (ref != NULL && file.bytes == n * c.n_vocab * sizeof(float)) {
        const rr_ref_observer observer = {.logits = compare, .user = &c};
        CHECK_OK(rr_ref_forward(ref, tokens, n, &observer, &diag), diag);
        CHECK_MSG(
            c.n_seen == n && c.worst <= limit, "%s: largest difference %.3g", logits_path, c.worst);
        printf("%s: %.2g\n", logits_path + strlen(root), c.worst);
    }
    rr_ref_model_destroy(&ref);
    rr_buf_destroy(&file);
}

/* The weight of a layer's module, by its name in the folder. */
static const rr_weight *weight_named(const rr_model *model, const char *name) {
    unsigned layer = 0;
    char module[64] = "";
    if (sscanf(name, "model.layers.%u.%63s", &layer, module) != 2 ||
        layer >= model->config.n_layers) {
        return NULL;
    }
    const rr_model_layer *l = &model->layers[layer];
    const struct {
        const char *name;
        const rr_weight *weight;
    } rows[] = {{"self_attn.q_proj.weight", &l->q}, {"self_attn.k_proj.weight", &l->k},
        {"self_attn.v_proj.weight", &l->v}, {"self_attn.o_proj.weight", &l->o},
        {"mlp.gate_proj.weight", &l->gate}, {"mlp.up_proj.weight", &l->up},
        {"mlp.down_proj.weight", &l->down}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, module) == 0) {
            return rows[i].weight;
        }
    }
    return NULL;
}

/* The floats of a matrix by way of what the device is given: its blocks. */
static void check_matrices(const rr_model *model, yyjson_val *expected, const char *what) {
    yyjson_val *key;
    /* none, where nothing is quantized */
    yyjson_obj_iter iter = yyjson_obj_iter_with(yyjson_obj_get(expected, "dequantized"));
    while ((key = yyjson_obj_iter_next(&iter)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        const rr_weight *w = weight_named(model, yyjson_get_str(key));
        CHECK_MSG(w != NULL, "%s: %s", what, yyjson_get_str(key));
        if (w == NULL) {
            continue;
        }
        const size_t count = (size_t)w->rows * w->cols;
        float *floats = malloc(count * sizeof *floats), *again = malloc(count * sizeof *again);
        uint8_t *blocks = malloc((size_t)w->bytes);
        rr_weight_unpack(w, 0, w->rows, floats);
        rr_weight_blocks(w, 0, w->rows, blocks);
        for (uint32_t r = 0; r < w->rows; r++) {
            rr_blocks_unpack(
                w->type, blocks + r * rr_weight_row_bytes(w), w->cols, again + (size_t)r * w->cols);
        }
        char digest[65];
        rr_sha256_hex(floats, count * sizeof *floats, digest);
        CHECK_MSG(strcmp(digest, yyjson_get_str(yyjson_obj_get(value, "sha256_f32"))) == 0 &&
                memcmp(floats, again, count * sizeof *floats) == 0,
            "%s: %s as type %d", what, yyjson_get_str(key), (int)w->type);
        free(blocks);
        free(again);
        free(floats);
    }
}

static void check_model(const char *name, const char *path, const char *logits) {
    char file[1024];
    rr_model *model = NULL;
    snprintf(file, sizeof file, "%s/%s/expected/expected.json", root, name);
    yyjson_doc *doc = read_json(file);
    CHECK_OK(rr_model_open(path, &model, &diag), diag);
    if (doc != NULL && model != NULL) {
        check_matrices(model, yyjson_doc_get_root(doc), name);
        check_logits(model, yyjson_doc_get_root(doc), logits, LIMIT);
    }
    rr_model_close(&model);
    yyjson_doc_free(doc);
}

/* Merges an adapter into the model's weights, whose floats go to `merged`; with `expected` every
 * matrix is compared. */
static void merge(const rr_adapter *adapter, rr_model *model, yyjson_val *expected, float **merged,
    const char *what) {
    for (size_t i = 0; i < adapter->n_pairs; i++) {
        const rr_adapter_pair *pair = &adapter->pairs[i];
        char name[96], digest[65];
        snprintf(name, sizeof name, "%s.weight", pair->module);
        rr_weight *w = (rr_weight *)(uintptr_t)weight_named(model, name);
        const size_t bytes = (size_t)w->rows * w->cols * sizeof(float);
        merged[i] = malloc(bytes);
        CHECK_OK(rr_adapter_merge(pair, w, 0, w->rows, merged[i], &diag), diag);
        rr_sha256_hex(merged[i], bytes, digest);
        CHECK_MSG(
            expected == NULL || strcmp(digest, yyjson_get_str(yyjson_obj_get(expected, name))) == 0,
            "%s: %s", what, name);
        *w = (rr_weight){.name = w->name,
            .type = RR_Q_F32,
            .rows = w->rows,
            .cols = w->cols,
            .data = (const uint8_t *)merged[i],
            .bytes = bytes};
    }
}

/* The same logits with the adapter beside the weights. */
static void check_beside(
    const char *name, yyjson_val *expected, const char *adapter, double limit) {
    char path[1024];
    rr_model *model = NULL;
    snprintf(
        path, sizeof path, "%s/%s/model", root, yyjson_get_str(yyjson_obj_get(expected, "base")));
    CHECK_OK(rr_model_open(path, &model, &diag), diag);
    if (model != NULL) {
        const rr_adapter_use use = {adapter, 1.0};
        CHECK_OK(rr_model_adapt(model, &use, 1, &diag), diag);
        snprintf(path, sizeof path, "%s/%s/expected/logits.f32", root, name);
        check_logits(model, expected, path, limit);
    }
    rr_model_close(&model);
}

static void check_adapter(const char *name, const char *file) {
    char path[1024];
    rr_model *model = NULL;
    rr_adapter *adapter = NULL;
    snprintf(path, sizeof path, "%s/%s/expected/expected.json", root, name);
    yyjson_doc *doc = read_json(path);
    yyjson_val *expected = yyjson_doc_get_root(doc);
    snprintf(
        path, sizeof path, "%s/%s/model", root, yyjson_get_str(yyjson_obj_get(expected, "base")));
    CHECK_OK(rr_model_open(path, &model, &diag), diag);
    snprintf(path, sizeof path, "%s/%s/%s", root, name, file);
    CHECK_OK(rr_adapter_open(path, &adapter, &diag), diag);
    if (adapter != NULL && model != NULL) {
        CHECK_OK(rr_adapter_check(adapter, model, &diag), diag);
        float **merged = calloc(adapter->n_pairs, sizeof *merged);
        const bool is_gguf = strstr(file, ".gguf") != NULL;
        yyjson_val *digests = yyjson_obj_get(expected, "merged_f32_sha256");
        CHECK(is_gguf || yyjson_obj_size(digests) == adapter->n_pairs);
        merge(adapter, model, is_gguf ? NULL : digests, merged, path);
        snprintf(path, sizeof path, "%s/%s/expected/logits.f32", root, name);
        /* the GGUF form of some is rounded to F16 or BF16 after folding */
        check_logits(model, expected, path, is_gguf ? LIMIT_FOLDED : LIMIT);
        for (size_t i = 0; i < adapter->n_pairs; i++) {
            free(merged[i]);
        }
        free(merged);
        check_beside(name, expected, adapter->path, is_gguf ? LIMIT_FOLDED : LIMIT);
    }
    rr_adapter_close(&adapter);
    rr_model_close(&model);
    yyjson_doc_free(doc);
}

typedef struct names {
    char items[MAX_NAMES][64];
    size_t n;
} names;

static bool add_name(void *user, const char *name) {
    names *list = user;
    snprintf(list->items[list->n++], sizeof list->items[0], "%s", name);
    return list->n < MAX_NAMES;
}

static void copy_file(const char *from_folder, const char *name) {
    char from[1024], to[1024];
    rr_buf file = {0};
    snprintf(from, sizeof from, "%s/%s", from_folder, name);
    snprintf(to, sizeof to, "%s/model/%s", scratch, name);
    CHECK_OK(rr_file_read(from, 1 << 26, &file, &diag), diag);
    CHECK_OK(rr_file_write_atomic(to, file.data, file.bytes, &diag), diag);
    rr_buf_destroy(&file);
}

/* Other config.json for the same weights. A window that is in use and shorter than any context is
 * refused. */
static void check_variants(const char *name) {
    char folder[800], path[1024], model[300];
    names variants = {0}, files = {0};
    snprintf(path, sizeof path, "%s/%s/variants", root, name);
    if (!rr_is_folder(path)) {
        return;
    }
    CHECK_OK(rr_folder_list(path, add_name, &variants, &diag), diag);
    snprintf(folder, sizeof folder, "%s/%s/model", root, name);
    snprintf(model, sizeof model, "%s/model", scratch);
    CHECK_OK(rr_folder_list(folder, add_name, &files, &diag), diag);
    CHECK_OK(rr_folder_make(model, &diag), diag);
    for (size_t i = 0; i < files.n; i++) {
        copy_file(folder, files.items[i]);
    }
    for (size_t v = 0; v < variants.n; v++) {
        snprintf(folder, sizeof folder, "%s/%s/variants/%s", root, name, variants.items[v]);
        copy_file(folder, "config.json");
        snprintf(path, sizeof path, "%s/logits.f32", folder);
        if (strstr(variants.items[v], "window-all") != NULL ||
            strstr(variants.items[v], "window-layer") != NULL) {
            rr_model *refused = NULL;
            CHECK_INT(rr_model_open(model, &refused, &diag), RR_E_UNSUPPORTED);
            CHECK(strstr(diag.text, "sliding_window") != NULL);
        } else {
            check_model(name, model, path);
        }
    }
    rr_folder_remove(model);
}

/* Words of the list that say what a message names without saying it word for word. */
static bool is_literal(const char *word) {
    static const char *const others[] = {"file", "index file", "shard", "tensor name",
        "byte offset", "byte offset of the JSON error", "first tensor that needs it",
        "bytes in the file"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(word, others[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* An adapter for the good model among the broken ones. */
static rr_status open_for_base(const char *path) {
    char base[1024];
    rr_model *model = NULL;
    rr_adapter *adapter = NULL;
    snprintf(base, sizeof base, "%s/broken/_base", root);
    CHECK_OK(rr_model_open(base, &model, &diag), diag);
    rr_status status = rr_adapter_open(path, &adapter, &diag);
    if (status == RR_OK && model != NULL) {
        status = rr_adapter_check(adapter, model, &diag);
    }
    rr_adapter_close(&adapter);
    rr_model_close(&model);
    return status;
}

static void check_broken(void) {
    char path[1024];
    snprintf(path, sizeof path, "%s/broken/cases.json", root);
    yyjson_doc *doc = read_json(path);
    size_t i, n, k, n_words;
    yyjson_val *one, *word;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, one) {
        const char *name = yyjson_get_str(yyjson_obj_get(one, "name"));
        const char *kind = yyjson_get_str(yyjson_obj_get(one, "kind"));
        rr_model *model = NULL;
        snprintf(path, sizeof path, "%s/broken/%s%s", root, name,
            strcmp(kind, "split set") == 0 ? "/m-00001-of-00002.gguf" : "");
        const rr_status status = strncmp(kind, "adapter", 7) == 0
            ? open_for_base(path)
            : rr_model_open(path, &model, &diag);
        CHECK_MSG(status != RR_OK, "%s: not refused", name);
        CHECK_MSG(strstr(diag.text, name) != NULL, "%s: \"%s\"", name, diag.text);
        yyjson_arr_foreach(yyjson_obj_get(one, "message_names"), k, n_words, word) {
            CHECK_MSG(!is_literal(yyjson_get_str(word)) ||
                    strstr(diag.text, yyjson_get_str(word)) != NULL,
                "%s: \"%s\" lacks \"%s\"", name, diag.text, yyjson_get_str(word));
        }
        rr_model_close(&model);
    }
    yyjson_doc_free(doc);
}

int main(void) {
    names list = {0};
    const char *shared = check_shared();
    snprintf(root, sizeof root, "%s/data/weights", shared != NULL ? shared : "");
    if (shared == NULL || !rr_is_folder(root)) {
        CHECK_SKIP("no folder of weights with known results at %s", root);
    }
    rr_test_folder(scratch, sizeof scratch);
    CHECK_OK(rr_folder_list(root, add_name, &list, &diag), diag);
    for (size_t i = 0; i < list.n; i++) {
        char path[1024], logits[1024];
        snprintf(path, sizeof path, "%s/%s/model", root, list.items[i]);
        if (!rr_is_folder(path)) {
            if (strncmp(list.items[i], "lora-", 5) == 0) {
                check_adapter(list.items[i], "adapter");
                check_adapter(list.items[i], "adapter.gguf");
            }
            continue;
        }
        snprintf(logits, sizeof logits, "%s/%s/expected/logits.f32", root, list.items[i]);
        if (strncmp(list.items[i], "gguf-split", 10) == 0) {
            snprintf(path, sizeof path, "%s/%s/model/tiny-bf16-00002-of-00003.gguf", root,
                list.items[i]);
        }
        check_model(list.items[i], path, logits);
        check_variants(list.items[i]);
    }
    check_broken();
    rr_folder_remove(scratch);
    return CHECK_END();
}
