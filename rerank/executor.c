#include "rerank/executor.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/executor_state.h"

static const char cancelled_text[] = "cancelled";

/* Working */

static void give_up_if_stopped(rr_executor *executor) {
    if (rr_executor_must_stop(executor)) {
        rr_executor_give_up_all(executor, RR_E_CANCELLED, cancelled_text);
    }
}

/* One task, or telling of what ended; false when there is neither at the moment. Holds the lock
 * before and after. */
static bool work_once(rr_worker_state *worker) {
    rr_executor *executor = worker->executor;
    give_up_if_stopped(executor);
    (void)rr_executor_note_late(executor);
    const rr_task what = rr_executor_choose(executor, worker);
    if (what.kind == RR_TASK_NONE) {
        const bool any_over = executor->over.n > 0;
        rr_executor_tell_over(executor);
        return any_over;
    }
    worker->now = what;
    worker->told = false;
    atomic_store(&worker->unwanted, false);
    what.at.job->n_at++;
    rr_executor_run(worker, what);
    worker->may_start_cancelled = worker->may_start_cancelled || worker->told;
    rr_executor_leave_job(executor, what.at.job);
    if (what.at.job->state != RR_JOB_OPEN) {
        worker->now.at.job = NULL; /* it may be gone soon */
    }
    give_up_if_stopped(executor);
    rr_cond_broadcast(&executor->changed);
    rr_executor_tell_over(executor);
    return true;
}

static void work(void *user) {
    rr_worker_state *worker = user;
    rr_executor *executor = worker->executor;
    rr_mutex_lock(&executor->lock);
    while (!executor->ending) {
        if (!work_once(worker) && !executor->ending) {
            rr_cond_wait(&executor->changed, &executor->lock);
        }
    }
    rr_mutex_unlock(&executor->lock);
}

/* Ends what is late while all workers are busy with other things. */
static void watch_time(void *user) {
    rr_executor *executor = user;
    rr_mutex_lock(&executor->lock);
    while (!executor->ending) {
        const uint64_t next_ns = rr_executor_note_late(executor);
        if (executor->over.n > 0) {
            rr_executor_tell_over(executor); /* meanwhile other deadlines may have come */
        } else if (next_ns == UINT64_MAX) {
            rr_cond_wait(&executor->timed, &executor->lock);
        } else {
            (void)rr_cond_wait_until(&executor->timed, &executor->lock, next_ns);
        }
    }
    rr_mutex_unlock(&executor->lock);
}

bool rr_executor_work(rr_executor *executor) {
    rr_mutex_lock(&executor->lock);
    const bool did = work_once(&executor->workers[0]);
    rr_mutex_unlock(&executor->lock);
    return did;
}

/* Beginning and end */

static rr_status make_locks(rr_executor *executor, rr_diag *diag) {
    if (!rr_mutex_create(&executor->lock)) {
        return rr_fail(diag, RR_E_INTERNAL, "cannot make a lock");
    }
    if (!rr_cond_create(&executor->changed) || !rr_cond_create(&executor->ended) ||
        !rr_cond_create(&executor->timed)) {
        return rr_fail(diag, RR_E_INTERNAL, "cannot make a condition");
    }
    return RR_OK;
}

static rr_status make_workers(
    rr_executor *executor, const rr_executor_params *params, rr_diag *diag) {
    executor->workers = calloc(params->n_workers, sizeof *executor->workers);
    for (size_t i = 0; executor->workers != NULL && i < params->n_workers; i++) {
        rr_worker_state *worker = &executor->workers[i];
        worker->executor = executor;
        worker->means = &params->workers[i];
        worker->order = calloc(2 * RR_WINDOW_MAX, sizeof *worker->order);
        if (worker->order == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu workers", params->n_workers);
        }
        worker->ids = worker->order + RR_WINDOW_MAX;
        executor->n_workers = i + 1;
    }
    return executor->workers != NULL
        ? RR_OK
        : rr_fail(diag, RR_E_MEMORY, "out of memory for %zu workers", params->n_workers);
}

