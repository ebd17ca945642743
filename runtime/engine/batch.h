/* Requests that share a pass, and the pass over them. Shared by the files of this folder only. */
#ifndef RR_ENGINE_BATCH_H
#define RR_ENGINE_BATCH_H

#include "runtime/engine/scheduler.h"

typedef struct rr_batch {
    rr_family family;
    rr_request *requests[RR_DECODE_ROWS]; /* of a prompt one */
    uint32_t n, n_rows;
    /* Of a prompt: tokens [begin, end) are copied from `from`, else computed. */
    const rr_vk_buffer *from; /* a slot: its session may be destroyed meanwhile */
    size_t begin, end;
} rr_batch;

/* Runs the pass and gives the sessions their results; timelines are the scheduler's. The caller leads and does not hold the lock:
 * the sessions' own threads wait. Errors: RR_E_DEVICE, RR_E_CANCELLED (a prompt), those of `each`. */
rr_status rr_batch_run(rr_engine *engine, const rr_batch *b, rr_diag *diag);

#endif
