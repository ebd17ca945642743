#include "rerank/executor.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/executor_state.h"
#include "runtime/base/thread.h"

static bool is_stopped(const rr_run_state *executor) {
    return executor->params->stop != NULL && atomic_load(executor->params->stop);
}

/* Endings */

static void tell_to_stop(rr_worker_state *worker) {
    if (!worker->told) {
        worker->told = true;
        atomic_store(&worker->unwanted, true);
        if (worker->means->cancel != NULL) {
            worker->means->cancel(worker->means->responder.user);
        }
    }
}

void rr_executor_give_up(
    rr_run_state *executor, size_t limit, rr_status status, const rr_diag *diag) {
    if (limit >= executor->limit && executor->status != RR_OK) {
        return;
    }
    executor->limit = limit;
    executor->status = status;
    executor->diag = *diag;
    for (size_t i = 0; i < executor->n_workers; i++) {
        rr_worker_state *worker = &executor->workers[i];
        if (worker->now.kind != RR_TASK_NONE &&
            (size_t)(worker->now.at.job - executor->jobs) >= limit) {
            tell_to_stop(worker);
        }
    }
}

static void fail_job(
    rr_run_state *executor, const rr_job *job, rr_status status, const rr_diag *diag) {
    rr_executor_give_up(executor, (size_t)(job - executor->jobs), status, diag);
}

static bool is_given_up(const rr_run_state *executor, const rr_job *job) {
    return (size_t)(job - executor->jobs) >= executor->limit;
}

/* Whether there is, or may come, anything to do. */
static bool is_over(rr_run_state *executor) {
    size_t end = executor->params->n_queries < executor->limit ? executor->params->n_queries
                                                               : executor->limit;
    while (executor->first_open < end &&
        executor->jobs[executor->first_open].state == RR_JOB_FINISHED) {
        executor->first_open++;
    }
    return executor->first_open >= end;
}

/* Working */

/* Brings a job and its workers up to date after anything happened to it. */
static void advance(rr_run_state *executor, rr_job *job) {
    rr_diag diag = {0};
    rr_status status = rr_job_advance(job, &executor->rank, &executor->counts, &diag);
    if (status != RR_OK) {
        fail_job(executor, job, status, &diag);
    } else if (job->state == RR_JOB_OPEN) {
        for (size_t i = rr_schedule_first(job->schedule); i < rr_schedule_end(job->schedule); i++) {
            const rr_planned *planned = rr_schedule_at(job->schedule, i);
            if (planned->stale && planned->state == RR_WINDOW_RUNNING) {
                tell_to_stop(&executor->workers[rr_job_call_at(job, i)->worker]);
            }
        }
    }
    rr_cond_broadcast(&executor->changed);
}

/* Hears the answer while it is written. */
static bool on_text(void *listener, const char *text, size_t bytes) {
    rr_worker_state *worker = listener;
    rr_run_state *executor = worker->executor;
    rr_handover *handover = &worker->handover;
    if (handover->n_wanted > 0 && rr_handover_read(handover, text, bytes)) {
        rr_mutex_lock(&executor->lock);
        rr_place at = worker->now.at;
        if (!is_given_up(executor, at.job) && !rr_schedule_at(at.job->schedule, at.index)->stale) {
            rr_schedule_hint(at.job->schedule, at.index, handover->ids, handover->n_ids);
            advance(executor, at.job);
        }
        rr_mutex_unlock(&executor->lock);
    }
    return !atomic_load(&worker->unwanted);
}

/* The call that a task means, over the worker's own copy of the passages. A query's time begins
 * with the first. */
