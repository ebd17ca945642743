/* Recording and submitting ops on an rr_compute's command list; every dispatch of every graph goes
 * through here, those of other folders' graphs too. */
#ifndef RR_COMPUTE_RECORD_H
#define RR_COMPUTE_RECORD_H

#include "runtime/compute/state.h"

/* rr_pick's variant of an op, which must have been prepared. */
void rr_record_op(rr_compute *compute, rr_op op, rr_kern_key key, const void *push);
void rr_record_barrier(rr_compute *compute);
/* Submits what was recorded since rr_vk_begin and waits for it. Errors: RR_E_DEVICE. */
rr_status rr_record_submit(rr_compute *compute, rr_diag *diag);

#endif
