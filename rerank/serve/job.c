#include "rerank/serve/job.h"

#include <stdlib.h>

#define KEPT_NS (UINT64_C(300) * 1000000000) /* a finished ranking whose client has not come back */

void rr_serve_job_free(rr_serve_job *job) {
    if (job->stream != NULL) {
        rr_stream_destroy(job->stream);
        free(job->stream);
    }
    rr_ranking_destroy(&job->ranking);
    rr_serve_request_destroy(&job->request);
    free(job);
}

static void unlink_job(rr_serve_jobs *jobs, rr_serve_job *job) {
    rr_serve_job **at = &jobs->first;
    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
}

static void wake(const rr_serve_job *job) {
    if (job->owner.wake != NULL) {
        job->owner.wake(job->owner.user);
    }
}

/* From the ranker's threads */

/* What a repeat has no use for goes at once. */
static uint64_t kept_until(const rr_serve_job *job) {
    const bool is_kept =
        job->status == RR_OK && rr_ranking_n_late(&job->ranking) == 0 && !job->was_cancelled;
    return is_kept ? rr_time_ns() + KEPT_NS : 0;
}

/* Takes what came of it; the lock is held, and let go of meanwhile. */
static void settle(rr_serve_jobs *jobs, rr_serve_job *job, void *handle) {
    rr_ranking ranking = {0};
    rr_diag diag = {0};
    job->is_ending = true;
    rr_mutex_unlock(&jobs->lock);
    const rr_status status = jobs->ranker->take(jobs->ranker->user, &handle, &ranking, &diag);
    rr_mutex_lock(&jobs->lock);
    job->status = status;
    job->diag = diag;
    job->ranking = ranking;
    job->is_over = true;
    if (job->owner.wake == NULL) {
        job->end_ns = kept_until(job);
    }
    wake(job);
    rr_cond_broadcast(&jobs->changed);
}

static void on_over(void *user, void *handle) {
    rr_serve_job *job = user;
    rr_serve_jobs *jobs = job->jobs;
    rr_mutex_lock(&jobs->lock);
    if (job->is_cancelling) {
        job->ended_meanwhile = true; /* the handle is in use */
    } else {
        settle(jobs, job, handle);
    }
    rr_mutex_unlock(&jobs->lock);
}

static void on_text(
    void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    rr_serve_job *job = user;
    rr_mutex_lock(&job->jobs->lock);
    rr_stream_text(job->stream, &job->request, call, text, bytes, n_tokens);
    wake(job);
    rr_mutex_unlock(&job->jobs->lock);
}

static void on_window(void *user, const rr_call *call, const rr_window_result *result) {
    rr_serve_job *job = user;
    rr_mutex_lock(&job->jobs->lock);
    rr_stream_window(job->stream, &job->request, call, result);
    wake(job);
    rr_mutex_unlock(&job->jobs->lock);
}

/* The list */

rr_status rr_serve_job_start(rr_serve_jobs *jobs, rr_serve_job *job, uint64_t deadline_ns,
    uint64_t submitter, rr_diag *diag) {
    const rr_ranker *ranker = jobs->ranker;
    const bool listens = job->stream != NULL;
    const rr_ranker_order order = {
        .request = &job->request,
        .deadline_ns = deadline_ns,
        .submitter = submitter,
        .on_over = on_over,
        .on_text = listens ? on_text : NULL,
        .on_window = listens ? on_window : NULL,
        .user = job,
    };
    job->jobs = jobs;
    rr_mutex_lock(&jobs->lock);
    job->next = jobs->first;
    jobs->first = job;
    rr_mutex_unlock(&jobs->lock);
    void *handle = NULL;
    const rr_status status = ranker->start(ranker->user, &order, &handle, diag);
    rr_mutex_lock(&jobs->lock);
    if (status == RR_OK) {
        job->handle = handle;
        job->is_started = true;
    } else {
        unlink_job(jobs, job);
    }
    rr_cond_broadcast(&jobs->changed);
    rr_mutex_unlock(&jobs->lock);
    if (status != RR_OK) {
        rr_serve_job_free(job);
    }
    return status;
}

