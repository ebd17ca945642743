/* Opening and closing: the device, the buffers, the kernels. */
#include <stdlib.h>

#include "runtime/compute/fused_layer.h"
#include "runtime/compute/graph.h"
#include "runtime/compute/reader.h"
#include "runtime/compute/selftest.h"
#include "runtime/model/adapted.h"
#include "runtime/model/rope.h"
#include "shaders/attention.h"

static const char *caps_mask(const rr_compute_params *params) {
    return params->caps != NULL ? params->caps : getenv("REARANK_CAPS");
}

/* Picks and opens the device with the effective capabilities. */
static rr_status open_device(rr_compute *compute, const rr_compute_params *params, rr_diag *diag) {
    rr_vk_instance_params instance = {.validation = params->validation};
    RR_TRY(rr_vk_instance_create(&instance, &compute->instance, diag));
    size_t n = rr_vk_n_devices(compute->instance);
    rr_device_info *infos = malloc((n > 0 ? n : 1) * sizeof *infos);
    if (infos == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the list of devices");
    }
    for (size_t i = 0; i < n; i++) {
        infos[i] = *rr_vk_device_info_at(compute->instance, i);
    }
    size_t index = 0;
    rr_vk_device_params open = {0};
    rr_status status = rr_vk_pick(infos, n, params->device, &index, diag);
    if (status == RR_OK && params->lift) {
        status = rr_caps_lift(&infos[index], caps_mask(params), diag);
        open = (rr_vk_device_params){.caps = infos[index].caps, .lifted = infos[index].lifted};
    } else if (status == RR_OK) {
        status = rr_caps_mask(infos[index].caps, caps_mask(params), &open.caps, diag);
    }
    free(infos);
    RR_TRY(status);
    open.lose = params->lose;
    open.lose_user = params->lose_user;
    if (params->exact) {
        /* matrix units take activations rounded to f16 or int8 */
        open.caps &= ~(uint32_t)(RR_CAP_COOP | RR_CAP_COOP_INT8);
    }
    RR_TRY(rr_vk_device_open_with(compute->instance, index, &open, &compute->device, diag));
    uint32_t drop = 0;
    /* a driver that executes nothing fails every test */
    if (!params->no_weights && open.lifted == 0) {
        RR_TRY(rr_selftest(compute->device, &(rr_selftest_limits){0}, &drop, diag));
    }
    if (drop == 0) {
        return RR_OK;
    }
    rr_vk_device_close(&compute->device);
    open.caps &= ~drop;
    return rr_vk_device_open_with(compute->instance, index, &open, &compute->device, diag);
}

static rr_status upload_rope_table(rr_compute *compute, rr_diag *diag) {
    const rr_model_config *c = &compute->model->config;
    size_t n = (size_t)compute->limits.n_context * c->head_size;
    float *table = malloc(n * sizeof *table);
    if (table == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the RoPE table");
    }
    rr_rope_table(c, compute->limits.n_context, table);
    rr_status status = rr_vk_upload(
        compute->device, &compute->activations, compute->at.table, table, n * sizeof *table, diag);
    free(table);
    return status;
}

/* Kernels that count workgroups leave their counters at 0, and find them so. */
rr_status rr_compute_clear_counters(rr_compute *compute, rr_diag *diag) {
    bool lanes = compute->graph_kind == RR_GRAPH_LANES;
    uint64_t offset = lanes ? compute->at.tickets : compute->at.split;
    uint64_t bytes = (lanes ? rr_pass_rows(&compute->limits)
                            : RR_ATTENTION_COUNTERS((uint64_t)compute->model->config.n_kv_heads)) *
        4;
    void *zeros = calloc(1, (size_t)bytes);
    if (zeros == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for counters");
    }
    rr_status status =
        rr_vk_upload(compute->device, &compute->activations, offset, zeros, bytes, diag);
    free(zeros);
    return status;
}

