/* Adapters as the ops of the lanes graph find them: a table of what each adds and takes
 * (shaders/lanes_lora.h). */
#ifndef RR_COMPUTE_LORA_LANES_H
#define RR_COMPUTE_LORA_LANES_H

#include "runtime/compute/state.h"

typedef enum rr_lora_op {
    RR_LORA_OP_EMBED, /* of layer 0 alone */
    RR_LORA_OP_QKV,
    RR_LORA_OP_ATTENTION,
    RR_LORA_OP_O,
    RR_LORA_OP_GATE_UP,
    RR_LORA_OP_DOWN,
    RR_LORA_OPS
} rr_lora_op;

/* Makes the table, once the adapters are loaded; nothing without adapters. Errors: RR_E_MEMORY,
 * RR_E_DEVICE. */
rr_status rr_lora_table_create(rr_compute *compute, rr_diag *diag);
/* The address of an op's entry; 0 without adapters. */
uint64_t rr_lora_entry(const rr_compute *compute, uint32_t layer, rr_lora_op op);

#endif
