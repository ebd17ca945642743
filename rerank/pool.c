#include "rerank/pool.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/pool_state.h"
#include "rerank/responder.h"

struct rr_pool {
    rr_pool_device device;
    rr_worker *workers; /* [device.n_workers] */
    rr_executor *executor;
};

struct rr_ticket {
    rr_pool_query asked;
    rr_job *job;
};

/* Opening */

static rr_status copy_text(rr_arena *arena, const char **text, rr_diag *diag) {
    if (*text != NULL) {
        *text = rr_arena_copy(arena, *text, strlen(*text));
        return *text != NULL ? RR_OK : rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    return RR_OK;
}

static rr_status copy_adapters(rr_arena *arena, rr_compute_params *params, rr_diag *diag) {
    if (params->n_adapters == 0) {
        return RR_OK;
    }
    rr_adapter_use *uses = rr_arena_alloc(arena, params->n_adapters, sizeof *uses);
    if (uses == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < params->n_adapters; i++) {
        uses[i] = params->adapters[i];
        RR_TRY(copy_text(arena, &uses[i].path, diag));
    }
    params->adapters = uses;
    return RR_OK;
}

/* Takes over what the device is opened by. */
static rr_status set_device(rr_pool_device *device, const rr_pool_params *params, rr_diag *diag) {
    const bool shares = !params->may_be_fewer && params->draft_model_path == NULL;
    rr_compute_params *compute = &device->params.compute;
    device->params = params->engine;
    device->params.n_sessions = params->n_workers == 0 ? 1 : params->n_workers;
    if (params->engine.kv_tokens == 0 && shares) {
        device->params.kv_tokens = RR_KV_FIT;
    }
    device->may_be_fewer = params->may_be_fewer;
    device->draft_path = params->draft_model_path;
    device->on_loss = params->on_loss;
    device->on_loss_user = params->user;
    RR_TRY(copy_text(&device->arena, &compute->model_path, diag));
    RR_TRY(copy_text(&device->arena, &compute->device, diag));
    RR_TRY(copy_text(&device->arena, &compute->caps, diag));
    RR_TRY(copy_text(&device->arena, &compute->graph, diag));
    RR_TRY(copy_adapters(&device->arena, compute, diag));
    return copy_text(&device->arena, &device->draft_path, diag);
}

static rr_status make_executor(rr_pool *pool, const rr_pool_params *asked, rr_diag *diag) {
    pool->workers = calloc(pool->device.n_workers, sizeof *pool->workers);
    if (pool->workers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu workers", pool->device.n_workers);
    }
    for (size_t i = 0; i < pool->device.n_workers; i++) {
        rr_pool_worker *worker = &pool->device.workers[i];
        pool->workers[i] = (rr_worker){
            .responder = {rr_pool_worker_respond, worker},
            .prepare = worker->inner.prepare != NULL ? rr_pool_worker_prepare : NULL,
            .cancel = rr_pool_worker_cancel,
        };
    }
    const rr_executor_params params = {
        .workers = pool->workers,
        .n_workers = pool->device.n_workers,
        .no_threads = asked->one_on_caller && pool->device.n_workers == 1,
        .no_work_ahead = pool->device.plan.is_short,
        .most_waiting = asked->queue,
    };
    RR_TRY(rr_executor_create(&params, &pool->executor, diag));
    return params.no_threads || rr_executor_has_threads(pool->executor)
        ? RR_OK
        : rr_fail(diag, RR_E_INTERNAL, "the system gives no thread for a worker");
}

rr_status rr_pool_open(const rr_pool_params *params, rr_pool **out, rr_diag *diag) {
    if (params->n_workers > RR_POOL_WORKERS) {
        return rr_fail(diag, RR_E_USAGE, "found %u workers, expected at most %d", params->n_workers,
            RR_POOL_WORKERS);
    }
    rr_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory");
    }
    rr_status status = RR_OK;
    RR_TRY_GOTO(set_device(&pool->device, params, diag));
    RR_TRY_GOTO(rr_pool_device_open(&pool->device, diag));
    RR_TRY_GOTO(make_executor(pool, params, diag));
    *out = pool;
    return RR_OK;
fail:
    rr_pool_close(&pool);
    return status;
}

void rr_pool_close(rr_pool **pointer) {
    rr_pool *pool = *pointer;
    if (pool == NULL) {
        return;
    }
    rr_executor_destroy(&pool->executor);
    rr_pool_device_close(&pool->device);
    free(pool->workers);
    free(pool);
    *pointer = NULL;
}

/* Queries */

