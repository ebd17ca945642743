/* GPTQ and AWQ folders: which settings and tensors are taken, what their zeros mean, and what is
 * refused, with its fault named. */
#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "runtime/model/model.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/st_writer.h"

enum { D = 32, FFN = 64, VOCAB = 64, KV = 16 };
static char folder[256];
static rr_diag diag;

/* A folder of one layer; zero and NULL mean the usual. */
typedef struct spec {
    const char *settings; /* quantization_config; "" = none */
    const char *file;     /* quantize_config.json */
    bool awq;
    uint32_t bits;           /* 4 */
    uint32_t group;          /* 32 */
    uint32_t zeros;          /* every lane of every word of qzeros; 7 (127) */
    const char *skip;        /* a tensor of q_proj that is left out: "qzeros" */
    const char *other_shape; /* of q_proj.qweight */
    const char *scale_type;  /* F16 */
    const char *add;         /* a further tensor, F16 [32] */
    uint16_t added;          /* each of its values */
    int32_t bad_group;       /* g_idx of q_proj at 5; −1 = q_proj has g_idx as usual */
    bool with_groups;
    const char *plain; /* a module that is not quantized */
    bool both;         /* q_proj.weight beside q_proj.qweight */
} spec;

static void add_plain(rr_st_writer *writer, const char *name, uint32_t rows, uint32_t cols) {
    uint16_t *values = calloc((size_t)rows * cols, sizeof *values);
    char shape[32];
    for (size_t i = 0; i < (size_t)rows * cols; i++) {
        values[i] = (uint16_t)(0x3C00 + i % 64);
    }
    snprintf(shape, sizeof shape, rows == 1 ? "[%u]" : "[%u, %u]", rows == 1 ? cols : rows, cols);
    rr_sw_tensor(writer, name, "F16", shape, values, (size_t)rows * cols * sizeof *values);
    free(values);
}

static const char *in_layer(const char *module, const char *part) {
    static char name[128];
    snprintf(name, sizeof name, "model.layers.0.%s.%s", module, part);
    return name;
}

/* Codes, zeros, scales and groups of a module; those of q_proj as the spec wants them. */
static void add_quantized(
    rr_st_writer *writer, const spec *s, const char *module, uint32_t rows, uint32_t cols) {
    const bool is_q = strcmp(module, "self_attn.q_proj") == 0;
    const char *skip = is_q && s->skip != NULL ? s->skip : "";
    const uint32_t bits = s->bits != 0 ? s->bits : 4, per_word = 32 / bits;
    const uint32_t group = s->group != 0 ? s->group : 32, n_groups = (cols + group - 1) / group;
    uint32_t words[D * FFN], zero = 0;
    uint16_t scales[D * FFN];
    int32_t groups[FFN];
    char shape[32];
    for (uint32_t k = 0; k < per_word; k++) {
        zero |= (s->zeros != 0 ? s->zeros : (1u << (bits - 1)) - 1) << (k * bits);
    }
    for (size_t i = 0; i < D * FFN; i++) {
        words[i] = 0x12345678u * (uint32_t)(i + 1);
        scales[i] = (uint16_t)(0x2800 + i % 100);
    }
    snprintf(shape, sizeof shape, "[%u, %u]", s->awq ? cols : cols / per_word,
        s->awq ? rows / per_word : rows);
    rr_sw_tensor(writer, in_layer(module, "qweight"), "I32",
        is_q && s->other_shape != NULL ? s->other_shape : shape, words,
        (size_t)rows * cols / per_word * 4);
    for (size_t i = 0; i < D * FFN; i++) {
        words[i] = zero;
    }
    if (strcmp(skip, "qzeros") != 0) {
        snprintf(shape, sizeof shape, "[%u, %u]", n_groups, rows / per_word);
        rr_sw_tensor(writer, in_layer(module, "qzeros"), "I32", shape, words,
            (size_t)n_groups * rows / per_word * 4);
    }
    if (strcmp(skip, "scales") != 0) {
        snprintf(shape, sizeof shape, "[%u, %u]", n_groups, rows);
        rr_sw_tensor(writer, in_layer(module, "scales"),
            s->scale_type != NULL ? s->scale_type : "F16", shape, scales,
            (size_t)n_groups * rows * 2);
    }
    if (s->with_groups) {
        for (uint32_t i = 0; i < cols; i++) {
            groups[i] = (int32_t)(i / group);
        }
        groups[5] = is_q && s->bad_group != -1 ? s->bad_group : groups[5];
        snprintf(shape, sizeof shape, "[%u]", cols);
        rr_sw_tensor(writer, in_layer(module, "g_idx"), "I32", shape, groups, cols * 4);
    }
}

