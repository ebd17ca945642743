/* Records what adapters add to a layer's products (lora.h), by the matmul kernels of the plain
 * graph: for graphs whose products leave floats. Both do nothing where the layer's adapters have no
 * pair for this input. */
#ifndef RR_COMPUTE_LORA_RECORD_H
#define RR_COMPUTE_LORA_RECORD_H

#include "runtime/compute/record.h"

/* Every kernel that the two below use. */
rr_status rr_lora_list_kernels(const rr_kern_use *use, rr_diag *diag);

/* h = A x of rows of a pass; x is the address of the pass's row 0, its stride in floats. The next
 * input's h takes the place of this one's, so what follows must lie behind a barrier. */
void rr_lora_record_inner(rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t layer,
    rr_lora_input input, uint64_t x, uint32_t x_stride);
/* y += B h of the rows that `inner` was recorded for, each part's y behind the one before; then a
 * barrier. */
void rr_lora_record_outer(rr_compute *compute, const rr_pass *pass, rr_range rows, uint32_t layer,
    rr_lora_input input, uint64_t y, uint32_t y_stride);

#endif
