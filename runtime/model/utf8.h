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

#endif
