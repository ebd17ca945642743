/* Opening and closing an engine. Owns: model, device, kernels, arenas. */
#include "runtime/engine/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/graph.h"
#include "runtime/engine/pages.h"
#include "runtime/engine/read_pass.h"
#include "runtime/engine/resident.h"
#include "runtime/engine/scheduler.h"
#include "runtime/engine/selftest.h"
#include "shaders/attention.h"

static const char *caps_mask(const rr_engine_params *params) {
    return params->caps != NULL ? params->caps : getenv("REARANK_CAPS");
}

/* Picks and opens the device with the effective capabilities. */
static rr_status open_device(rr_engine *engine, const rr_engine_params *params, rr_diag *diag) {
    rr_vk_instance_params instance = {.validation = params->validation};
    RR_TRY(rr_vk_instance_create(&instance, &engine->instance, diag));
    size_t n = rr_vk_n_devices(engine->instance);
    rr_device_info *infos = malloc((n > 0 ? n : 1) * sizeof *infos);
    if (infos == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the list of devices");
    }
    for (size_t i = 0; i < n; i++) {
        infos[i] = *rr_vk_device_info_at(engine->instance, i);
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
    if (params->exact) {
        /* matrix units take activations rounded to f16 or int8 */
        open.caps &= ~(uint32_t)(RR_CAP_COOP | RR_CAP_COOP_INT8);
    }
    RR_TRY(rr_vk_device_open_with(engine->instance, index, &open, &engine->device, diag));
    uint32_t drop = 0;
    /* a driver that executes nothing fails every test */
    if (!params->no_weights && open.lifted == 0) {
        RR_TRY(rr_selftest(engine->device, &(rr_selftest_limits){0}, &drop, diag));
    }
    if (drop == 0) {
        return RR_OK;
    }
    rr_vk_device_close(&engine->device);
    return rr_vk_device_open(engine->instance, index, open.caps & ~drop, &engine->device, diag);
}

/* cos and sin of every angle, made in double on the host: the precision of the devices' own is not
 * enough. */
static rr_status upload_rope_table(rr_engine *engine, rr_diag *diag) {
    const rr_model_config *c = &engine->model->config;
    uint32_t half = c->head_size / 2;
    size_t n = (size_t)engine->limits.n_context * half * 2;
    float *table = malloc(n * sizeof *table);
    if (table == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the RoPE table");
    }
    for (uint32_t i = 0; i < half; i++) {
        double frequency = pow((double)c->rope_theta, -2.0 * i / (double)c->head_size);
        for (uint32_t position = 0; position < engine->limits.n_context; position++) {
            float *pair = table + ((size_t)position * half + i) * 2;
            pair[0] = (float)cos((double)position * frequency);
            pair[1] = (float)sin((double)position * frequency);
        }
    }
    rr_status status = rr_vk_upload(
        engine->device, &engine->activations, engine->at.table, table, n * sizeof *table, diag);
    free(table);
    return status;
}

/* Kernels that count workgroups leave their counters at 0, and find them so. */
rr_status rr_engine_clear_counters(rr_engine *engine, rr_diag *diag) {
    bool lanes = engine->graph_kind == RR_GRAPH_LANES;
    uint64_t offset = lanes ? engine->at.tickets : engine->at.split;
    uint64_t bytes = (lanes ? rr_pass_rows(&engine->limits)
                            : RR_ATTENTION_COUNTERS((uint64_t)engine->model->config.n_kv_heads)) *
        4;
    void *zeros = calloc(1, (size_t)bytes);
    if (zeros == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for counters");
    }
    rr_status status =
        rr_vk_upload(engine->device, &engine->activations, offset, zeros, bytes, diag);
    free(zeros);
    return status;
}

static rr_status allocate(rr_engine *engine, rr_diag *diag) {
    const rr_engine_limits *limits = &engine->limits;
    engine->at = rr_activations_plan(&engine->model->config, engine->graph_kind, limits);
    engine->sessions = calloc(limits->n_sessions, sizeof *engine->sessions);
    if (engine->sessions == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the list of sessions");
    }
    const rr_pages_plan pages =
        rr_pages_plan_make(&engine->model->config, limits, rr_vk_info(engine->device));
    RR_TRY(rr_pages_create(engine, &pages, diag));
    RR_TRY(rr_vk_buffer_create(engine->device, RR_VK_MEMORY_DEVICE, engine->at.bytes, "activations",
        &engine->activations, diag));
    RR_TRY(rr_vk_buffer_create(engine->device, RR_VK_MEMORY_UPLOAD,
        rr_pass_rows(limits) * sizeof(rr_row), "rows", &engine->rows, diag));
    RR_TRY(rr_vk_buffer_create(engine->device, RR_VK_MEMORY_READBACK,
        (uint64_t)limits->logits_rows * (engine->model->config.n_vocab + 1) * 4, "readback",
        &engine->readback, diag));
    RR_TRY(rr_reader_create(engine, diag));
    RR_TRY(upload_rope_table(engine, diag));
    RR_TRY(rr_engine_clear_counters(engine, diag));
    return rr_vk_commands_create(engine->device, &engine->commands, diag);
}

rr_status rr_engine_open(const rr_engine_params *params, rr_engine **out, rr_diag *diag) {
    rr_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the engine");
    }
    rr_status status = RR_OK;
    if (!rr_mutex_create(&engine->lock)) {
        status = rr_fail(diag, RR_E_INTERNAL, "cannot make a lock");
        goto fail;
    }
    engine->lock_made = true;
    RR_TRY_GOTO(rr_scheduler_create(&engine->scheduler, diag));
    RR_TRY_GOTO(rr_model_open(params->model_path, &engine->model, diag));
    /* a model without a usable vocabulary still runs on token ids */
    (void)rr_tokenizer_create(engine->model->gguf, &engine->tokenizer, &engine->tokenizer_diag);
    RR_TRY_GOTO(open_device(engine, params, diag));
    rr_device_info info = *rr_vk_info(engine->device);
    info.budget_bytes = rr_vk_budget_left(engine->device);
    engine->limits = rr_engine_limits_of(engine->model, &info, params);
    engine->graph_kind = rr_graph_choose(engine->model, &info, params);
    RR_TRY_GOTO(rr_memory_plan_make(engine->model, &info, params, &engine->plan, diag));
    engine->limits.kv_tokens = engine->plan.kv_tokens;
    rr_log(RR_LOG_INFO,
        "memory plan: weights %llu, KV %llu, activations %llu, staging %llu: %llu of %llu bytes",
        (unsigned long long)engine->plan.weights_bytes, (unsigned long long)engine->plan.kv_bytes,
        (unsigned long long)engine->plan.activations_bytes,
        (unsigned long long)engine->plan.staging_bytes,
        (unsigned long long)engine->plan.total_bytes,
        (unsigned long long)engine->plan.budget_bytes);
    RR_TRY_GOTO(allocate(engine, diag));
    RR_TRY_GOTO(rr_weights_load(
        engine->model, engine->graph_kind, engine->device, params, &engine->weights, diag));
    RR_TRY_GOTO(rr_kern_create(engine->device, &engine->kern, diag));
    RR_TRY_GOTO(rr_graph_prepare(engine, diag));
    RR_TRY_GOTO(engine->graph->start != NULL ? engine->graph->start(engine, diag) : RR_OK);
    rr_vk_pipeline_cache_save(engine->device);
    *out = engine;
    return RR_OK;
fail:
    rr_engine_close(&engine);
    return status;
}

