/* A text as tokens, cut into pieces of one length, whose tokens a model is asked to predict; by the
 * rule of llama.cpp's perplexity: each piece begins anew, the tokens of its first half are context,
 * those behind it count. Owns: the cutting, and the sums. */
#ifndef RR_TOOLS_TEXT_PIECES_H
#define RR_TOOLS_TEXT_PIECES_H

#include "runtime/engine/engine.h"

enum { RR_PIECE_LENGTH = 512, RR_PIECE_MIN_LENGTH = 8 };

typedef struct rr_text_pieces {
    rr_tokens tokens;
    size_t length, n; /* tokens a piece; pieces. What is left behind the last one is not used */
} rr_text_pieces;

/* most: pieces, 0 = all. Errors: those of rr_text_file_read and rr_tokenizer_encode; RR_E_INPUT for
 * a text of less than one piece. */
rr_status rr_text_pieces_read(const char *path, const rr_tokenizer *tokenizer, uint32_t length,
    uint32_t most, rr_text_pieces *out, rr_diag *diag);
void rr_text_pieces_destroy(rr_text_pieces *pieces); /* accepts a zeroed one */

static inline const int32_t *rr_text_piece(const rr_text_pieces *pieces, size_t index) {
    return pieces->tokens.ids + index * pieces->length;
}
/* Whether the logits of a position in a piece count, and predict a token of it. */
static inline bool rr_text_piece_counts(const rr_text_pieces *pieces, size_t position) {
    return position >= pieces->length / 2 && position + 1 < pieces->length;
}

/* log of the sum of exp(logits) */
double rr_log_sum_exp(const float *logits, size_t n);

/* The mean of values and its standard error. Zero-initialise. */
typedef struct rr_mean {
    size_t n;
    double sum, sum_squares;
} rr_mean;
void rr_mean_add(rr_mean *mean, double value);
double rr_mean_of(const rr_mean *mean);
double rr_mean_error(const rr_mean *mean); /* 0 for less than two values */

#endif
