/* The readers of adapters, for the files of this folder only. */
#ifndef RR_MODEL_ADAPTER_INTERNAL_H
#define RR_MODEL_ADAPTER_INTERNAL_H

#include "runtime/model/adapter.h"
#include "runtime/model/gguf.h"
#include "runtime/model/json.h"
#include "runtime/model/safetensors.h"

typedef struct rr_adapter_files {
    rr_arena arena;
    rr_json config;
    rr_safetensors *tensors; /* PEFT */
    rr_gguf *gguf;           /* or GGUF */
} rr_adapter_files;

/* One half of a pair, as a file has it; its weight's rows and cols are those of its tensor. */
typedef struct rr_adapter_half {
    uint32_t layer;
    rr_role role;
    bool is_b;
    rr_weight weight;
    const char *module;
} rr_adapter_half;

/* Joins halves into pairs, whose scales are then to be set. `halves` are sorted. Errors: RR_E_INPUT
 * for one without the other, two of a kind, ranks that differ, or none at all. */
rr_status rr_adapter_join(rr_adapter *adapter, rr_adapter_half *halves, size_t n, rr_diag *diag);

/* adapter_peft.c, adapter_gguf.c: fill pairs and base; what they open belongs to adapter->files. */
rr_status rr_adapter_read_peft(rr_adapter *adapter, rr_diag *diag);
rr_status rr_adapter_read_gguf(rr_adapter *adapter, rr_diag *diag);

/* adapter_pattern.c: whether a pattern of peft, a regular expression, names a module: it must match
 * the whole name, or its end behind a dot. Errors: RR_E_INPUT (no valid expression, or one that
 * takes too long), RR_E_MEMORY. */
rr_status rr_adapter_matches(
    const char *place, rr_text pattern, const char *module, bool *out, rr_diag *diag);

#endif