static void start_threads(rr_executor *executor) {
    rr_mutex_lock(&executor->lock);
    for (size_t i = 0; i < executor->n_workers; i++) {
        rr_worker_state *worker = &executor->workers[i];
        worker->has_thread = rr_thread_start(&worker->thread, work, worker);
        executor->has_threads = executor->has_threads || worker->has_thread;
    }
    rr_mutex_unlock(&executor->lock);
}

rr_status rr_executor_create(const rr_executor_params *params, rr_executor **out, rr_diag *diag) {
    rr_executor *executor = calloc(1, sizeof *executor);
    if (executor == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu workers", params->n_workers);
    }
    executor->no_work_ahead = params->no_work_ahead;
    executor->most_waiting = params->most_waiting;
    executor->stop = params->stop;
    executor->start_ns = rr_time_ns();
    rr_status status = make_locks(executor, diag);
    if (status == RR_OK) {
        status = make_workers(executor, params, diag);
    }
    if (status != RR_OK) {
        rr_executor_destroy(&executor);
        return status;
    }
    if (!params->no_threads) {
        start_threads(executor);
    }
    *out = executor;
    return RR_OK;
}

bool rr_executor_has_threads(const rr_executor *executor) {
    return executor->has_threads;
}

/* Waits until all are over and told of, or until `time_ns` (0 = as long as it takes); false = that
 * time has come. Holds the lock. */
static bool wait_idle(rr_executor *executor, uint64_t time_ns) {
    bool in_time = true;
    while (executor->n_jobs + executor->over.n + executor->n_telling > 0 && in_time) {
        if (time_ns == 0) {
            rr_cond_wait(&executor->ended, &executor->lock);
        } else {
            in_time = rr_cond_wait_until(&executor->ended, &executor->lock, time_ns);
        }
    }
    return in_time;
}

static void end_all(rr_executor *executor) {
    rr_mutex_lock(&executor->lock);
    executor->closed = true;
    rr_executor_give_up_all(executor, RR_E_CANCELLED, cancelled_text);
    rr_executor_tell_over(executor);
    wait_idle(executor, 0);
    executor->ending = true;
    rr_cond_broadcast(&executor->changed);
    rr_cond_broadcast(&executor->timed);
    rr_mutex_unlock(&executor->lock);
    for (size_t i = 0; i < executor->n_workers; i++) {
        if (executor->workers[i].has_thread) {
            rr_thread_join(&executor->workers[i].thread);
        }
    }
    if (executor->has_clock) {
        rr_thread_join(&executor->clock);
    }
}

void rr_executor_destroy(rr_executor **pointer) {
    rr_executor *executor = *pointer;
    if (executor == NULL) {
        return;
    }
    if (executor->timed.is_made) {
        end_all(executor);
    }
    for (size_t i = 0; i < executor->n_workers; i++) {
        free(executor->workers[i].order);
    }
    free(executor->workers);
    rr_cond_destroy(&executor->timed);
    rr_cond_destroy(&executor->ended);
    rr_cond_destroy(&executor->changed);
    rr_mutex_destroy(&executor->lock);
    free(executor);
    *pointer = NULL;
}

/* Jobs */

/* Under the lock. */
static rr_status take_in(rr_executor *executor, rr_job *job, rr_diag *diag) {
    if (executor->closed || rr_executor_must_stop(executor)) {
        return rr_fail(diag, RR_E_CANCELLED, cancelled_text);
    }
    if (executor->most_waiting != 0 && executor->n_waiting >= executor->most_waiting &&
        !job->asked.may_crowd) {
        return rr_fail(diag, RR_E_BUSY, "%zu queries wait already, the most that may: ask later",
            executor->n_waiting);
    }
    RR_TRY(rr_executor_queue(executor, job, diag));
    const bool is_timed = job->deadline_ns != 0 || job->asked.rank.deadline_after_ns != 0;
    if (is_timed && executor->has_threads && !executor->has_clock) {
        executor->has_clock = rr_thread_start(&executor->clock, watch_time, executor);
    }
    if (is_timed) {
        rr_cond_signal(&executor->timed);
    }
    rr_cond_broadcast(&executor->changed);
    return RR_OK;
}