static rr_call call_of(rr_worker_state *worker, rr_task what) {
    rr_job *job = what.at.job;
    const uint64_t after_ns = worker->executor->rank.deadline_after_ns, now_ns = rr_time_ns();
    if (job->deadline_ns == 0 && after_ns != 0) {
        job->deadline_ns = after_ns < UINT64_MAX - now_ns ? now_ns + after_ns : UINT64_MAX;
    }
    const rr_planned *planned = rr_schedule_at(job->schedule, what.at.index);
    memcpy(worker->order, planned->passages, planned->n * sizeof *worker->order);
    return (rr_call){
        .query = job->query,
        .index = what.at.index,
        .n_calls = rr_schedule_n_windows(job->schedule),
        .window = planned->window,
        .order = worker->order,
        .n = planned->n,
        .reasons = worker->executor->rank.then_reason &&
            what.at.index + 1 == rr_schedule_n_windows(job->schedule),
        .deadline_ns = job->deadline_ns,
    };
}

static void begin_call(rr_worker_state *worker, rr_task what) {
    rr_run_state *executor = worker->executor;
    rr_job *job = what.at.job;
    const rr_planned *planned = rr_schedule_at(job->schedule, what.at.index);
    rr_job_call *call = rr_job_call_at(job, what.at.index);
    bool may_hand_over = executor->n_workers > 1 && !executor->params->no_work_ahead;
    rr_handover_init(&worker->handover, planned->n, may_hand_over ? planned->n_handed_over : 0,
        executor->rank.style == RR_PROMPT_RANKGPT, worker->ids);
    call->worker = (size_t)(worker - executor->workers);
    call->is_early = !planned->settled;
    executor->counts.n_early += call->is_early;
    rr_schedule_begin(job->schedule, what.at.index);
    job->n_running++;
    if (worker->held.job != NULL && !rr_place_is_same(worker->held, what.at)) {
        rr_cond_broadcast(&executor->changed); /* what it had prepared is anybody's now */
    }
    worker->held = (rr_place){NULL, 0};
}

/* What came of a call. */
typedef struct call_end {
    const rr_call *call;
    rr_status status;
    const rr_reply *reply;
    uint64_t time_ns;
    bool may_be_cancelled; /* by us */
    const rr_diag *diag;
} call_end;

/* Takes it in. */
static void end_call(rr_worker_state *worker, rr_task what, const call_end *end) {
    rr_run_state *executor = worker->executor;
    rr_job *job = what.at.job;
    rr_job_call *kept = rr_job_call_at(job, what.at.index);
    const rr_planned *planned = rr_schedule_at(job->schedule, what.at.index);
    const rr_reply *reply = end->reply;
    rr_status status = end->status;
    rr_diag read_diag = {0};
    job->n_running--;
    if (is_given_up(executor, job)) {
        return;
    }
    rr_window_result result = {.prompt_tokens = reply->prompt_tokens,
        .reused_tokens = reply->reused_tokens,
        .shared_tokens = reply->shared_tokens,
        .generated_tokens = reply->generated_tokens,
        .prompt_ns = reply->prompt_ns,
        .generate_ns = reply->generate_ns,
        .time_ns = end->time_ns};
    const bool late = status == RR_E_DEADLINE && job->deadline_ns != 0;
    job->late = job->late || late;
    if (status == RR_OK && !planned->stale) {
        status = rr_window_read(&job->ranking.arena, end->call, reply, &kept->result, &read_diag);
        kept->result.time_ns = end->time_ns;
        if (status != RR_OK) {
            fail_job(executor, job, status, &read_diag);
            return;
        }
        rr_schedule_done(job->schedule, what.at.index, kept->result.permutation);
    } else if (planned->stale ||
        (status == RR_E_CANCELLED && end->may_be_cancelled && !is_stopped(executor))) {
        rr_job_lose(&executor->counts, &result);
        rr_schedule_forget(job->schedule, what.at.index);
    } else if (status == RR_E_CANCELLED) {
        rr_executor_give_up(executor, 0, status, end->diag);
        return;
    } else if (!planned->settled) {
        rr_job_lose(&executor->counts, &result);
        kept->wait_till_settled = true;
        rr_schedule_forget(job->schedule, what.at.index);
    } else if (late) {
        status = rr_job_leave(job, what.at.index, &result, &read_diag);
        if (status != RR_OK) {
            fail_job(executor, job, status, &read_diag);
            return;
        }
    } else {
        rr_job_note_failure(job, what.at.index, status, end->diag);
    }
    advance(executor, job);
}

