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
