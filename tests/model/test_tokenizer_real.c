/* The tokenizer of the real model against ids made elsewhere: llama.cpp's public cases, Hugging
 * Face texts, and whole prompts (messages, rendered text, ids). */
#include <yyjson.h>

#include "runtime/base/file.h"
#include "runtime/model/chat.h"
#include "tests/check.h"
#include "tests/support/real_model.h"

static rr_tokenizer *tokenizer;
static rr_diag diag;
static int n_with_special;

static void check_ids(
    const char *what, size_t index, const rr_tokens *found, const int32_t *expected, size_t n) {
    CHECK_MSG(found->n == n, "%s %zu: %zu tokens, expected %zu", what, index, found->n, n);
    for (size_t i = 0; i < n && i < found->n; i++) {
        if (found->ids[i] != expected[i]) {
            CHECK_MSG(false, "%s %zu: token %zu is %d, expected %d", what, index, i, found->ids[i],
                expected[i]);
            return;
        }
    }
}

/* The vectors were made with special tokens recognised in the text: two of them hold some, and
 * there plain encoding must differ and still give back the text. */
static void check_text(
    const char *what, size_t index, const char *text, size_t bytes, const int32_t *ids, size_t n) {
    rr_tokens found = {0};
    CHECK_OK(rr_tokenizer_encode_special(tokenizer, text, bytes, &found, &diag), diag);
    check_ids(what, index, &found, ids, n);
    bool has_special = false;
    for (size_t i = 0; i < n; i++) {
        has_special = has_special || rr_tokenizer_is_special(tokenizer, ids[i]);
    }
    n_with_special += has_special;
    found.n = 0;
    CHECK_OK(rr_tokenizer_encode(tokenizer, text, bytes, &found, &diag), diag);
    if (!has_special) {
        check_ids(what, index, &found, ids, n);
    } else {
        rr_buf back = {0};
        for (size_t i = 0; i < found.n; i++) {
            CHECK(!rr_tokenizer_is_special(tokenizer, found.ids[i]));
            rr_text piece = rr_tokenizer_piece(tokenizer, found.ids[i], false);
            rr_buf_append(&back, piece.data, piece.bytes);
        }
        CHECK(back.bytes == bytes && memcmp(back.data, text, bytes) == 0);
        rr_buf_destroy(&back);
    }
    rr_tokens_destroy(&found);
}

static rr_buf read_data(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/data/tokenizer/%s", check_shared(), name);
    rr_buf text = {0};
    CHECK_OK(rr_file_read(path, 1 << 26, &text, &diag), diag);
    rr_buf_append(&text, "", 0);
    return text;
}

/* Texts separated by a marker line; a line of ids for each. */
static void check_public_cases(void) {
    rr_buf texts = read_data("ggml-vocab-qwen2.gguf.inp"),
           lines = read_data("ggml-vocab-qwen2.gguf.out");
    static const char marker[] = "\n__ggml_vocab_test__\n";
    const char *text = texts.data, *line = lines.data;
    size_t n_cases = 0;
    for (bool last = false; !last; n_cases++) {
        const char *end = strstr(text, marker);
        last = end == NULL;
        size_t bytes = last ? strlen(text) : (size_t)(end - text);
        rr_tokens ids = {0};
        for (char *next; *line != '\n' && *line != '\0'; line = next) {
            rr_tokens_push(&ids, (int32_t)strtol(line, &next, 10));
            if (next == line) {
                break;
            }
        }
        line += *line == '\n';
        check_text("public case", n_cases, text, bytes, ids.ids, ids.n);
        rr_tokens_destroy(&ids);
        text = last ? text : end + sizeof marker - 1;
    }
    CHECK_INT(n_cases, 47);
    rr_buf_destroy(&texts);
    rr_buf_destroy(&lines);
}

static rr_tokens json_ids(yyjson_val *list) {
    rr_tokens ids = {0};
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item) {
        rr_tokens_push(&ids, (int32_t)yyjson_get_int(item));
    }
    return ids;
}

static void check_texts(void) {
    rr_buf lines = read_data("hf_vectors.jsonl");
    size_t n = 0, at = 0;
    while (at < lines.bytes) {
        yyjson_doc *doc = yyjson_read_opts(
            lines.data + at, lines.bytes - at, YYJSON_READ_STOP_WHEN_DONE, NULL, NULL);
        if (doc == NULL) {
            break; /* the final line break */
        }
        at += yyjson_doc_get_read_size(doc);
        yyjson_val *text = yyjson_obj_get(yyjson_doc_get_root(doc), "text");
        rr_tokens ids = json_ids(yyjson_obj_get(yyjson_doc_get_root(doc), "ids"));
        check_text("text", n, yyjson_get_str(text), yyjson_get_len(text), ids.ids, ids.n);
        rr_tokens_destroy(&ids);
        yyjson_doc_free(doc);
        n++;
    }
    CHECK_INT(n, 139);
    CHECK_INT(n_with_special, 2);
    rr_buf_destroy(&lines);
}

