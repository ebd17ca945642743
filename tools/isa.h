/* What the files of `rearank isa` share. isa.c owns options, compiling and columns; isa_keys.c owns
 * which models' kernels are looked at. */
#ifndef RR_TOOLS_ISA_H
#define RR_TOOLS_ISA_H

#include "runtime/compute/kern.h"

/* One specialization. */
typedef struct rr_isa_use {
    rr_op op;
    rr_kern_key key;
    bool by_default; /* by the graph that is chosen for the device */
} rr_isa_use;

typedef struct rr_isa_uses { /* zero-initialise; items are the owner's to free() */
    rr_isa_use *items;
    size_t n, capacity;
} rr_isa_uses;

/* Adds, each once, what the passes of models in the shapes of 0.5B (heads of 64) and 7B (heads of
 * 128) use in the usual weight formats on the device, and what trains them; nothing is read or
 * fetched, the models are made up. Errors: RR_E_MEMORY. */
rr_status rr_isa_list_uses(rr_vk_device *device, rr_isa_uses *out, rr_diag *diag);

#endif
