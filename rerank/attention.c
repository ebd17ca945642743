#include "rerank/attention.h"

void rr_attention_find(const rr_ranking *ranking, rr_attention *out) {
    for (size_t i = 0; i < ranking->n; i++) {
        out[i] = (rr_attention){0};
    }
    for (size_t w = 0; w < ranking->n_windows; w++) {
        const rr_window_result *window = &ranking->windows[w];
        for (uint32_t i = 0; window->reads != NULL && i < window->n; i++) {
            out[window->passages[i]] = (rr_attention){&window->reads[i], w, i + 1};
        }
    }
}

/* Whether a character of valid UTF-8 begins there, or the text ends. */
static bool is_border(rr_text text, size_t at) {
    return at == text.bytes || ((unsigned char)text.data[at] & 0xC0) != 0x80;
}

rr_text rr_attention_text(rr_text shown, rr_read_part part) {
    bool fits = part.begin <= part.end && part.end <= shown.bytes && is_border(shown, part.begin) &&
        is_border(shown, part.end);
    return fits ? (rr_text){shown.data + part.begin, part.end - part.begin} : (rr_text){"", 0};
}
