#include "runtime/base/hash.h"
#include "runtime/model/gguf.h"
#include "runtime/model/gguf_writer.h"
#include "tests/check.h"
#include "tests/support/blocks.h"

#include <math.h>
#include <time.h>

/* Parses a copy of exactly that size, so that the address sanitizer sees any step past the end. */
static rr_status parse_copy(
    const void *data, size_t bytes, rr_gguf **gguf, void **copy, rr_diag *diag) {
    *copy = malloc(bytes > 0 ? bytes : 1);
    memcpy(*copy, data, bytes);
    return rr_gguf_parse(*copy, bytes, "a.gguf", gguf, diag);
}

/* Touches everything that an open file offers; the sum keeps the reads alive. */
static uint64_t walk(const rr_gguf *gguf) {
    uint64_t sum = rr_gguf_file_bytes(gguf);
    for (size_t i = 0; i < rr_gguf_n_values(gguf); i++) {
        const rr_gguf_value *value = rr_gguf_value_at(gguf, i);
        for (uint64_t b = 0; b < value->data_bytes; b++) {
            sum += value->data[b];
        }
        rr_text text;
        uint64_t n = 0;
        for (uint64_t cursor = 0; rr_gguf_next_string(value, &cursor, &text); n++) {
            sum += rr_fnv1a(text.data, text.bytes);
        }
        CHECK(value->item_type != RR_GGUF_STRING || value->type != RR_GGUF_ARRAY ||
            n == value->n_items);
    }
    for (size_t i = 0; i < rr_gguf_n_tensors(gguf); i++) {
        const rr_gguf_tensor *tensor = rr_gguf_tensor_at(gguf, i);
        sum += rr_fnv1a(tensor->data, (size_t)tensor->bytes) +
            rr_fnv1a(tensor->name.data, tensor->name.bytes);
    }
    return sum;
}

/* A file with a value of every type and three tensors. */
static void build(uint32_t version, uint32_t alignment, rr_buf *out) {
    rr_gguf_writer w = {.version = version, .alignment = alignment};
    const char *words[] = {"", "two", "\xC3\xA9"};
    const int32_t numbers[] = {-1, 0, 7};
    double pi = 3.14159;
    int64_t minus = -5;
    rr_gw_string(&w, "general.architecture", "qwen2");
    rr_gw_raw(&w, "u8", RR_GGUF_U8, "\xFE", 1);
    rr_gw_raw(&w, "i8", RR_GGUF_I8, "\xFE", 1);
    rr_gw_raw(&w, "u16", RR_GGUF_U16, "\x34\x12", 2);
    rr_gw_raw(&w, "i16", RR_GGUF_I16, "\x34\x12", 2);
    rr_gw_u32(&w, "u32", 4000000000u);
    rr_gw_raw(&w, "i32", RR_GGUF_I32, "\x05\0\0\0", 4);
    rr_gw_u64(&w, "u64", UINT64_MAX);
    rr_gw_raw(&w, "i64", RR_GGUF_I64, &minus, 8);
    rr_gw_f32(&w, "f32", 1.5f);
    rr_gw_raw(&w, "f64", RR_GGUF_F64, &pi, 8);
    rr_gw_bool(&w, "bool", true);
    rr_gw_strings(&w, "words", words, 3);
    rr_gw_strings(&w, "no_words", words, 0);
    rr_gw_i32s(&w, "numbers", numbers, 3);
    unsigned char data[144];
    rr_random_bytes(1, sizeof data, data);
    rr_gw_tensor(&w, "plain", 2, (uint64_t[]){3, 2}, 0, data, 24);
    rr_gw_tensor(&w, "blocks", 1, (uint64_t[]){256}, 12, data, 144);
    rr_gw_tensor(&w, "unknown", 4, (uint64_t[]){5, 1, 1, 1}, 99, data, 16);
    rr_gw_finish(&w, out);
}

