/* Opening and closing an engine: what passes need, the KV cache, the scheduler. */
#include <stdlib.h>

#include "runtime/engine/scheduler.h"
#include "runtime/engine/session_hold.h"

/* The KV cache, and a place for every session in it. */
static rr_status allocate(rr_engine *engine, rr_diag *diag) {
    const rr_pages_size size = {.n_context = engine->compute->limits.n_context,
        .n_lists = engine->limits.n_sessions,
        .n_tokens = engine->limits.kv_tokens};
    engine->sessions = calloc(size.n_lists, sizeof *engine->sessions);
    if (engine->sessions == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the list of sessions");
    }
    const rr_pages_params params = {.plan = rr_pages_plan_make(&engine->compute->model->config,
                                        &size, rr_vk_info(engine->compute->device)),
        .compute = engine->compute,
        .lock = &engine->lock,
        .evict = rr_session_evict_one,
        .user = engine};
    RR_TRY(rr_pages_create(&params, &engine->pages, diag));
    engine->admission.n_pages = rr_pages_n(engine->pages);
    return RR_OK;
}

static rr_status make_plan(rr_engine *engine, const rr_engine_params *params, rr_diag *diag) {
    rr_compute *compute = engine->compute;
    rr_memory_plan *plan = &engine->plan;
    rr_device_info info = *rr_vk_info(compute->device);
    info.budget_bytes = rr_vk_budget_left(compute->device);
    engine->limits = rr_engine_limits_of(&compute->limits, params);
    RR_TRY(rr_memory_plan_make(compute->model, &info, params, plan, diag));
    engine->limits.kv_tokens = plan->kv_tokens;
    rr_log(RR_LOG_INFO,
        "memory plan: weights %llu, KV %llu, activations %llu, staging %llu: %llu of %llu bytes",
        (unsigned long long)plan->compute.weights_bytes, (unsigned long long)plan->kv_bytes,
        (unsigned long long)plan->compute.activations_bytes,
        (unsigned long long)plan->compute.staging_bytes, (unsigned long long)plan->total_bytes,
        (unsigned long long)plan->budget_bytes);
    return RR_OK;
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
    RR_TRY_GOTO(rr_scheduler_create(&engine->scheduler, diag));
    RR_TRY_GOTO(rr_compute_open(&params->compute, &engine->compute, diag));
    /* a model without a usable vocabulary still runs on token ids */
    (void)rr_tokenizer_create(
        engine->compute->model->source, &engine->tokenizer, &engine->tokenizer_diag);
    RR_TRY_GOTO(make_plan(engine, params, diag));
    RR_TRY_GOTO(allocate(engine, diag));
    RR_TRY_GOTO(rr_compute_load(engine->compute, &params->compute, diag));
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
    rr_pages_destroy(&engine->pages);
    rr_tokenizer_destroy(&engine->tokenizer);
    rr_compute_close(&engine->compute);
    free(engine->sessions);
    rr_scheduler_destroy(&engine->scheduler);
    rr_mutex_destroy(&engine->lock);
    free(engine);
    *pointer = NULL;
}

const rr_model *rr_engine_model(const rr_engine *engine) {
    return engine->compute->model;
}

rr_status rr_engine_tokenizer(const rr_engine *engine, const rr_tokenizer **out, rr_diag *diag) {
    if (engine->tokenizer == NULL) {
        return rr_fail(diag, RR_E_UNSUPPORTED, "%s", engine->tokenizer_diag.text);
    }
    *out = engine->tokenizer;
    return RR_OK;
}

const rr_device_info *rr_engine_device(const rr_engine *engine) {
    return rr_vk_info(engine->compute->device);
}

bool rr_engine_is_lost(const rr_engine *engine) {
    return rr_vk_is_lost(engine->compute->device);
}

const rr_memory_plan *rr_engine_plan(const rr_engine *engine) {
    return &engine->plan;
}

uint64_t rr_engine_n_validation_messages(const rr_engine *engine) {
    return rr_vk_n_validation_messages(engine->compute->instance);
}

rr_status rr_engine_profile(rr_engine *engine, bool on, rr_diag *diag) {
    return rr_compute_profile(engine->compute, on, diag);
}

const rr_profile_row *rr_engine_profile_rows(const rr_engine *engine, size_t *n) {
    return rr_compute_profile_rows(engine->compute, n);
}
