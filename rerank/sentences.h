/* Where sentences begin and end in prose that a model wrote.
 * Owns: the rules of splitting. Pure, no allocation; any bytes are accepted, UTF-8 sequences are
 * never cut. */
#ifndef RR_RERANK_SENTENCES_H
#define RR_RERANK_SENTENCES_H

#include <stdbool.h>
#include <stddef.h>

/* The next sentence at or after *at: its first byte and the byte behind its last, without the
 * whitespace around it; moves *at on. False when only whitespace is left.
 * A sentence ends at . ! ? … (and closing quotes behind them) before whitespace, at 。！？｡ always, at
 * a blank line, and at the end of a line. It goes on where a small letter follows, after an initial
 * before a capital, after abbreviations such as "e.g.", and after the number of a list item. The
 * end of the text ends the last one, finished or not. Cost: a walk over all sentences is linear in
 * the bytes. */
bool rr_sentence_next(const char *text, size_t bytes, size_t *at, size_t *begin, size_t *end);

#endif