static void reads_values(const rr_gguf *gguf) {
    rr_diag diag = {0};
    uint64_t u = 0;
    double f = 0.0;
    rr_text text = {0};
    static const struct {
        const char *key;
        uint64_t value;
    } integers[] = {{"u8", 254}, {"u16", 0x1234}, {"i16", 0x1234}, {"u32", 4000000000u}, {"i32", 5},
        {"u64", UINT64_MAX}};
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        CHECK_OK(rr_gguf_u64(gguf, integers[i].key, &u, &diag), diag);
        CHECK_MSG(u == integers[i].value, "%s: %" PRIu64, integers[i].key, u);
    }
    u = 7;
    CHECK_INT(rr_gguf_u64(gguf, "i8", &u, &diag), RR_E_INPUT); /* −2 */
    CHECK(strstr(diag.text, "negative") != NULL && strstr(diag.text, "\"i8\"") != NULL);
    CHECK_INT(rr_gguf_u64(gguf, "i64", &u, &diag), RR_E_INPUT);
    CHECK_INT(rr_gguf_u64(gguf, "f32", &u, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "float32") != NULL && strstr(diag.text, "integer") != NULL);
    CHECK_INT(rr_gguf_u64(gguf, "words", &u, &diag), RR_E_INPUT);
    CHECK_INT(rr_gguf_u64(gguf, "bool", &u, &diag), RR_E_INPUT);
    CHECK_INT(rr_gguf_u64(gguf, "absent", &u, &diag), RR_E_INPUT);
    CHECK(
        strstr(diag.text, "a.gguf") != NULL && strstr(diag.text, "\"absent\": not found") != NULL);
    CHECK_INT(u, 7);
    CHECK_OK(rr_gguf_f64(gguf, "f32", &f, &diag), diag);
    CHECK(f == 1.5);
    CHECK_OK(rr_gguf_f64(gguf, "f64", &f, &diag), diag);
    CHECK(fabs(f - 3.14159) < 1e-12);
    CHECK_INT(rr_gguf_f64(gguf, "u32", &f, &diag), RR_E_INPUT);
    CHECK_INT(rr_gguf_f64(gguf, "absent", &f, &diag), RR_E_INPUT);
    bool flag = false;
    CHECK_OK(rr_gguf_bool(gguf, "bool", &flag, &diag), diag);
    CHECK(flag);
    CHECK_INT(rr_gguf_bool(gguf, "u8", &flag, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "uint8, expected a bool") != NULL);
    CHECK_INT(rr_gguf_bool(gguf, "absent", &flag, &diag), RR_E_INPUT);
    CHECK_OK(rr_gguf_string(gguf, "general.architecture", &text, &diag), diag);
    CHECK(rr_text_is(text, "qwen2"));
    CHECK_INT(rr_gguf_string(gguf, "words", &text, &diag), RR_E_INPUT);
    CHECK_INT(rr_gguf_string(gguf, "u8", &text, NULL), RR_E_INPUT);
}

static void reads_tables(const rr_gguf *gguf) {
    CHECK_INT(rr_gguf_n_tensors(gguf), 3);
    CHECK(rr_gguf_tensor_at(gguf, 3) == NULL &&
        rr_gguf_value_at(gguf, rr_gguf_n_values(gguf)) == NULL);
    const rr_gguf_value *words = rr_gguf_find(gguf, "words");
    CHECK(words != NULL && words->type == RR_GGUF_ARRAY && words->item_type == RR_GGUF_STRING &&
        words->n_items == 3);
    const char *expected[] = {"", "two", "\xC3\xA9"};
    uint64_t cursor = 0;
    rr_text text;
    for (int i = 0; words != NULL && i < 3; i++) {
        CHECK(rr_gguf_next_string(words, &cursor, &text) && rr_text_is(text, expected[i]));
    }
    CHECK(words != NULL && !rr_gguf_next_string(words, &cursor, &text));
    cursor = 0;
    CHECK(!rr_gguf_next_string(rr_gguf_find(gguf, "no_words"), &cursor, &text));
    CHECK(!rr_gguf_next_string(rr_gguf_find(gguf, "numbers"), &cursor, &text));
    CHECK(!rr_gguf_next_string(rr_gguf_find(gguf, "general.architecture"), &cursor, &text));
    unsigned char data[144];
    rr_random_bytes(1, sizeof data, data);
    const rr_gguf_tensor *plain = rr_gguf_tensor_find(gguf, "plain");
    CHECK(plain != NULL && plain->n_dims == 2 && plain->dims[0] == 3 && plain->dims[1] == 2 &&
        plain->dims[3] == 1);
    CHECK(plain != NULL && plain->bytes == 24 && memcmp(plain->data, data, 24) == 0);
    const rr_gguf_tensor *blocks = rr_gguf_tensor_find(gguf, "blocks");
    CHECK(blocks != NULL && blocks->type == 12 && blocks->bytes == 144 &&
        memcmp(blocks->data, data, 144) == 0);
    const rr_gguf_tensor *unknown = rr_gguf_tensor_find(gguf, "unknown");
    CHECK(unknown != NULL && unknown->type == 99 && unknown->bytes == 0);
    CHECK(
        rr_gguf_tensor_find(gguf, "plai") == NULL && rr_gguf_tensor_find(gguf, "plainer") == NULL);
    CHECK(rr_gguf_find(gguf, "") == NULL);
}

