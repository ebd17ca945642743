/* Who may fill how much of the KV cache, where it is smaller than all sessions together could fill:
 * sessions hold room for the timelines that they are about to have (rr_session_hold), first come
 * first served, never more than there are pages. Owns: what is promised, who waits for a promise.
 * Not the pages (pages.h), nor whose go when they are needed (session_hold.h). Guarded by the
 * caller's lock. Shared by the files of this folder only. */
#ifndef RR_ENGINE_ADMISSION_H
#define RR_ENGINE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/thread.h"

/* One call that waits; on its stack. */
typedef struct rr_hold {
    uint32_t n_pages;
    bool given;
    rr_cond *wake; /* told when it is given */
    struct rr_hold *next;
} rr_hold;

typedef struct rr_admission {
    uint32_t n_pages;    /* there are */
    uint32_t n_promised; /* of them, to sessions with a hold */
    rr_hold *first;      /* those that wait for one, in the order of their calls */
    uint64_t n_left;     /* holds that ended */
} rr_admission;

/* The last in the queue; given at once where nobody waits before it and there is room. */
void rr_admission_join(rr_admission *admission, rr_hold *hold);
/* A hold that was not given waits no longer. */
void rr_admission_cancel(rr_admission *admission, rr_hold *hold);
/* Ends a hold of so many pages that was given. */
void rr_admission_leave(rr_admission *admission, uint32_t n_pages);

#endif
