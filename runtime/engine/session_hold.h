/* Sessions with and without a reservation of KV pages (rr_session_hold). A session without one keeps
 * its pages until others need them; of several, the one whose reservation ended first loses its
 * last pages first. A session with one always finds a page: such sessions list no more pages than
 * they reserved (a page that two of them list counts twice), and pages that only other sessions
 * list can be taken from these. Shared by the files of this folder only. */
#ifndef RR_ENGINE_SESSION_HOLD_H
#define RR_ENGINE_SESSION_HOLD_H

#include "runtime/engine/internal.h"

/* Takes the last page from a session without a reservation. False when none of them has pages. The
 * caller holds the lock. `engine`, an rr_engine, is the user of rr_pages_params.evict. */
bool rr_session_evict_one(void *engine);
/* Ends a session's reservation, if it has one. The caller holds the lock. */
void rr_session_end_hold(rr_session *session);

#endif
