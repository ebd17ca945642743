#include "rerank/executor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/handover.h"
#include "rerank/job.h"
#include "runtime/base/thread.h"

/* A window of a job. */
typedef struct place {
    rr_job *job; /* NULL = none */
    size_t index;
} place;

typedef enum task_kind { TASK_NONE, TASK_CALL, TASK_PREPARE } task_kind;

typedef struct task {
    task_kind kind;
    place at;
} task;

struct run_state;

/* Everything but `unwanted` and the listener's own state is guarded by the executor's lock. */
typedef struct worker_state {
    struct run_state *executor;
    const rr_worker *means;
    pthread_t thread;
    bool has_thread;
    task now;
    place held;     /* what it prepared and has not used */
    bool told;      /* to stop what it runs */
    bool may_start_cancelled; /* it was told too late: what runs next may end at once */
    atomic_bool unwanted;
    uint32_t *order; /* [RR_WINDOW_MAX] of what it runs */
    uint32_t *ids;   /* [RR_WINDOW_MAX] handed over */
    rr_handover handover;
} worker_state;

typedef struct run_state {
    const rr_execute_params *params;
    rr_rank_params rank; /* filled in */
    worker_state *workers;
    size_t n_workers;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    rr_job *jobs;       /* [n_queries] */
    size_t first_open;  /* all before are finished or given up */
    size_t next;        /* to be opened */
    size_t limit;       /* jobs from here on are given up */
    size_t n_delivered; /* jobs looked at for on_ranking */
    rr_status status;   /* why, and for the earliest job that says so */
    rr_diag diag;
    rr_rank_counts counts;
} run_state;

static bool is_stopped(const run_state *executor) {
    return executor->params->stop != NULL && atomic_load(executor->params->stop);
}

/* Endings ---------------------------------------------------------------------------------------------------------- */

static void tell_to_stop(worker_state *worker) {
    if (!worker->told) {
        worker->told = true;
        atomic_store(&worker->unwanted, true);
        if (worker->means->cancel != NULL) {
            worker->means->cancel(worker->means->responder.user);
        }
    }
}

/* Gives up jobs from number `limit` on, for the reason given. */
static void give_up_from(run_state *executor, size_t limit, rr_status status, const rr_diag *diag) {
    if (limit >= executor->limit && executor->status != RR_OK) {
        return;
    }
    executor->limit = limit;
    executor->status = status;
    executor->diag = *diag;
    for (size_t i = 0; i < executor->n_workers; i++) {
        worker_state *worker = &executor->workers[i];
        if (worker->now.kind != TASK_NONE && (size_t)(worker->now.at.job - executor->jobs) >= limit) {
            tell_to_stop(worker);
        }
    }
}

static void fail_job(run_state *executor, const rr_job *job, rr_status status, const rr_diag *diag) {
    give_up_from(executor, (size_t)(job - executor->jobs), status, diag);
}

static bool is_given_up(const run_state *executor, const rr_job *job) {
    return (size_t)(job - executor->jobs) >= executor->limit;
}

/* Whether there is, or may come, anything to do. */
static bool is_over(run_state *executor) {
    size_t end = executor->params->n_queries < executor->limit ? executor->params->n_queries : executor->limit;
    while (executor->first_open < end && executor->jobs[executor->first_open].state == RR_JOB_FINISHED) {
        executor->first_open++;
    }
    return executor->first_open >= end;
}

/* Choosing --------------------------------------------------------------------------------------------------------- */

static bool is_same(place a, place b) {
    return a.job == b.job && a.index == b.index;
}

static bool is_in_view(place at) {
    return at.index >= rr_schedule_first(at.job->schedule) && at.index < rr_schedule_end(at.job->schedule);
}

/* Another worker is at this prompt, or has it ready, and will see that the window can be ranked. */
static bool is_reserved(const run_state *executor, const worker_state *self, place at) {
    for (size_t i = 0; i < executor->n_workers; i++) {
        const worker_state *other = &executor->workers[i];
        bool is_free = other->now.kind == TASK_NONE || other->now.kind == TASK_PREPARE;
        if (other != self && is_free && is_same(other->held, at)) {
            return true;
        }
    }
    return false;
}

static bool can_begin(rr_job *job, size_t index, bool settled) {
    const rr_planned *planned = rr_schedule_at(job->schedule, index);
    return planned->state == RR_WINDOW_WAITING && index < job->failed_at && planned->n_known == planned->n && planned->settled == settled &&
           (settled || !rr_job_call_at(job, index)->wait_till_settled);
}

