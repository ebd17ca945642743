/* Hugging Face folders: a small model written as one gives the same weights, configuration and
 * tokens; every field of config.json that counts; what is refused, with its fault named. */
#include "runtime/model/folder.h"

#include <math.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "runtime/model/model.h"
#include "runtime/model/tokenizer.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/hf_folder.h"
#include "tests/support/synth.h"

static char root[256], folder[300];
static rr_diag diag;
static rr_buf storage;
static rr_model *original;

static void path_of(const char *name, char *out, size_t room) {
    snprintf(out, room, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text, size_t bytes) {
    char path[400];
    path_of(name, path, sizeof path);
    CHECK_OK(rr_file_write_atomic(path, text, bytes, &diag), diag);
}

static void read_file(const char *name, rr_buf *out) {
    char path[400];
    path_of(name, path, sizeof path);
    rr_buf_clear(out);
    CHECK_OK(rr_file_read(path, 1 << 24, out, &diag), diag);
}

static void write_folder(const rr_hf_form *form) {
    rr_folder_remove(folder);
    CHECK_OK(rr_hf_write(original, folder, form, &diag), diag);
}

/* All floats of a weight, as the given type holds them. */
static float *floats_of(const rr_weight *weight, rr_qtype rounded) {
    const size_t n = (size_t)weight->rows * weight->cols;
    float *out = malloc(n * sizeof *out);
    uint8_t *blocks = malloc(n * 4);
    rr_weight_unpack(weight, 0, weight->rows, out);
    for (uint32_t r = 0; r < weight->rows; r++) {
        float *row = out + (size_t)r * weight->cols;
        rr_blocks_quantize(rounded, row, weight->cols, blocks);
        rr_blocks_unpack(rounded, blocks, weight->cols, row);
    }
    free(blocks);
    return out;
}

static void check_weight(
    const rr_weight *found, const rr_weight *expected, rr_qtype type, const char *what) {
    CHECK_MSG(found->type == type && found->rows == expected->rows && found->cols == expected->cols,
        "%s: %u x %u of type %d", what, found->rows, found->cols, (int)found->type);
    float *a = floats_of(found, RR_Q_F32), *b = floats_of(expected, type);
    CHECK_MSG(memcmp(a, b, (size_t)expected->rows * expected->cols * sizeof *a) == 0, "%s", what);
    free(a);
    free(b);
}

static void check_tokens(const rr_source *source) {
    static const char text[] = "the theory of <|im_end|> \xC3\xA9\xE4\xB8\x80 12 in  the\n";
    rr_tokenizer *a = NULL, *b = NULL;
    rr_tokens from = {0}, to = {0};
    CHECK_OK(rr_tokenizer_create(original->source, &a, &diag), diag);
    CHECK_OK(rr_tokenizer_create(source, &b, &diag), diag);
    if (a != NULL && b != NULL) {
        CHECK_OK(rr_tokenizer_encode_special(a, text, sizeof text - 1, &from, &diag), diag);
        CHECK_OK(rr_tokenizer_encode_special(b, text, sizeof text - 1, &to, &diag), diag);
        CHECK(from.n == to.n && memcmp(from.ids, to.ids, from.n * sizeof *from.ids) == 0);
        CHECK_INT(rr_tokenizer_im_end(b), rr_tokenizer_im_end(a));
        CHECK_INT(rr_tokenizer_n_vocab(b), rr_tokenizer_n_vocab(a));
    }
    rr_tokens_destroy(&from);
    rr_tokens_destroy(&to);
    rr_tokenizer_destroy(&a);
    rr_tokenizer_destroy(&b);
}

static void check_same(const rr_model *model, const rr_hf_form *form) {
    const rr_model_config *a = &model->config, *b = &original->config;
    CHECK(a->n_layers == b->n_layers && a->d_model == b->d_model && a->n_heads == b->n_heads);
    CHECK(a->n_kv_heads == b->n_kv_heads && a->head_size == b->head_size && a->d_ffn == b->d_ffn);
    CHECK(a->n_vocab == b->n_vocab && a->n_context == b->n_context && a->tied == b->tied);
    CHECK(a->rope_theta == b->rope_theta && a->rms_epsilon == b->rms_epsilon);
    CHECK(a->yarn.factor == 0.0);
    check_weight(&model->embedding, &original->embedding, form->type, "embedding");
    check_weight(&model->output, &original->output, form->type, "output");
    check_weight(&model->output_norm, &original->output_norm, form->type, "norm");
    for (uint32_t l = 0; l < a->n_layers; l++) {
        const rr_model_layer *x = &model->layers[l], *y = &original->layers[l];
        check_weight(&x->attn_norm, &y->attn_norm, form->type, "attn_norm");
        check_weight(&x->q, &y->q, form->type, "q");
        check_weight(&x->k, &y->k, form->type, "k");
        check_weight(&x->v, &y->v, form->type, "v");
        check_weight(&x->q_bias, &y->q_bias, form->type, "q_bias");
        check_weight(&x->k_bias, &y->k_bias, form->type, "k_bias");
        check_weight(&x->v_bias, &y->v_bias, form->type, "v_bias");
        check_weight(&x->o, &y->o, form->type, "o");
        check_weight(&x->ffn_norm, &y->ffn_norm, form->type, "ffn_norm");
        check_weight(&x->gate, &y->gate, form->type, "gate");
        check_weight(&x->up, &y->up, form->type, "up");
        check_weight(&x->down, &y->down, form->type, "down");
    }
    check_tokens(model->source);
    CHECK_INT(rr_model_n_parameters(model), rr_model_n_parameters(original));
    if (form->type == RR_Q_F32) {
        CHECK(rr_model_fingerprint(model) == rr_model_fingerprint(original));
    }
}

static void reads_folders(void) {
    static const rr_hf_form forms[] = {{.type = RR_Q_F32}, {.type = RR_Q_F32, .n_shards = 3},
        {.type = RR_Q_BF16, .n_shards = 5, .vocab_json = true, .rope_parameters = true},
        {.type = RR_Q_F16, .vocab_json = true}, {.type = RR_Q_BF16, .rope_parameters = true}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        rr_model *model = NULL;
        char path[320];
        write_folder(&forms[i]);
        snprintf(path, sizeof path, "%s%s", folder, i == 0 ? "//" : "");
        CHECK_OK(rr_model_open(path, &model, &diag), diag);
        if (model != NULL) {
            check_same(model, &forms[i]);
            CHECK_TEXT(model->name, "model");
            CHECK_TEXT(rr_source_path(model->source), folder);
        }
        rr_model_close(&model);
    }
}

/* What the hub's cache calls a folder is no name. */
static void names_models(void) {
    char path[600];
    rr_model *model = NULL;
    write_folder(&(rr_hf_form){.type = RR_Q_F16, .no_vocabulary = true});
    snprintf(path, sizeof path, "%s/models--le723z--Rearank-7B/snapshots", root);
    CHECK_OK(rr_folder_make(path, &diag), diag);
    snprintf(path + strlen(path), sizeof path - strlen(path), "/0a1b2c");
    CHECK_INT(rename(folder, path), 0);
    CHECK_OK(rr_model_open(path, &model, &diag), diag);
    CHECK_TEXT(model != NULL ? model->name : "", "Rearank-7B");
    rr_model_close(&model);
}

/* Opens the folder; RR_OK or a message with both words. */
static rr_model_config opens(
    const char *what, rr_status status, const char *word, const char *other) {
    rr_model *model = NULL;
    rr_model_config config = {0};
    const rr_status found = rr_model_open(folder, &model, &diag);
    CHECK_MSG(found == status, "%s: status %d (%s), expected %d", what, (int)found,
        found == RR_OK ? "" : diag.text, (int)status);
    if (status != RR_OK) {
        CHECK_MSG(strncmp(diag.text, folder, strlen(folder)) == 0 &&
                strstr(diag.text, word) != NULL && strstr(diag.text, other) != NULL,
            "%s: \"%s\" lacks \"%s\" or \"%s\"", what, diag.text, word, other);
    }
    if (model != NULL) {
        config = model->config;
    }
    rr_model_close(&model);
    return config;
}

/* config.json with `field` (and its value) taken out and `text` put in; the field may be absent. */
static rr_model_config config_with(
    const char *field, const char *text, rr_status status, const char *word, const char *other) {
    static rr_buf base;
    if (base.bytes == 0) {
        read_file("config.json", &base);
    }
    rr_buf edited = {0};
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", field);
    const char *at = field[0] != '\0' ? strstr(base.data, key) : NULL;
    const char *end = at;
    if (at != NULL) {
        int depth = 0;
        for (end = at; depth > 0 || (*end != ',' && *end != '}'); end++) {
            depth += (*end == '[' || *end == '{') - (*end == ']' || *end == '}');
        }
        end += *end == ',';
    }
    rr_buf_append(&edited, base.data, at != NULL ? (size_t)(at - base.data) : 1);
    rr_buf_text(&edited, text);
    const char *rest = at != NULL ? end : base.data + 1;
    rr_buf_text(&edited, text[0] != '\0' && *rest != '}' ? "," : "");
    rr_buf_text(&edited, rest);
    if (edited.bytes > 2 && strcmp(edited.data + edited.bytes - 2, ",}") == 0) {
        edited.data[edited.bytes - 2] = '}';
        edited.bytes--;
    }
    write_file("config.json", edited.data, edited.bytes);
    const rr_model_config config = opens(text[0] != '\0' ? text : field, status, word, other);
    write_file("config.json", base.data, base.bytes);
    rr_buf_destroy(&edited);
    return config;
}

static void refuse_config(const char *field, const char *text, rr_status status, const char *word) {
    (void)config_with(field, text, status, "config.json", word);
}

static void checks_fields(void) {
    static const char *const needed[] = {"hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "vocab_size"};
    write_folder(&(rr_hf_form){.type = RR_Q_F32});
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        char text[64];
        refuse_config(needed[i], "", RR_E_INPUT, needed[i]);
        snprintf(text, sizeof text, "\"%s\":\"64\"", needed[i]);
        refuse_config(needed[i], text, RR_E_INPUT, "number expected, string found");
        snprintf(text, sizeof text, "\"%s\":64.5", needed[i]);
        refuse_config(needed[i], text, RR_E_INPUT, "64.5 found, a whole number");
        snprintf(text, sizeof text, "\"%s\":-1", needed[i]);
        refuse_config(needed[i], text, RR_E_INPUT, "-1 found");
        snprintf(text, sizeof text, "\"%s\":1e30", needed[i]);
        refuse_config(needed[i], text, RR_E_INPUT, "1e+30 found");
    }
    refuse_config("architectures", "\"architectures\":[\"LlamaForCausalLM\"]", RR_E_UNSUPPORTED,
        "LlamaForCausalLM found, Qwen2ForCausalLM expected");
    refuse_config(
        "architectures", "\"architectures\":\"Qwen2ForCausalLM\"", RR_E_INPUT, "list expected");
    refuse_config("architectures", "\"architectures\":[1]", RR_E_INPUT, "string expected");
    (void)config_with("architectures", "", RR_OK, "", "");
    refuse_config("model_type", "\"model_type\":\"qwen3\"", RR_E_UNSUPPORTED, "qwen3 found");
    refuse_config("hidden_act", "\"hidden_act\":\"gelu\"", RR_E_UNSUPPORTED, "gelu found, silu");
    (void)config_with("hidden_act", "", RR_OK, "", "");
    refuse_config("hidden_size", "\"hidden_size\":64,\"hidden_size\":64", RR_E_INPUT, "twice");
    refuse_config("num_key_value_heads", "\"num_key_value_heads\":3", RR_E_INPUT,
        "num_attention_heads 4 found over num_key_value_heads 3");
    refuse_config("head_dim", "\"head_dim\":24", RR_E_UNSUPPORTED, "heads of size 24");
    (void)config_with("head_dim", "\"head_dim\":null", RR_OK, "", "");
    (void)config_with("head_dim", "", RR_OK, "", "");
    (void)config_with("hidden_size", "\"hidden_size\":64.0", RR_OK, "", "");
    CHECK_INT(config_with("max_position_embeddings", "", RR_OK, "", "").n_context, 32768);
    CHECK(
        config_with("rms_norm_eps", "\"rms_norm_eps\":1e-05", RR_OK, "", "").rms_epsilon == 1e-5f);
    CHECK(config_with("rms_norm_eps", "", RR_OK, "", "").rms_epsilon == 1e-6f);
    refuse_config("rms_norm_eps", "\"rms_norm_eps\":0.5", RR_E_INPUT, "rms_norm_eps");
    /* shapes that the tensors do not have */
    (void)config_with("vocab_size", "\"vocab_size\":321", RR_E_INPUT, "vocab_size 321",
        "model.embed_tokens.weight: shape [320, 64] found, [321, 64] expected");
    (void)config_with("num_hidden_layers", "\"num_hidden_layers\":3", RR_E_INPUT, "model.layers.2.",
        "num_hidden_layers 3");
    (void)config_with("num_hidden_layers", "\"num_hidden_layers\":1", RR_E_UNSUPPORTED,
        "model.layers.1.", "num_hidden_layers 1");
    (void)config_with("tie_word_embeddings", "\"tie_word_embeddings\":1", RR_E_INPUT, "config.json",
        "bool expected");
    write_file("config.json", "[]", 2);
    (void)opens("a list", RR_E_INPUT, "config.json", "object expected, list found");
    write_file("config.json", "{\"a\":", 5);
    (void)opens("cut", RR_E_INPUT, "config.json", "byte offset");
    write_folder(&(rr_hf_form){.type = RR_Q_F32});
}

static void checks_rope(void) {
    CHECK(config_with("rope_theta", "", RR_OK, "", "").rope_theta == 10000.0f);
    CHECK(
        config_with("rope_theta", "\"rope_theta\":500000", RR_OK, "", "").rope_theta == 500000.0f);
    CHECK(config_with("", "\"rope_parameters\":{\"rope_theta\":5e4}", RR_OK, "", "").rope_theta ==
        50000.0f); /* it wins over the other */
    refuse_config("rope_theta", "\"rope_theta\":\"1e6\"", RR_E_INPUT, "number expected");
    refuse_config("", "\"rope_parameters\":[]", RR_E_INPUT, "object expected");
    (void)config_with("", "\"rope_scaling\":null", RR_OK, "", "");
    refuse_config("", "\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}", RR_E_UNSUPPORTED,
        "rope_scaling: linear found");
    refuse_config("", "\"rope_scaling\":{\"type\":\"yarn\",\"rope_type\":\"linear\"}", RR_E_INPUT,
        "type yarn and rope_type linear");
    refuse_config("", "\"rope_scaling\":{\"type\":\"yarn\"}", RR_E_INPUT, "factor: missing");
    refuse_config(
        "", "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":0.5}", RR_E_INPUT, "0.5 found");
    refuse_config("", "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"mscale\":1}",
        RR_E_UNSUPPORTED, "mscale");
    rr_model_config c = config_with("",
        "\"rope_scaling\":{\"type\":\"yarn\",\"rope_type\":\"yarn\",\"factor\":4.0}", RR_OK, "",
        "");
    CHECK(c.yarn.factor == 4.0 && c.yarn.original_context == 512.0 && c.n_context == 2048);
    CHECK(fabs(c.yarn.attention_factor - (0.1 * log(4.0) + 1.0)) < 1e-12);
    CHECK(c.yarn.beta_fast == 32.0 && c.yarn.beta_slow == 1.0 && c.yarn.truncate);
    c = config_with("rope_theta",
        "\"rope_parameters\":{\"rope_type\":\"yarn\",\"rope_theta\":1e6,\"factor\":2,"
        "\"original_max_position_embeddings\":128,\"attention_factor\":1.25,\"beta_fast\":24,"
        "\"beta_slow\":2,\"truncate\":false}",
        RR_OK, "", "");
    CHECK(c.rope_theta == 1e6f && c.yarn.original_context == 128.0 && c.n_context == 512);
    CHECK(c.yarn.attention_factor == 1.25 && c.yarn.beta_fast == 24.0 && !c.yarn.truncate);
}

static void checks_window(void) {
    /* set, but not in use: the trap of the published files */
    CHECK_INT(
        config_with("", "\"sliding_window\":16,\"max_window_layers\":1", RR_OK, "", "").n_context,
        512);
#define IN_USE "\"use_sliding_window\":true,\"sliding_window\":"
    CHECK_INT(config_with("use_sliding_window", IN_USE "64,\"max_window_layers\":2", RR_OK, "", "")
                  .n_context,
        512); /* from layer 2 of 2 on */
    CHECK_INT(config_with("use_sliding_window", IN_USE "64,\"max_window_layers\":1", RR_OK, "", "")
                  .n_context,
        64);
    CHECK_INT(config_with("use_sliding_window", IN_USE "512,\"max_window_layers\":0", RR_OK, "", "")
                  .n_context,
        512);
    refuse_config("use_sliding_window", IN_USE "5,\"max_window_layers\":0", RR_E_UNSUPPORTED,
        "sliding_window: 5");
    CHECK_INT(config_with("",
                  "\"sliding_window\":64,\"layer_types\":[\"full_attention\","
                  "\"sliding_attention\"]",
                  RR_OK, "", "")
                  .n_context,
        64);
    CHECK_INT(config_with("use_sliding_window",
                  IN_USE "64,\"max_window_layers\":0,\"layer_types\":[\"full_attention\","
                         "\"full_attention\"]",
                  RR_OK, "", "")
                  .n_context,
        512);
    refuse_config("", "\"layer_types\":[\"full_attention\"]", RR_E_INPUT, "layer_types: 1 found");
    refuse_config("", "\"layer_types\":[\"full_attention\",\"linear_attention\"]", RR_E_UNSUPPORTED,
        "linear_attention found");
}

/* One tensor's name in the header of model.safetensors for another of the same length. */
static void rename_tensor(const char *from, const char *to) {
    rr_buf file = {0};
    read_file("model.safetensors", &file);
    for (size_t i = 8; i + strlen(from) < file.bytes; i++) {
        if (memcmp(file.data + i, from, strlen(from)) == 0 && file.data[i + strlen(from)] == '"') {
            memcpy(file.data + i, to, strlen(to));
            break;
        }
    }
    write_file("model.safetensors", file.data, file.bytes);
    rr_buf_destroy(&file);
}

static void checks_tensors(void) {
    rename_tensor("model.layers.1.self_attn.k_proj.bias", "model.layers.1.self_attn.k_norm.bias");
    (void)opens("renamed", RR_E_INPUT, "model.safetensors",
        "model.layers.1.self_attn.k_proj.bias not found, shape [32]");
    write_folder(&(rr_hf_form){.type = RR_Q_F32});
    rename_tensor("lm_head.weight", "zz_head.weight");
    (void)opens("no head", RR_E_INPUT, "lm_head.weight not found", "tie_word_embeddings is false");
    /* the other way out */
    CHECK(config_with("tie_word_embeddings", "\"tie_word_embeddings\":true", RR_OK, "", "").tied);
    write_folder(&(rr_hf_form){.type = RR_Q_F32});
    /* two matrices under one flag are both used */
    CHECK(!config_with("tie_word_embeddings", "\"tie_word_embeddings\":true", RR_OK, "", "").tied);
    rename_tensor("model.embed_tokens.weight", "xodel.embed_tokens.weight");
    CHECK(config_with("tie_word_embeddings", "\"tie_word_embeddings\":true", RR_OK, "", "").tied);
    (void)opens("no embedding", RR_E_INPUT, "model.embed_tokens.weight not found", "[320, 64]");
    write_folder(&(rr_hf_form){.type = RR_Q_F32});
    write_file("other.safetensors", "1234", 4);
    (void)opens("a stray file", RR_OK, "", "");
    char from[400], to[400];
    path_of("model.safetensors", from, sizeof from);
    path_of("a.safetensors", to, sizeof to);
    CHECK_INT(rename(from, to), 0);
    (void)opens("two files", RR_E_INPUT, "a.safetensors", "other.safetensors");
    path_of("other.safetensors", from, sizeof from);
    CHECK_INT(unlink(from), 0);
    (void)opens("another name", RR_OK, "", "");
    CHECK_INT(unlink(to), 0);
    (void)opens("no weights", RR_E_INPUT, "no file of weights", "model.safetensors");
    write_file("pytorch_model.bin", "1234", 4);
    (void)opens("pickle", RR_E_UNSUPPORTED, "pytorch_model.bin", "never opened");
    path_of("config.json", from, sizeof from);
    CHECK_INT(unlink(from), 0);
    (void)opens("no config", RR_E_INPUT, "config.json not found", "");
}

/* The index with one text for another. */
static void edit_index(
    const char *from, const char *to, rr_status status, const char *word, const char *other) {
    rr_buf base = {0}, edited = {0};
    read_file("model.safetensors.index.json", &base);
    const char *at = strstr(base.data, from);
    CHECK_MSG(at != NULL, "%s", from);
    if (at != NULL) {
        rr_buf_append(&edited, base.data, (size_t)(at - base.data));
        rr_buf_text(&edited, to);
        rr_buf_text(&edited, at + strlen(from));
        write_file("model.safetensors.index.json", edited.data, edited.bytes);
        (void)opens(to, status, word, other);
    }
    write_file("model.safetensors.index.json", base.data, base.bytes);
    rr_buf_destroy(&base);
    rr_buf_destroy(&edited);
}

static void checks_index(void) {
#define INDEX "model.safetensors.index.json"
    write_folder(&(rr_hf_form){.type = RR_Q_F16, .n_shards = 2});
    (void)opens("as it is", RR_OK, "", "");
    edit_index("\"metadata\":{}", "\"metadata\":{\"total_size\":1}", RR_OK, "", "");
    edit_index("\"metadata\":{},", "", RR_OK, "", "");
    edit_index("\"weight_map\":", "\"weight_mop\":", RR_E_INPUT, INDEX, "weight_map: missing");
    edit_index("model-00002-of-00002.safetensors", "model-00003-of-00002.safetensors", RR_E_INPUT,
        INDEX, "model-00003-of-00002.safetensors: not in the folder, but tensor model.norm.weight");
    edit_index("model-00002-of-00002.safetensors", "../model-00002-of-00002.safetensors",
        RR_E_INPUT, "model.norm.weight", "../model-00002-of-00002.safetensors");
    edit_index("model-00002-of-00002.safetensors", "/etc/passwd", RR_E_INPUT, INDEX, "/etc/passwd");
    edit_index("model-00002-of-00002.safetensors", "..", RR_E_INPUT, INDEX, "plain name");
    edit_index("model-00002-of-00002.safetensors", "config.json", RR_E_INPUT, INDEX, "plain name");
    edit_index("\"model-00002-of-00002.safetensors\"", "5", RR_E_INPUT, INDEX, "string expected");
    edit_index("model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors", RR_E_INPUT,
        "model.norm.weight: not in model-00001-of-00002.safetensors", INDEX);
    edit_index("\"model.norm.weight\"", "\"lm_head.weight\"", RR_E_INPUT, INDEX,
        "tensor lm_head.weight twice");
    char path[400];
    path_of("model-00002-of-00002.safetensors", path, sizeof path);
    rr_buf file = {0};
    read_file("model-00001-of-00002.safetensors", &file);
    write_file("copy.safetensors", file.data, file.bytes);
    edit_index("\"weight_map\":{", "\"weight_map\":{\"x\":\"copy.safetensors\",", RR_E_INPUT, INDEX,
        "x: not in copy.safetensors");
    rr_buf_destroy(&file);
    CHECK_INT(unlink(path), 0);
    (void)opens("a shard gone", RR_E_INPUT, INDEX, "model-00002-of-00002.safetensors: not in");
}

/* What ends an answer: generation_config.json, else config.json, besides ChatML's own. */
static void checks_stops(void) {
    static const struct {
        const char *generation;
        int32_t stops[2], others[2];
    } cases[] = {{"{\"eos_token_id\":[3,7]}", {3, 7}, {8, 9}},
        {"{\"eos_token_id\":7}", {7, 7}, {3, 8}}, {"{}", {5, 5}, {3, 7}}};
    rr_buf config = {0}, edited = {0};
    read_file("config.json", &config);
    rr_buf_text(&edited, "{\"eos_token_id\":5,");
    rr_buf_text(&edited, config.data + 1);
    write_file("config.json", edited.data, edited.bytes);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rr_source *source = NULL;
        rr_tokenizer *tokenizer = NULL;
        write_file("generation_config.json", cases[i].generation, strlen(cases[i].generation));
        CHECK_OK(rr_source_open(folder, &source, &diag), diag);
        CHECK_OK(rr_tokenizer_create(source, &tokenizer, &diag), diag);
        for (int k = 0; k < 2 && tokenizer != NULL; k++) {
            CHECK(rr_tokenizer_is_end(tokenizer, cases[i].stops[k]));
            CHECK(!rr_tokenizer_is_end(tokenizer, cases[i].others[k]));
        }
        CHECK(tokenizer != NULL && rr_tokenizer_is_end(tokenizer, rr_tokenizer_im_end(tokenizer)) &&
            !rr_tokenizer_is_end(tokenizer, -1));
        rr_tokenizer_destroy(&tokenizer);
        rr_source_close(&source);
    }
    rr_buf_destroy(&config);
    rr_buf_destroy(&edited);
}

