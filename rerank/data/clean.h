/* Text from outside, made fit for prompts, JSON and terminals.
 * Owns: what counts as whitespace, as a character, and as dangerous on a terminal. Pure functions
 * that append to a buffer; out of memory shows in `out->failed`. */
#ifndef RR_RERANK_DATA_CLEAN_H
#define RR_RERANK_DATA_CLEAN_H

#include "runtime/base/memory.h"

/* Copies, with every invalid sequence replaced by U+FFFD. */
void rr_clean_utf8(const char *text, size_t bytes, rr_buf *out);

/* Copies, with runs of whitespace (Unicode's, as Python's str.split sees it) collapsed to one space
 * and both ends stripped. Invalid sequences become U+FFFD. */
void rr_clean_spaces(const char *text, size_t bytes, rr_buf *out);

/* Whether that would leave nothing. */
bool rr_clean_is_blank(const char *text, size_t bytes);

/* How many bytes the first `n_chars` code points of valid UTF-8 take. */
size_t rr_clean_cut(const char *text, size_t bytes, size_t n_chars);

/* Code points in valid UTF-8. */
size_t rr_clean_count(const char *text, size_t bytes);

/* Copies for a terminal: newline and tab stay, every other control character (C0, DEL, C1) and the
 * bidirectional overrides are written out (\x1b, \u202e), so that no text can move the cursor or
 * pose as something else. `one_line` writes newline and tab as a space. */
void rr_clean_terminal(const char *text, size_t bytes, bool one_line, rr_buf *out);

#endif
