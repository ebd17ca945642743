/* Admission control of a KV cache that is smaller than all sessions together could fill: sessions
 * reserve pages before they are used (rr_session_hold), first come first served, never more than
 * there are. Owns: the reservations and their queue. Does not own the pages (pages.h), nor which
 * pages are evicted (session_hold.h). Guarded by the caller's lock. Shared by the files of this
 * folder only. */
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

/* Joins the queue at its end. Granted at once where the queue is empty and there are pages. */
void rr_admission_join(rr_admission *admission, rr_hold *hold);
/* Takes a hold that was not granted out of the queue. */
void rr_admission_cancel(rr_admission *admission, rr_hold *hold);
/* Ends a granted hold of so many pages. */
void rr_admission_leave(rr_admission *admission, uint32_t n_pages);

#endif