/* The tokenizer's files. */
static void edit_tokens(
    const char *name, const char *from, const char *to, rr_status status, const char *word) {
    rr_buf base = {0}, edited = {0};
    read_file(name, &base);
    const char *at = strstr(base.data, from);
    CHECK_MSG(at != NULL, "%s: %s", name, from);
    if (at != NULL) {
        rr_buf_append(&edited, base.data, (size_t)(at - base.data));
        rr_buf_text(&edited, to);
        rr_buf_text(&edited, at + strlen(from));
        write_file(name, edited.data, edited.bytes);
        rr_source *source = NULL;
        rr_tokenizer *tokenizer = NULL;
        CHECK_OK(rr_source_open(folder, &source, &diag), diag);
        const rr_status found = rr_tokenizer_create(source, &tokenizer, &diag);
        CHECK_MSG(found == status, "%s: status %d (%s)", to, (int)found, diag.text);
        CHECK_MSG(status == RR_OK ||
                (strncmp(diag.text, folder, strlen(folder)) == 0 &&
                    strstr(diag.text, word) != NULL),
            "%s: \"%s\" lacks \"%s\"", to, diag.text, word);
        rr_tokenizer_destroy(&tokenizer);
        rr_source_close(&source);
    }
    write_file(name, base.data, base.bytes);
    rr_buf_destroy(&base);
    rr_buf_destroy(&edited);
}

