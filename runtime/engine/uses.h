/* Which kernels a model's passes use: every op with its key, without an engine. For tools. */
#ifndef RR_ENGINE_USES_H
#define RR_ENGINE_USES_H

#include "runtime/engine/kern.h"
#include "runtime/model/model.h"

/* Calls `fn` for every op and key that the passes of `model` use on the device: by the graph that
 * is chosen for it or, with `others`, by the other graphs that can run there. One may come several
 * times. Compiles and allocates nothing on the device. Errors: those of planning the weights. */
rr_status rr_kern_uses(const rr_model *model, rr_vk_device *device, bool others, rr_kern_use_fn fn,
    void *user, rr_diag *diag);

#endif