void rr_engine_close(rr_engine **pointer) {
    rr_engine *engine = *pointer;
    if (engine == NULL) {
        return;
    }
    if (engine->device != NULL) {
        rr_vk_commands_destroy(engine->device, &engine->commands);
        rr_kern_destroy(&engine->kern);
        rr_resident_destroy(engine);
        rr_weights_destroy(engine->device, &engine->weights);
        rr_vk_buffer_destroy(engine->device, &engine->activations);
        rr_vk_buffer_destroy(engine->device, &engine->rows);
        rr_vk_buffer_destroy(engine->device, &engine->readback);
        rr_reader_destroy(engine);
        rr_pages_destroy(engine);
        rr_vk_device_close(&engine->device);
    }
    rr_profile_destroy(&engine->profile);
    free(engine->sessions);
    rr_scheduler_destroy(&engine->scheduler);
    rr_vk_instance_destroy(&engine->instance);
    rr_tokenizer_destroy(&engine->tokenizer);
    rr_model_close(&engine->model);
    if (engine->lock_made) {
        rr_mutex_destroy(&engine->lock);
    }
    free(engine);
    *pointer = NULL;
}

const rr_model *rr_engine_model(const rr_engine *engine) {
    return engine->model;
}

rr_status rr_engine_tokenizer(const rr_engine *engine, const rr_tokenizer **out, rr_diag *diag) {
    if (engine->tokenizer == NULL) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "%s", engine->tokenizer_diag.text);
    }
    *out = engine->tokenizer;
    return RR_OK;
}

const rr_device_info *rr_engine_device(const rr_engine *engine) {
    return rr_vk_info(engine->device);
}

const rr_memory_plan *rr_engine_plan(const rr_engine *engine) {
    return &engine->plan;
}

uint64_t rr_engine_n_validation_messages(const rr_engine *engine) {
    return rr_vk_n_validation_messages(engine->instance);
}
