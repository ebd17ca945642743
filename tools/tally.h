/* What a run's windows came to, for what is said of it at its end: late ones, and answers that only
 * repeat the order shown, or turn it round.
 * Owns: when a run is said to echo, or hardly to rank. */
#ifndef RR_TOOLS_TALLY_H
#define RR_TOOLS_TALLY_H

#include "rerank/rerank.h"

enum {
    /* ids that an answer must list to say anything about the order; 2 stay as they were half of the
     * time */
    RR_TALLY_LISTED = 3,
    RR_TALLY_ECHOES = 3, /* windows that must have been echoed before it is said */
    /* ids that an answer must list to be a long one: by chance one in 360 is as shown or turned
     * round */
    RR_TALLY_LONG = 6
};

/* Zeroed before the first ranking. */
typedef struct rr_tally {
    size_t n_queries, n_windows;
    size_t n_late_queries, n_late; /* windows */
    /* windows whose answer lists at least RR_TALLY_LISTED ids and leaves the order shown as it was;
     * what was read is no answer */
    size_t n_echoes;
    /* windows whose answer changes the order; the rest says nothing of it, or nothing at all */
    size_t n_moved;
    /* windows with a long answer; of these, those that leave the order as it was */
    size_t n_long, n_long_echoes;
    size_t n_mirrors; /* … and those that turn all of it round */
} rr_tally;

void rr_tally_add(rr_tally *tally, const rr_ranking *ranking);

/* Every answer of at least RR_TALLY_ECHOES windows repeats the order shown: the model did not
 * rank. */
bool rr_tally_echoes(const rr_tally *tally);
/* At least half of at least RR_TALLY_ECHOES long answers repeat the order shown or turn it
 * round. */
bool rr_tally_hardly_ranks(const rr_tally *tally);

/* Warns of queries that met their deadline (of `deadline_s` seconds), and of a model that echoes or
 * hardly ranks; `by_logits`: it was asked for logits. Nothing when there is neither. */
void rr_tally_tell(const rr_tally *tally, double deadline_s, bool by_logits);

#endif
