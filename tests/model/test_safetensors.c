/* The container: what it reads, and that every broken file is refused with its fault named. */
#include "runtime/model/safetensors.h"

#include "runtime/base/memory.h"
#include "tests/check.h"

/* A file of a header and `data_bytes` bytes 0, 1, 2 … of data. */
static void build(const char *header, size_t data_bytes, rr_buf *out) {
    const uint64_t length = strlen(header);
    rr_buf_clear(out);
    rr_buf_append(out, &length, sizeof length);
    rr_buf_append(out, header, (size_t)length);
    for (size_t i = 0; i < data_bytes; i++) {
        const char byte = (char)i;
        rr_buf_append(out, &byte, 1);
    }
}

static void reads(void) {
    rr_diag diag = {0};
    rr_buf file = {0};
    rr_safetensors *st = NULL;
    /* not in the order of the data, metadata, a scalar, an empty tensor, a name with an escape,
     * spaces at the end, data at an odd address */
    build("{\"b\\u00e9\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[12,24]},"
          "\"__metadata__\":{},"
          "\"a\":{\"shape\":[2],\"data_offsets\":[0,8],\"dtype\":\"F32\"},"
          "\"empty\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[12,12]},"
          "\"one\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[8,12]}}  ",
        24, &file);
    CHECK_OK(rr_safetensors_parse(file.data, file.bytes, "t", &st, &diag), diag);
    if (st == NULL) {
        return;
    }
    CHECK_INT(rr_safetensors_n(st), 4);
    const rr_st_tensor *b = rr_safetensors_find(st, (rr_text){"b\xC3\xA9", 3});
    const rr_st_tensor *one = rr_safetensors_find(st, (rr_text){"one", 3});
    const rr_st_tensor *empty = rr_safetensors_find(st, (rr_text){"empty", 5});
    CHECK(b != NULL && b->type == RR_ST_BF16 && b->bytes == 12 && b->data[0] == 12);
    CHECK(b != NULL && strcmp(rr_st_shape_of(b).text, "[2, 3]") == 0);
    CHECK(one != NULL && one->n_dims == 0 && one->data[0] == 8);
    CHECK(one != NULL && strcmp(rr_st_shape_of(one).text, "[]") == 0);
    CHECK(empty != NULL && empty->bytes == 0 && empty->type == RR_ST_I64);
    CHECK(rr_safetensors_find(st, (rr_text){"on", 2}) == NULL);
    CHECK(rr_text_is(rr_safetensors_at(st, 0)->name, "a") && rr_safetensors_at(st, 4) == NULL);
    rr_safetensors_close(&st);
    CHECK(st == NULL);
    build("{}", 0, &file);
    CHECK_OK(rr_safetensors_parse(file.data, file.bytes, "t", &st, &diag), diag);
    CHECK_INT(rr_safetensors_n(st), 0);
    rr_safetensors_close(&st);
    rr_buf_destroy(&file);
}

#define ENTRY(type, shape, begin, end) \
    "{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static const struct {
    const char *header;
    size_t data_bytes;
    const char *words[2];
} faults[] = {
    {"[]", 0, {"object expected, list found", ""}},
    {"", 0, {"byte offset 8", "JSON"}},
    {"{\"a\":", 0, {"byte offset 13", "JSON"}},
    {"{\"a\":{}} x", 0, {"byte offset", "JSON"}},
    {"{\"a\xFF\":{}}", 0, {"byte offset", "UTF-8"}},
    {"{\"a\":3}", 0, {"a: ", "object expected, number found"}},
    {"{\"a\":{}}", 0, {"a: ", "dtype"}},
    {"{\"__metadata__\":[]}", 0, {"__metadata__", "list found"}},
    {"{\"__metadata__\":{\"x\":1}}", 0, {"__metadata__", "number found"}},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, {"__metadata__", "twice"}},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, {"a: ", "data_offsets"}},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, {"a: ", "shape"}},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
        {"dtype", "twice"}},
    {"{\"a\":" ENTRY("F12", "[1]", 0, 4) "}", 4, {"F12", "known dtypes: F32 F16"}},
    {"{\"a\":" ENTRY("F32", "[1]", 4, 0) "}", 4, {"a: ", "offsets 4 and 0"}},
    {"{\"a\":" ENTRY("F32", "[1]", -1, 3) "}", 4, {"a: ", "-1"}},
    {"{\"a\":" ENTRY("F32", "[1]", 0, 4.0) "}", 4, {"a: ", "integer expected"}},
    {"{\"a\":" ENTRY("F32", "[1.0]", 0, 4) "}", 4, {"shape", "integer expected"}},
    {"{\"a\":" ENTRY("F32", "[-1]", 0, 4) "}", 4, {"shape", "-1"}},
    {"{\"a\":" ENTRY("F32", "[\"1\"]", 0, 4) "}", 4, {"shape", "string found"}},
    {"{\"a\":" ENTRY("F32", "1", 0, 4) "}", 4, {"shape", "list expected"}},
    {"{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, {"9 dimensions", "8"}},
    {"{\"a\":" ENTRY("F32", "[1]", 0, 8) "}", 4, {"bytes up to 8", "data has 4"}},
    {"{\"a\":" ENTRY("F32", "[2]", 0, 4) "}", 4, {"F32 [2] needs 8 bytes", "give 4"}},
    {"{\"a\":" ENTRY("F32", "[4611686018427387905]", 0, 4) "}", 4, {"a: ", "too large"}},
    {"{\"a\":" ENTRY("F32", "[0,18446744073709551615,2]", 0, 4) "}", 4, {"a: ", "too large"}},
    {"{\"a\":" ENTRY("F4", "[3]", 0, 1) "}", 1, {"a: ", "12 bits"}},
    {"{\"a\":" ENTRY("I32", "[1]", 0, 4) ",\"a\":" ENTRY("I32", "[1]", 4, 8) "}", 8,
        {"tensor a twice", ""}},
    {"{\"a\":" ENTRY("I32", "[1]", 0, 4) ",\"b\":" ENTRY("I32", "[1]", 2, 6) "}", 6,
        {"b begins at 2", "a ends at 4"}},
    {"{\"a\":" ENTRY("I32", "[1]", 0, 4) ",\"b\":" ENTRY("I32", "[1]", 0, 4) "}", 4,
        {"b begins at 0", "a ends at 4"}},
    {"{\"a\":" ENTRY("I32", "[1]", 0, 4) ",\"b\":" ENTRY("I32", "[1]", 6, 10) "}", 10,
        {"bytes 4 to 6 before b", ""}},
    {"{\"a\":" ENTRY("I32", "[1]", 4, 8) "}", 8, {"bytes 0 to 4 before a", ""}},
    {"{\"a\":" ENTRY("I32", "[1]", 0, 4) "}", 6, {"data has 6 bytes", "end at 4"}},
    {"{}", 1, {"data has 1 bytes", "end at 0"}},
};