rr_serve_job *rr_serve_job_find(
    rr_serve_jobs *jobs, const rr_serve_request *request, uint64_t hash) {
    for (rr_serve_job *job = jobs->first; job != NULL; job = job->next) {
        const bool is_of_use = job->is_over ? job->end_ns != 0 : !job->was_cancelled;
        if (job->owner.wake == NULL && job->stream == NULL && is_of_use && job->hash == hash &&
            rr_serve_request_is_same(&job->request, request)) {
            return job;
        }
    }
    return NULL;
}

/* The lock is held, and let go of meanwhile: on_over may be called from within. */
static void cancel(rr_serve_jobs *jobs, rr_serve_job *job) {
    if (job->is_ending || job->was_cancelled || !job->is_started) {
        return;
    }
    job->was_cancelled = true;
    job->is_cancelling = true;
    void *handle = job->handle;
    rr_mutex_unlock(&jobs->lock);
    jobs->ranker->cancel(jobs->ranker->user, handle);
    rr_mutex_lock(&jobs->lock);
    job->is_cancelling = false;
    if (job->ended_meanwhile) {
        settle(jobs, job, handle);
    }
}

void rr_serve_job_abandon(rr_serve_jobs *jobs, rr_serve_job *job, uint64_t end_ns) {
    job->owner = (rr_serve_owner){0};
    job->end_ns = end_ns;
    if (end_ns != 0 && job->is_over) {
        job->end_ns = kept_until(job);
    }
    if (end_ns == 0) {
        cancel(jobs, job);
    }
}

void rr_serve_job_finish(rr_serve_jobs *jobs, rr_serve_job *job) {
    unlink_job(jobs, job);
    rr_serve_job_free(job);
}

static bool is_orphan(const rr_serve_job *job) {
    return job->owner.wake == NULL;
}

/* One to be freed, of the newest that are kept as many as there is room for; NULL = none. */
static rr_serve_job *find_dead(rr_serve_jobs *jobs, uint64_t now_ns) {
    size_t n_kept = 0, bytes = 0;
    for (rr_serve_job *job = jobs->first; job != NULL; job = job->next) {
        if (!is_orphan(job) || !job->is_over || job->is_cancelling) {
            continue;
        }
        n_kept++;
        bytes += rr_serve_request_bytes(&job->request) + job->ranking.arena.used_bytes;
        if (job->end_ns <= now_ns || n_kept > RR_SERVE_KEPT || bytes > RR_SERVE_KEPT_BYTES) {
            return job;
        }
    }
    return NULL;
}

static rr_serve_job *find_overdue(rr_serve_jobs *jobs, uint64_t now_ns, bool others_wait) {
    for (rr_serve_job *job = jobs->first; job != NULL; job = job->next) {
        if (is_orphan(job) && job->is_started && !job->is_ending && !job->was_cancelled &&
            (others_wait || job->end_ns <= now_ns)) {
            return job;
        }
    }
    return NULL;
}

void rr_serve_jobs_tick(rr_serve_jobs *jobs, uint64_t now_ns, bool others_wait) {
    rr_serve_job *job;
    rr_mutex_lock(&jobs->lock);
    while ((job = find_overdue(jobs, now_ns, others_wait)) != NULL) {
        cancel(jobs, job);
    }
    while ((job = find_dead(jobs, now_ns)) != NULL) {
        rr_serve_job_finish(jobs, job);
    }
    rr_mutex_unlock(&jobs->lock);
}

/* One that runs on and nobody has cancelled; NULL = none. *all_over: nothing runs at all. */
static rr_serve_job *find_running(rr_serve_jobs *jobs, bool *all_over) {
    *all_over = true;
    for (rr_serve_job *job = jobs->first; job != NULL; job = job->next) {
        *all_over = *all_over && job->is_over && !job->is_cancelling;
        if (job->is_started && !job->is_ending && !job->was_cancelled) {
            return job;
        }
    }
    return NULL;
}

void rr_serve_jobs_close(rr_serve_jobs *jobs) {
    bool all_over;
    rr_mutex_lock(&jobs->lock);
    do {
        rr_serve_job *job = find_running(jobs, &all_over);
        if (job != NULL) {
            cancel(jobs, job);
        } else if (!all_over) {
            rr_cond_wait(&jobs->changed, &jobs->lock);
        }
    } while (!all_over);
    rr_mutex_unlock(&jobs->lock);
    rr_serve_jobs_tick(jobs, UINT64_MAX, true);
}