/* How a call's prompt is written: where the model reasons, as it was trained. */
static rr_prompt_form form_of(const rr_run_state *executor, const rr_call *call) {
    const rr_prompt_form form = rr_rank_form(&executor->rank);
    return call->reasons ? (rr_prompt_form){.style = form.style} : form;
}

/* Asks the worker's responder, without the lock. */
static void run_call(rr_worker_state *worker, rr_task what) {
    rr_run_state *executor = worker->executor;
    rr_call call = call_of(worker, what);
    bool may_be_cancelled = worker->may_start_cancelled;
    worker->may_start_cancelled = false;
    begin_call(worker, what);
    rr_mutex_unlock(&executor->lock);
    uint64_t start_ns = rr_time_ns();
    rr_prompt prompt = {0};
    rr_reply reply = {0};
    rr_diag diag = {0};
    const rr_responder *responder = &worker->means->responder;
    if (executor->n_workers > 1) {
        call.on_text = on_text;
        call.listener = worker;
    }
    call.prompt = &prompt;
    const rr_prompt_form form = form_of(executor, &call);
    rr_status status = rr_prompt_build(&form, call.query, call.order, call.n, &prompt, &diag);
    if (status == RR_OK) {
        status = responder->respond(responder->user, &call, &reply, &diag);
    }
    rr_prompt_destroy(&prompt);
    rr_mutex_lock(&executor->lock);
    const call_end end = {
        &call, status, &reply, rr_time_ns() - start_ns, may_be_cancelled || worker->told, &diag};
    end_call(worker, what, &end);
    rr_buf_destroy(&reply.text);
    free(reply.reads);
}

static void run_prepare(rr_worker_state *worker, rr_task what) {
    rr_run_state *executor = worker->executor;
    rr_call call = call_of(worker, what);
    size_t n_known = rr_schedule_at(what.at.job->schedule, what.at.index)->n_sure;
    worker->held = what.at;
    rr_mutex_unlock(&executor->lock);
    rr_prompt prompt = {0};
    rr_diag diag = {0};
    uint64_t n_computed = 0;
    const rr_prompt_form form = form_of(executor, &call);
    rr_status status =
        rr_prompt_build_start(&form, call.query, call.order, n_known, call.n, &prompt, &diag);
    call.prompt = &prompt;
    if (status == RR_OK) {
        status = worker->means->prepare(worker->means->responder.user, &call, &n_computed, &diag);
    }
    rr_prompt_destroy(&prompt);
    rr_mutex_lock(&executor->lock);
    executor->counts.n_prepared += status == RR_OK;
    executor->counts.ahead_tokens += n_computed;
    if (is_stopped(executor)) {
        rr_executor_give_up(executor, 0, RR_E_CANCELLED, &diag);
    }
}

/* Tells of finished rankings; holds the lock but for the calls. */
static void announce(rr_run_state *executor) {
    const rr_execute_params *params = executor->params;
    for (size_t i = executor->n_delivered; i < executor->next && params->on_finished != NULL; i++) {
        rr_job *job = &executor->jobs[i];
        if (job->state != RR_JOB_FINISHED || job->told) {
            continue;
        }
        job->told = true;
        rr_diag diag = {0};
        rr_mutex_unlock(&executor->lock);
        rr_status status = params->on_finished(params->user, i, &job->ranking, &diag);
        rr_mutex_lock(&executor->lock);
        if (status != RR_OK) {
            rr_executor_give_up(executor, 0, status, &diag);
        }
    }
}

