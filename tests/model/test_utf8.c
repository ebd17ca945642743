/* Reading UTF-8, and streaming it in pieces of any size. */
#include "runtime/model/utf8.h"

#include "runtime/model/tokenizer.h"
#include "tests/check.h"

static void check_all_code_points(void) {
    for (int32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xD800 && c < 0xE000) {
            continue;
        }
        unsigned char text[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (n == 1) {
            text[0] = (unsigned char)c;
        } else {
            static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
            for (size_t i = 0; i < n; i++) {
                text[i] = (unsigned char)((i == 0 ? leads[n] : 0x80) |
                    ((c >> (6 * (n - 1 - i))) & (i == 0 ? 0x1F : 0x3F)));
            }
        }
        int32_t found = 0;
        size_t length = rr_utf8_next(text, n, &found);
        if (length != n || found != c) {
            CHECK_MSG(false, "U+%04X: read as %d in %zu bytes", (unsigned)c, found, length);
            return;
        }
        for (size_t cut = 1; cut < n; cut++) {
            int32_t part = 0;
            if (rr_utf8_next(text, cut, &part) != cut || part != RR_UTF8_INCOMPLETE) {
                CHECK_MSG(false, "U+%04X cut after %zu bytes: read as %d", (unsigned)c, cut, part);
                return;
            }
        }
    }
    CHECK(true);
}

/* The same text pushed in two pieces cut anywhere, and byte by byte, gives what one push gives. */
static void check_stream(const char *text, const char *expected) {
    size_t n = strlen(text);
    for (size_t cut = 0; cut <= n; cut++) {
        rr_utf8_stream stream = {0};
        rr_buf out = {0};
        rr_utf8_stream_push(&stream, text, cut, false, &out);
        int32_t last;
        for (size_t at = 0; at < out.bytes;) { /* what was let out so far is whole characters */
            at += rr_utf8_next((unsigned char *)out.data + at, out.bytes - at, &last);
            CHECK(last >= 0);
        }
        rr_utf8_stream_push(&stream, text + cut, n - cut, true, &out);
        CHECK_TEXT(out.data, expected);
        CHECK_INT(stream.n_held, 0);
        rr_buf_destroy(&out);
    }
    rr_utf8_stream stream = {0};
    rr_buf out = {0};
    for (size_t i = 0; i < n; i++) {
        rr_utf8_stream_push(&stream, text + i, 1, false, &out);
    }
    rr_utf8_stream_push(&stream, "", 0, true, &out);
    CHECK_TEXT(out.data, expected);
    rr_buf_destroy(&out);
}

static void check_hold_back(void) {
    rr_utf8_stream stream = {0};
    rr_buf out = {0};
    rr_utf8_stream_push(&stream, "a\xF0\x9F", 3, false, &out);
    CHECK_TEXT(out.data, "a");
    rr_utf8_stream_push(&stream, "\x99", 1, false, &out);
    CHECK_TEXT(out.data, "a");
    rr_utf8_stream_push(&stream, "\x82", 1, false, &out);
    CHECK_TEXT(out.data, "a🙂");
    /* a byte that ends the hope ends the wait */
    rr_utf8_stream_push(&stream, "\xE4\xB8", 2, false, &out);
    rr_utf8_stream_push(&stream, "b\xE4", 2, false, &out);
    CHECK_TEXT(out.data,
        "a🙂\xEF\xBF\xBD"
        "b");
    CHECK_INT(stream.n_held, 1);
    rr_buf_destroy(&out);
}

int main(void) {
#define BAD "\xEF\xBF\xBD"
    check_all_code_points();
    check_stream("plain", "plain");
    check_stream("é中🙂é", "é中🙂é");
    check_stream("\xFF"
                 "a\x80",
        BAD "a" BAD);
    check_stream("\xE0\x80\x80", BAD BAD BAD);
    check_stream("\xED\xA0\x80x", BAD BAD BAD "x");
    check_stream("\xF0\x9F\x99", BAD);
    check_stream("\xF0\x9F\xF0\x9F\x99\x82\xC2", BAD "🙂" BAD);
    check_stream("\xF4\x8F\xBF\xBF\xF4\x90", "\xF4\x8F\xBF\xBF" BAD BAD);
    check_hold_back();
    return CHECK_END();
}
