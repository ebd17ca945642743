#define _GNU_SOURCE
#include "runtime/base/file_out.h"
#include "runtime/model/gguf_source.h"
#include "runtime/model/model.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/gguf_edit.h"
#include "tests/support/synth.h"

#include <math.h>
#include <unistd.h>

static void check_weight(
    const rr_weight *w, const char *name, rr_qtype type, uint32_t rows, uint32_t cols) {
    const rr_qtype_info *info = rr_qtype_get((uint32_t)type);
    CHECK_MSG(rr_text_is(w->name, name), "%s: is %s", name, rr_text_show(w->name).text);
    CHECK_MSG(w->type == type && w->rows == rows && w->cols == cols, "%s: type %d, %u x %u", name,
        (int)w->type, w->rows, w->cols);
    CHECK_INT(w->bytes, (uint64_t)rows * (cols / info->block_weights) * info->block_bytes);
    CHECK(w->data != NULL);
}

/* The weights of a model are where the file has them, with the values that synth.h promises. */
static void check_model(const rr_synth *p, const rr_model *model) {
    const rr_model_config *c = &model->config;
    CHECK(c->n_layers == p->n_layers && c->d_model == p->d_model && c->n_heads == p->n_heads);
    CHECK(c->n_kv_heads == p->n_kv_heads && c->head_size == p->head_size && c->d_ffn == p->d_ffn);
    CHECK(c->n_vocab == p->n_vocab && c->n_context == p->n_context && c->tied == p->tied);
    CHECK(c->rope_theta == p->rope_theta && c->rms_epsilon == p->rms_epsilon);
    uint32_t q_rows = p->n_heads * p->head_size, kv_rows = p->n_kv_heads * p->head_size;
    check_weight(&model->embedding, "token_embd.weight", p->embedding, p->n_vocab, p->d_model);
    check_weight(&model->output_norm, "output_norm.weight", p->vectors, 1, p->d_model);
    check_weight(&model->output, p->tied ? "token_embd.weight" : "output.weight",
        p->tied ? p->embedding : p->output, p->n_vocab, p->d_model);
    CHECK(p->tied == (model->output.data == model->embedding.data));
    uint64_t n = (uint64_t)p->n_vocab * p->d_model * (p->tied ? 1 : 2) + p->d_model;
    for (uint32_t i = 0; i < p->n_layers; i++) {
        const rr_model_layer *l = &model->layers[i];
        const struct {
            const rr_weight *weight;
            const char *part;
            rr_qtype type;
            uint32_t rows, cols;
        } rows[] = {{&l->attn_norm, "attn_norm.weight", p->vectors, 1, p->d_model},
            {&l->q, "attn_q.weight", p->qkv, q_rows, p->d_model},
            {&l->k, "attn_k.weight", p->qkv, kv_rows, p->d_model},
            {&l->v, "attn_v.weight", p->qkv, kv_rows, p->d_model},
            {&l->q_bias, "attn_q.bias", p->vectors, 1, q_rows},
            {&l->k_bias, "attn_k.bias", p->vectors, 1, kv_rows},
            {&l->v_bias, "attn_v.bias", p->vectors, 1, kv_rows},
            {&l->o, "attn_output.weight", p->o, p->d_model, q_rows},
            {&l->ffn_norm, "ffn_norm.weight", p->vectors, 1, p->d_model},
            {&l->gate, "ffn_gate.weight", p->gate_up, p->d_ffn, p->d_model},
            {&l->up, "ffn_up.weight", p->gate_up, p->d_ffn, p->d_model},
            {&l->down, "ffn_down.weight", p->down, p->d_model, p->d_ffn}};
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%u.%s", i, rows[r].part);
            check_weight(rows[r].weight, name, rows[r].type, rows[r].rows, rows[r].cols);
            n += (uint64_t)rows[r].rows * rows[r].cols;
        }
    }
    CHECK(rr_model_n_parameters(model) == n);
    rr_source_file file = {0};
    CHECK(rr_source_file_at(model->source, 0, &file));
    CHECK(rr_model_weight_bytes(model) > 0 && rr_model_weight_bytes(model) < file.bytes);
}

