/* Adapters: how keys, ranks and scales are read, how they are merged, and what is refused by name. */
#include "runtime/model/adapted.h"

#include <math.h>

#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "runtime/model/gguf_writer.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/st_writer.h"
#include "tests/support/synth.h"

enum { D = 64, KV = 32, FFN = 128, RANK = 4 }; /* the shapes of rr_synth's default model */
static char folder[256];
static rr_diag diag;
static rr_buf storage;
static rr_model *model;

/* A value that an F16 and a BF16 hold. */
static float value_at(size_t i) {
    return (float)((int)(i * 37 % 15) - 7) / 8.0f;
}

static void write_file(const char *name, const void *data, size_t bytes) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(rr_file_write_atomic(path, data, bytes, &diag), diag);
}

static void add(rr_st_writer *writer, const char *name, rr_qtype type, uint32_t rows, uint32_t cols,
    size_t at) {
    const size_t n = (size_t)rows * cols;
    float *values = malloc(n * sizeof *values);
    uint8_t *stored = malloc(n * 4);
    char shape[32];
    for (size_t i = 0; i < n; i++) {
        values[i] = value_at(at + i);
    }
    rr_blocks_quantize(type, values, (uint32_t)n, stored);
    snprintf(shape, sizeof shape, "[%u, %u]", rows, cols);
    rr_sw_tensor(writer, name, rr_qtype_get((uint32_t)type)->name, shape, stored,
        n * (type == RR_Q_F32 ? 4 : 2));
    free(stored);
    free(values);
}

/* A folder: what stands in the configuration besides the type, and its tensors. */
typedef struct spec {
    const char *config;          /* NULL = r 4, lora_alpha 8 */
    const char *prefix, *middle; /* of keys; NULL = peft's */
    const char *second_middle;   /* of the second half of the first pair */
    rr_qtype type;
    uint32_t rank_of_b; /* of the first pair; 0 = 4 */
    uint32_t cols_of_a; /* 0 = those of the model */
    const char *module; /* of the first pair; NULL = q_proj */
    const char *layer;  /* "0" */
    const char *extra;  /* a further tensor of 4 × 64 */
    bool no_b;
} spec;

static void add_half(rr_st_writer *writer, const spec *s, bool first, char half, uint32_t rows,
    uint32_t cols, size_t at) {
    char name[256];
    const char *middle = s->middle != NULL ? s->middle : "";
    if (first && half == 'B' && s->second_middle != NULL) {
        middle = s->second_middle;
    }
    const char *module = !first ? "mlp.down_proj"
        : s->module != NULL     ? s->module
                                : "self_attn.q_proj";
    snprintf(name, sizeof name, "%slayers.%s.%s.lora_%c.%sweight",
        s->prefix != NULL ? s->prefix : "base_model.model.model.",
        first && s->layer != NULL ? s->layer : "0", module, half, middle);
    add(writer, name, s->type, rows, cols, at);
}

static void write_adapter(const spec *s) {
    rr_st_writer writer = {0};
    rr_buf file = {0}, config = {0};
    add_half(&writer, s, true, 'A', RANK, s->cols_of_a != 0 ? s->cols_of_a : D, 1);
    if (!s->no_b) {
        add_half(&writer, s, true, 'B', D, s->rank_of_b != 0 ? s->rank_of_b : RANK, 2);
    }
    add_half(&writer, s, false, 'A', RANK, FFN, 3);
    add_half(&writer, s, false, 'B', D, RANK, 4);
    if (s->extra != NULL) {
        add(&writer, s->extra, RR_Q_F32, RANK, D, 5);
    }
    CHECK(rr_sw_finish(&writer, &file) == RR_OK);
    rr_buf_printf(&config, "{\"peft_type\":\"LORA\",\"base_model_name_or_path\":\"synthetic\",%s}",
        s->config != NULL ? s->config : "\"r\":4,\"lora_alpha\":8");
    rr_folder_remove(folder);
    CHECK_OK(rr_folder_make(folder, &diag), diag);
    write_file("adapter_model.safetensors", file.data, file.bytes);
    write_file("adapter_config.json", config.data, config.bytes);
    rr_buf_destroy(&config);
    rr_buf_destroy(&file);
}

