#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/pool_state.h"
#include "rerank/worker.h"
#include "runtime/base/log.h"

/* A loss sooner than that after one that was mended is not mended. */
static const uint64_t MINUTE_NS = UINT64_C(60000000000);

/* Opening */

/* As many sessions as workers are wanted; fewer where memory is short and there may be. */
static rr_status open_engine(rr_pool_device *device, rr_diag *diag) {
    rr_engine_params *params = &device->params;
    rr_status status = rr_engine_open(params, &device->engine, diag);
    while (status == RR_E_MEMORY && device->may_be_fewer && params->n_sessions > 1) {
        params->n_sessions--;
        status = rr_engine_open(params, &device->engine, diag);
    }
    return status;
}

/* With a session for each of the model's. */
static rr_status open_draft_model(rr_pool_device *device, rr_diag *diag) {
    if (device->draft_path == NULL) {
        return RR_OK;
    }
    rr_engine_params params = device->params;
    params.compute.model_path = device->draft_path;
    params.compute.n_adapters = 0; /* they are the model's */
    params.kv_tokens = 0;          /* its sessions reserve nothing */
    RR_TRY(rr_engine_open(&params, &device->drafting, diag));
    return rr_draft_model_check(device->drafting, device->engine, diag);
}

static rr_status open_worker(rr_pool_device *device, rr_pool_worker *worker, rr_diag *diag) {
    rr_session *session = NULL, *drafting = NULL;
    RR_TRY(rr_session_create(device->engine, &session, diag));
    atomic_store(&worker->session, session);
    if (device->drafting != NULL) {
        RR_TRY(rr_session_create(device->drafting, &drafting, diag));
        atomic_store(&worker->drafting, drafting);
    }
    worker->device = device;
    worker->model = (rr_model_responder){
        .engine = device->engine,
        .session = session,
        .drafting = drafting,
        .earlier = worker->earlier,
        .earlier_room = RR_EARLIER_TOKENS,
    };
    return rr_model_worker_make(&worker->model, &worker->inner, diag);
}

static rr_status open_all(rr_pool_device *device, rr_diag *diag) {
    RR_TRY(open_engine(device, diag));
    RR_TRY(open_draft_model(device, diag));
    if (device->workers == NULL) {
        device->workers = calloc(device->params.n_sessions, sizeof *device->workers);
        if (device->workers == NULL) {
            return rr_fail(
                diag, RR_E_MEMORY, "out of memory for %u workers", device->params.n_sessions);
        }
        device->n_workers = device->params.n_sessions;
    }
    for (size_t i = 0; i < device->n_workers; i++) {
        RR_TRY(open_worker(device, &device->workers[i], diag));
    }
    return RR_OK;
}

static void close_all(rr_pool_device *device) {
    for (size_t i = 0; i < device->n_workers; i++) {
        rr_pool_worker *worker = &device->workers[i];
        rr_session *session = atomic_exchange(&worker->session, NULL);
        rr_session *drafting = atomic_exchange(&worker->drafting, NULL);
        while (atomic_load(&device->n_cancelling) > 0) { /* one of these may be at them */
            rr_sleep_ns(1000);
        }
        rr_session_destroy(&session);
        rr_session_destroy(&drafting);
    }
    rr_engine_close(&device->drafting);
    rr_engine_close(&device->engine);
}

/* The device's UUID as text, so that no other device is opened in its place. */
static void note_uuid(rr_pool_device *device) {
    const uint8_t *uuid = rr_engine_device(device->engine)->uuid;
    for (size_t i = 0; i < 16; i++) {
        snprintf(device->uuid + 2 * i, 3, "%02x", uuid[i]);
    }
}

rr_status rr_pool_device_open(rr_pool_device *device, rr_diag *diag) {
    if (!rr_mutex_create(&device->lock)) {
        return rr_fail(diag, RR_E_INTERNAL, "cannot make a lock");
    }
    if (!rr_cond_create(&device->changed)) {
        return rr_fail(diag, RR_E_INTERNAL, "cannot make a condition");
    }
    RR_TRY(open_all(device, diag));
    device->plan = *rr_engine_plan(device->engine);
    snprintf(
        device->model_name, sizeof device->model_name, "%s", rr_engine_model(device->engine)->name);
    snprintf(device->device_name, sizeof device->device_name, "%s",
        rr_engine_device(device->engine)->name);
    note_uuid(device);
    /* from now on: the same once more, in silence; what the caller owns may be gone */
    device->may_be_fewer = false;
    device->params.compute.progress = NULL;
    if (device->params.compute.device == NULL) {
        device->params.compute.device = device->uuid;
    }
    return RR_OK;
}

void rr_pool_device_close(rr_pool_device *device) {
    close_all(device);
    free(device->workers);
    rr_cond_destroy(&device->changed);
    rr_mutex_destroy(&device->lock);
    rr_arena_destroy(&device->arena);
}

/* Losses */

/* Holds the lock. */
static rr_status check(const rr_pool_device *device, rr_diag *diag) {
    return device->state != RR_POOL_GONE ? RR_OK
                                         : rr_fail(diag, RR_E_DEVICE, "%s", device->gone.text);
}

