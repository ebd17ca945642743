/* A ranking as a state machine over tokens: `[a] > [b] > …`, every id of a window once at most, and
 * its closing. Owns: which tokens may come next, and the record of what was written. Does not
 * choose, and does not own what stands before the first id (rr_answer_opening).
 * What it admits is canonical: the tokens are those that the tokenizer gives for the finished text.
 * Qwen2's pre-tokenizer makes every digit a token of its own, so the parts between digits are the
 * same tokens wherever they stand. */
#ifndef RR_RERANK_GRAMMAR_H
#define RR_RERANK_GRAMMAR_H

#include "rerank/prompt.h"
#include "rerank/windows.h"

/* Choices at one point: ten digits, or the end of the id. */
enum { RR_GRAMMAR_CHOICES = 11, RR_GRAMMAR_MARKS = 16 };

/* The tokens of a ranking in one vocabulary. */
typedef struct rr_answer_tokens {
    int32_t digits[10];
    int32_t between[RR_GRAMMAR_MARKS]; /* "] > [" */
    int32_t close[RR_GRAMMAR_MARKS]; /* "] </answer>"; RR_PROMPT_RANKGPT, which has no tags: "]" */
    uint32_t n_between, n_close;
} rr_answer_tokens;

/* Finds them by encoding a ranking of RR_WINDOW_MAX ids, which must be made of them. Errors:
 * RR_E_UNSUPPORTED when it is not (says what was found), those of rr_tokenizer_encode. Cost: some
 * milliseconds, once a model. */
rr_status rr_answer_tokens_make(
    const rr_tokenizer *tokenizer, rr_prompt_style style, rr_answer_tokens *out, rr_diag *diag);

/* The most tokens that a ranking of `n_wanted` of n ids takes behind its first "[". */
size_t rr_answer_tokens_most(const rr_answer_tokens *tokens, uint32_t n, uint32_t n_wanted);

typedef struct rr_grammar {
    const rr_answer_tokens *tokens; /* borrowed */
    uint32_t n, n_wanted;           /* ids 1…n, of which so many are to be listed */
    uint32_t n_listed;
    uint32_t order[RR_WINDOW_MAX]; /* [n_listed] the record */
    bool used[RR_WINDOW_MAX + 1];
    uint32_t number;     /* the digits written of an id; 0 = none yet */
    const int32_t *mark; /* what is being written between ids, or NULL */
    uint32_t n_mark, at_mark;
    bool done;
} rr_grammar;

/* Stands behind the first "[". 1 <= n <= RR_WINDOW_MAX; n_wanted 0 or above n = all. `tokens` must
 * outlive it. */
void rr_grammar_begin(
    rr_grammar *grammar, const rr_answer_tokens *tokens, uint32_t n, uint32_t n_wanted);

/* The tokens that may come next; their number, 0 when the ranking is closed. One means that nothing
 * is to be chosen. */
uint32_t rr_grammar_next(const rr_grammar *grammar, int32_t out[RR_GRAMMAR_CHOICES]);

/* Goes on by a token; false, and nothing changed, when it may not come next. */
bool rr_grammar_take(rr_grammar *grammar, int32_t id);

#endif
