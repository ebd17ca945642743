/* Who may fill how much of the KV cache, where it is smaller than all sessions together could fill:
 * sessions hold room for the timelines that they are about to have (rr_session_hold), first come
 * first served, never more than there are pages. The others keep what they have until pages are
 * needed: then the one that let go of its hold first loses its last ones. Who holds room always
 * finds a page: holders list no more pages than they are promised (one that two of them list counts
 * twice), and what only others list is there for the taking. Owns: what is promised, who waits for
 * a promise. Not the pages. Shared by the files of this folder only. */
#ifndef RR_ENGINE_ADMISSION_H
#define RR_ENGINE_ADMISSION_H

#include "runtime/engine/internal.h"

/* One call that waits; on its stack. */
struct rr_hold {
    uint32_t n_pages;
    bool given;
    rr_session *session;
    rr_hold *next;
};

/* A session that holds nothing loses the last page of its list. False when none of them has pages.
 * The caller holds the lock. */
bool rr_admission_evict(rr_engine *engine);
/* Ends a session's hold. The caller holds the lock. */
void rr_admission_leave(rr_session *session);

#endif