/* The scales of the two pairs: q_proj, then down_proj. */
static void reads(const char *what, spec s, double first, double second) {
    rr_adapter *adapter = NULL;
    write_adapter(&s);
    CHECK_MSG(rr_adapter_open(folder, &adapter, &diag) == RR_OK, "%s: %s", what, diag.text);
    if (adapter == NULL) {
        return;
    }
    CHECK_INT(adapter->n_pairs, 2);
    CHECK_TEXT(adapter->base, "synthetic");
    const rr_adapter_pair *q = &adapter->pairs[0], *down = &adapter->pairs[1];
    CHECK_MSG(q->role == RR_ROLE_Q && down->role == RR_ROLE_DOWN && q->rank == RANK, "%s", what);
    CHECK_MSG(fabs(q->scale - first) < 1e-12 && fabs(down->scale - second) < 1e-12,
        "%s: scales %g and %g", what, q->scale, down->scale);
    CHECK_TEXT(q->module, "model.layers.0.self_attn.q_proj");
    CHECK_OK(rr_adapter_check(adapter, model, &diag), diag);
    CHECK_INT(rr_adapter_n_parameters(adapter), RANK * (D + D) + RANK * (FFN + D));
    rr_adapter_close(&adapter);
    CHECK(adapter == NULL);
}

static void refuses(
    const char *what, spec s, rr_status status, const char *word, const char *other) {
    rr_adapter *adapter = NULL;
    write_adapter(&s);
    rr_status found = rr_adapter_open(folder, &adapter, &diag);
    if (found == RR_OK) {
        found = rr_adapter_check(adapter, model, &diag);
    }
    CHECK_MSG(
        found == status && strstr(diag.text, word) != NULL && strstr(diag.text, other) != NULL,
        "%s: status %d: \"%s\" lacks \"%s\" or \"%s\"", what, (int)found,
        found == RR_OK ? "" : diag.text, word, other);
    rr_adapter_close(&adapter);
}

static void reads_folders(void) {
    reads("plain", (spec){0}, 2, 2);
    reads("F16", (spec){.type = RR_Q_F16}, 2, 2);
    reads("BF16", (spec){.type = RR_Q_BF16}, 2, 2);
    reads("alpha below the rank", (spec){.config = "\"r\":4,\"lora_alpha\":0.5"}, 0.125, 0.125);
    reads("rslora", (spec){.config = "\"r\":4,\"lora_alpha\":8,\"use_rslora\":true"}, 4, 4);
    reads("saved by hand", (spec){.middle = "default."}, 2, 2);
    reads("bare keys", (spec){.prefix = "model."}, 2, 2);
    reads("wrapped", (spec){.prefix = "base_model.model._orig_mod.model."}, 2, 2);
    reads("patterns",
        (spec){.config = "\"r\":8,\"lora_alpha\":8,\"rank_pattern\":{\"q_proj\":4,\"down_proj\":4},"
                         "\"alpha_pattern\":{\"layers.0.self_attn.q_proj\":32,\"q_proj\":1,"
                         "\"layers\\\\.0\\\\..*down_proj\":2}"},
        8, 0.5);
    reads("a pattern matches whole names",
        (spec){.config = "\"r\":4,\"lora_alpha\":8,\"alpha_pattern\":{\"proj\":1,\"_proj\":2}"}, 2,
        2);
    reads("frozen copies are left out",
        (spec){.extra = "base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight"}, 2,
        2);
    reads("features that are off",
        (spec){.config = "\"r\":4,\"lora_alpha\":8,\"use_dora\":false,\"modules_to_save\":null,"
                         "\"layer_replication\":[],\"rank_pattern\":{},\"bias\":\"none\""},
        2, 2);
}

#define Q "model.layers.0.self_attn.q_proj"
#define KEY "base_model.model.model.layers.0."

static void refuses_configs(void) {
    static const char *const features[] = {"\"use_dora\":true", "\"lora_bias\":true",
        "\"modules_to_save\":[\"lm_head\"]", "\"layer_replication\":[[0,1]]",
        "\"trainable_token_indices\":[5]", "\"alora_invocation_tokens\":[1]"};
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        char config[128], word[40];
        snprintf(config, sizeof config, "\"r\":4,\"lora_alpha\":8,%s", features[i]);
        snprintf(word, sizeof word, "%.*s", (int)(strchr(features[i] + 1, '"') - features[i] - 1),
            features[i] + 1);
        refuses(
            features[i], (spec){.config = config}, RR_E_UNSUPPORTED, "adapter_config.json", word);
    }
    refuses("another kind", (spec){.config = "\"r\":4,\"lora_alpha\":8,\"peft_type\":\"IA3\""},
        RR_E_INPUT, "peft_type", "twice");
    refuses("bias", (spec){.config = "\"r\":4,\"lora_alpha\":8,\"bias\":\"all\""}, RR_E_UNSUPPORTED,
        "bias: all", "none");
    refuses("no alpha", (spec){.config = "\"r\":4"}, RR_E_INPUT, "lora_alpha: missing", "");
    refuses("no rank", (spec){.config = "\"lora_alpha\":4"}, RR_E_INPUT, "r: missing", "");
    refuses(
        "nan", (spec){.config = "\"r\":4,\"lora_alpha\":NaN"}, RR_E_INPUT, "lora_alpha", "finite");
    refuses("infinity", (spec){.config = "\"r\":4,\"lora_alpha\":-Infinity"}, RR_E_INPUT,
        "lora_alpha", "finite");
    refuses("a text", (spec){.config = "\"r\":4,\"lora_alpha\":\"8\""}, RR_E_INPUT, "lora_alpha",
        "string found");
    refuses("another rank", (spec){.config = "\"r\":8,\"lora_alpha\":8"}, RR_E_INPUT,
        Q ": rank 8 by the configuration", "lora_A has 4 rows");
    refuses("no expression",
        (spec){.config = "\"r\":4,\"lora_alpha\":8,\"alpha_pattern\":{\"(\":1}"}, RR_E_INPUT,
        "\"(\"", "no regular expression");
    refuses("an expensive expression",
        (spec){.config = "\"r\":4,\"lora_alpha\":8,\"alpha_pattern\":{\"(([a-z0-9._])+)+[!?]\":1}"},
        RR_E_INPUT, "takes too long", "+)+");
    refuses("a pattern's value",
        (spec){.config = "\"r\":4,\"lora_alpha\":8,\"alpha_pattern\":{\"q_proj\":\"1\"}"},
        RR_E_INPUT, "alpha_pattern: q_proj", "finite number");
}