/* The window of the job that may begin and comes first in the plain order; what this worker prepared comes before. */
static bool find_call(const run_state *executor, const worker_state *self, rr_job *job, bool settled, size_t *index) {
    if (self->held.job == job && is_in_view(self->held) && can_begin(job, self->held.index, settled)) {
        *index = self->held.index;
        return true;
    }
    for (size_t i = rr_schedule_first(job->schedule); i < rr_schedule_end(job->schedule); i++) {
        if (can_begin(job, i, settled) && !is_reserved(executor, self, (place){job, i})) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* Among the open jobs with a window for this worker the one that has the fewest running, the earliest of those. */
static task find_task(run_state *executor, const worker_state *self, bool settled) {
    task best = {TASK_NONE, {NULL, 0}};
    for (size_t i = executor->first_open; i < executor->next && i < executor->limit; i++) {
        rr_job *job = &executor->jobs[i];
        size_t index;
        if (job->state == RR_JOB_OPEN && (best.at.job == NULL || job->n_running < best.at.job->n_running) &&
            find_call(executor, self, job, settled, &index)) {
            best = (task){TASK_CALL, {job, index}};
        }
    }
    return best;
}

/* Whether a window `ahead` of the job's first one has a prompt that can be computed in part. */
static bool is_preparable(const run_state *executor, const worker_state *self, rr_job *job, size_t ahead) {
    if (job->state != RR_JOB_OPEN || ahead >= rr_schedule_end(job->schedule) - rr_schedule_first(job->schedule)) {
        return false;
    }
    place at = {job, rr_schedule_first(job->schedule) + ahead};
    const rr_planned *planned = rr_schedule_at(job->schedule, at.index);
    return planned->state == RR_WINDOW_WAITING && planned->n_sure > 0 && planned->n_known < planned->n &&
           !is_reserved(executor, self, at);
}

/* The next window whose prompt can be computed in part: the nearest, of those one of the query that this worker knows. No
 * further ahead than there are workers. */
static task find_prompt(const run_state *executor, const worker_state *self) {
    task found = {TASK_NONE, {NULL, 0}};
    if (self->held.job != NULL && self->held.job->state == RR_JOB_OPEN && is_in_view(self->held) &&
        rr_schedule_at(self->held.job->schedule, self->held.index)->state == RR_WINDOW_WAITING) {
        return found;
    }
    for (size_t ahead = 0; ahead < executor->n_workers && found.kind == TASK_NONE; ahead++) {
        for (size_t k = executor->first_open; k < executor->next && k < executor->limit; k++) {
            rr_job *job = &executor->jobs[k];
            bool is_nearer = found.kind == TASK_NONE || job == self->now.at.job;
            if (is_nearer && is_preparable(executor, self, job, ahead)) {
                found = (task){TASK_PREPARE, {job, rr_schedule_first(job->schedule) + ahead}};
            }
        }
    }
    return found;
}

/* Real work of the queries at hand, then of another query, then work ahead. */
static task choose(run_state *executor, const worker_state *self) {
    task found = find_task(executor, self, true);
    while (found.kind == TASK_NONE && executor->next < executor->params->n_queries && executor->next < executor->limit) {
        rr_job *job = &executor->jobs[executor->next];
        rr_diag diag = {0};
        rr_status status = rr_job_open(job, &executor->params->queries[executor->next++], &executor->rank, &diag);
        if (status != RR_OK) {
            fail_job(executor, job, status, &diag);
        }
        found = find_task(executor, self, true);
    }
    if (found.kind == TASK_NONE && executor->n_workers > 1 && !executor->params->no_work_ahead) {
        found = find_task(executor, self, false);
        if (found.kind == TASK_NONE && self->means->prepare != NULL) {
            found = find_prompt(executor, self);
        }
    }
    return found;
}

/* Working ---------------------------------------------------------------------------------------------------------- */

/* Brings a job and its workers up to date after anything happened to it. */
static void advance(run_state *executor, rr_job *job) {
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
    pthread_cond_broadcast(&executor->changed);
}

/* Hears the answer while it is written. */
static bool on_text(void *listener, const char *text, size_t bytes) {
    worker_state *worker = listener;
    run_state *executor = worker->executor;
    rr_handover *handover = &worker->handover;
    if (handover->n_wanted > 0 && rr_handover_read(handover, text, bytes)) {
        pthread_mutex_lock(&executor->lock);
        place at = worker->now.at;
        if (!is_given_up(executor, at.job) && !rr_schedule_at(at.job->schedule, at.index)->stale) {
            rr_schedule_hint(at.job->schedule, at.index, handover->ids, handover->n_ids);
            advance(executor, at.job);
        }
        pthread_mutex_unlock(&executor->lock);
    }
    return !atomic_load(&worker->unwanted);
}

/* The call that a task means, over the worker's own copy of the passages. */
static rr_call call_of(worker_state *worker, task what) {
    rr_job *job = what.at.job;
    const rr_planned *planned = rr_schedule_at(job->schedule, what.at.index);
    memcpy(worker->order, planned->passages, planned->n * sizeof *worker->order);
    return (rr_call){
        .query = job->query,
        .index = what.at.index,
        .n_calls = rr_schedule_n_windows(job->schedule),
        .window = planned->window,
        .order = worker->order,
        .n = planned->n,
    };
}

static void begin_call(worker_state *worker, task what) {
    run_state *executor = worker->executor;
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
    if (worker->held.job != NULL && !is_same(worker->held, what.at)) {
        pthread_cond_broadcast(&executor->changed); /* what it had prepared is anybody's now */
    }
    worker->held = (place){NULL, 0};
}

/* Takes in what came of a call. */
static void end_call(worker_state *worker, task what, const rr_call *call, rr_status status, const rr_reply *reply, uint64_t time_ns,
                     bool may_be_cancelled, const rr_diag *diag) {
    run_state *executor = worker->executor;
    rr_job *job = what.at.job;
    rr_job_call *kept = rr_job_call_at(job, what.at.index);
    const rr_planned *planned = rr_schedule_at(job->schedule, what.at.index);
    rr_diag read_diag = {0};
    job->n_running--;
    if (is_given_up(executor, job)) {
        return;
    }
    rr_window_result result = {.prompt_tokens = reply->prompt_tokens,
                               .reused_tokens = reply->reused_tokens,
                               .generated_tokens = reply->generated_tokens};
    if (status == RR_OK && !planned->stale) {
        status = rr_window_read(&job->ranking.arena, call, reply, &kept->result, &read_diag);
        kept->result.time_ns = time_ns;
        if (status != RR_OK) {
            fail_job(executor, job, status, &read_diag);
            return;
        }
        rr_schedule_done(job->schedule, what.at.index, kept->result.permutation);
    } else if (planned->stale || (status == RR_E_CANCELLED && may_be_cancelled && !is_stopped(executor))) {
        rr_job_lose(&executor->counts, &result);
        rr_schedule_forget(job->schedule, what.at.index);
    } else if (status == RR_E_CANCELLED) {
        give_up_from(executor, 0, status, diag);
        return;
    } else if (!planned->settled) {
        rr_job_lose(&executor->counts, &result);
        kept->wait_till_settled = true;
        rr_schedule_forget(job->schedule, what.at.index);
    } else {
        rr_job_note_failure(job, what.at.index, status, diag);
    }
    advance(executor, job);
}

/* Asks the worker's responder, without the lock. */
static void run_call(worker_state *worker, task what) {
    run_state *executor = worker->executor;
    rr_call call = call_of(worker, what);
    bool may_be_cancelled = worker->may_start_cancelled;
    worker->may_start_cancelled = false;
    begin_call(worker, what);
    pthread_mutex_unlock(&executor->lock);
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
    rr_status status = rr_prompt_build(executor->rank.style, call.query, call.order, call.n, &prompt, &diag);
    if (status == RR_OK) {
        status = responder->respond(responder->user, &call, &reply, &diag);
    }
    rr_prompt_destroy(&prompt);
    pthread_mutex_lock(&executor->lock);
    end_call(worker, what, &call, status, &reply, rr_time_ns() - start_ns, may_be_cancelled || worker->told, &diag);
    rr_buf_destroy(&reply.text);
}

static void run_prepare(worker_state *worker, task what) {
    run_state *executor = worker->executor;
    rr_call call = call_of(worker, what);
    size_t n_known = rr_schedule_at(what.at.job->schedule, what.at.index)->n_sure;
    worker->held = what.at;
    pthread_mutex_unlock(&executor->lock);
    rr_prompt prompt = {0};
    rr_diag diag = {0};
    uint64_t n_computed = 0;
    rr_status status = rr_prompt_build_start(executor->rank.style, call.query, call.order, n_known, call.n, &prompt, &diag);
    call.prompt = &prompt;
    if (status == RR_OK) {
        status = worker->means->prepare(worker->means->responder.user, &call, &n_computed, &diag);
    }
    rr_prompt_destroy(&prompt);
    pthread_mutex_lock(&executor->lock);
    executor->counts.n_prepared += status == RR_OK;
    executor->counts.ahead_tokens += n_computed;
    if (is_stopped(executor)) {
        give_up_from(executor, 0, RR_E_CANCELLED, &diag);
    }
}

/* Hands out finished rankings in the queries' order; holds the lock but for the calls. */
static void deliver(run_state *executor) {
    const rr_execute_params *params = executor->params;
    while (executor->n_delivered < params->n_queries && executor->jobs[executor->n_delivered].state == RR_JOB_FINISHED) {
        size_t query = executor->n_delivered++;
        rr_ranking ranking = executor->jobs[query].ranking;
        executor->jobs[query].ranking = (rr_ranking){0};
        rr_diag diag = {0};
        pthread_mutex_unlock(&executor->lock);
        rr_status status = params->on_ranking(params->user, query, &ranking, &diag);
        rr_ranking_destroy(&ranking);
        pthread_mutex_lock(&executor->lock);
        if (status != RR_OK) {
            executor->n_delivered = params->n_queries;
            give_up_from(executor, 0, status, &diag);
        }
    }
}

/* One task; false when there is none at the moment. Holds the lock before and after. */
static bool work_once(worker_state *worker) {
    run_state *executor = worker->executor;
    if (is_stopped(executor)) {
        rr_diag diag = {.text = "cancelled"};
        give_up_from(executor, 0, RR_E_CANCELLED, &diag);
    }
    task what = is_over(executor) ? (task){TASK_NONE, {NULL, 0}} : choose(executor, worker);
    if (what.kind == TASK_NONE) {
        return false;
    }
    worker->now = what;
    worker->told = false;
    atomic_store(&worker->unwanted, false);
    if (what.kind == TASK_CALL) {
        run_call(worker, what);
    } else {
        run_prepare(worker, what);
    }
    worker->now.kind = TASK_NONE;
    worker->may_start_cancelled = worker->may_start_cancelled || worker->told;
    pthread_cond_broadcast(&executor->changed);
    return true;
}

static void *work(void *user) {
    worker_state *worker = user;
    run_state *executor = worker->executor;
    pthread_mutex_lock(&executor->lock);
    while (!is_over(executor)) {
        if (!work_once(worker)) {
            if (is_over(executor)) {
                break;
            }
            pthread_cond_wait(&executor->changed, &executor->lock);
        }
    }
    pthread_cond_broadcast(&executor->changed);
    pthread_mutex_unlock(&executor->lock);
    return NULL;
}

/* All on this thread. */
static void run_alone(run_state *executor) {
    pthread_mutex_lock(&executor->lock);
    while (work_once(&executor->workers[0])) {
        deliver(executor);
    }
    deliver(executor);
    pthread_mutex_unlock(&executor->lock);
}

static void run_threads(run_state *executor) {
    size_t n_started = 0;
    pthread_mutex_lock(&executor->lock);
    for (size_t i = 0; i < executor->n_workers; i++) {
        worker_state *worker = &executor->workers[i];
        worker->has_thread = pthread_create(&worker->thread, NULL, work, worker) == 0;
        n_started += worker->has_thread;
    }
    if (n_started == 0) {
        executor->n_workers = 1;
        pthread_mutex_unlock(&executor->lock);
        run_alone(executor);
        return;
    }
    while (!is_over(executor)) {
        deliver(executor);
        if (!is_over(executor)) {
            pthread_cond_wait(&executor->changed, &executor->lock);
        }
    }
    pthread_mutex_unlock(&executor->lock);
    for (size_t i = 0; i < executor->n_workers; i++) {
        if (executor->workers[i].has_thread) {
            pthread_join(executor->workers[i].thread, NULL);
        }
    }
}

/* What finished behind a query that did not. */
static void deliver_rest(run_state *executor) {
    pthread_mutex_lock(&executor->lock);
    for (; executor->n_delivered < executor->params->n_queries; executor->n_delivered++) {
        deliver(executor);
        if (executor->n_delivered >= executor->next) {
            break;
        }
    }
    pthread_mutex_unlock(&executor->lock);
}

/* Beginning and end ------------------------------------------------------------------------------------------------ */

static rr_status prepare_executor(run_state *executor, rr_diag *diag) {
    const rr_execute_params *params = executor->params;
    RR_TRY(rr_rank_params_check(&params->rank, &executor->rank, diag));
    executor->jobs = calloc(params->n_queries + 1, sizeof *executor->jobs);
    executor->workers = calloc(params->n_workers, sizeof *executor->workers);
    if (executor->jobs == NULL || executor->workers == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu queries", params->n_queries);
    }
    for (size_t i = 0; i < params->n_workers; i++) {
        worker_state *worker = &executor->workers[i];
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

static void release(run_state *executor) {
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
    run_state executor = {.params = params, .n_workers = params->n_workers, .limit = SIZE_MAX};
    rr_status status = prepare_executor(&executor, diag);
    if (status != RR_OK) {
        release(&executor);
        return status;
    }
    pthread_mutex_init(&executor.lock, NULL);
    pthread_cond_init(&executor.changed, NULL);
    if (params->n_workers == 1) {
        run_alone(&executor);
    } else {
        run_threads(&executor);
    }
    deliver_rest(&executor);
    pthread_cond_destroy(&executor.changed);
    pthread_mutex_destroy(&executor.lock);
    executor.counts.time_ns = rr_time_ns() - start_ns;
    if (params->counts != NULL) {
        *params->counts = executor.counts;
    }
    if (executor.status != RR_OK) {
        rr_fail(diag, executor.status, "%s", executor.diag.text);
    }
    status = executor.status;
    release(&executor);
    return status;
}