static void write_file(const char *name, const void *data, size_t bytes) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(rr_file_write_atomic(path, data, bytes, &diag), diag);
}

static void write_folder(const spec *s) {
    static const struct {
        const char *module;
        uint32_t rows, cols;
    } modules[] = {{"self_attn.q_proj", D, D}, {"self_attn.k_proj", KV, D},
        {"self_attn.v_proj", KV, D}, {"self_attn.o_proj", D, D}, {"mlp.gate_proj", FFN, D},
        {"mlp.up_proj", FFN, D}, {"mlp.down_proj", D, FFN}};
    rr_st_writer writer = {0};
    rr_buf file = {0}, config = {0};
    add_plain(&writer, "model.embed_tokens.weight", VOCAB, D);
    add_plain(&writer, "model.norm.weight", 1, D);
    add_plain(&writer, in_layer("input_layernorm", "weight"), 1, D);
    add_plain(&writer, in_layer("post_attention_layernorm", "weight"), 1, D);
    add_plain(&writer, in_layer("self_attn.q_proj", "bias"), 1, D);
    add_plain(&writer, in_layer("self_attn.k_proj", "bias"), 1, KV);
    add_plain(&writer, in_layer("self_attn.v_proj", "bias"), 1, KV);
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        const bool plain = s->plain != NULL && strcmp(s->plain, modules[i].module) == 0;
        if (plain || (s->both && i == 0)) {
            add_plain(
                &writer, in_layer(modules[i].module, "weight"), modules[i].rows, modules[i].cols);
        }
        if (!plain) {
            add_quantized(&writer, s, modules[i].module, modules[i].rows, modules[i].cols);
        }
    }
    if (s->add != NULL) {
        uint16_t values[D];
        for (size_t i = 0; i < D; i++) {
            values[i] = s->added;
        }
        rr_sw_tensor(&writer, s->add, "F16", "[32]", values, sizeof values);
    }
    CHECK(rr_sw_finish(&writer, &file) == RR_OK);
    rr_folder_remove(folder);
    CHECK_OK(rr_folder_make(folder, &diag), diag);
    write_file("model.safetensors", file.data, file.bytes);
    const char *settings = s->settings != NULL
        ? s->settings
        : "\"bits\":4,\"group_size\":32,\"quant_method\":\"gptq\",\"sym\":true";
    rr_buf_printf(&config,
        "{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\",\"hidden_size\":%d,"
        "\"intermediate_size\":%d,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
        "\"num_key_value_heads\":1,\"vocab_size\":%d,\"rms_norm_eps\":1e-6,\"rope_theta\":1e6,"
        "\"tie_word_embeddings\":true%s%s%s}",
        D, FFN, VOCAB, settings[0] != '\0' ? ",\"quantization_config\":{" : "", settings,
        settings[0] != '\0' ? "}" : "");
    write_file("config.json", config.data, config.bytes);
    if (s->file != NULL) {
        write_file("quantize_config.json", s->file, strlen(s->file));
    }
    rr_buf_destroy(&config);
    rr_buf_destroy(&file);
}

/* The first value of q_proj over its scale: code − zero. */
static int opens(const char *what, spec s, rr_qtype type) {
    rr_model *model = NULL;
    int first = INT32_MIN;
    write_folder(&s);
    CHECK_MSG(rr_model_open(folder, &model, &diag) == RR_OK, "%s: %s", what, diag.text);
    if (model != NULL) {
        const rr_weight *q = &model->layers[0].q;
        float row[D], scale = rr_f16_to_f32(0x2800);
        CHECK_MSG(q->type == type, "%s: type %d", what, (int)q->type);
        rr_weight_unpack(q, 0, 1, row);
        first = (int)(row[0] / scale);
    }
    rr_model_close(&model);
    return first;
}

static void refuses(
    const char *what, spec s, rr_status status, const char *word, const char *other) {
    rr_model *model = NULL;
    write_folder(&s);
    const rr_status found = rr_model_open(folder, &model, &diag);
    CHECK_MSG(
        found == status && strstr(diag.text, word) != NULL && strstr(diag.text, other) != NULL,
        "%s: status %d: \"%s\" lacks \"%s\" or \"%s\"", what, (int)found,
        found == RR_OK ? "" : diag.text, word, other);
    rr_model_close(&model);
}