static void refuses_tensors(void) {
    refuses("ranks", (spec){.rank_of_b = 8}, RR_E_INPUT, Q ": lora_A [4, 64] and lora_B [64, 8]",
        "one rank");
    refuses("half a pair", (spec){.no_b = true}, RR_E_INPUT, Q ": lora_A found", "no lora_B");
    refuses("an unknown module", (spec){.module = "self_attn.qkv_proj"}, RR_E_UNSUPPORTED,
        "model.layers.0.self_attn.qkv_proj", "no such linear layer");
    refuses("another width", (spec){.cols_of_a = 96}, RR_E_INPUT, Q ": lora_A [4, 96]",
        "it says it belongs to synthetic");
    refuses(
        "a layer too many", (spec){.layer = "7"}, RR_E_INPUT, "model.layers.7.", "has 2 layers");
    refuses("two adapters", (spec){.middle = "one.", .second_middle = "two."}, RR_E_UNSUPPORTED,
        "two adapters", "\"two\"");
    static const struct {
        const char *tensor, *word;
    } extras[] = {{KEY "self_attn.q_proj.lora_magnitude_vector", "DoRA"},
        {KEY "self_attn.q_proj.lora_B.bias", "biases"},
        {"base_model.model.model.embed_tokens.lora_embedding_A", "embedding"},
        {"base_model.model.lm_head.lora_A.weight", "output"},
        {"base_model.model.lm_head.modules_to_save.weight", "whole matrices"},
        {"base_model.model.model.embed_tokens.weight", "whole matrices"},
        {KEY "self_attn.q_proj.weight", "neither lora_A nor lora_B"}, {"something", "no layer"},
        {"layers.", "no layer"}, {"layers.1", "no layer"}, {"layers.1.x.lora_C.weight", "neither"}};
    for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++) {
        char shown[61]; /* messages cut long names */
        snprintf(shown, sizeof shown, "%s", extras[i].tensor);
        refuses(extras[i].tensor, (spec){.extra = extras[i].tensor}, RR_E_UNSUPPORTED, shown,
            extras[i].word);
    }
}

/* The same pairs as a GGUF file of llama.cpp. */
typedef struct gguf_spec {
    const char *kind, *architecture, *type, *name; /* NULL = the usual */
    float alpha;                                   /* < 0 = no key */
    bool invocation;
} gguf_spec;

static void write_gguf(const gguf_spec *s, const char *path) {
    rr_gguf_writer writer = {0};
    rr_buf file = {0};
    float values[D * FFN];
    const struct {
        const char *name;
        uint64_t dims[2];
        size_t at;
    } rows[] = {{s->name != NULL ? s->name : "blk.0.attn_q.weight.lora_a", {D, RANK}, 1},
        {"blk.0.attn_q.weight.lora_b", {RANK, D}, 2},
        {"blk.0.ffn_down.weight.lora_a", {FFN, RANK}, 3},
        {"blk.0.ffn_down.weight.lora_b", {RANK, D}, 4}};
    rr_gw_string(&writer, "general.type", s->kind != NULL ? s->kind : "adapter");
    rr_gw_string(
        &writer, "general.architecture", s->architecture != NULL ? s->architecture : "qwen2");
    rr_gw_string(&writer, "adapter.type", s->type != NULL ? s->type : "lora");
    if (s->alpha >= 0.0f) {
        rr_gw_f32(&writer, "adapter.lora.alpha", s->alpha);
    }
    if (s->invocation) {
        rr_gw_u32(&writer, "adapter.alora.invocation_tokens", 1);
    }
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const size_t n = (size_t)(rows[r].dims[0] * rows[r].dims[1]);
        for (size_t i = 0; i < n; i++) {
            values[i] = value_at(rows[r].at + i);
        }
        rr_gw_tensor(&writer, rows[r].name, 2, rows[r].dims, RR_Q_F32, values, n * sizeof *values);
    }
    CHECK(rr_gw_finish(&writer, &file) == RR_OK);
    CHECK_OK(rr_file_write_atomic(path, file.data, file.bytes, &diag), diag);
    rr_buf_destroy(&file);
}