static void opens_models(void) {
    /* the head shapes of Qwen2.5 0.5B to 32B in little, every stored type, tied and not */
    static const rr_synth models[] = {
        {2, 64, 4, 2, 16, 128, 320, 512, 1e6f, 1e-6f, .with_vocabulary = true},
        {1, 64, 4, 2, 16, 96, 300, 100, 1e4f, 1e-5f, .tied = true},
        {1, 896, 14, 2, 64, 1216, 290, 32768, 1e6f, 1e-6f, RR_Q_Q8_0, 0, RR_Q_Q5_0, RR_Q_Q4_0,
            RR_Q_Q4_1, RR_Q_Q5_1, .tied = true, .with_vocabulary = true, .alignment = 64},
        {1, 256, 2, 1, 128, 512, 283, 64, 1e6f, 1e-6f, RR_Q_Q4_K, RR_Q_Q6_K, RR_Q_Q4_K, RR_Q_Q5_K,
            RR_Q_F16, RR_Q_Q6_K, .with_vocabulary = true},
        {3, 96, 8, 1, 32, 64, 64, 7, 5e5f, 1e-6f, RR_Q_BF16, RR_Q_BF16, RR_Q_F16, RR_Q_F32,
            RR_Q_Q8_0, RR_Q_Q8_0, .seed = 9},
        {.embedding = RR_Q_BF16,
            .output = RR_Q_BF16,
            .qkv = RR_Q_BF16,
            .o = RR_Q_BF16,
            .gate_up = RR_Q_BF16,
            .down = RR_Q_BF16,
            .vectors = RR_Q_BF16,
            .n_layers = 1,
            .d_model = 64,
            .n_heads = 4,
            .n_kv_heads = 2,
            .head_size = 16,
            .d_ffn = 96,
            .n_vocab = 300,
            .n_context = 100,
            .rope_theta = 1e4f,
            .rms_epsilon = 1e-5f},
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        rr_diag diag = {0};
        rr_buf storage = {0};
        rr_model *model = NULL;
        CHECK_OK(rr_synth_open(&models[i], &storage, &model, &diag), diag);
        if (model != NULL) {
            check_model(&models[i], model);
            CHECK_TEXT(model->name, "synthetic");
        }
        rr_model_close(&model);
        CHECK(model == NULL);
        rr_model_close(&model);
        rr_buf_destroy(&storage);
    }
}

/* Biases of the little models are whole numbers over 256, which BF16 holds: the same values, read
 * from another type. Their norms are not, but are near. */
static void reads_bf16_vectors(void) {
    const rr_synth params[] = {{.seed = 4}, {.seed = 4, .vectors = RR_Q_BF16}};
    rr_buf storage[2] = {{0}};
    rr_model *models[2] = {NULL};
    rr_diag diag = {0};
    float values[2][64];
    for (int i = 0; i < 2; i++) {
        CHECK_OK(rr_synth_open(&params[i], &storage[i], &models[i], &diag), diag);
    }
    if (models[0] != NULL && models[1] != NULL) {
        for (int i = 0; i < 2; i++) {
            const rr_weight *bias = &models[i]->layers[1].q_bias;
            rr_weight_unpack(bias, 0, 1, values[i]);
        }
        CHECK(memcmp(values[0], values[1], sizeof values[0]) == 0);
        for (int i = 0; i < 2; i++) {
            rr_weight_unpack(&models[i]->output_norm, 0, 1, values[i]);
        }
        for (int i = 0; i < 64; i++) {
            CHECK(fabsf(values[0][i] - values[1][i]) <= 1.0f / 256);
        }
        CHECK(rr_model_fingerprint(models[0]) != rr_model_fingerprint(models[1]));
    }
    for (int i = 0; i < 2; i++) {
        rr_model_close(&models[i]);
        rr_buf_destroy(&storage[i]);
    }
}

/* The same bytes twice; other bytes for another seed. */
static void synth_is_deterministic(void) {
    rr_diag diag = {0};
    rr_buf a = {0}, b = {0}, c = {0};
    CHECK_OK(rr_synth_build(&(rr_synth){0}, &a, &diag), diag);
    CHECK_OK(rr_synth_build(&(rr_synth){0}, &b, &diag), diag);
    CHECK_OK(rr_synth_build(&(rr_synth){.seed = 1}, &c, &diag), diag);
    CHECK(a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0);
    CHECK(a.bytes == c.bytes && memcmp(a.data, c.data, a.bytes) != 0);
    rr_gguf *gguf = NULL;
    CHECK_OK(rr_gguf_parse(a.data, a.bytes, "a", &gguf, &diag), diag);
    /* the rule of synth.h, computed outside of this program */
    const rr_gguf_tensor *bias = rr_gguf_tensor_find(gguf, "blk.0.attn_q.bias");
    float found[4];
    memcpy(found, bias->data, sizeof found);
    static const float expected[4] = {79.0f / 256, 63.0f / 256, -41.0f / 256, -53.0f / 256};
    CHECK_MSG(memcmp(found, expected, sizeof found) == 0, "%g %g %g %g", (double)found[0],
        (double)found[1], (double)found[2], (double)found[3]);
    rr_gguf_close(&gguf);
    CHECK_INT(rr_synth_build(&(rr_synth){.d_model = 96, .qkv = RR_Q_Q4_K}, &c, &diag), RR_E_INPUT);
    CHECK_INT(rr_synth_build(&(rr_synth){.with_vocabulary = true, .n_vocab = 256}, &c, &diag),
        RR_E_INPUT);
    rr_buf_destroy(&a);
    rr_buf_destroy(&b);
    rr_buf_destroy(&c);
}