#define GPTQ(more) "\"bits\":4,\"group_size\":32,\"quant_method\":\"gptq\"" more
#define AWQ(more) "\"bits\":4,\"group_size\":32,\"quant_method\":\"awq\"" more

/* The lowest code of the first word is 8. */
static void reads_zeros(void) {
    CHECK_INT(opens("older zeros", (spec){0}, RR_Q_Q4_0), 8 - 8);
    CHECK_INT(opens("newer zeros under the older label", (spec){.zeros = 8}, RR_Q_Q4_0), 8 - 8);
    CHECK_INT(
        opens("newer label",
            (spec){.settings = GPTQ(",\"checkpoint_format\":\"gptq_v2\""), .zeros = 8}, RR_Q_Q4_0),
        8 - 8);
    CHECK_INT(opens("older zeros under the newer label",
                  (spec){.settings = GPTQ(",\"checkpoint_format\":\"gptq_v2\"")}, RR_Q_Q4_0),
        8 - 8);
    CHECK_INT(opens("not symmetric: the label counts",
                  (spec){.settings = GPTQ(",\"sym\":false"), .zeros = 8}, RR_Q_Q5_0),
        8 - 9);
    CHECK_INT(opens("symmetric is a lie", (spec){.zeros = 3}, RR_Q_Q5_0), 8 - 4);
    CHECK_INT(opens("wrapped", (spec){.settings = GPTQ(",\"sym\":false"), .zeros = 15}, RR_Q_Q5_0),
        8 - 0);
    CHECK_INT(
        opens("borrowed",
            (spec){.settings = GPTQ(",\"sym\":false,\"meta\":{\"quantizer\":[\"gptqmodel:1.7\"]}"),
                .zeros = 15},
            RR_Q_Q5_0),
        8 - 0);
    CHECK_INT(opens("awq", (spec){.settings = AWQ(""), .awq = true, .zeros = 2}, RR_Q_Q5_0), 8 - 2);
    CHECK_INT(opens("awq without zeros",
                  (spec){.settings = AWQ(",\"zero_point\":false"), .awq = true, .skip = "qzeros"},
                  RR_Q_Q4_0),
        8 - 8);
    CHECK_INT(
        opens("8 bits",
            (spec){.settings = "\"bits\":8,\"group_size\":32,\"quant_method\":\"gptq\"", .bits = 8},
            RR_Q_Q8_0),
        0x78 - 128);
}

static void reads_settings(void) {
    (void)opens("a file of its own",
        (spec){.settings = "", .file = "{\"bits\":4,\"group_size\":32}"}, RR_Q_Q4_0);
    (void)opens("both",
        (spec){.file = "{\"bits\":4,\"group_size\":32,\"sym\":true,\"desc_act\":false}"},
        RR_Q_Q4_0);
    (void)opens("other names",
        (spec){.settings = "",
            .file = "{\"w_bit\":4,\"q_group_size\":32,\"zero_point\":true,\"version\":\"GEMM\"}",
            .awq = true,
            .zeros = 2},
        RR_Q_Q5_0);
    (void)opens("whole rows",
        (spec){.settings = "\"bits\":4,\"group_size\":-1,\"quant_method\":\"gptq\"", .group = 64},
        RR_Q_Q4_0);
    (void)opens("groups as they follow", (spec){.with_groups = true, .bad_group = -1}, RR_Q_Q4_0);
    (void)opens("a module left out", (spec){.plain = "mlp.down_proj"}, RR_Q_Q4_0);
    (void)opens(
        "a bias of zeros", (spec){.add = "model.layers.0.self_attn.o_proj.bias"}, RR_Q_Q4_0);
    (void)opens("a bias of minus zeros",
        (spec){.add = "model.layers.0.mlp.down_proj.bias", .added = 0x8000}, RR_Q_Q4_0);
    (void)opens("groups within a row's own",
        (spec){.settings = "\"bits\":4,\"group_size\":16,\"quant_method\":\"gptq\"",
            .group = 16,
            .with_groups = true,
            .bad_group = 1},
        RR_Q_F32);
}