/* Hands out finished rankings in the queries' order; holds the lock but for the calls. */
static void deliver(rr_run_state *executor) {
    const rr_execute_params *params = executor->params;
    for (;;) {
        announce(executor);
        if (executor->n_delivered >= params->n_queries ||
            executor->jobs[executor->n_delivered].state != RR_JOB_FINISHED) {
            break;
        }
        if (params->on_finished != NULL && !executor->jobs[executor->n_delivered].told) {
            continue; /* it finished while another was told of */
        }
        size_t query = executor->n_delivered++;
        rr_ranking ranking = executor->jobs[query].ranking;
        executor->jobs[query].ranking = (rr_ranking){0};
        rr_diag diag = {0};
        rr_mutex_unlock(&executor->lock);
        rr_status status = params->on_ranking(params->user, query, &ranking, &diag);
        rr_ranking_destroy(&ranking);
        rr_mutex_lock(&executor->lock);
        if (status != RR_OK) {
            executor->n_delivered = params->n_queries;
            rr_executor_give_up(executor, 0, status, &diag);
        }
    }
}

/* Queries whose time is over. Their running calls know it themselves. */
static void note_late(rr_run_state *executor) {
    const uint64_t now_ns = executor->rank.deadline_after_ns != 0 ? rr_time_ns() : 0;
    for (size_t i = executor->first_open; i < executor->next && i < executor->limit && now_ns != 0;
         i++) {
        rr_job *job = &executor->jobs[i];
        if (job->state == RR_JOB_OPEN && !job->late && job->deadline_ns != 0 &&
            now_ns >= job->deadline_ns) {
            job->late = true;
            advance(executor, job);
        }
    }
}

/* One task; false when there is none at the moment. Holds the lock before and after. */
static bool work_once(rr_worker_state *worker) {
    rr_run_state *executor = worker->executor;
    if (is_stopped(executor)) {
        rr_diag diag = {.text = "cancelled"};
        rr_executor_give_up(executor, 0, RR_E_CANCELLED, &diag);
    }
    note_late(executor);
    rr_task what = is_over(executor) ? (rr_task){RR_TASK_NONE, {NULL, 0}}
                                     : rr_executor_choose(executor, worker);
    if (what.kind == RR_TASK_NONE) {
        return false;
    }
    worker->now = what;
    worker->told = false;
    atomic_store(&worker->unwanted, false);
    if (what.kind == RR_TASK_CALL) {
        run_call(worker, what);
    } else {
        run_prepare(worker, what);
    }
    worker->now.kind = RR_TASK_NONE;
    worker->may_start_cancelled = worker->may_start_cancelled || worker->told;
    rr_cond_broadcast(&executor->changed);
    return true;
}

static void work(void *user) {
    rr_worker_state *worker = user;
    rr_run_state *executor = worker->executor;
    rr_mutex_lock(&executor->lock);
    while (!is_over(executor)) {
        if (!work_once(worker)) {
            if (is_over(executor)) {
                break;
            }
            rr_cond_wait(&executor->changed, &executor->lock);
        }
    }
    rr_cond_broadcast(&executor->changed);
    rr_mutex_unlock(&executor->lock);
}

/* All on this thread. */
static void run_alone(rr_run_state *executor) {
    rr_mutex_lock(&executor->lock);
    while (work_once(&executor->workers[0])) {
        deliver(executor);
    }
    deliver(executor);
    rr_mutex_unlock(&executor->lock);
}

static void run_threads(rr_run_state *executor) {
    size_t n_started = 0;
    rr_mutex_lock(&executor->lock);
    for (size_t i = 0; i < executor->n_workers; i++) {
        rr_worker_state *worker = &executor->workers[i];
        worker->has_thread = rr_thread_start(&worker->thread, work, worker);
        n_started += worker->has_thread;
    }
    if (n_started == 0) {
        executor->n_workers = 1;
        rr_mutex_unlock(&executor->lock);
        run_alone(executor);
        return;
    }
    while (!is_over(executor)) {
        deliver(executor);
        if (!is_over(executor)) {
            rr_cond_wait(&executor->changed, &executor->lock);
        }
    }
    rr_mutex_unlock(&executor->lock);
    for (size_t i = 0; i < executor->n_workers; i++) {
        if (executor->workers[i].has_thread) {
            rr_thread_join(&executor->workers[i].thread);
        }
    }
}

