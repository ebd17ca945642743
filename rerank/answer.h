/* From what a model wrote to a permutation.
 * Owns: the answer's grammar and its repair. Pure functions over text.
 * Source: the parser of REARANK's code, which replayed answers must agree with; where it differs is
 * named at rr_answer_parse. */
#ifndef RR_RERANK_ANSWER_H
#define RR_RERANK_ANSWER_H

#include <stdint.h>

#include "runtime/base/text.h"

typedef struct rr_answer {
    uint32_t n_listed; /* ids that the answer itself gave: in range, each counted once */
    /* ids were missing (appended in the window's order), repeated or out of range (dropped) */
    bool repaired;
    bool dropped;  /* ids were repeated or out of range */
    bool unclosed; /* a <think> or <answer> was opened and never closed: the text was cut */
    bool closed;   /* it stood in an <answer>…</answer> */
    /* what stands before the answer, without its <think> tags; points into the text */
    rr_text reasoning;
    rr_text answer; /* the part that was read; points into the text */
} rr_answer;

/* Reads the answer about a window of n <= RR_WINDOW_MAX passages; order[n] gets a permutation of
 * 1…n, always. What is read: the first <answer>…</answer>; else what follows the last </think>;
 * else everything. Numbers that repeat or are not in 1…n are dropped, missing ones appended in
 * order. Other than the reference,
 * - what stands before a </think> is thinking: an <answer> quoted there counts only where no other
 *   follows;
 * - where a <think> is never closed, its digits are reasoning and no ranking: only what stands
 *   before it, or what follows an <answer> inside it, is read;
 * - where numbers stand in brackets, "[3] > [5] (4 pages)", only those count; prose outside any
 *   <answer> that has none in brackets lists nothing; what has no brackets either way, "3 > 5 > 1",
 *   is read as it stands;
 * - digits of any script count, and full-width, superscript and circled ones.
 * Cost: O(bytes + n), no allocation. */
void rr_answer_parse(const char *text, size_t bytes, uint32_t n, uint32_t *order, rr_answer *out);

/* Whether an <answer>…</answer> stands outside the thinking: a model that wrote it is done. What
 * follows can change what is read only by a </think> that nothing opened. */
bool rr_answer_is_closed(const char *text, size_t bytes);

/* Whether the text ends inside a <think>: what it quotes there, an <answer> or more, is no answer
 * yet. */
bool rr_answer_is_thinking(const char *text, size_t bytes);

/* What to append to a text that ended without an answer so that the model goes on with the list of
 * ids: "" to go on as it stands (an <answer> is open), NULL when nothing is missing (a closed
 * answer, or a bare list of all n ids). `ended`: the model ended the text itself, so that an
 * <answer> inside its thinking is its last word. */
const char *rr_answer_finish(const char *text, size_t bytes, uint32_t n, bool ended);

/* What to append to a text without a closed answer so that the list of ids can be written behind
 * it, up to and with its first "[": a <think> that is open is closed, an answer opened where none
 * is; "" when the text ends in an answer's "[". A text of nothing gets an empty <think> too. */
const char *rr_answer_opening(const char *text, size_t bytes);

#endif
