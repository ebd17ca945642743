/* Models written as GGUF files: every type comes back within its error, with the same keys; the
 * bytes do not depend on threads; what cannot be stored is named and leaves no file. */
#include "runtime/model/export.h"

#include <math.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/model/gguf.h"
#include "runtime/model/tokenizer.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/hf_folder.h"
#include "tests/support/synth.h"

static char root[256], path[300], other_path[300];
static rr_diag diag;

static const rr_synth wide = {.d_model = 256,
    .n_heads = 4,
    .n_kv_heads = 2,
    .head_size = 64,
    .d_ffn = 512,
    .with_vocabulary = true};

static rr_status export_as(const rr_model *model, const rr_export_params *params, const char *to) {
    rr_export_plan plan = {0};
    rr_status status = rr_export_plan_make(model, params, &plan, &diag);
    if (status == RR_OK) {
        status = rr_export_write(&plan, to, &diag);
    }
    rr_export_plan_destroy(&plan);
    return status;
}

static rr_export_params all(rr_qtype type) {
    return (rr_export_params){.type = type, .embedding = type, .output = type, .n_threads = 1};
}

static void read_whole(const char *from, rr_buf *out) {
    rr_buf_clear(out);
    CHECK_OK(rr_file_read(from, 1 << 26, out, &diag), diag);
}

/* sum (a - b)^2 / sum a^2 */
static double loss_between(const rr_weight *a, const rr_weight *b) {
    const size_t n = (size_t)a->rows * a->cols;
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    rr_weight_unpack(a, 0, a->rows, x);
    rr_weight_unpack(b, 0, b->rows, y);
    double lost = 0.0, whole = 0.0;
    for (size_t i = 0; i < n; i++) {
        lost += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        whole += (double)x[i] * (double)x[i];
    }
    free(x);
    free(y);
    return lost / whole;
}

/* The role-th weight of a layer: vectors as they were, matrices of `type` within `bound`. */
static void check_weight(const rr_model *from, const rr_model *to, rr_role role, uint32_t layer,
    rr_qtype type, double bound) {
    const rr_weight *a = rr_model_weight(from, role, layer), *b = rr_model_weight(to, role, layer);
    const bool is_vector = a->rows == 1;
    const double loss = loss_between(a, b);
    CHECK_INT(b->type, is_vector ? RR_Q_F32 : type);
    CHECK_MSG(loss <= (is_vector ? 0.0 : bound), "%s, role %d of layer %u: loss %g",
        rr_qtype_get((uint32_t)type)->name, (int)role, layer, loss);
}

static void check_model(const rr_model *from, const rr_model *to, rr_qtype type, double bound) {
    CHECK(memcmp(&from->config, &to->config, sizeof from->config) == 0);
    for (int role = 0; role < RR_ROLE_COUNT; role++) {
        const uint32_t n = role >= RR_ROLE_ATTN_NORM ? from->config.n_layers : 1;
        for (uint32_t layer = 0; layer < n; layer++) {
            check_weight(from, to, (rr_role)role, layer, type, bound);
        }
    }
}

static void check_tokens(const rr_source *from, const rr_source *to) {
    rr_token_list a = {0}, b = {0};
    CHECK_OK(rr_source_tokens(from, &a, &diag), diag);
    CHECK_OK(rr_source_tokens(to, &b, &diag), diag);
    CHECK_INT(a.n, b.n);
    CHECK_INT(a.n_merges, b.n_merges);
    for (uint32_t i = 0; i < a.n && i < b.n; i++) {
        CHECK_INT(a.kinds[i], b.kinds[i]);
        const bool is_padding = a.kinds[i] == RR_TOKEN_UNUSED;
        CHECK(is_padding || rr_text_compare(a.texts[i], b.texts[i]) == 0);
    }
    for (uint32_t i = 0; i < a.n_merges && i < b.n_merges; i++) {
        CHECK(rr_text_compare(a.merges[i], b.merges[i]) == 0);
    }
    rr_token_list_destroy(&a);
    rr_token_list_destroy(&b);
}