static void checks_tokens(void) {
    static const char json[] = "tokenizer.json";
    write_folder(&(rr_hf_form){.type = RR_Q_F16});
    edit_tokens(json, "\"BPE\"", "\"Unigram\"", RR_E_UNSUPPORTED, "\"Unigram\" found, \"BPE\"");
    edit_tokens(json, "\"NFC\"", "\"NFKC\"", RR_E_UNSUPPORTED, "\"NFKC\" found");
    edit_tokens(json, "\"Isolated\"", "\"Removed\"", RR_E_UNSUPPORTED, "behavior");
    edit_tokens(json, "|\\\\p{N}|", "|\\\\p{N}{1,3}|", RR_E_UNSUPPORTED, "Regex");
    edit_tokens(json, "\"add_prefix_space\":false", "\"add_prefix_space\":true", RR_E_UNSUPPORTED,
        "add_prefix_space");
    edit_tokens(
        json, "\"unk_token\":null", "\"ignore_merges\":true", RR_E_UNSUPPORTED, "ignore_merges");
    edit_tokens(json, "[\"h\",\"e\"]", "\"h qq\"", RR_E_INPUT, "merge");
    edit_tokens(json, "[\"h\",\"e\"]", "[\"h\",\"e\",\"x\"]", RR_E_INPUT, "merge");
    edit_tokens(json, "\"!\":0", "\"!\":1", RR_E_INPUT, "one expected");
    edit_tokens(json, "\"!\":0", "\"!\":320", RR_E_INPUT, "vocab_size 320");
    edit_tokens(json, "\"!\":0", "\"!\":-1", RR_E_INPUT, "number expected");
    edit_tokens(json, "\"!\":0,", "", RR_E_INPUT, "no token for byte 0x21");
    edit_tokens(json, "\"special\":true", "\"special\":false", RR_OK, ""); /* with a warning */
    edit_tokens(json, "\"content\":\"<|im_start|>\",", "", RR_E_INPUT, "without content");
    edit_tokens("tokenizer_config.json", "<|im_start|>' + m", "[INST]' + m", RR_OK, "");
    edit_tokens("config.json", "{", "{\"eos_token_id\":[1,2],", RR_OK, "");
    edit_tokens("config.json", "{", "{\"eos_token_id\":320,", RR_E_INPUT, "eos_token_id");
    write_folder(&(rr_hf_form){.type = RR_Q_F16, .vocab_json = true});
    edit_tokens("tokenizer_config.json", "Qwen2Tokenizer", "LlamaTokenizer", RR_E_UNSUPPORTED,
        "\"LlamaTokenizer\" found");
    edit_tokens("vocab.json", "\"!\":0", "\"!\":\"0\"", RR_E_INPUT, "string found");
    edit_tokens("merges.txt", "h e\n", "h\n", RR_E_INPUT, "merge");
    edit_tokens("merges.txt", "#version: 0.2\n", "", RR_OK, "");
    edit_tokens("merges.txt", "h e\n", "h e\r\n", RR_OK, "");
    edit_tokens("tokenizer_config.json", "\"280\":", "\"x280\":", RR_E_INPUT, "number expected");
}

