#include "runtime/compute/record.h"

#include "runtime/compute/profile.h"

void rr_record_op(rr_compute *compute, rr_op op, rr_kern_key key, const void *push) {
    rr_kern_record(compute->kern, compute->commands, op, &key, NULL, push);
}

void rr_record_barrier(rr_compute *compute) {
    rr_vk_barrier(compute->commands);
}

rr_status rr_record_submit(rr_compute *compute, rr_diag *diag) {
    rr_profile_close(compute);
    RR_TRY(rr_vk_submit(compute->commands, diag));
    RR_TRY(rr_vk_wait(compute->commands, 0, diag));
    rr_profile_collect(compute);
    return RR_OK;
}