static void every_type(const rr_model *model) {
    static const struct {
        rr_qtype type;
        uint32_t file_type;
        double bound;
    } cases[] = {{RR_Q_F32, 0, 0.0}, {RR_Q_F16, 1, 1e-7}, {RR_Q_BF16, 32, 5e-6},
        {RR_Q_Q4_0, 2, 9e-3}, {RR_Q_Q4_1, 3, 7e-3}, {RR_Q_Q5_0, 8, 2.5e-3}, {RR_Q_Q5_1, 9, 2e-3},
        {RR_Q_Q8_0, 7, 5e-5}, {RR_Q_Q4_K, 14, 7e-3}, {RR_Q_Q5_K, 16, 2e-3}, {RR_Q_Q6_K, 18, 5e-4}};
    rr_buf one = {0}, three = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rr_export_params params = all(cases[i].type);
        rr_model *again = NULL;
        rr_gguf *gguf = NULL;
        uint64_t value = 99;
        CHECK_OK(export_as(model, &params, path), diag);
        params.n_threads = 3;
        CHECK_OK(export_as(model, &params, other_path), diag);
        read_whole(path, &one);
        read_whole(other_path, &three);
        CHECK_MSG(one.bytes == three.bytes && memcmp(one.data, three.data, one.bytes) == 0,
            "type %d: other bytes with three threads", (int)cases[i].type);
        CHECK_OK(rr_model_open(path, &again, &diag), diag);
        check_model(model, again, cases[i].type, cases[i].bound);
        check_tokens(model->source, again->source);
        CHECK_TEXT(again->name, model->name);
        rr_model_close(&again);
        CHECK_OK(rr_gguf_open(path, &gguf, &diag), diag);
        CHECK_OK(rr_gguf_u64(gguf, "general.file_type", &value, &diag), diag);
        CHECK_INT(value, cases[i].file_type);
        rr_gguf_close(&gguf);
    }
    rr_buf_destroy(&one);
    rr_buf_destroy(&three);
}

/* A matrix that has its type already is copied, keys stand once, and so the second file equals the
 * first. */
static void again_is_the_same(const rr_model *model) {
    const rr_export_params params = {
        .type = RR_Q_Q4_K, .embedding = RR_Q_Q5_0, .output = RR_Q_Q6_K};
    rr_model *first = NULL;
    rr_buf one = {0}, two = {0};
    CHECK_OK(export_as(model, &params, path), diag);
    CHECK_OK(rr_model_open(path, &first, &diag), diag);
    CHECK_INT(first->embedding.type, RR_Q_Q5_0);
    CHECK_INT(first->output.type, RR_Q_Q6_K);
    CHECK_OK(export_as(first, &params, other_path), diag);
    rr_model_close(&first);
    read_whole(path, &one);
    read_whole(other_path, &two);
    CHECK(one.bytes == two.bytes && memcmp(one.data, two.data, one.bytes) == 0);
    rr_buf_destroy(&one);
    rr_buf_destroy(&two);
}

/* Rows of 64 are too short for super-blocks. */
static void short_rows(void) {
    rr_buf storage = {0};
    rr_model *model = NULL;
    const rr_synth params = {.with_vocabulary = true, .tied = true};
    static const struct {
        rr_qtype wanted, given;
    } cases[] = {{RR_Q_Q4_K, RR_Q_Q5_0}, {RR_Q_Q5_K, RR_Q_Q5_1}, {RR_Q_Q6_K, RR_Q_Q8_0}};
    CHECK_OK(rr_synth_open(&params, &storage, &model, &diag), diag);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const rr_export_params wanted = all(cases[i].wanted);
        rr_export_plan plan = {0};
        rr_model *again = NULL;
        CHECK_OK(rr_export_plan_make(model, &wanted, &plan, &diag), diag);
        CHECK_INT(plan.n_other, 1 + 7 * model->config.n_layers);
        CHECK_OK(rr_export_write(&plan, path, &diag), diag);
        rr_export_plan_destroy(&plan);
        CHECK_OK(rr_model_open(path, &again, &diag), diag);
        CHECK(again->config.tied);
        check_model(model, again, cases[i].given, 3e-3);
        rr_model_close(&again);
    }
    rr_model_close(&model);
    rr_buf_destroy(&storage);
}

