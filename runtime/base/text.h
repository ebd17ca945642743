/* A run of bytes that somebody else owns: the text of a file that is mapped, a field of a line.
 * Owns: nothing. Pure and thread safe. */
#ifndef RR_BASE_TEXT_H
#define RR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Not NUL-terminated. */
typedef struct rr_text {
    const char *data;
    size_t bytes;
} rr_text;

bool rr_text_is(rr_text text, const char *other);
/* Below, at or above 0, by bytes; a text before its continuations. */
int rr_text_compare(rr_text a, rr_text b);

/* Whether the first `bytes` bytes are the same but for the case of ASCII letters, whatever the
 * locale; a NUL in both ends them. */
bool rr_ascii_same(const char *a, const char *b, size_t bytes);
/* Where `part` begins in `text`, the case of ASCII letters aside; NULL when it does not stand
 * there. */
const char *rr_ascii_find(const char *text, const char *part);

/* A text from a file for a message: printable ASCII (others as '?'), cut to 68 bytes. */
typedef struct rr_shown {
    char text[72];
} rr_shown;
rr_shown rr_text_show(rr_text text);

#endif
