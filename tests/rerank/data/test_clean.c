#include "tests/check.h"

#include "rerank/data/clean.h"

typedef void (*clean_fn)(const char *text, size_t bytes, rr_buf *out);

static void check(clean_fn fn, const char *text, const char *expected) {
    rr_buf out = {0};
    rr_buf_text(&out, "");
    fn(text, strlen(text), &out);
    CHECK_TEXT(out.data, expected);
    rr_buf_destroy(&out);
}

static void one_line(const char *text, size_t bytes, rr_buf *out) {
    rr_clean_terminal(text, bytes, true, out);
}

static void lines(const char *text, size_t bytes, rr_buf *out) {
    rr_clean_terminal(text, bytes, false, out);
}

#define FFFD "\xEF\xBF\xBD"

int main(void) {
    check(rr_clean_utf8, "", "");
    check(rr_clean_utf8, "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\x9D",
        "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x90\x9D");
    check(rr_clean_utf8,
        "\xFF"
        "a\xC3",
        FFFD "a" FFFD);
    check(rr_clean_utf8,
        "\xE2\x82"
        "a\xC0\xAF\xED\xA0\x80",
        FFFD "a" FFFD FFFD FFFD FFFD FFFD);
    check(rr_clean_utf8, FFFD, FFFD);

    check(rr_clean_spaces, " \t\n ", "");
    check(rr_clean_spaces,
        "\x0B"
        "a \xC2\x85 b\xE2\x80\xA8\xE2\x81\x9F"
        "c\xE3\x80\x80",
        "a b c");
    /* zero width space is no whitespace */
    check(rr_clean_spaces,
        "a\xE2\x80\x8B"
        "b",
        "a\xE2\x80\x8B"
        "b");

    check(lines, "a\tb\nc", "a\tb\nc");
    check(one_line, "a\tb\nc", "a b c");
    check(lines, "\x1B[31mred\x07\r\x7F", "\\x1b[31mred\\x07\\x0d\\x7f");
    check(lines,
        "\xC2\x9B"
        "2J",
        "\\x9b2J");
    check(lines,
        "\xE2\x80\xAE"
        "abc\xE2\x81\xA9",
        "\\u202eabc\\u2069");
    check(lines, "\x9B", FFFD);

    const char text[] = "a\xC3\xA9\xF0\x9F\x90\x9Dz";
    CHECK_INT(rr_clean_count(text, 8), 4);
    CHECK_INT(rr_clean_cut(text, 8, 0), 0);
    CHECK_INT(rr_clean_cut(text, 8, 2), 3);
    CHECK_INT(rr_clean_cut(text, 8, 3), 7);
    CHECK_INT(rr_clean_cut(text, 8, 9), 8);
    return CHECK_END();
}
