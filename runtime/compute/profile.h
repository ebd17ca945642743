/* The profile: the device's time of every dispatch, added up by op, variant and shape. */
#ifndef RR_COMPUTE_PROFILE_H
#define RR_COMPUTE_PROFILE_H

#include "runtime/compute/compute.h"

/* Where the device's time goes: the dispatches of one variant of an op with operands of one
 * shape. */
typedef struct rr_profile_row {
    const char *op, *variant; /* as in variants.def */
    char format[16];          /* of the weights: "Q4_K", "int4/32"; "" = none */
    uint32_t n_out, cols;     /* of a matrix product, else 0 */
    uint64_t n_dispatches;
    double time_ns;
    /* that these dispatches must move and do; 0 where that is not known */
    double bytes, flops;
} rr_profile_row;

/* Turns the profile on (forgetting an earlier one) or off. While it is on, every dispatch is timed
 * by the device, which takes the overlap of neighbours away. Errors: RR_E_UNSUPPORTED (the device
 * has no timestamps), RR_E_MEMORY. Costs nothing while off. Not while a pass runs. */
rr_status rr_compute_profile(rr_compute *compute, bool on, rr_diag *diag);
/* What was found since it was turned on, in the order of first use; borrowed until it is turned
 * off. */
const rr_profile_row *rr_compute_profile_rows(const rr_compute *compute, size_t *n);

/* Around the submit of the command list and the wait for it; nothing when no profile is on. */
void rr_profile_close(rr_compute *compute);
void rr_profile_collect(rr_compute *compute);

#endif
