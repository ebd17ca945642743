/* UTF-8, one character at a time.
 * Owns: what counts as a character, as an invalid sequence and as an incomplete one. Invalid bytes
 * are grouped by maximal subpart (Unicode 3.9, table 3-8), so that each group becomes one U+FFFD,
 * as in web browsers and Python. */
#ifndef RR_MODEL_UTF8_H
#define RR_MODEL_UTF8_H

#include "runtime/base/memory.h"

enum {
    RR_UTF8_INVALID = -1,   /* a maximal subpart of an ill-formed sequence */
    RR_UTF8_INCOMPLETE = -2 /* the text ends inside a sequence that is well formed so far */
};

/* Reads the character at `text`; n >= 1. Returns the bytes it takes (1 to 4) and writes its code
 * point, RR_UTF8_INVALID or RR_UTF8_INCOMPLETE. */
size_t rr_utf8_next(const unsigned char *text, size_t n, int32_t *code_point);

/* Appends U+FFFD. */
void rr_utf8_append_replacement(rr_buf *out);

/* Holds back incomplete UTF-8 while a text is streamed token by token. Zero-initialise. */
typedef struct rr_utf8_stream {
    unsigned char held[4];
    unsigned n_held;
} rr_utf8_stream;

/* Appends to `out` the complete characters of what was held plus `bytes`; invalid sequences become
 * U+FFFD as soon as they are known to be invalid. `flush` also ends an incomplete tail (as
 * U+FFFD). */
void rr_utf8_stream_push(
    rr_utf8_stream *stream, const char *bytes, size_t n_bytes, bool flush, rr_buf *out);

#endif