static void reads_good_files(void) {
    for (uint32_t version = 2; version <= 3; version++) {
        for (uint32_t alignment = 0; alignment <= 128; alignment += 64) {
            rr_buf file = {0};
            rr_diag diag = {0};
            rr_gguf *gguf = NULL;
            build(version, alignment, &file);
            CHECK_OK(rr_gguf_parse(file.data, file.bytes, "a.gguf", &gguf, &diag), diag);
            if (gguf != NULL) {
                CHECK_TEXT(rr_gguf_path(gguf), "a.gguf");
                CHECK_INT(rr_gguf_file_bytes(gguf), file.bytes);
                reads_values(gguf);
                reads_tables(gguf);
            }
            rr_gguf_close(&gguf);
            CHECK(gguf == NULL);
            rr_gguf_close(&gguf);
            rr_buf_destroy(&file);
        }
    }
}

/* Cut after every byte: each is refused with a place, except where only alignment padding is
 * lost. */
static void refuses_every_truncation(void) {
    rr_buf file = {0};
    build(3, 0, &file);
    size_t n_refused = 0;
    for (size_t n = 0; n < file.bytes; n++) {
        rr_diag diag = {0};
        rr_gguf *gguf = NULL;
        void *copy;
        rr_status status = parse_copy(file.data, n, &gguf, &copy, &diag);
        if (status == RR_OK) { /* the last tensor's type is unknown: its bytes are not counted */
            CHECK_MSG(n >= file.bytes - 16, "%zu of %zu bytes were accepted", n, file.bytes);
            walk(gguf);
        } else {
            CHECK_INT(status, RR_E_INPUT);
            CHECK_MSG(strstr(diag.text, "a.gguf: ") == diag.text &&
                    strstr(diag.text, "byte ") != NULL && strstr(diag.text, "found") != NULL,
                "%zu bytes: %s", n, diag.text);
            n_refused++;
        }
        rr_gguf_close(&gguf);
        free(copy);
    }
    CHECK(n_refused >= file.bytes - 16);
    rr_buf_destroy(&file);
}

/* Every bit flipped, every byte set to the extremes: refused with a text, or read without a step
 * outside. */
static void survives_damage(void) {
    rr_buf file = {0};
    build(3, 64, &file);
    size_t n_refused = 0, n_read = 0;
    for (size_t at = 0; at < file.bytes * 10; at++) {
        char *byte = &file.data[at / 10], kept = *byte;
        *byte = (char)(at % 10 < 8 ? kept ^ 1 << at % 10 : at % 10 == 8 ? 0 : 0xFF);
        rr_diag diag = {0};
        rr_gguf *gguf = NULL;
        void *copy;
        rr_status status = parse_copy(file.data, file.bytes, &gguf, &copy, &diag);
        CHECK(status == RR_OK || (status == RR_E_INPUT && strlen(diag.text) > 20));
        if (status == RR_OK) {
            walk(gguf);
        }
        n_read += status == RR_OK;
        n_refused += status != RR_OK;
        rr_gguf_close(&gguf);
        free(copy);
        *byte = kept;
    }
    CHECK(n_read > 1000 && n_refused > 1000);
    rr_buf_destroy(&file);
}