rr_status rr_executor_add(
    rr_executor *executor, const rr_job_params *params, rr_job **out, rr_diag *diag) {
    rr_rank_params rank;
    RR_TRY(rr_rank_params_check(&params->rank, &rank, diag));
    rr_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a query");
    }
    job->asked = *params;
    job->asked.rank = rank;
    job->deadline_ns = params->deadline_ns;
    *out = job; /* before it can be over */
    rr_mutex_lock(&executor->lock);
    const rr_status status = take_in(executor, job, diag);
    rr_mutex_unlock(&executor->lock);
    if (status != RR_OK) {
        *out = NULL;
        free(job);
    }
    return status;
}

bool rr_executor_is_over(rr_executor *executor, const rr_job *job) {
    rr_mutex_lock(&executor->lock);
    const bool is_over = job->is_over;
    rr_mutex_unlock(&executor->lock);
    return is_over;
}

rr_status rr_executor_take(
    rr_executor *executor, rr_job **pointer, rr_ranking *out, rr_diag *diag) {
    rr_job *job = *pointer;
    rr_mutex_lock(&executor->lock);
    while (!job->is_over) {
        rr_cond_wait(&executor->ended, &executor->lock);
    }
    rr_mutex_unlock(&executor->lock);
    rr_status status = RR_OK;
    *out = (rr_ranking){0};
    if (job->state == RR_JOB_FINISHED) {
        *out = job->ranking;
    } else {
        status = rr_fail(diag, job->failed_status, "%s",
            job->failed_diag != NULL ? job->failed_diag->text : rr_status_name(job->failed_status));
    }
    free(job->failed_diag);
    free(job);
    *pointer = NULL;
    return status;
}

void rr_executor_cancel(rr_executor *executor, rr_job *job) {
    rr_mutex_lock(&executor->lock);
    if (!job->is_over) {
        rr_executor_give_up(executor, job, RR_E_CANCELLED, cancelled_text);
    }
    rr_executor_tell_over(executor);
    rr_mutex_unlock(&executor->lock);
}

/* All of them */

void rr_executor_stop(rr_executor *executor) {
    atomic_store(&executor->stopped, true);
    for (size_t i = 0; i < executor->n_workers; i++) {
        const rr_worker *means = executor->workers[i].means;
        if (means->cancel != NULL) {
            means->cancel(means->responder.user);
        }
    }
}

void rr_executor_resume(rr_executor *executor) {
    rr_mutex_lock(&executor->lock);
    if (atomic_load(&executor->stopped)) {
        rr_executor_give_up_all(executor, RR_E_CANCELLED, cancelled_text);
        rr_executor_tell_over(executor);
        wait_idle(executor, 0);
        for (size_t i = 0; i < executor->n_workers; i++) {
            executor->workers[i].may_start_cancelled = true;
        }
        atomic_store(&executor->stopped, false);
    }
    rr_mutex_unlock(&executor->lock);
}

bool rr_executor_drain(rr_executor *executor, uint64_t time_ns) {
    rr_mutex_lock(&executor->lock);
    executor->closed = true;
    const bool in_time = wait_idle(executor, time_ns);
    rr_mutex_unlock(&executor->lock);
    return in_time;
}

void rr_executor_stats_get(rr_executor *executor, rr_executor_stats *out) {
    rr_mutex_lock(&executor->lock);
    *out = (rr_executor_stats){
        .n_waiting = executor->n_waiting,
        .n_begun = executor->open.n,
        .n_ranked = executor->n_ranked,
        .n_failed = executor->n_failed,
        .n_cancelled = executor->n_cancelled,
        .counts = executor->counts,
    };
    out->counts.time_ns = rr_time_ns() - executor->start_ns;
    rr_mutex_unlock(&executor->lock);
}
