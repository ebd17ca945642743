/* Which of two ways of doing the same work is taken: one that is faster while the machine is quiet
 * and far slower when others use it, and one that is never bad. Pure: the caller times what was
 * done. The risky way is left after two runs in a row that took longer than the other way does, and
 * tried again after 8 runs, then 16, … at most 128, so that a busy machine loses little to
 * trying. */
#ifndef RR_ENGINE_TWO_WAYS_H
#define RR_ENGINE_TWO_WAYS_H

#include <stdbool.h>
#include <stdint.h>

/* zeroed = nothing known: the risky way, once the safe way has been timed */
typedef struct rr_two_ways {
    double safe_ns;   /* how long the safe way takes, lately; 0 = not timed yet */
    uint32_t n_timed; /* runs of the safe way while that was being found out */
    uint32_t n_slow;  /* runs of the risky way in a row that took longer */
    uint32_t n_left;  /* runs of the safe way until the risky one is tried again */
    uint32_t hold;    /* how many were or will be held off */
    bool trying;      /* the next run of the risky way decides alone */
} rr_two_ways;

/* True: take the risky way this time. */
bool rr_two_ways_risk(const rr_two_ways *ways);
/* What the run took that was done as rr_two_ways_risk said. */
void rr_two_ways_took(rr_two_ways *ways, double ns);

#endif