/* A file that must be refused, and words of the message. Takes the file. */
static void refuses(const char *what, rr_buf *file, const char *word, const char *other) {
    rr_diag diag = {0};
    rr_gguf *gguf = NULL;
    void *copy;
    rr_status status = parse_copy(file->data, file->bytes, &gguf, &copy, &diag);
    CHECK_MSG(status == RR_E_INPUT, "%s: status %d", what, (int)status);
    CHECK_MSG(strstr(diag.text, word) != NULL && strstr(diag.text, other) != NULL,
        "%s: \"%s\" lacks \"%s\" or \"%s\"", what, diag.text, word, other);
    rr_gguf_close(&gguf);
    free(copy);
    rr_buf_destroy(file);
}

static void put_at(rr_buf *file, size_t at, uint64_t value, size_t bytes) {
    memcpy(file->data + at, &value, bytes);
}

static void refuses_bad_headers(void) {
    static const struct {
        const char *what;
        size_t at, bytes;
        uint64_t value;
        const char *word, *other;
    } cases[] = {
        {"magic", 0, 4, 0x47475546 /* "FUGG" */, "byte 0", "not a GGUF"},
        {"version 0", 4, 4, 0, "version 0", "expected 2 or 3"},
        {"version 1", 4, 4, 1, "version 1", "convert"},
        {"version 4", 4, 4, 4, "version 4", "expected 2 or 3"},
        {"big endian", 4, 4, 0x03000000, "big-endian", "convert"},
        {"tensors 2^64-1", 8, 8, UINT64_MAX, "18446744073709551615 tensors", "bytes left"},
        {"tensors 2^40", 8, 8, 1ull << 40, "1099511627776 tensors", "bytes left"},
        {"keys 2^64-1", 16, 8, UINT64_MAX, "18446744073709551615 keys", "bytes left"},
        {"keys 2^59", 16, 8, 1ull << 59, "byte 24", "bytes left"},
        {"key name 2^64-1", 24, 8, UINT64_MAX, "key 0", "at most 65535"},
        {"key name 65535", 24, 8, 65535, "key name", "expected 65535"},
        {"value type 13", 24 + 8 + 20, 4, 13, "general.architecture", "below 13"},
        {"string 2^63", 24 + 8 + 20 + 4, 8, 1ull << 63, "general.architecture", "string"},
        {"string 2^64-8", 24 + 8 + 20 + 4, 8, UINT64_MAX - 7, "general.architecture",
            "expected 18446744073709551608"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rr_buf file = {0};
        build(3, 0, &file);
        put_at(&file, cases[i].at, cases[i].value, cases[i].bytes);
        refuses(cases[i].what, &file, cases[i].word, cases[i].other);
    }
    rr_buf empty = {0};
    rr_buf_text(&empty, "");
    refuses("empty file", &empty, "byte 0", "found 0 bytes");
}

static void finish(rr_gguf_writer *w, rr_buf *file) {
    CHECK_INT(rr_gw_finish(w, file), RR_OK);
}

static void refuses_bad_keys(void) {
    rr_gguf_writer w = {0};
    rr_buf file = {0};
    rr_gw_u32(&w, "b", 1);
    rr_gw_u32(&w, "a", 1);
    rr_gw_string(&w, "b", "again");
    finish(&w, &file);
    refuses("duplicate key", &file, "\"b\"", "twice");
    const struct {
        uint32_t item_type;
        uint64_t n;
        const char *word;
    } arrays[] = {{RR_GGUF_U8, UINT64_MAX, "uint8 values"},
        {RR_GGUF_U64, 1ull << 61, "uint64 values"}, {RR_GGUF_STRING, 1ull << 62, "string values"},
        {RR_GGUF_ARRAY, 1, "array of arrays"}, {13, 1, "below 13"},
        {RR_GGUF_F64, (1ull << 61) + 1, "float64 values"}};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        unsigned char body[12];
        memcpy(body, &arrays[i].item_type, 4);
        memcpy(body + 4, &arrays[i].n, 8);
        rr_gw_raw(&w, "list\n\033[1m", RR_GGUF_ARRAY, body, sizeof body);
        finish(&w, &file);
        /* no control character reaches the terminal */
        refuses("array", &file, "\"list??[1m\"", arrays[i].word);
    }
    rr_gw_raw(&w, "flag", RR_GGUF_BOOL, "\x02", 1);
    finish(&w, &file);
    refuses("bool 2", &file, "\"flag\"", "expected 0 or 1");
    static const uint32_t alignments[] = {1, 4, 7, 48, 1u << 31};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        rr_gw_u32(&w, "general.alignment", alignments[i]);
        finish(&w, &file);
        refuses("alignment", &file, "general.alignment", "power of two");
    }
    rr_gw_u32(&w, "general.alignment", 0);
    finish(&w, &file);
    refuses("alignment 0", &file, "general.alignment", "found 0");
    rr_gw_string(&w, "general.alignment", "32");
    finish(&w, &file);
    refuses("alignment text", &file, "general.alignment", "string");
}