static const rr_buf *base_file(void) {
    static rr_buf file;
    if (file.bytes == 0) {
        rr_diag diag = {0};
        const rr_synth params = {
            .n_layers = 2, .d_model = 64, .d_ffn = 64, .n_vocab = 300, .with_vocabulary = true};
        CHECK_OK(rr_synth_build(&params, &file, &diag), diag);
    }
    return &file;
}

/* Opens a file with a change; the message must hold both words. Status RR_OK = must be accepted. */
static void edited_from(const rr_buf *base, const char *what, rr_gguf_edit edit, rr_status status,
    const char *word, const char *other) {
    rr_diag diag = {0};
    rr_buf file = {0};
    CHECK_OK(rr_gguf_edited(base, &edit, &file, &diag), diag);
    rr_source *source = NULL;
    rr_model *model = NULL;
    rr_status found = rr_source_parse_gguf(file.data, file.bytes, "m.gguf", &source, &diag);
    if (found == RR_OK) {
        found = rr_model_from_source(&source, &model, &diag);
    }
    CHECK_MSG(found == status, "%s: status %d (%s), expected %d", what, (int)found, diag.text,
        (int)status);
    CHECK(source == NULL && (model != NULL) == (found == RR_OK));
    if (status != RR_OK) {
        bool has_words = strstr(diag.text, word) != NULL && strstr(diag.text, other) != NULL;
        CHECK_MSG(strncmp(diag.text, "m.gguf: ", 8) == 0 && has_words,
            "%s: \"%s\" lacks \"%s\" or \"%s\"", what, diag.text, word, other);
    }
    rr_model_close(&model);
    rr_buf_destroy(&file);
}

static void edited(
    const char *what, rr_gguf_edit edit, rr_status status, const char *word, const char *other) {
    edited_from(base_file(), what, edit, status, word, other);
}

static void set_u32(const char *key, uint32_t value, rr_status status, const char *word) {
    const rr_gguf_edit edit = {
        .set_key = key, .set_type = RR_GGUF_U32, .set_body = &value, .set_bytes = 4};
    edited(key, edit, status, word, "");
}

static void set_f32(const char *key, float value, rr_status status, const char *word) {
    const rr_gguf_edit edit = {
        .set_key = key, .set_type = RR_GGUF_F32, .set_body = &value, .set_bytes = 4};
    edited(key, edit, status, word, "");
}

static void set_text(const char *key, const char *value, rr_status status, const char *word) {
    char body[200];
    uint64_t n = strlen(value);
    memcpy(body, &n, 8);
    memcpy(body + 8, value, (size_t)n);
    edited(key,
        (rr_gguf_edit){.set_key = key,
            .set_type = RR_GGUF_STRING,
            .set_body = body,
            .set_bytes = 8 + (size_t)n},
        status, word, "");
}

/* A name that is too long loses whole characters. */
static void cuts_names(void) {
    enum { ROOM = sizeof((rr_model *)0)->name - 1 };
    for (size_t n_before = ROOM - 3; n_before <= ROOM; n_before++) {
        char body[8 + ROOM + 3];
        const uint64_t n = n_before + 3;
        memcpy(body, &n, 8);
        memset(body + 8, 'n', n_before);
        memcpy(body + 8 + n_before, "\xE2\x82\xAC", 3); /* the euro sign */
        const rr_gguf_edit edit = {.set_key = "general.name",
            .set_type = RR_GGUF_STRING,
            .set_body = body,
            .set_bytes = 8 + (size_t)n};
        rr_diag diag = {0};
        rr_buf file = {0};
        rr_source *source = NULL;
        rr_model *model = NULL;
        CHECK_OK(rr_gguf_edited(base_file(), &edit, &file, &diag), diag);
        CHECK_OK(rr_source_parse_gguf(file.data, file.bytes, "m.gguf", &source, &diag), diag);
        CHECK_OK(rr_model_from_source(&source, &model, &diag), diag);
        CHECK_INT(strlen(model->name), n_before == ROOM - 3 ? ROOM : n_before);
        rr_model_close(&model);
        rr_buf_destroy(&file);
    }
}