rr_status rr_pool_device_check(rr_pool_device *device, rr_diag *diag) {
    rr_mutex_lock(&device->lock);
    const rr_status status = check(device, diag);
    rr_mutex_unlock(&device->lock);
    return status;
}

rr_status rr_pool_device_enter(rr_pool_device *device, rr_diag *diag) {
    rr_mutex_lock(&device->lock);
    while (device->state == RR_POOL_LOST) {
        rr_cond_wait(&device->changed, &device->lock);
    }
    const rr_status status = check(device, diag);
    device->n_inside += status == RR_OK;
    rr_mutex_unlock(&device->lock);
    return status;
}

bool rr_pool_device_leave(rr_pool_device *device, rr_status status, const rr_diag *diag) {
    rr_mutex_lock(&device->lock);
    const bool lost = status == RR_E_DEVICE && rr_engine_is_lost(device->engine);
    if (lost && device->state == RR_POOL_UP) {
        device->state = RR_POOL_LOST;
        device->n_losses++;
        device->loss = *diag;
    }
    device->n_inside--;
    rr_cond_broadcast(&device->changed);
    rr_mutex_unlock(&device->lock);
    return lost;
}

static void add_stats(rr_engine_stats *sum, const rr_engine_stats *more) {
    sum->n_passes += more->n_passes;
    sum->n_prompt_passes += more->n_prompt_passes;
    sum->n_decode_passes += more->n_decode_passes;
    sum->decode_rows += more->decode_rows;
    sum->prompt_tokens += more->prompt_tokens;
    sum->shared_tokens += more->shared_tokens;
    sum->drafted_tokens += more->drafted_tokens;
    sum->accepted_tokens += more->accepted_tokens;
    sum->evictions += more->evictions;
    sum->pages_used = more->pages_used; /* these are of now */
    sum->pages_shared = more->pages_shared;
}

static void tell_loss(const rr_pool_device *device) {
    char text[256 + sizeof device->device_name];
    snprintf(text, sizeof text,
        "the device %s was lost (a driver or hardware fault, or work that ran too long): it is opened "
        "again, and what was being asked is asked again",
        device->device_name);
    if (device->on_loss != NULL) {
        device->on_loss(device->on_loss_user, text);
    } else {
        rr_log(RR_LOG_WARN, "%s", text);
    }
}

/* Without the lock: nobody else is at the engines. */
static rr_status open_anew(rr_pool_device *device, rr_diag *diag) {
    const uint64_t now_ns = rr_time_ns();
    if (device->opened_ns != 0 && now_ns - device->opened_ns < MINUTE_NS) {
        return rr_fail(diag, RR_E_DEVICE,
            "the device %s was lost again, %.1f s after it was opened anew; the last it said is: %s",
            device->device_name, (double)(now_ns - device->opened_ns) * 1e-9, device->loss.text);
    }
    tell_loss(device);
    rr_engine_stats stats;
    rr_engine_stats_get(device->engine, &stats);
    add_stats(&device->past, &stats);
    close_all(device);
    const rr_status status = open_all(device, diag);
    if (status != RR_OK) {
        close_all(device);
        return rr_fail_context(diag, RR_E_DEVICE,
            "the device %s was lost and cannot be opened again", device->device_name);
    }
    device->opened_ns = rr_time_ns();
    return RR_OK;
}

rr_status rr_pool_device_recover(rr_pool_device *device, rr_diag *diag) {
    rr_mutex_lock(&device->lock);
    if (device->state == RR_POOL_LOST && !device->is_opening) {
        device->is_opening = true;
        while (device->n_inside > 0) { /* each soon meets the loss as well */
            rr_cond_wait(&device->changed, &device->lock);
        }
        rr_mutex_unlock(&device->lock);
        const rr_status status = open_anew(device, &device->gone);
        rr_mutex_lock(&device->lock);
        device->state = status == RR_OK ? RR_POOL_UP : RR_POOL_GONE;
        device->is_opening = false;
        rr_cond_broadcast(&device->changed);
    }
    while (device->state == RR_POOL_LOST) {
        rr_cond_wait(&device->changed, &device->lock);
    }
    const rr_status status = check(device, diag);
    rr_mutex_unlock(&device->lock);
    return status;
}

void rr_pool_device_stats(
    rr_pool_device *device, rr_engine_stats *stats, uint64_t *n_losses, bool *is_gone) {
    rr_mutex_lock(&device->lock);
    if (device->state == RR_POOL_LOST) { /* the engines and `past` are the opener's */
        *stats = (rr_engine_stats){0};
    } else {
        *stats = device->past;
        stats->pages_used = stats->pages_shared = 0;
    }
    if (device->state == RR_POOL_UP) {
        rr_engine_stats now;
        rr_engine_stats_get(device->engine, &now);
        add_stats(stats, &now);
    }
    *n_losses = device->n_losses;
    *is_gone = device->state == RR_POOL_GONE;
    rr_mutex_unlock(&device->lock);
}