static void refuses_settings(void) {
    static const char *const methods[] = {
        "compressed-tensors", "fp8", "bitsandbytes", "auto-round", "hqq", "exl2", "marlin"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char settings[128], word[64];
        snprintf(settings, sizeof settings, "\"quant_method\":\"%s\"", methods[i]);
        snprintf(word, sizeof word, "quant_method %s", methods[i]);
        refuses(methods[i], (spec){.settings = settings}, RR_E_UNSUPPORTED, word,
            "gptq and awq are read");
    }
    refuses("marlin", (spec){.settings = GPTQ(",\"is_marlin_format\":true")}, RR_E_UNSUPPORTED,
        "config.json", "marlin");
    refuses("3 bits", (spec){.settings = "\"bits\":3,\"group_size\":32,\"quant_method\":\"gptq\""},
        RR_E_UNSUPPORTED, "bits 3 found", "4 or 8");
    refuses("awq of 8 bits",
        (spec){.settings = "\"bits\":8,\"group_size\":32,\"quant_method\":\"awq\""},
        RR_E_UNSUPPORTED, "bits 8 found", "4 expected");
    refuses("no bits", (spec){.settings = "\"group_size\":32,\"quant_method\":\"gptq\""},
        RR_E_INPUT, "bits 0", "config.json");
    refuses("no group", (spec){.settings = "\"bits\":4,\"quant_method\":\"gptq\""}, RR_E_INPUT,
        "group_size", "config.json");
    refuses("gemv", (spec){.settings = AWQ(",\"version\":\"gemv\"")}, RR_E_UNSUPPORTED,
        "version gemv", "gemm");
    refuses("a format", (spec){.settings = GPTQ(",\"checkpoint_format\":\"marlin\"")},
        RR_E_UNSUPPORTED, "checkpoint_format marlin", "gptq_v2");
    refuses("int8 words", (spec){.settings = GPTQ(",\"pack_dtype\":\"int8\"")}, RR_E_UNSUPPORTED,
        "pack_dtype int8", "int32");
    refuses("two places", (spec){.file = "{\"bits\":8,\"group_size\":32}"}, RR_E_INPUT,
        "config.json and ", "quantize_config.json: bits 4 and 8");
    refuses("two places", (spec){.file = "{\"bits\":4,\"group_size\":-1}"}, RR_E_INPUT,
        "group_size 32 and -1", "quantize_config.json");
    refuses("no settings", (spec){.settings = ""}, RR_E_INPUT, "q_proj.qweight found",
        "quantize_config.json");
}

#define Q "model.layers.0.self_attn.q_proj"

static void refuses_tensors(void) {
    refuses("awq's shape", (spec){.other_shape = "[32, 4]"}, RR_E_INPUT,
        Q ".qweight: shape [32, 4] found", "[4, 32] expected");
    refuses("gptq's shape", (spec){.settings = AWQ(""), .awq = true, .other_shape = "[4, 32]"},
        RR_E_INPUT, "[4, 32] found", "[32, 4] expected");
    refuses("no scales", (spec){.skip = "scales"}, RR_E_INPUT, Q ".scales not found", Q ".qweight");
    refuses("no zeros", (spec){.settings = GPTQ(",\"sym\":false"), .skip = "qzeros"}, RR_E_INPUT,
        Q ".qzeros not found", "");
    refuses("integer scales", (spec){.scale_type = "I16"}, RR_E_UNSUPPORTED, Q ".scales: dtype I16",
        "F16, BF16 or F32");
    refuses("a group too many", (spec){.with_groups = true, .bad_group = 1}, RR_E_INPUT, Q ".g_idx",
        "position 5: value 1 found, but there are 1 groups");
    refuses("a negative group", (spec){.with_groups = true, .bad_group = -2}, RR_E_INPUT,
        Q ".g_idx", "value -2");
    refuses("groups of another size", (spec){.group = 16}, RR_E_INPUT,
        ".scales: shape [2, 32] found", "[1, 32] expected");
    refuses("both", (spec){.both = true}, RR_E_INPUT, Q ".weight and ", "one expected");
    refuses("a bias", (spec){.add = "model.layers.0.mlp.up_proj.bias", .added = 1},
        RR_E_UNSUPPORTED, "mlp.up_proj.bias", "zeros are accepted");
    refuses("awq's groups do not fit",
        (spec){.settings = "\"bits\":4,\"group_size\":24,\"quant_method\":\"awq\"", .awq = true},
        RR_E_INPUT, "group_size 24", "32 inputs of " Q);
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    reads_zeros();
    reads_settings();
    refuses_settings();
    refuses_tensors();
    rr_folder_remove(folder);
    return CHECK_END();
}