static void refuse(const void *data, size_t bytes, const char *what, const char *const words[2]) {
    rr_diag diag = {0};
    rr_safetensors *st = NULL;
    /* at its exact size, so that the sanitizer sees a step past it */
    void *exact = malloc(bytes > 0 ? bytes : 1);
    if (bytes > 0) {
        memcpy(exact, data, bytes);
    }
    CHECK_INT(rr_safetensors_parse(exact, bytes, "t.safetensors", &st, &diag), RR_E_INPUT);
    CHECK_MSG(st == NULL && strncmp(diag.text, "t.safetensors: ", 15) == 0 &&
            strstr(diag.text, words[0]) != NULL && strstr(diag.text, words[1]) != NULL,
        "%s: \"%s\" lacks \"%s\" or \"%s\"", what, diag.text, words[0], words[1]);
    rr_safetensors_close(&st);
    free(exact);
}

static void refuses(void) {
    rr_buf file = {0};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        build(faults[i].header, faults[i].data_bytes, &file);
        refuse(file.data, file.bytes, faults[i].header, faults[i].words);
    }
    static const char *const size[2] = {"size 7", "at least 8"};
    refuse("1234567", 7, "short", size);
    uint64_t length = UINT64_MAX;
    static const char *const limit[2] = {"header length 18446744073709551615", "limit"};
    refuse(&length, sizeof length, "all ones", limit);
    length = 100000001;
    static const char *const over[2] = {"header length 100000001", "limit is 100000000"};
    refuse(&length, sizeof length, "over the limit", over);
    length = 1;
    static const char *const beyond[2] = {"header length 1", "8 bytes in the file"};
    refuse(&length, sizeof length, "beyond the file", beyond);
    rr_buf deep = {0};
    rr_buf_text(&deep, "{\"__metadata__\":\"\\\"[[\",\"x\":");
    for (int i = 0; i < 20000; i++) {
        rr_buf_text(&deep, "[");
    }
    build(deep.data, 0, &file);
    static const char *const nested[2] = {"byte", "nesting limit"};
    refuse(file.data, file.bytes, "deep", nested);
    rr_buf_destroy(&deep);
    rr_buf_destroy(&file);
}

/* Every file that is cut short or has one byte changed is refused or can be read to its end. */
static void survives_damage(void) {
    rr_buf file = {0};
    build("{\"a\":" ENTRY("I32", "[1]", 0, 4) ",\"b\":" ENTRY("F16", "[2,1]", 4, 8) "}", 8, &file);
    for (size_t at = 0; at < file.bytes; at++) {
        for (int change = 0; change < 8; change++) {
            rr_diag diag = {0};
            rr_safetensors *st = NULL;
            file.data[at] ^= (char)(1 << change);
            if (rr_safetensors_parse(file.data, file.bytes, "t", &st, &diag) == RR_OK) {
                const rr_st_tensor *tensor;
                uint64_t bytes = 0;
                for (size_t i = 0; (tensor = rr_safetensors_at(st, i)) != NULL; i++) {
                    CHECK(tensor->data + tensor->bytes <= (uint8_t *)file.data + file.bytes);
                    bytes += tensor->bytes;
                }
                CHECK_INT(bytes, 8);
            } else {
                CHECK(st == NULL && strlen(diag.text) > 5);
            }
            rr_safetensors_close(&st);
            file.data[at] ^= (char)(1 << change);
        }
    }
    static const char *const nothing[2] = {"", ""};
    for (size_t n = 0; n < file.bytes; n++) {
        refuse(file.data, n, "cut", nothing);
    }
    rr_buf_destroy(&file);
}

int main(void) {
    reads();
    refuses();
    survives_damage();
    return CHECK_END();
}