static void set_bool(const char *key, bool value, rr_status status, const char *word) {
    const rr_gguf_edit edit = {
        .set_key = key, .set_type = RR_GGUF_BOOL, .set_body = &value, .set_bytes = 1};
    edited(key, edit, status, word, "");
}

/* The base file with a RoPE scaling of a type and a factor. */
static void scaled(
    const char *type, const char *factor_key, float factor, rr_status status, const char *word) {
    rr_diag diag = {0};
    rr_buf file = {0};
    char body[64];
    uint64_t n = strlen(type);
    memcpy(body, &n, 8);
    memcpy(body + 8, type, (size_t)n);
    const rr_gguf_edit edits[] = {{.set_key = "qwen2.rope.scaling.type",
                                      .set_type = RR_GGUF_STRING,
                                      .set_body = body,
                                      .set_bytes = 8 + (size_t)n},
        {.set_key = factor_key, .set_type = RR_GGUF_F32, .set_body = &factor, .set_bytes = 4}};
    CHECK_OK(rr_gguf_edited(base_file(), &edits[0], &file, &diag), diag);
    edited_from(&file, type, edits[1], status, word, "");
    rr_buf_destroy(&file);
}

static void refuses_other_keys(void) {
    static const char *const needed[] = {"general.architecture", "qwen2.block_count",
        "qwen2.embedding_length", "qwen2.feed_forward_length", "qwen2.attention.head_count",
        "qwen2.attention.head_count_kv", "qwen2.context_length", "qwen2.rope.freq_base",
        "qwen2.attention.layer_norm_rms_epsilon"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        edited(
            needed[i], (rr_gguf_edit){.drop_key = needed[i]}, RR_E_INPUT, needed[i], "not found");
    }
    edited("no name", (rr_gguf_edit){.drop_key = "general.name"}, RR_OK, "", "");
    set_u32("general.name", 5, RR_OK, "");
    set_text("general.architecture", "llama", RR_E_UNSUPPORTED, "\"llama\", expected \"qwen2\"");
    set_text("general.architecture", "qwen2moe", RR_E_UNSUPPORTED, "\"qwen2moe\"");
    set_u32("general.architecture", 2, RR_E_INPUT, "uint32");
    set_u32("split.count", 3, RR_E_UNSUPPORTED, "3 parts");
    set_u32("split.count", 1, RR_OK, "");
    set_u32("qwen2.block_count", 0, RR_E_INPUT, "found 0, expected 1 to 128");
    set_u32("qwen2.block_count", 129, RR_E_INPUT, "found 129");
    set_u32("qwen2.block_count", 3, RR_E_INPUT, "\"blk.2.attn_norm.weight\": not found");
    set_u32("qwen2.block_count", 1, RR_E_UNSUPPORTED, "no such tensor");
    set_text("qwen2.block_count", "2", RR_E_INPUT, "string, expected an integer");
    set_u32("qwen2.embedding_length", 128, RR_E_INPUT, "token_embd.weight");
    set_u32("qwen2.embedding_length", UINT32_MAX, RR_E_INPUT, "4294967295");
    set_u32("qwen2.feed_forward_length", 96, RR_E_INPUT, "blk.0.ffn_gate.weight");
    set_u32("qwen2.feed_forward_length", 65, RR_E_UNSUPPORTED, "multiples of 32");
    set_u32("qwen2.attention.head_count", 0, RR_E_INPUT, "found 0");
    set_u32("qwen2.attention.head_count", 3, RR_E_UNSUPPORTED, "3 query heads over 2 KV heads");
    set_u32("qwen2.attention.head_count", 18, RR_E_UNSUPPORTED, "18 query heads over 2 KV heads");
    set_u32("qwen2.attention.head_count", 6, RR_E_INPUT, "64 over 6 heads");
    set_u32("qwen2.attention.head_count", 8, RR_E_UNSUPPORTED, "heads of size 8");
    set_u32("qwen2.attention.head_count_kv", 0, RR_E_INPUT, "found 0");
    set_u32("qwen2.attention.head_count_kv", 4, RR_E_INPUT, "blk.0.attn_k.weight");
    set_u32("qwen2.attention.key_length", 16, RR_OK, "");
    set_u32("qwen2.attention.key_length", 32, RR_E_INPUT, "blk.0.attn_q.weight");
    set_u32("qwen2.attention.key_length", 24, RR_E_UNSUPPORTED, "heads of size 24");
    set_u32("qwen2.attention.key_length", 256, RR_E_UNSUPPORTED, "heads of size 256");
    set_u32("qwen2.attention.value_length", 32, RR_E_INPUT, "value_length");
    set_u32("qwen2.context_length", 0, RR_E_INPUT, "context_length");
    set_u32("qwen2.rope.dimension_count", 16, RR_OK, "");
    set_u32("qwen2.rope.dimension_count", 8, RR_E_INPUT, "dimension_count");
    set_f32("qwen2.rope.freq_base", 0.0f, RR_E_INPUT, "freq_base");
    set_f32("qwen2.rope.freq_base", NAN, RR_E_INPUT, "nan");
    set_u32("qwen2.rope.freq_base", 10000, RR_E_INPUT, "uint32, expected a floating-point number");
    set_f32("qwen2.attention.layer_norm_rms_epsilon", 0.0f, RR_E_INPUT, "epsilon");
    set_f32("qwen2.attention.layer_norm_rms_epsilon", -1e-6f, RR_E_INPUT, "epsilon");
    set_text("qwen2.rope.scaling.type", "none", RR_OK, "");
    set_text("qwen2.rope.scaling.type", "yarn", RR_E_UNSUPPORTED, "\"yarn\"");
    set_text("qwen2.rope.scaling.type", "linear", RR_OK, ""); /* by nothing */
    set_f32("qwen2.rope.scaling.factor", 4.0f, RR_E_UNSUPPORTED,
        "\"linear\" by 4, expected none, or linear by 1");
    set_f32("qwen2.rope.scaling.factor", 1.0f, RR_OK, "");
    set_f32("qwen2.rope.scale_linear", 4.0f, RR_E_UNSUPPORTED, "\"linear\" by 4");
    set_f32("qwen2.rope.scale_linear", 1.0f, RR_OK, "");
    scaled("linear", "qwen2.rope.scaling.factor", 1.0f, RR_OK, "");
    scaled("linear", "qwen2.rope.scaling.factor", 0.0f, RR_OK, "");
    scaled("linear", "qwen2.rope.scaling.factor", 2.0f, RR_E_UNSUPPORTED, "\"linear\" by 2");
    scaled("linear", "qwen2.rope.scaling.factor", NAN, RR_E_UNSUPPORTED, "nan");
    scaled("none", "qwen2.rope.scaling.factor", 4.0f, RR_OK, "");
    scaled("yarn", "qwen2.rope.scaling.factor", 1.0f, RR_E_UNSUPPORTED, "\"yarn\"");
    set_bool("qwen2.attention.causal", true, RR_OK, "");
    set_bool("qwen2.attention.causal", false, RR_E_UNSUPPORTED,
        "\"qwen2.attention.causal\": found false");
    set_u32("qwen2.attention.causal", 0, RR_E_INPUT, "uint32, expected a bool");
}