/* What finished behind a query that did not. */
static void deliver_rest(rr_run_state *executor) {
    rr_mutex_lock(&executor->lock);
    for (; executor->n_delivered < executor->params->n_queries; executor->n_delivered++) {
        deliver(executor);
        if (executor->n_delivered >= executor->next) {
            break;
        }
    }
    rr_mutex_unlock(&executor->lock);
}

/* Beginning and end */

static rr_status prepare_executor(rr_run_state *executor, rr_diag *diag) {
    const rr_execute_params *params = executor->params;
    RR_TRY(rr_rank_params_check(&params->rank, &executor->rank, diag));
    executor->jobs = calloc(params->n_queries + 1, sizeof *executor->jobs);
    executor->workers = calloc(params->n_workers, sizeof *executor->workers);
    if (executor->jobs == NULL || executor->workers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu queries", params->n_queries);
    }
    for (size_t i = 0; i < params->n_workers; i++) {
        rr_worker_state *worker = &executor->workers[i];
        worker->executor = executor;
        worker->means = &params->workers[i];
        worker->order = calloc(2 * RR_WINDOW_MAX, sizeof *worker->order);
        if (worker->order == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu workers", params->n_workers);
        }
        worker->ids = worker->order + RR_WINDOW_MAX;
    }
    return RR_OK;
}

static void release(rr_run_state *executor) {
    for (size_t i = 0; executor->jobs != NULL && i < executor->next; i++) {
        rr_job_close(&executor->jobs[i], RR_JOB_GIVEN_UP);
        rr_ranking_destroy(&executor->jobs[i].ranking);
    }
    for (size_t i = 0; executor->workers != NULL && i < executor->params->n_workers; i++) {
        free(executor->workers[i].order);
    }
    free(executor->jobs);
    free(executor->workers);
}

rr_status rr_execute(const rr_execute_params *params, rr_diag *diag) {
    uint64_t start_ns = rr_time_ns();
    rr_run_state executor = {.params = params, .n_workers = params->n_workers, .limit = SIZE_MAX};
    rr_status status = RR_OK;
    RR_TRY_GOTO(prepare_executor(&executor, diag));
    if (!rr_mutex_create(&executor.lock)) {
        status = rr_fail(diag, RR_E_INTERNAL, "cannot make a lock");
        goto fail;
    }
    if (!rr_cond_create(&executor.changed)) {
        rr_mutex_destroy(&executor.lock);
        status = rr_fail(diag, RR_E_INTERNAL, "cannot make a condition");
        goto fail;
    }
    if (params->n_workers == 1) {
        run_alone(&executor);
    } else {
        run_threads(&executor);
    }
    deliver_rest(&executor);
    rr_cond_destroy(&executor.changed);
    rr_mutex_destroy(&executor.lock);
    executor.counts.time_ns = rr_time_ns() - start_ns;
    if (params->counts != NULL) {
        *params->counts = executor.counts;
    }
    if (executor.status != RR_OK) {
        rr_fail(diag, executor.status, "%s", executor.diag.text);
    }
    status = executor.status;
fail:
    release(&executor);
    return status;
}

static rr_status take_ranking(void *user, size_t query, rr_ranking *ranking, rr_diag *diag) {
    (void)query;
    (void)diag;
    *(rr_ranking *)user = *ranking;
    *ranking = (rr_ranking){0};
    return RR_OK;
}

rr_status rr_rank(const rr_query *query, const rr_rank_params *params,
    const rr_responder *responder, rr_ranking *out, rr_diag *diag) {
    *out = (rr_ranking){0};
    const rr_worker worker = {.responder = *responder};
    const rr_execute_params execute = {
        .queries = query,
        .n_queries = 1,
        .rank = *params,
        .workers = &worker,
        .n_workers = 1,
        .on_ranking = take_ranking,
        .user = out,
    };
    return rr_execute(&execute, diag);
}
