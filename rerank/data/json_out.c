#include "rerank/data/json_out.h"

#include <string.h>

#include "rerank/data/clean.h"

yyjson_mut_val *rr_json_text(yyjson_mut_doc *doc, const char *text, size_t bytes) {
    rr_buf clean = {0};
    rr_clean_utf8(text, bytes, &clean);
    yyjson_mut_val *value = clean.failed
        ? NULL
        : yyjson_mut_strncpy(doc, clean.data != NULL ? clean.data : "", clean.bytes);
    rr_buf_destroy(&clean);
    return value;
}

void rr_json_quote(const char *text, size_t bytes, rr_buf *out) {
    rr_buf clean = {0};
    rr_clean_utf8(text, bytes, &clean);
    rr_buf_text(out, "\"");
    size_t begin = 0; /* of a run of bytes that stand as they are */
    for (size_t i = 0; i < clean.bytes; i++) {
        const unsigned char c = (unsigned char)clean.data[i];
        const bool is_control = c < 0x20 || c == 0x7F;
        if (!is_control && c != '"' && c != '\\') {
            continue;
        }
        rr_buf_append(out, clean.data + begin, i - begin);
        begin = i + 1;
        if (is_control) {
            rr_buf_printf(out, "\\u%04x", c);
        } else {
            rr_buf_printf(out, "\\%c", c);
        }
    }
    if (begin < clean.bytes) {
        rr_buf_append(out, clean.data + begin, clean.bytes - begin);
    }
    rr_buf_text(out, "\"");
    out->failed = out->failed || clean.failed;
    rr_buf_destroy(&clean);
}

void rr_json_member(const char *key, const char *text, rr_buf *out) {
    rr_buf_printf(out, "\"%s\":", key);
    rr_json_quote(text, strlen(text), out);
}
