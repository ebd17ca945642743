/* Passes over one model on one device. Opens both, packs the weights, compiles the kernels, runs
 * passes (pass.h). Knows nothing of sessions, of the call that wants a row, or of what its result
 * is for: that is the business of the layers above (runtime/engine; runtime/train). They say where
 * keys and values lie (struct rr_row of shaders/kv.h) and may record ops of their own over the same
 * weights, activations and kernels (state.h, record.h).
 * One thread at a time, except for what is pure. */
#ifndef RR_COMPUTE_COMPUTE_H
#define RR_COMPUTE_COMPUTE_H

#include "runtime/base/log.h"
#include "runtime/model/model.h"
#include "runtime/vk/vk.h"

typedef struct rr_compute rr_compute; /* state.h */

enum { RR_DECODE_ROWS = 32 }; /* rows of the decode family in a pass, at most */

typedef struct rr_compute_params {
    const char *model_path; /* rr_source_open */
    const char *
        quantize; /* rr_qtype_named, for matrices that the files hold as floats; NULL = as stored */
    const rr_adapter_use *adapters; /* computed beside the weights (adapted.h) */
    size_t n_adapters;
    const char *device;    /* rr_vk_pick's wish */
    const char *caps;      /* rr_caps_mask's mask; NULL = $REARANK_CAPS */
    bool lift;             /* it is one of rr_caps_lift; for tests and benches */
    uint32_t n_context;    /* positions that a row may have; 0 = min(8192, the model's) */
    uint32_t prompt_chunk; /* prompt rows a pass; 0 = 256 (64 on software devices) */
    uint32_t logits_rows;  /* rows whose logits one pass can give; 0 = 32 */
    bool readings;         /* passes will be read (reader.h): memory and kernels for it */
    bool exact;            /* keep activations in float, whatever it costs */
    const char *graph; /* "plain", "q8" or "lanes" where it can run; for tests. NULL = the best */
    bool validation;
    /* allocate the weights and leave them as they are: for walking through a driver that executes
     * nothing. Everything is planned, compiled, recorded and submitted; results mean nothing */
    bool no_weights;
    /* neither read nor leave the packed weights beside the model (packed.h) */
    bool no_packed_cache;
    uint64_t packed_min_bytes; /* fewer bytes of weights are not kept; 0 = 256 MiB */
    rr_progress_fn progress;   /* packing and compiling; may be NULL */
    void *progress_user;
    bool (*lose)(void *user); /* rr_vk_device_params.lose; for tests */
    void *lose_user;
} rr_compute_params;

/* The sizes among the parameters with every default filled in. */
typedef struct rr_compute_limits {
    uint32_t n_context, prompt_chunk, logits_rows;
    bool readings;
} rr_compute_limits;

/* Rows that a pass may have: a chunk of a prompt and decode rows. */
static inline uint64_t rr_pass_rows(const rr_compute_limits *limits) {
    return (uint64_t)limits->prompt_chunk + RR_DECODE_ROWS;
}

/* Pure. */
rr_compute_limits rr_compute_limits_of(
    const rr_model *model, const rr_device_info *info, const rr_compute_params *params);

/* What passes take of the device, keys and values aside. */
typedef struct rr_compute_plan {
    uint64_t weights_bytes, activations_bytes, staging_bytes;
    uint64_t largest_bytes; /* of one allocation, weights aside */
    rr_compute_limits limits;
} rr_compute_plan;

/* Pure. Errors: RR_E_USAGE for impossible parameters, RR_E_MEMORY when one matrix exceeds what the
 * device allocates at once, those of planning the layout of the weights. */
rr_status rr_compute_plan_make(const rr_model *model, const rr_device_info *info,
    const rr_compute_params *params, rr_compute_plan *out, rr_diag *diag);

/* Bytes of keys and values of a token in all layers. Pure. */
uint64_t rr_kv_bytes_per_token(const rr_model_config *config);

/* The model alone, as passes would run it: opened, its float matrices quantized if wanted, with its
 * adapters. Errors: as rr_model_open and rr_model_adapt; RR_E_USAGE for a type that is none of
 * those. */
rr_status rr_compute_open_model(const rr_compute_params *params, rr_model **out, rr_diag *diag);
/* Opens model and device, and chooses the graph. What a load takes can then be planned with the
 * memory that is left (rr_vk_budget_left) before anything is allocated. */
rr_status rr_compute_open(const rr_compute_params *params, rr_compute **out, rr_diag *diag);
/* Allocates, brings the weights to the device and compiles the kernels; once, before the first
 * pass. `params` as for the open. Cold cost: reads the whole file once, and leaves the packed
 * weights beside it, which later starts read instead (packed.h). */
rr_status rr_compute_load(rr_compute *compute, const rr_compute_params *params, rr_diag *diag);
void rr_compute_close(rr_compute **compute);

/* Sets the counters of kernels that count workgroups to 0, as every pass must find them. */
rr_status rr_compute_clear_counters(rr_compute *compute, rr_diag *diag);

#endif
