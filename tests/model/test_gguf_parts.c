/* Split GGUF sets: read whole from any part's name; what does not belong together is refused. */
#include "runtime/model/gguf_parts.h"

#include <unistd.h>

#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "runtime/model/gguf_source.h"
#include "runtime/model/gguf_writer.h"
#include "runtime/model/model.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/synth.h"

static char folder[256];
static rr_diag diag;
static rr_buf whole;

/* What is wrong with the set; zero = nothing. */
typedef struct fault {
    uint32_t no_of_second; /* split.no of part 2, + 1 */
    uint32_t count;        /* split.count of part 2 */
    uint32_t n_tensors;    /* split.tensors.count */
    bool double_tensor;    /* part 3 holds one of part 1, too */
    bool no_keys;          /* part 2 lacks its own */
} fault;

static void path_of(uint32_t place, char *out, size_t room) {
    snprintf(out, room, "%s/tiny-%05u-of-00003.gguf", folder, place);
}

/* Part `place` of 3: metadata and no tensor in the first, the tensors dealt to the others. */
static void write_part(const rr_gguf *gguf, uint32_t place, const fault *f) {
    rr_gguf_writer writer = {0};
    rr_buf file = {0};
    char path[400];
    if (place == 1) {
        for (size_t i = 0; i < rr_gguf_n_values(gguf); i++) {
            const rr_gguf_value *value = rr_gguf_value_at(gguf, i);
            char key[128];
            snprintf(key, sizeof key, "%.*s", (int)value->key.bytes, value->key.data);
            rr_buf body = {0};
            if (value->type == RR_GGUF_ARRAY) {
                const uint32_t item = (uint32_t)value->item_type;
                rr_buf_append(&body, &item, sizeof item);
                rr_buf_append(&body, &value->n_items, sizeof value->n_items);
            }
            rr_buf_append(&body, value->data, (size_t)value->data_bytes);
            rr_gw_raw(&writer, key, (uint32_t)value->type, body.data, body.bytes);
            rr_buf_destroy(&body);
        }
    }
    const uint16_t no =
        (uint16_t)(place == 2 && f->no_of_second != 0 ? f->no_of_second - 1 : place - 1);
    const uint16_t count = (uint16_t)(place == 2 && f->count != 0 ? f->count : 3);
    if (!(place == 2 && f->no_keys)) {
        rr_gw_raw(&writer, "split.no", RR_GGUF_U16, &no, sizeof no);
        rr_gw_raw(&writer, "split.count", RR_GGUF_U16, &count, sizeof count);
        const int32_t n = (int32_t)(f->n_tensors != 0 ? f->n_tensors : rr_gguf_n_tensors(gguf));
        rr_gw_raw(&writer, "split.tensors.count", RR_GGUF_I32, &n, sizeof n);
    }
    for (size_t i = 0; i < rr_gguf_n_tensors(gguf); i++) {
        const rr_gguf_tensor *tensor = rr_gguf_tensor_at(gguf, i);
        if (place == 2 + i % 2 || (f->double_tensor && place == 3 && i == 0)) {
            char name[128];
            snprintf(name, sizeof name, "%.*s", (int)tensor->name.bytes, tensor->name.data);
            rr_gw_tensor(&writer, name, tensor->n_dims, tensor->dims, tensor->type, tensor->data,
                (size_t)tensor->bytes);
        }
    }
    CHECK(rr_gw_finish(&writer, &file) == RR_OK);
    path_of(place, path, sizeof path);
    CHECK_OK(rr_file_write_atomic(path, file.data, file.bytes, &diag), diag);
    rr_buf_destroy(&file);
}

static void write_set(const fault *f) {
    rr_gguf *gguf = NULL;
    CHECK_OK(rr_gguf_parse(whole.data, whole.bytes, "whole", &gguf, &diag), diag);
    for (uint32_t place = 1; place <= 3; place++) {
        write_part(gguf, place, f);
    }
    rr_gguf_close(&gguf);
}

