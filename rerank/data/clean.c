#include "rerank/data/clean.h"

#include "runtime/model/utf8.h"

enum { REPLACEMENT = 0xFFFD };

/* The character at `text` and its length; U+FFFD for bytes that are none. */
static size_t decode(const char *text, size_t bytes, uint32_t *code) {
    int32_t found;
    size_t length = rr_utf8_next((const unsigned char *)text, bytes, &found);
    *code = found < 0 ? REPLACEMENT : (uint32_t)found;
    return length;
}

static void append_char(rr_buf *out, const char *text, size_t length, uint32_t code) {
    if (code == REPLACEMENT) {
        rr_utf8_append_replacement(out);
    } else {
        rr_buf_append(out, text, length);
    }
}

void rr_clean_utf8(const char *text, size_t bytes, rr_buf *out) {
    size_t from = 0;
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        size_t length = decode(text + i, bytes - i, &code);
        if (code == REPLACEMENT) {
            rr_buf_append(out, text + from, i - from);
            append_char(out, text + i, length, code);
            from = i + length;
        }
        i += length;
    }
    rr_buf_append(out, text + from, bytes - from);
}

static bool is_space(uint32_t code) {
    return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
        code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
        code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

void rr_clean_spaces(const char *text, size_t bytes, rr_buf *out) {
    bool started = false, space = false;
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        size_t length = decode(text + i, bytes - i, &code);
        if (is_space(code)) {
            space = true;
        } else {
            if (space && started) {
                rr_buf_append(out, " ", 1);
            }
            append_char(out, text + i, length, code);
            started = true;
            space = false;
        }
        i += length;
    }
}

bool rr_clean_is_blank(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        i += decode(text + i, bytes - i, &code);
        if (!is_space(code)) {
            return false;
        }
    }
    return true;
}

size_t rr_clean_cut(const char *text, size_t bytes, size_t n_chars) {
    size_t i = 0;
    while (i < bytes && n_chars-- > 0) {
        uint32_t code;
        i += decode(text + i, bytes - i, &code);
    }
    return i;
}

size_t rr_clean_count(const char *text, size_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < bytes; n++) {
        uint32_t code;
        i += decode(text + i, bytes - i, &code);
    }
    return n;
}

static bool is_dangerous(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code <= 0x9F) || (code >= 0x202A && code <= 0x202E) ||
        (code >= 0x2066 && code <= 0x2069) || code == 0x200E || code == 0x200F || code == 0x061C;
}

void rr_clean_terminal(const char *text, size_t bytes, bool one_line, rr_buf *out) {
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        size_t length = decode(text + i, bytes - i, &code);
        if (code == '\n' || code == '\t') {
            rr_buf_append(out, one_line ? " " : text + i, 1);
        } else if (is_dangerous(code)) {
            rr_buf_printf(out, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
        } else {
            append_char(out, text + i, length, code);
        }
        i += length;
    }
}
