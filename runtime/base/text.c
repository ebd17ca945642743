#include "runtime/base/text.h"

#include <string.h>

rr_shown rr_text_show(rr_text text) {
    rr_shown out;
    size_t n = text.bytes < sizeof out.text - 4 ? text.bytes : sizeof out.text - 4;
    for (size_t i = 0; i < n; i++) {
        out.text[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
    }
    strcpy(out.text + n, n < text.bytes ? "..." : "");
    return out;
}

bool rr_text_is(rr_text text, const char *other) {
    return text.bytes == strlen(other) && memcmp(text.data, other, text.bytes) == 0;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool rr_ascii_same(const char *a, const char *b, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
        if (a[i] == '\0') {
            break;
        }
    }
    return true;
}

const char *rr_ascii_find(const char *text, const char *part) {
    const size_t n = strlen(part);
    for (; !rr_ascii_same(text, part, n); text++) {
        if (*text == '\0') {
            return NULL;
        }
    }
    return text;
}

int rr_text_compare(rr_text a, rr_text b) {
    const size_t n = a.bytes < b.bytes ? a.bytes : b.bytes;
    const int order = n > 0 ? memcmp(a.data, b.data, n) : 0;
    return order != 0 ? order : a.bytes < b.bytes ? -1 : a.bytes > b.bytes;
}