static void reads_sets(void) {
    rr_source *source = NULL;
    rr_model *expected = NULL;
    CHECK_OK(rr_source_parse_gguf(whole.data, whole.bytes, "whole", &source, &diag), diag);
    CHECK_OK(rr_model_from_source(&source, &expected, &diag), diag);
    write_set(&(fault){0});
    for (uint32_t place = 1; place <= 3 && expected != NULL; place++) {
        char path[400], first[400];
        rr_model *model = NULL;
        path_of(place, path, sizeof path);
        path_of(1, first, sizeof first);
        CHECK_OK(rr_model_open(path, &model, &diag), diag);
        if (model != NULL) {
            CHECK_TEXT(rr_source_path(model->source), first);
            CHECK(rr_model_fingerprint(model) == rr_model_fingerprint(expected));
            CHECK_INT(rr_model_weight_bytes(model), rr_model_weight_bytes(expected));
            CHECK(memcmp(model->layers[1].down.data, expected->layers[1].down.data,
                      (size_t)expected->layers[1].down.bytes) == 0);
            rr_token_list tokens = {0};
            rr_source_file file;
            CHECK_OK(rr_source_tokens(model->source, &tokens, &diag), diag);
            CHECK_INT(tokens.n, 320);
            CHECK(rr_source_file_at(model->source, 2, &file) &&
                !rr_source_file_at(model->source, 3, &file));
            rr_token_list_destroy(&tokens);
        }
        rr_model_close(&model);
    }
    rr_model_close(&expected);
}

static void refuse(const char *what, uint32_t place, const char *word, const char *other) {
    char path[400];
    rr_source *source = NULL;
    path_of(place, path, sizeof path);
    const rr_status status = rr_source_open(path, &source, &diag);
    CHECK_MSG(
        status != RR_OK && strstr(diag.text, word) != NULL && strstr(diag.text, other) != NULL,
        "%s: \"%s\" lacks \"%s\" or \"%s\"", what, status == RR_OK ? "" : diag.text, word, other);
    rr_source_close(&source);
}

static void refuses_sets(void) {
    char path[400], other[400];
    write_set(&(fault){.no_of_second = 3});
    refuse("another place", 1, "tiny-00002-of-00003.gguf", "\"split.no\" 2");
    write_set(&(fault){.count = 2});
    refuse("another count", 3, "tiny-00002-of-00003.gguf", "\"split.count\" 2");
    write_set(&(fault){.n_tensors = 26});
    refuse("a tensor lost", 1, "\"split.tensors.count\" 26", "27 tensors");
    write_set(&(fault){.double_tensor = true});
    refuse("a tensor twice", 1, "token_embd.weight", "tiny-00002-of-00003.gguf too");
    write_set(&(fault){.no_keys = true});
    refuse("no keys", 1, "tiny-00002-of-00003.gguf", "split.no");
    write_set(&(fault){0});
    path_of(2, path, sizeof path);
    CHECK_INT(unlink(path), 0);
    refuse("a part gone", 1, "part 2 of 3", "tiny-00002-of-00003.gguf");
    refuse("a part gone", 3, "part 2 of 3", "tiny-00002-of-00003.gguf");
    /* a part under a name that says nothing */
    path_of(3, path, sizeof path);
    snprintf(other, sizeof other, "%s/renamed.gguf", folder);
    CHECK_INT(rename(path, other), 0);
    rr_source *source = NULL;
    CHECK_INT(rr_source_open(other, &source, &diag), RR_E_UNSUPPORTED);
    CHECK(strstr(diag.text, "one of 3 parts") != NULL);
    /* a cut by bytes is no such set */
    snprintf(other, sizeof other, "%s/whole.gguf.part1of2", folder);
    CHECK_OK(rr_file_write_atomic(other, whole.data, whole.bytes / 2, &diag), diag);
    CHECK_INT(rr_source_open(other, &source, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "Join the pieces") != NULL);
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    CHECK_OK(rr_synth_build(&(rr_synth){.with_vocabulary = true, .seed = 2}, &whole, &diag), diag);
    reads_sets();
    refuses_sets();
    rr_buf_destroy(&whole);
    rr_folder_remove(folder);
    return CHECK_END();
}
