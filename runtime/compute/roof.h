/* The kernels of op `roof` (shaders/roof.h), for programs that measure what a device can do at
 * best. */
#ifndef RR_COMPUTE_ROOF_H
#define RR_COMPUTE_ROOF_H

#include "runtime/compute/kern.h"

/* Records n_loops loops in n_groups workgroups; `to` holds rr_roof_bytes(n_groups) bytes. `variant`
 * is a row of op roof that was prepared with a zero key. */
void rr_roof_record(rr_kern *kern, rr_vk_commands *commands, const rr_variant *variant, uint64_t to,
    uint32_t n_groups, uint32_t n_loops);
uint64_t rr_roof_bytes(uint32_t n_groups);
/* Operations of one loop in all workgroups: a product and a sum count as two. */
double rr_roof_loop_ops(const rr_variant *variant, uint32_t n_groups);

#endif