static rr_status check_answer(const rr_pool *pool, const rr_pool_query *query, rr_diag *diag) {
    if (query->answer.mode == RR_ANSWER_READ && !pool->device.params.compute.readings) {
        return rr_fail(diag, RR_E_USAGE, "reading was asked for, of an engine without it");
    }
    return rr_answer_params_check(&query->answer, query->rank.style, diag);
}

static rr_status check_query(rr_pool *pool, const rr_pool_query *query, rr_diag *diag) {
    rr_rank_params rank;
    RR_TRY(rr_rank_params_check(&query->rank, &rank, diag));
    const rr_schedule_params schedule = rr_rank_schedule(&rank);
    RR_TRY(rr_schedule_check(&schedule, rr_rank_n(query->query, &rank), diag));
    RR_TRY(check_answer(pool, query, diag));
    return rr_pool_device_check(&pool->device, diag);
}

static void on_over(void *user, rr_job *job) {
    rr_ticket *ticket = user;
    (void)job;
    ticket->asked.on_over(ticket->asked.user, ticket);
}

rr_status rr_pool_submit(
    rr_pool *pool, const rr_pool_query *query, rr_ticket **out, rr_diag *diag) {
    RR_TRY(check_query(pool, query, diag));
    rr_ticket *ticket = calloc(1, sizeof *ticket);
    if (ticket == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a query");
    }
    ticket->asked = *query;
    const rr_job_params job = {
        .query = query->query,
        .rank = query->rank,
        .asker = &ticket->asked,
        .deadline_ns = query->deadline_ns,
        .submitter = query->submitter,
        .no_prepare = query->answer.mode == RR_ANSWER_READ,
        .on_over = query->on_over != NULL ? on_over : NULL,
        .user = ticket,
    };
    rr_ticket *const before = *out;
    *out = ticket; /* before it can be over */
    const rr_status status = rr_executor_add(pool->executor, &job, &ticket->job, diag);
    if (status != RR_OK) {
        *out = before;
        free(ticket);
    }
    return status;
}

rr_status rr_pool_take(rr_pool *pool, rr_ticket **pointer, rr_ranking *out, rr_diag *diag) {
    rr_ticket *ticket = *pointer;
    const rr_status status = rr_executor_take(pool->executor, &ticket->job, out, diag);
    free(ticket);
    *pointer = NULL;
    return status;
}

bool rr_pool_is_over(rr_pool *pool, const rr_ticket *ticket) {
    return rr_executor_is_over(pool->executor, ticket->job);
}

void rr_pool_cancel(rr_pool *pool, rr_ticket *ticket) {
    rr_executor_cancel(pool->executor, ticket->job);
}

rr_status rr_pool_rank(rr_pool *pool, const rr_pool_query *query, rr_ranking *out, rr_diag *diag) {
    rr_pool_query asked = *query;
    rr_ticket *ticket = NULL;
    asked.on_over = NULL;
    *out = (rr_ranking){0};
    RR_TRY(rr_pool_submit(pool, &asked, &ticket, diag));
    while (!rr_executor_has_threads(pool->executor) && !rr_pool_is_over(pool, ticket)) {
        rr_executor_work(pool->executor);
    }
    return rr_pool_take(pool, &ticket, out, diag);
}

rr_status rr_pool_execute(
    rr_pool *pool, const rr_execute_params *list, const rr_pool_query *how, rr_diag *diag) {
    rr_pool_query asked = *how;
    asked.rank = list->rank;
    RR_TRY(check_answer(pool, &asked, diag));
    const rr_job_params like = {
        .asker = &asked,
        .submitter = how->submitter,
        .no_prepare = how->answer.mode == RR_ANSWER_READ,
    };
    rr_execute_params params = *list;
    params.executor = pool->executor;
    params.like = &like;
    return rr_execute(&params, diag);
}

void rr_pool_stop(rr_pool *pool) {
    rr_executor_stop(pool->executor);
}

void rr_pool_resume(rr_pool *pool) {
    rr_executor_resume(pool->executor);
}

bool rr_pool_drain(rr_pool *pool, uint64_t time_ns) {
    return rr_executor_drain(pool->executor, time_ns);
}

/* What it is */

const char *rr_pool_model_name(const rr_pool *pool) {
    return pool->device.model_name;
}

const char *rr_pool_device_name(const rr_pool *pool) {
    return pool->device.device_name;
}

const rr_memory_plan *rr_pool_plan(const rr_pool *pool) {
    return &pool->device.plan;
}

size_t rr_pool_n_workers(const rr_pool *pool) {
    return pool->device.n_workers;
}

void rr_pool_stats_get(rr_pool *pool, rr_pool_stats *out) {
    rr_executor_stats_get(pool->executor, &out->queries);
    rr_pool_device_stats(&pool->device, &out->engine, &out->n_losses, &out->is_lost);
}
