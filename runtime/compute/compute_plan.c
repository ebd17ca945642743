/* What passes take of the device, before anything is allocated. */
#include "runtime/compute/activations.h"
#include "runtime/compute/lora.h"
#include "runtime/compute/reader.h"
#include "runtime/compute/weights.h"

enum { STAGING_BYTES = 32 << 20 }; /* upload pieces, see runtime/vk/vk.h */

rr_compute_limits rr_compute_limits_of(
    const rr_model *model, const rr_device_info *info, const rr_compute_params *params) {
    bool software = info->type == RR_DEVICE_CPU;
    uint32_t trained = model->config.n_context;
    rr_compute_limits limits = {
        .n_context = params->n_context != 0 ? params->n_context : (trained < 8192 ? trained : 8192),
        .prompt_chunk = params->prompt_chunk != 0 ? params->prompt_chunk : (software ? 64 : 256),
        .logits_rows = params->logits_rows != 0 ? params->logits_rows : 32,
        .readings = params->readings,
    };
    if (limits.logits_rows < RR_DECODE_ROWS) {
        limits.logits_rows = RR_DECODE_ROWS; /* a decode pass samples every row */
    }
    return limits;
}

uint64_t rr_kv_bytes_per_token(const rr_model_config *config) {
    return (uint64_t)config->n_layers * 2 * config->n_kv_heads * config->head_size * 2;
}

rr_status rr_compute_plan_make(const rr_model *model, const rr_device_info *info,
    const rr_compute_params *params, rr_compute_plan *out, rr_diag *diag) {
    const rr_compute_limits limits = rr_compute_limits_of(model, info, params);
    if (limits.n_context < 16 || limits.n_context > model->config.n_context) {
        return rr_fail(diag, RR_E_USAGE, "context of %u tokens: this model takes 16 to %u",
            limits.n_context, model->config.n_context);
    }
    if (limits.prompt_chunk > 4096 || limits.logits_rows > 4096) {
        return rr_fail(diag, RR_E_USAGE,
            "prompt chunks of %u, %u rows of logits: at most 4096 of each", limits.prompt_chunk,
            limits.logits_rows);
    }
    rr_compute_plan plan = {.limits = limits};
    const rr_graph_kind graph = rr_graph_choose(model, info, params);
    RR_TRY(rr_weights_plan(model, graph, info, &plan.weights_bytes, diag));
    plan.weights_bytes += rr_lora_bytes(model, graph);
    const uint64_t activations = rr_activations_plan(model, graph, &limits).bytes;
    const rr_reader_plan reader = rr_reader_plan_make(&model->config, &limits);
    plan.activations_bytes = activations + reader.work_bytes;
    plan.largest_bytes = activations > reader.work_bytes ? activations : reader.work_bytes;
    plan.staging_bytes = STAGING_BYTES +
        (uint64_t)limits.logits_rows * (model->config.n_vocab + 1) * 4 +
        rr_pass_rows(&limits) * sizeof(rr_row) + reader.list_bytes + reader.result_bytes;
    *out = plan;
    return RR_OK;
}
