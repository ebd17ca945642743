/* The first ids of an answer while it is being written.
 * Owns: when an id counts as written. What it tells is a forecast: rr_answer_parse of the whole
 * text decides. It hears ids in brackets only, since of numbers without them nobody knows before
 * the end whether they are ids. Pure. */
#ifndef RR_RERANK_HANDOVER_H
#define RR_RERANK_HANDOVER_H

#include "rerank/answer_text.h"
#include "rerank/windows.h"

typedef struct rr_handover {
    uint32_t *ids; /* [n_wanted] the caller's */
    uint32_t n;    /* of the window */
    uint32_t n_wanted, n_ids;
    bool bare; /* the answer needs no <answer> before it */
    bool in_think;
    bool in_answer; /* behind an <answer> outside the thinking */
    bool over;      /* nothing more is heard */
    size_t read;    /* bytes of the text that were looked at */
    rr_number_reader numbers;
    bool seen[RR_WINDOW_MAX + 1];
} rr_handover;

/* Listens for the first `n_wanted` distinct ids of an answer about `n` passages; `bare` when the
 * model was asked for nothing but the list. */
void rr_handover_init(
    rr_handover *handover, uint32_t n, uint32_t n_wanted, bool bare, uint32_t *ids);

/* The text so far: what was given before and more. True when this brought the last wanted id. A
 * number counts once something else follows it. Where a </think> shows that all before it was
 * thinking, ids that were heard are forgotten. Cost: O(new bytes). */
bool rr_handover_read(rr_handover *handover, const char *text, size_t bytes);

#endif
