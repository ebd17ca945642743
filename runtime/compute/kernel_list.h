/* Which kernels a model's passes use: every op with its key, without a device. For tools. */
#ifndef RR_COMPUTE_KERNEL_LIST_H
#define RR_COMPUTE_KERNEL_LIST_H

#include "runtime/compute/op.h"
#include "runtime/model/model.h"

/* Calls `use` for every op and key that the passes of `model` use on a device: by the graph that is
 * chosen for it or, with `others`, by the other graphs that can run there. One may come several
 * times. Pure, but for `use`. Errors: those of planning the weights, and of `use`. */
rr_status rr_kernel_list(const rr_model *model, const rr_device_info *info, bool others,
    const rr_kern_use *use, rr_diag *diag);

#endif