static void refuses_other_tensors(void) {
    rr_diag diag = {0};
    rr_gguf *gguf = NULL;
    const rr_buf *file = base_file();
    CHECK_OK(rr_gguf_parse(file->data, file->bytes, "base", &gguf, &diag), diag);
    for (size_t i = 0; gguf != NULL && i < rr_gguf_n_tensors(gguf); i++) {
        const rr_gguf_tensor *tensor = rr_gguf_tensor_at(gguf, i);
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)tensor->name.bytes, tensor->name.data);
        bool may_lack = strcmp(name, "output.weight") == 0; /* then the model is tied */
        bool is_vector = tensor->n_dims == 1;
        edited(name, (rr_gguf_edit){.drop_tensor = name}, may_lack ? RR_OK : RR_E_INPUT, name,
            "not found");
        edited(name, (rr_gguf_edit){.edit_tensor = name, .new_name = "blk.0.attn_q.scale"},
            may_lack ? RR_E_UNSUPPORTED : RR_E_INPUT, may_lack ? "blk.0.attn_q.scale" : name, "");
        /* fewer weights of the right type, a shape with a third dimension, the dimensions
         * swapped */
        rr_gguf_edit edit = {.edit_tensor = name,
            .new_n_dims = 2,
            .new_dims = {tensor->dims[0] - 32, tensor->dims[1]}};
        edited(name, edit, RR_E_INPUT, name, "shape");
        edit.new_n_dims = 3;
        edit.new_dims[0] = tensor->dims[0] / 2;
        edit.new_dims[2] = 2;
        edited(name, edit, RR_E_INPUT, name, "shape");
        if (tensor->dims[0] != tensor->dims[1]) {
            edit = (rr_gguf_edit){.edit_tensor = name,
                .new_n_dims = 2,
                .new_dims = {tensor->dims[1], tensor->dims[0]}};
            /* fewer rows than tokens, or another shape */
            edited(name, edit, RR_E_INPUT, name, "expected");
        }
        edit = (rr_gguf_edit){.edit_tensor = name, .change_type = true, .new_type = 23};
        edited(name, edit, RR_E_UNSUPPORTED, name,
            is_vector ? "F32, F16 or BF16" : "number 23, expected one of F32 F16 BF16 Q4_0");
        edit.new_type = RR_Q_Q8_0;
        edited(name, edit, is_vector ? RR_E_UNSUPPORTED : RR_OK, name, "Q8_0");
        edit.new_type = RR_Q_F16;
        edited(name, edit, RR_OK, "", "");
        edit.new_type = RR_Q_BF16;
        edited(name, edit, RR_OK, "", "");
        edit.new_type = RR_Q_Q4_K; /* 64 columns are no super-block */
        edited(name, edit, RR_E_INPUT, name, "multiple of 256");
    }
    rr_gguf_close(&gguf);
    edited("a tensor too many", (rr_gguf_edit){.add_tensor = "blk.0.attn_output.bias"},
        RR_E_UNSUPPORTED, "blk.0.attn_output.bias", "no such tensor");
    /* right but for a further dimension; the file has bytes enough behind it */
    for (uint32_t d = 2; d < 4; d++) {
        rr_gguf_edit edit = {
            .edit_tensor = "blk.0.attn_q.weight", .new_n_dims = 4, .new_dims = {64, 64, 1, 1}};
        edited("1 x 1", edit, RR_OK, "", "");
        edit.new_dims[d] = 2;
        edited("2 matrices", edit, RR_E_INPUT, "blk.0.attn_q.weight", "shape");
    }
    /* more tokens than rows of the embedding */
    const uint64_t many[2] = {RR_GGUF_U8 | 301ull << 32, 0};
    unsigned char body[12 + 301] = {0};
    memcpy(body, many, 12);
    edited("301 tokens",
        (rr_gguf_edit){.set_key = "tokenizer.ggml.tokens",
            .set_type = RR_GGUF_ARRAY,
            .set_body = body,
            .set_bytes = sizeof body},
        RR_E_INPUT, "found 300 rows, expected 301", "vocabulary");
}