/* Weights alone are no model. */
static void refuses_single_files(void) {
    char path[400];
    rr_source *source = NULL;
    write_folder(&(rr_hf_form){.type = RR_Q_F16, .no_vocabulary = true});
    path_of("model.safetensors", path, sizeof path);
    CHECK_INT(rr_source_open(path, &source, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "name the model's folder") != NULL);
    write_file("model.safetensors", "1234567", 7);
    CHECK_INT(rr_source_open(path, &source, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "size 7, at least 8 needed") != NULL);
    CHECK(rr_is_folder(folder) && !rr_is_folder(path) && !rr_is_folder("/nonexistent"));
}

int main(void) {
    rr_test_folder(root, sizeof root);
    snprintf(folder, sizeof folder, "%s/model", root);
    CHECK_OK(
        rr_synth_open(&(rr_synth){.with_vocabulary = true, .seed = 5}, &storage, &original, &diag),
        diag);
    if (original != NULL) {
        reads_folders();
        names_models();
        checks_fields();
        checks_rope();
        checks_window();
        checks_tensors();
        checks_index();
        write_folder(&(rr_hf_form){.type = RR_Q_F16});
        checks_stops();
        checks_tokens();
        refuses_single_files();
    }
    rr_model_close(&original);
    rr_buf_destroy(&storage);
    rr_folder_remove(root);
    return CHECK_END();
}
