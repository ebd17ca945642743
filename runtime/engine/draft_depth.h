/* How many tokens to draft for a pass: what they are likely to bring against what they and their
 * rows cost. Pure. */
#ifndef RR_ENGINE_DRAFT_DEPTH_H
#define RR_ENGINE_DRAFT_DEPTH_H

#include <stdint.h>

/* How drafts fared lately. Zeroed = nothing is known. */
typedef struct rr_draft_depth {
    /* drafted tokens that were compared and that were right, older ones counting less */
    double tried, accepted;
    uint32_t n_idle; /* passes since the last that had drafts */
    double draft_ns; /* what drafting a token takes, lately */
} rr_draft_depth;

/* One pass had `n_drafted`, maybe 0, of which `n_accepted` were right. */
void rr_draft_depth_learn(rr_draft_depth *depth, uint32_t n_drafted, uint32_t n_accepted);
/* Drafting `n` tokens, at least 1, took so long. */
void rr_draft_depth_learn_cost(rr_draft_depth *depth, uint32_t n, double took_ns);
/* Chance that a drafted token is right, given that all before it are. */
double rr_draft_depth_chance(const rr_draft_depth *depth);

/* The time of a pass of `n` rows, from those of `pass_ns` [n_rows + 1] that are measured (> 0):
 * between two by a straight line, beyond the last as it went before; 0 when none is. */
double rr_draft_depth_pass_ns(const double *pass_ns, uint32_t n_rows, uint32_t n);

/* The number of drafted tokens, at most `max`, with which a pass that has `n_others` rows of other
 * sessions makes most tokens a second; pass_ns [n_rows + 1] as above. After RR_DRAFT_DEPTH_IDLE passes
 * without drafts at least 2, to see whether none is still right. */
enum { RR_DRAFT_DEPTH_IDLE = 32 };
uint32_t rr_draft_depth_choose(const rr_draft_depth *depth, const double *pass_ns, uint32_t n_rows,
    uint32_t n_others, uint32_t max);

#endif
