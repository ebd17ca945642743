/* Sessions with and without room in the KV cache. One that holds none keeps what it has until pages
 * are needed: then the one that let go of its hold first loses its last ones. Who holds room always
 * finds a page: holders list no more pages than they are promised (one that two of them list counts
 * twice), and what only others list is there for the taking. Shared by the files of this folder
 * only. */
#ifndef RR_ENGINE_SESSION_HOLD_H
#define RR_ENGINE_SESSION_HOLD_H

#include "runtime/engine/internal.h"

/* A session that holds nothing loses the last page of its list. False when none of them has pages.
 * The caller holds the lock. `engine`, an rr_engine, is the user of rr_pages_params.evict. */
bool rr_session_evict_one(void *engine);
/* Ends a session's hold. The caller holds the lock. */
void rr_session_end_hold(rr_session *session);

#endif