static void check_prompt(size_t index, yyjson_val *prompt) {
    rr_message messages[128];
    size_t i, n;
    yyjson_val *item, *list = yyjson_obj_get(prompt, "messages");
    CHECK(yyjson_arr_size(list) > 0 && yyjson_arr_size(list) <= 128);
    yyjson_arr_foreach(list, i, n, item) {
        yyjson_val *content = yyjson_obj_get(item, "content");
        messages[i] = (rr_message){yyjson_get_str(yyjson_obj_get(item, "role")),
            yyjson_get_str(content), yyjson_get_len(content)};
    }
    rr_buf rendered = {0};
    CHECK_OK(rr_chat_render(messages, n, true, &rendered, &diag), diag);
    CHECK_MSG(yyjson_equals_strn(yyjson_obj_get(prompt, "rendered"), rendered.data, rendered.bytes),
        "prompt %zu: the rendered text differs", index);
    rr_tokens expected = json_ids(yyjson_obj_get(prompt, "ids")), found = {0};
    CHECK_OK(rr_chat_encode(tokenizer, messages, n, true, &found, &diag), diag);
    check_ids("prompt", index, &found, expected.ids, expected.n);
    found.n = 0;
    CHECK_OK(
        rr_tokenizer_encode_special(tokenizer, rendered.data, rendered.bytes, &found, &diag), diag);
    check_ids("rendered prompt", index, &found, expected.ids, expected.n);
    rr_tokens_destroy(&expected);
    rr_tokens_destroy(&found);
    rr_buf_destroy(&rendered);
}

static void check_prompts(void) {
    rr_buf lines = read_data("chat_vectors.jsonl");
    size_t n = 0, at = 0;
    while (at < lines.bytes) {
        yyjson_doc *doc = yyjson_read_opts(
            lines.data + at, lines.bytes - at, YYJSON_READ_STOP_WHEN_DONE, NULL, NULL);
        if (doc == NULL) {
            break;
        }
        at += yyjson_doc_get_read_size(doc);
        check_prompt(n++, yyjson_doc_get_root(doc));
        yyjson_doc_free(doc);
    }
    CHECK_INT(n, 3);
    rr_buf_destroy(&lines);
}

/* Every token of the table decodes to what it was encoded from, and the special ones are those of
 * Qwen2.5. */
static void check_table(void) {
    CHECK_INT(rr_tokenizer_end_of_text(tokenizer), 151643);
    CHECK_INT(rr_tokenizer_im_start(tokenizer), 151644);
    CHECK_INT(rr_tokenizer_im_end(tokenizer), 151645);
    CHECK_INT(rr_tokenizer_n_vocab(tokenizer), 151936);
    CHECK_INT(rr_tokenizer_piece(tokenizer, 151645, false).bytes, 0);
    CHECK_INT(rr_tokenizer_piece(tokenizer, 151645, true).bytes, 10);
    for (int32_t id = 0; id < 151643; id++) {
        rr_text piece = rr_tokenizer_piece(tokenizer, id, false);
        if (piece.bytes == 0) {
            CHECK_MSG(false, "token %d has no bytes", id);
            return;
        }
    }
}

int main(void) {
    rr_buf path = {0};
    if (!rr_real_model_path(&path)) {
        CHECK_SKIP("no real model; set REARANK_TEST_MODEL or run `rearank pull`");
    }
    rr_source *source = NULL;
    CHECK_OK(rr_source_open(path.data, &source, &diag), diag);
    if (source != NULL) {
        CHECK_OK(rr_tokenizer_create(source, &tokenizer, &diag), diag);
    }
    if (tokenizer != NULL) {
        rr_source_close(&source); /* the tokenizer borrows nothing */
        check_table();
        if (check_shared() != NULL) {
            check_public_cases();
            check_texts();
            check_prompts();
        } else {
            printf("the shared vectors are not there; set REARANK_SHARED\n");
        }
    }
    rr_source_close(&source);
    rr_tokenizer_destroy(&tokenizer);
    rr_buf_destroy(&path);
    return CHECK_END();
}
