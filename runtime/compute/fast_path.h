/* Whether to take the fast path: of two ways to do the same work, the one that is faster while the
 * machine is quiet and far slower when other programs use it; the safe path is never bad. Pure: the
 * caller times what was done. The fast path is left after two runs in a row that took longer than
 * the safe path does, and tried again after 8 runs, then 16, … at most 128, so that a busy machine
 * loses little to trying. */
#ifndef RR_COMPUTE_FAST_PATH_H
#define RR_COMPUTE_FAST_PATH_H

#include <stdbool.h>
#include <stdint.h>

/* zeroed = nothing known: the fast path, once the safe path has been timed */
typedef struct rr_fast_path {
    double safe_ns;   /* how long the safe path takes, lately; 0 = not timed yet */
    uint32_t n_timed; /* runs of the safe path while that was being found out */
    uint32_t n_slow;  /* runs of the fast path in a row that took longer */
    uint32_t n_left;  /* runs of the safe path until the fast one is tried again */
    uint32_t hold;    /* how many were or will be held off */
    bool trying;      /* the next run of the fast path decides alone */
} rr_fast_path;

/* True: take the fast path this time. */
bool rr_fast_path_is_taken(const rr_fast_path *path);
/* What the run took that was done as rr_fast_path_is_taken said. */
void rr_fast_path_took(rr_fast_path *path, double ns);

#endif
