#include "runtime/model/utf8.h"

#include <string.h>

size_t rr_utf8_next(const unsigned char *text, size_t n, int32_t *code_point) {
    unsigned lead = text[0];
    if (lead < 0x80) {
        *code_point = (int32_t)lead;
        return 1;
    }
    *code_point = RR_UTF8_INVALID;
    if (lead < 0xC2 || lead > 0xF4) {
        return 1;
    }
    size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    int32_t value = (int32_t)(lead & (0xFFu >> (length + 1)));
    /* the second byte's range excludes overlong forms, surrogates and what lies past U+10FFFF */
    unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < length; i++) {
        if (i == n) {
            *code_point = RR_UTF8_INCOMPLETE;
            return i;
        }
        if (text[i] < low || text[i] > high) {
            return i;
        }
        value = (value << 6) | (text[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    *code_point = value;
    return length;
}

void rr_utf8_append_replacement(rr_buf *out) {
    rr_buf_append(out, "\xEF\xBF\xBD", 3);
}

/* Takes the first `n` held bytes out. */
static void drop_held(rr_utf8_stream *stream, size_t n) {
    stream->n_held -= (unsigned)n;
    memmove(stream->held, stream->held + n, stream->n_held);
}

/* Decides what is held, adding bytes one by one, until nothing is held or the bytes are used up.
 * Returns the bytes taken. */
static size_t finish_held(
    rr_utf8_stream *stream, const unsigned char *bytes, size_t n, rr_buf *out) {
    size_t used = 0;
    while (stream->n_held > 0) {
        int32_t code_point;
        size_t length = rr_utf8_next(stream->held, stream->n_held, &code_point);
        if (code_point == RR_UTF8_INCOMPLETE) {
            if (used == n) {
                break;
            }
            /* an incomplete sequence has at most 3 bytes */
            stream->held[stream->n_held++] = bytes[used++];
            continue;
        }
        if (code_point == RR_UTF8_INVALID) {
            rr_utf8_append_replacement(out);
        } else {
            rr_buf_append(out, stream->held, length);
        }
        drop_held(stream, length);
    }
    return used;
}

void rr_utf8_stream_push(
    rr_utf8_stream *stream, const char *bytes, size_t n_bytes, bool flush, rr_buf *out) {
    const unsigned char *text = (const unsigned char *)bytes;
    size_t at = finish_held(stream, text, n_bytes, out);
    while (at < n_bytes) {
        int32_t code_point;
        size_t length = rr_utf8_next(text + at, n_bytes - at, &code_point);
        if (code_point == RR_UTF8_INCOMPLETE) {
            memcpy(stream->held, text + at, length);
            stream->n_held = (unsigned)length;
        } else if (code_point == RR_UTF8_INVALID) {
            rr_utf8_append_replacement(out);
        } else {
            rr_buf_append(out, text + at, length);
        }
        at += length;
    }
    if (flush && stream->n_held > 0) {
        rr_utf8_append_replacement(out);
        stream->n_held = 0;
    }
}