static void from_a_folder(const rr_model *model) {
    char folder[300], template[64] = "";
    const rr_hf_form forms[] = {{.type = RR_Q_BF16}, {.type = RR_Q_F32, .n_shards = 2}};
    snprintf(folder, sizeof folder, "%s/folder", root);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const rr_export_params params = all(RR_Q_Q8_0);
        rr_model *from = NULL, *to = NULL;
        rr_gguf *gguf = NULL;
        rr_text text = {"", 0};
        CHECK_OK(rr_hf_write(model, folder, &forms[i], &diag), diag);
        CHECK_OK(rr_model_open(folder, &from, &diag), diag);
        CHECK_OK(export_as(from, &params, path), diag);
        CHECK_OK(rr_model_open(path, &to, &diag), diag);
        check_model(from, to, RR_Q_Q8_0, 5e-5);
        check_tokens(from->source, to->source);
        CHECK_TEXT(to->name, "folder");
        rr_model_close(&from);
        rr_model_close(&to);
        CHECK_OK(rr_gguf_open(path, &gguf, &diag), diag);
        CHECK_OK(rr_gguf_string(gguf, "tokenizer.chat_template", &text, &diag), diag);
        snprintf(template, sizeof template, "%.*s", (int)text.bytes, text.data);
        CHECK_MSG(strncmp(template, "{% for m in messages %}", 10) == 0, "%s", template);
        rr_gguf_close(&gguf);
        rr_folder_remove(folder);
    }
}

/* `bits` as a weight of the middle of a matrix. */
static void refused(float weight, rr_qtype type, rr_status expected, const char *message) {
    rr_buf storage = {0};
    rr_model *model = NULL;
    const rr_export_params params = all(type);
    CHECK_OK(rr_synth_open(&wide, &storage, &model, &diag), diag);
    const size_t at = (size_t)((const char *)model->layers[1].up.data - storage.data);
    memcpy(storage.data + at + 4 * (300 * 256 + 17), &weight, sizeof weight);
    unlink(path);
    diag.text[0] = '\0';
    CHECK_INT(export_as(model, &params, path), expected);
    CHECK_MSG(strstr(diag.text, message) != NULL, "%s", diag.text);
    CHECK_INT(rr_file_look(path, NULL) == RR_FILE_REGULAR, expected == RR_OK);
    rr_model_close(&model);
    rr_buf_destroy(&storage);
}

static bool stop_midway(void *user, uint64_t done, uint64_t total) {
    *(unsigned *)user += 1;
    return done < total / 2;
}

static void stopped(const rr_model *model) {
    unsigned n_calls = 0;
    rr_export_params params = all(RR_Q_Q4_0);
    params.progress = stop_midway;
    params.progress_user = &n_calls;
    unlink(path);
    CHECK_INT(export_as(model, &params, path), RR_E_CANCELLED);
    CHECK(n_calls > 1);
    CHECK(rr_file_look(path, NULL) == RR_FILE_NONE);
}

int main(void) {
    rr_buf storage = {0};
    rr_model *model = NULL;
    rr_test_folder(root, sizeof root);
    snprintf(path, sizeof path, "%s/a.gguf", root);
    snprintf(other_path, sizeof other_path, "%s/b.gguf", root);
    CHECK_OK(rr_synth_open(&wide, &storage, &model, &diag), diag);
    every_type(model);
    again_is_the_same(model);
    short_rows();
    from_a_folder(model);
    refused(NAN, RR_Q_Q4_0, RR_E_INPUT, "blk.1.ffn_up.weight\": row 300, column 17: found the");
    refused(-INFINITY, RR_Q_BF16, RR_E_INPUT, "row 300, column 17");
    refused(1e5f, RR_Q_F16, RR_E_INPUT, "use bf16");
    refused(-1e5f, RR_Q_Q4_K, RR_E_INPUT, "65504");
    refused(1e5f, RR_Q_BF16, RR_OK, "");
    stopped(model);
    rr_model_close(&model);
    rr_buf_destroy(&storage);
    rr_folder_remove(root);
    return CHECK_END();
}
