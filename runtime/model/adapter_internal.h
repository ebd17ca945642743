/* The readers and writers of adapters, for the files of this folder only. */
#ifndef RR_MODEL_ADAPTER_INTERNAL_H
#define RR_MODEL_ADAPTER_INTERNAL_H

#include "runtime/base/file_out.h"
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

/* The linear layers that an adapter may change, by the names that peft and llama.cpp have for
 * them. */
typedef struct rr_adapter_module {
    rr_role role;
    const char *hf;   /* "self_attn.q_proj" */
    const char *gguf; /* "attn_q" */
} rr_adapter_module;
enum { RR_ADAPTER_N_MODULES = 7 };
extern const rr_adapter_module rr_adapter_modules[RR_ADAPTER_N_MODULES];
/* The row of a role, which must be one of these layers'. */
const rr_adapter_module *rr_adapter_module_of(rr_role role);

/* The files of a folder of peft. */
#define RR_ADAPTER_CONFIG "adapter_config.json"
#define RR_ADAPTER_TENSORS "adapter_model.safetensors"

/* Keys of a GGUF file. */
#define RR_ADAPTER_KEY_KIND "general.type"
#define RR_ADAPTER_KEY_ARCHITECTURE "general.architecture"
#define RR_ADAPTER_KEY_TYPE "adapter.type"
#define RR_ADAPTER_KEY_ALPHA "adapter.lora.alpha"
#define RR_ADAPTER_KEY_INVOCATION "adapter.alora.invocation_tokens"
#define RR_ADAPTER_KEY_BASE "general.base_model.0.name"

/* Where files record rr_adapter.base_fingerprint, as 16 hexadecimal digits. */
#define RR_ADAPTER_KEY_FINGERPRINT "rearank.base_fingerprint"
/* Anything else than 16 such digits is no record: 0. */
uint64_t rr_adapter_fingerprint_of(rr_text text);

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

/* adapter_peft_out.c, adapter_gguf_out.c: as rr_adapter_write. */
rr_status rr_adapter_write_peft(const rr_adapter *adapter, const char *folder, rr_diag *diag);
rr_status rr_adapter_write_gguf(const rr_adapter *adapter, const char *path, rr_diag *diag);
/* adapter_out.c, for both: a matrix as F32, F16 or BF16, times a factor that is 1 unless `type` is
 * F32. `type` is the weight's own or F32. Errors: RR_E_IO, RR_E_MEMORY. */
rr_status rr_adapter_write_matrix(
    rr_file_out *file, const rr_weight *weight, rr_qtype type, double factor, rr_diag *diag);
uint64_t rr_adapter_matrix_bytes(const rr_weight *weight, rr_qtype type);

/* adapter_pattern.c: whether a pattern of peft, a regular expression, names a module: it must match
 * the whole name, or its end behind a dot. Errors: RR_E_INPUT (no valid expression, or one that
 * takes too long), RR_E_MEMORY. */
rr_status rr_adapter_matches(
    const char *place, rr_text pattern, const char *module, bool *out, rr_diag *diag);

#endif