static rr_status allocate(rr_compute *compute, rr_diag *diag) {
    const rr_compute_limits *limits = &compute->limits;
    const rr_model_config *config = &compute->model->config;
    compute->at = rr_activations_plan(compute->model, compute->graph_kind, limits);
    RR_TRY(rr_vk_buffer_create(compute->device, RR_VK_MEMORY_DEVICE, compute->at.bytes,
        "activations", &compute->activations, diag));
    RR_TRY(rr_vk_buffer_create(compute->device, RR_VK_MEMORY_UPLOAD,
        rr_pass_rows(limits) * sizeof(rr_row), "rows", &compute->rows, diag));
    RR_TRY(rr_vk_buffer_create(compute->device, RR_VK_MEMORY_READBACK,
        (uint64_t)limits->logits_rows * (config->n_vocab + 1) * 4, "readback", &compute->readback,
        diag));
    RR_TRY(rr_reader_create(compute, diag));
    RR_TRY(upload_rope_table(compute, diag));
    RR_TRY(rr_compute_clear_counters(compute, diag));
    return rr_vk_commands_create(compute->device, &compute->commands, diag);
}

static rr_status prepare(void *user, rr_op op, const rr_kern_key *key, rr_diag *diag) {
    return rr_kern_prepare(user, op, key, NULL, diag);
}

rr_status rr_compute_open_model(const rr_compute_params *params, rr_model **out, rr_diag *diag) {
    rr_qtype type = RR_Q_F32;
    if (params->quantize != NULL && !rr_qtype_named(params->quantize, &type)) {
        return rr_fail(diag, RR_E_USAGE,
            "found the type \"%s\" to quantize to, expected one such as q4_0 or q8_0",
            params->quantize);
    }
    rr_model *model = NULL;
    RR_TRY(rr_model_open(params->model_path, &model, diag));
    if (params->quantize != NULL) {
        rr_model_quantize(model, type);
    }
    const rr_status status = rr_model_adapt(model, params->adapters, params->n_adapters, diag);
    if (status != RR_OK) {
        rr_model_close(&model);
        return status;
    }
    *out = model;
    return RR_OK;
}

rr_status rr_compute_open(const rr_compute_params *params, rr_compute **out, rr_diag *diag) {
    rr_compute *compute = calloc(1, sizeof *compute);
    if (compute == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory to open a model");
    }
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_compute_open_model(params, &compute->model, diag));
    RR_TRY_GOTO(open_device(compute, params, diag));
    const rr_device_info *info = rr_vk_info(compute->device);
    compute->limits = rr_compute_limits_of(compute->model, info, params);
    compute->graph_kind = rr_graph_choose(compute->model, info, params);
    *out = compute;
    return RR_OK;
fail:
    rr_compute_close(&compute);
    return status;
}

rr_status rr_compute_load(rr_compute *compute, const rr_compute_params *params, rr_diag *diag) {
    RR_TRY(allocate(compute, diag));
    RR_TRY(rr_weights_load(
        compute->model, compute->graph_kind, compute->device, params, &compute->weights, diag));
    RR_TRY(rr_lora_load(compute->model, compute->graph_kind, compute->device, params->no_weights,
        &compute->lora, diag));
    RR_TRY(rr_kern_create(compute->device, &compute->kern, diag));
    compute->graph = rr_graph_of(compute->graph_kind);
    const rr_kern_use use = {.fn = prepare, .user = compute->kern};
    RR_TRY(rr_graph_list_kernels(compute->graph_kind, compute->model, &compute->weights,
        compute->limits.readings, &use, diag));
    RR_TRY(compute->graph->start != NULL ? compute->graph->start(compute, diag) : RR_OK);
    rr_vk_pipeline_cache_save(compute->device);
    return RR_OK;
}

void rr_compute_close(rr_compute **pointer) {
    rr_compute *compute = *pointer;
    if (compute == NULL) {
        return;
    }
    if (compute->device != NULL) {
        rr_vk_commands_destroy(compute->device, &compute->commands);
        rr_kern_destroy(&compute->kern);
        rr_fused_layer_destroy(compute);
        rr_weights_destroy(compute->device, &compute->weights);
        rr_lora_destroy(compute->device, &compute->lora);
        rr_vk_buffer_destroy(compute->device, &compute->activations);
        rr_vk_buffer_destroy(compute->device, &compute->rows);
        rr_vk_buffer_destroy(compute->device, &compute->readback);
        rr_reader_destroy(compute);
        rr_vk_device_close(&compute->device);
    }
    free(compute->profile);
    rr_vk_instance_destroy(&compute->instance);
    rr_model_close(&compute->model);
    free(compute);
    *pointer = NULL;
}