/* One tensor with a fault; offset_delta moves its offset, cut bytes are missing at the end. */
static void refuses_tensor(const char *what, uint32_t n_dims, const uint64_t *dims, uint32_t type,
    int64_t offset_delta, size_t cut, const char *word) {
    static const unsigned char zeros[256];
    rr_gguf_writer w = {0};
    rr_buf file = {0};
    char name[] = "t\t";
    rr_gw_tensor(&w, name, n_dims, dims, type, zeros, sizeof zeros);
    uint64_t offset = (uint64_t)offset_delta;
    memcpy(w.infos.data + w.infos.bytes - 8, &offset, 8);
    finish(&w, &file);
    file.bytes -= cut;
    refuses(what, &file, "tensor \"t?\"", word);
}

static void refuses_bad_tensors(void) {
    const uint64_t ok[5] = {64, 1, 1, 1, 1};
    const uint64_t huge[4] = {1ull << 32, 1ull << 32, 1, 1}, wraps[4] = {1ull << 62, 1, 1, 1},
                   none[2] = {0, 1};
    refuses_tensor("no dimensions", 0, ok, 0, 0, 0, "found 0 dimensions");
    refuses_tensor("five dimensions", 5, ok, 0, 0, 0, "found 5 dimensions");
    refuses_tensor("dimension 0", 2, none, 0, 0, 0, "size 0");
    refuses_tensor("2^64 weights", 2, huge, 0, 0, 0, "dimension 1 of size 4294967296");
    refuses_tensor("2^64 bytes", 1, wraps, 0, 0, 0, "below 2^64 bytes");
    refuses_tensor("half a block", 1, (uint64_t[]){48}, 2, 0, 0, "multiple of 32");
    refuses_tensor("misaligned", 1, ok, 0, 8, 0, "alignment 32");
    refuses_tensor("cut", 1, ok, 0, 0, 1, "file ends");
    refuses_tensor("beyond", 1, ok, 0, 32, 0, "file ends");
    refuses_tensor("far beyond", 1, ok, 0, INT64_MIN, 0, "file ends");
    refuses_tensor("at 2^64-32", 1, ok, 0, -32, 0, "file ends");
    refuses_tensor("its end wraps", 1, (uint64_t[]){(1ull << 62) - 8}, 0, 32, 0,
        "18446744073709551584 bytes at offset 32");
    refuses_tensor("unknown type beyond", 1, ok, 99, 320, 0, "file ends");
    rr_gguf_writer w = {0};
    rr_buf file = {0};
    for (int i = 0; i < 3; i++) {
        rr_gw_tensor(&w, i == 1 ? "b" : "a", 1, ok, 0, (float[64]){0}, 256);
    }
    finish(&w, &file);
    refuses("duplicate tensor", &file, "tensor \"a\"", "twice");
    char name[66] = "";
    memset(name, 'n', 65);
    rr_gw_tensor(&w, name, 1, ok, 0, (float[64]){0}, 256);
    finish(&w, &file);
    refuses("long name", &file, "tensor 0", "at most 64");
}