/* Through a real file, and the name that a file without one gets. */
static void opens_files(void) {
    rr_diag diag = {0};
    char folder[256], path[300];
    rr_test_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/tiny.gguf", folder);
    CHECK_OK(rr_synth_write(&(rr_synth){.tied = true}, path, &diag), diag);
    rr_model *model = NULL;
    CHECK_OK(rr_model_open(path, &model, &diag), diag);
    CHECK(model != NULL && model->config.tied && strcmp(rr_source_path(model->source), path) == 0);
    rr_model_close(&model);
    rr_buf file = {0};
    CHECK_OK(rr_gguf_edited(base_file(), &(rr_gguf_edit){.drop_key = "general.name"}, &file, &diag),
        diag);
    CHECK_OK(rr_file_write_atomic(path, file.data, file.bytes, &diag), diag);
    CHECK_OK(rr_model_open(path, &model, &diag), diag);
    CHECK_TEXT(model != NULL ? model->name : "", "tiny.gguf");
    rr_model_close(&model);
    CHECK_OK(rr_file_write_atomic(path, file.data, file.bytes / 2, &diag), diag);
    CHECK_INT(rr_model_open(path, &model, &diag), RR_E_INPUT);
    CHECK(
        strncmp(diag.text, path, strlen(path)) == 0 && strstr(diag.text, "fetch it again") != NULL);
    rr_buf_destroy(&file);
    remove(path);
    CHECK_INT(rmdir(folder), 0);
}

int main(void) {
    opens_models();
    reads_bf16_vectors();
    synth_is_deterministic();
    refuses_other_keys();
    cuts_names();
    refuses_other_tensors();
    opens_files();
    return CHECK_END();
}