static void reads_gguf(void) {
    char path[400];
    rr_adapter *peft = NULL, *adapter = NULL;
    write_adapter(&(spec){0});
    CHECK_OK(rr_adapter_open(folder, &peft, &diag), diag);
    snprintf(path, sizeof path, "%s/a.gguf", folder);
    static const struct {
        float alpha;
        double scale;
    } alphas[] = {{8, 2}, {0, 1}, {-1, 1}, {0.5f, 0.125}};
    for (size_t i = 0; i < sizeof alphas / sizeof alphas[0]; i++) {
        write_gguf(&(gguf_spec){.alpha = alphas[i].alpha}, path);
        CHECK_OK(rr_adapter_open(path, &adapter, &diag), diag);
        CHECK(
            adapter != NULL && adapter->n_pairs == 2 && adapter->pairs[1].scale == alphas[i].scale);
        CHECK_OK(rr_adapter_check(adapter, model, &diag), diag);
        for (size_t p = 0; adapter != NULL && peft != NULL && p < 2; p++) {
            static float a[D * FFN], b[D * FFN];
            const rr_weight *w = p == 0 ? &model->layers[0].q : &model->layers[0].down;
            adapter->pairs[p].scale = peft->pairs[p].scale;
            CHECK_OK(rr_adapter_merge(&adapter->pairs[p], w, 0, D, a, &diag), diag);
            CHECK_OK(rr_adapter_merge(&peft->pairs[p], w, 0, D, b, &diag), diag);
            CHECK(memcmp(a, b, (size_t)D * w->cols * sizeof *a) == 0);
        }
        rr_adapter_close(&adapter);
    }
    rr_adapter_close(&peft);
    const struct {
        gguf_spec spec;
        const char *word;
    } faults[] = {{{.kind = "model"}, "general.type"}, {{.architecture = "llama"}, "llama"},
        {{.type = "control"}, "adapter.type"}, {{.invocation = true}, "invocation_tokens"},
        {{.name = "token_embd.weight.lora_a"}, "token_embd"},
        {{.name = "blk.0.attn_norm.weight"}, "attn_norm"},
        {{.name = "blk.0.attn_q.weight.lora_ab"}, "lora_ab"},
        {{.name = "blk.1.attn_q.weight.lora_a"}, "no lora_"}, {{.alpha = INFINITY}, "alpha"}};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        write_gguf(&faults[i].spec, path);
        const rr_status status = rr_adapter_open(path, &adapter, &diag);
        CHECK_MSG(status != RR_OK && strstr(diag.text, faults[i].word) != NULL,
            "\"%s\" lacks \"%s\"", status == RR_OK ? "" : diag.text, faults[i].word);
        rr_adapter_close(&adapter);
    }
}

/* Rows in the middle, by the formula. */
static void merges(void) {
    rr_adapter *adapter = NULL;
    write_adapter(&(spec){0});
    CHECK_OK(rr_adapter_open(folder, &adapter, &diag), diag);
    if (adapter == NULL) {
        return;
    }
    float row[2 * D], plain[2 * D];
    const rr_weight *w = &model->layers[0].q;
    CHECK_OK(rr_adapter_merge(&adapter->pairs[0], w, 5, 2, row, &diag), diag);
    rr_weight_unpack(w, 5, 2, plain);
    for (int r = 0; r < 2; r++) {
        for (int c = 0; c < D; c++) {
            double sum = 0;
            for (int k = 0; k < RANK; k++) {
                sum += (double)value_at(2 + (size_t)(5 + r) * RANK + (size_t)k) *
                    (double)value_at(1 + (size_t)k * D + (size_t)c);
            }
            CHECK(row[r * D + c] == (float)((double)plain[r * D + c] + 2.0 * sum));
        }
    }
    rr_adapter_close(&adapter);
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    CHECK_OK(rr_synth_open(&(rr_synth){.seed = 3}, &storage, &model, &diag), diag);
    if (model != NULL) {
        reads_folders();
        refuses_configs();
        refuses_tensors();
        reads_gguf();
        merges();
    }
    rr_model_close(&model);
    rr_buf_destroy(&storage);
    rr_folder_remove(folder);
    return CHECK_END();
}