/* Many keys in the worst order stay quick: no quadratic step anywhere. */
static void stays_quick(void) {
    enum { N = 100000 };
    rr_gguf_writer w = {0};
    rr_buf file = {0};
    char key[64];
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "a.rather.long.common.prefix.of.all.keys.%d", N - i);
        rr_gw_u32(&w, key, (uint32_t)i);
    }
    finish(&w, &file);
    rr_diag diag = {0};
    rr_gguf *gguf = NULL;
    clock_t begin = clock();
    CHECK_OK(rr_gguf_parse(file.data, file.bytes, "many", &gguf, &diag), diag);
    int wrong = 0;
    for (int i = 0; gguf != NULL && i < N; i++) {
        snprintf(key, sizeof key, "a.rather.long.common.prefix.of.all.keys.%d", N - i);
        const rr_gguf_value *value = rr_gguf_find(gguf, key);
        uint32_t found = UINT32_MAX;
        if (value != NULL) {
            memcpy(&found, value->data, sizeof found);
        }
        wrong += found != (uint32_t)i;
    }
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    CHECK_INT(wrong, 0);
    CHECK_MSG(seconds < 20.0, "%d keys took %g s", N, seconds);
    rr_gguf_close(&gguf);
    rr_buf_destroy(&file);
}

static void opens_files(void) {
    rr_diag diag = {0};
    rr_gguf *gguf = NULL;
    CHECK_INT(rr_gguf_open("/nonexistent/m.gguf", &gguf, &diag), RR_E_IO);
    CHECK(strstr(diag.text, "/nonexistent/m.gguf") != NULL);
    CHECK_INT(rr_gguf_open("/", &gguf, &diag), RR_E_INPUT);
    CHECK(gguf == NULL);
    CHECK_TEXT(rr_text_show((rr_text){"a\x1b\xFF z", 5}).text, "a?? z");
    char text[100];
    memset(text, 'q', sizeof text);
    CHECK_INT(strlen(rr_text_show((rr_text){text, sizeof text}).text), 71);
    CHECK_INT(strlen(rr_text_show((rr_text){text, 68}).text), 68);
}

/* A file written in pieces is the file made in memory. */
static void writes_in_pieces(void) {
    unsigned char data[144];
    rr_buf whole = {0}, pieces = {0};
    rr_gguf_writer at_once = {0}, declared = {0};
    rr_random_bytes(1, sizeof data, data);
    rr_gw_u32(&at_once, "key", 7);
    rr_gw_tensor(&at_once, "plain", 2, (uint64_t[]){3, 2}, 0, data, 24);
    rr_gw_tensor(&at_once, "blocks", 1, (uint64_t[]){256}, 12, data, 144);
    CHECK_INT(rr_gw_finish(&at_once, &whole), RR_OK);

    rr_gw_u32(&declared, "key", 7);
    rr_gw_declare(&declared, "plain", 2, (uint64_t[]){3, 2}, 0, 24);
    rr_gw_declare(&declared, "blocks", 1, (uint64_t[]){256}, 12, 144);
    CHECK_INT(rr_gw_head(&declared, &pieces), RR_OK);
    rr_buf_append(&pieces, data, 24);
    CHECK_INT(rr_gw_padding(24), 8);
    CHECK_INT(rr_gw_padding(32), 0);
    rr_buf_append(&pieces, "\0\0\0\0\0\0\0", 8);
    rr_buf_append(&pieces, data, 144);
    CHECK_INT(pieces.bytes, whole.bytes);
    CHECK(pieces.bytes == whole.bytes && memcmp(pieces.data, whole.data, whole.bytes) == 0);
    rr_buf_destroy(&whole);
    rr_buf_destroy(&pieces);
}

int main(void) {
    reads_good_files();
    writes_in_pieces();
    refuses_every_truncation();
    survives_damage();
    refuses_bad_headers();
    refuses_bad_keys();
    refuses_bad_tensors();
    stays_quick();
    opens_files();
    return CHECK_END();
}
