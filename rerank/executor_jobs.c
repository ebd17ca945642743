/* A job's way: from its submitter's line to the open ones, and to those that are over. */
#include <stdlib.h>
#include <string.h>

#include "rerank/executor_state.h"

static void tell_to_stop(rr_worker_state *worker) {
    if (!worker->told) {
        worker->told = true;
        atomic_store(&worker->unwanted, true);
        if (worker->means->cancel != NULL) {
            worker->means->cancel(worker->means->responder.user);
        }
    }
}

/* Lines */

static rr_line **find_line(rr_executor *executor, uint64_t submitter) {
    rr_line **line = &executor->lines;
    while (*line != NULL && (*line)->submitter != submitter) {
        line = &(*line)->next;
    }
    return line;
}

static void drop_empty_line(rr_executor *executor, uint64_t submitter) {
    rr_line **at = find_line(executor, submitter), *line = *at;
    if (line->waiting.n == 0 && line->n_open == 0) {
        *at = line->next;
        free(line);
    }
}

rr_status rr_executor_queue(rr_executor *executor, rr_job *job, rr_diag *diag) {
    rr_line **at = find_line(executor, job->asked.submitter);
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        if (*at == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "out of memory for a query");
        }
        (*at)->submitter = job->asked.submitter;
    }
    job->line = *at;
    rr_job_list_push(&job->line->waiting, job);
    executor->n_jobs++;
    executor->n_waiting++;
    executor->n_timed += job->deadline_ns != 0;
    return RR_OK;
}

/* The line whose turn it is: the one with the fewest open, of these the one that was served longest
 * ago. NULL when nobody waits. */
static rr_line *next_line(const rr_executor *executor) {
    rr_line *best = NULL;
    for (rr_line *line = executor->lines; line != NULL; line = line->next) {
        if (line->waiting.n > 0 &&
            (best == NULL || line->n_open < best->n_open ||
                (line->n_open == best->n_open && line->served < best->served))) {
            best = line;
        }
    }
    return best;
}

bool rr_executor_has_newcomer(const rr_executor *executor) {
    const rr_line *line = next_line(executor);
    return line != NULL && line->n_open == 0;
}

/* Endings */

/* Out of the list that it is in: of a job that is not over. */
static void unlink_job(rr_executor *executor, rr_job *job, bool was_open) {
    rr_line *line = job->line;
    if (was_open) {
        rr_job_list_remove(&executor->open, job);
        line->n_open--;
        for (size_t i = 0; i < executor->n_workers; i++) {
            rr_worker_state *worker = &executor->workers[i];
            if (worker->held.job == job) {
                worker->held = (rr_place){NULL, 0};
            }
            if (worker->now.kind == RR_TASK_NONE && worker->now.at.job == job) {
                worker->now.at.job = NULL; /* it may be gone soon */
            }
        }
    } else {
        rr_job_list_remove(&line->waiting, job);
        executor->n_waiting--;
        executor->n_timed -= job->deadline_ns != 0;
    }
    job->line = NULL;
    drop_empty_line(executor, line->submitter);
}

/* An ended job is over once nobody is at it. */
static void settle(rr_executor *executor, rr_job *job) {
    if (job->n_at == 0) {
        if (job->state == RR_JOB_GIVEN_UP) {
            rr_job_close(job, RR_JOB_GIVEN_UP);
        }
        executor->n_jobs--;
        rr_job_list_push(&executor->over, job);
    }
    rr_cond_broadcast(&executor->changed);
}

void rr_executor_give_up(rr_executor *executor, rr_job *job, rr_status status, const char *reason) {
    if (job->state == RR_JOB_FINISHED || job->state == RR_JOB_GIVEN_UP) {
        return;
    }
    if (job->failed_diag == NULL) {
        job->failed_diag = calloc(1, sizeof *job->failed_diag);
    }
    job->failed_status = rr_fail(job->failed_diag, status, "%s", reason);
    *(status == RR_E_CANCELLED ? &executor->n_cancelled : &executor->n_failed) += 1;
    unlink_job(executor, job, job->state == RR_JOB_OPEN);
    job->state = RR_JOB_GIVEN_UP;
    for (size_t i = 0; i < executor->n_workers; i++) {
        rr_worker_state *worker = &executor->workers[i];
        if (worker->now.kind != RR_TASK_NONE && worker->now.at.job == job) {
            tell_to_stop(worker);
        }
    }
    settle(executor, job);
}

void rr_executor_give_up_all(rr_executor *executor, rr_status status, const char *reason) {
    while (executor->open.n > 0) {
        rr_executor_give_up(executor, executor->open.first, status, reason);
    }
    while (executor->n_waiting > 0) {
        rr_executor_give_up(executor, next_line(executor)->waiting.first, status, reason);
    }
}

void rr_executor_leave_job(rr_executor *executor, rr_job *job) {
    job->n_at--;
    if (job->state == RR_JOB_FINISHED || job->state == RR_JOB_GIVEN_UP) {
        settle(executor, job);
    }
}

void rr_executor_tell_over(rr_executor *executor) {
    while (executor->over.n > 0) {
        rr_job *job = executor->over.first;
        rr_job_list_remove(&executor->over, job);
        job->is_over = true;
        void (*on_over)(void *, rr_job *) = job->asked.on_over;
        void *user = job->asked.user;
        executor->n_telling++;
        rr_cond_broadcast(&executor->ended);
        if (on_over != NULL) {
            rr_mutex_unlock(&executor->lock);
            on_over(user, job);
            rr_mutex_lock(&executor->lock);
        }
        executor->n_telling--;
        rr_cond_broadcast(&executor->ended);
    }
}

/* Beginnings and what follows */

/* A job that has just left the open state by itself is ranked. */
static void note_finished(rr_executor *executor, rr_job *job) {
    executor->n_ranked++;
    unlink_job(executor, job, true);
    settle(executor, job);
}

static void open_job(rr_executor *executor, rr_job *job) {
    rr_line *line = job->line;
    rr_diag diag = {0};
    rr_job_list_remove(&line->waiting, job);
    executor->n_waiting--;
    executor->n_timed -= job->deadline_ns != 0;
    rr_job_list_push(&executor->open, job);
    line->n_open++;
    line->served = ++executor->n_served;
    const rr_status status = rr_job_open(job, &diag);
    if (status != RR_OK) {
        rr_executor_give_up(executor, job, status, diag.text);
    } else if (job->state == RR_JOB_FINISHED) {
        note_finished(executor, job);
    }
}

void rr_executor_open_next(rr_executor *executor) {
    const rr_line *line = next_line(executor);
    if (line != NULL) {
        open_job(executor, line->waiting.first);
    }
}

void rr_executor_advance(rr_executor *executor, rr_job *job) {
    rr_diag diag = {0};
    rr_status status = rr_job_advance(job, &executor->counts, &diag);
    if (status != RR_OK) {
        rr_executor_give_up(executor, job, status, diag.text);
    } else if (job->state == RR_JOB_FINISHED) {
        note_finished(executor, job);
    } else {
        for (size_t i = rr_schedule_first(job->schedule); i < rr_schedule_end(job->schedule); i++) {
            const rr_planned *planned = rr_schedule_at(job->schedule, i);
            if (planned->stale && planned->state == RR_WINDOW_RUNNING) {
                tell_to_stop(&executor->workers[rr_job_call_at(job, i)->worker]);
            }
        }
    }
    rr_cond_broadcast(&executor->changed);
}

/* Deadlines */

/* A job of the line that waits and whose time is over; NULL = none. */
static rr_job *find_late(const rr_line *line, uint64_t now_ns, uint64_t *next_ns) {
    rr_job *job = line->waiting.first;
    while (job != NULL && (job->deadline_ns == 0 || job->deadline_ns > now_ns)) {
        if (job->deadline_ns != 0 && job->deadline_ns < *next_ns) {
            *next_ns = job->deadline_ns;
        }
        job = job->next;
    }
    return job;
}

/* Opens those that wait and are late. A line may go when its last job does. */
static void open_late(rr_executor *executor, uint64_t now_ns, uint64_t *next_ns) {
    rr_line *next;
    for (rr_line *line = executor->lines; line != NULL; line = next) {
        next = line->next;
        for (size_t n = line->waiting.n; n > 0; n--) {
            rr_job *job = find_late(line, now_ns, next_ns);
            if (job == NULL) {
                break;
            }
            open_job(executor, job);
        }
    }
}

uint64_t rr_executor_note_late(rr_executor *executor) {
    uint64_t next_ns = UINT64_MAX, now_ns = rr_time_ns();
    if (executor->n_timed > 0) {
        open_late(executor, now_ns, &next_ns);
    }
    rr_job *next;
    for (rr_job *job = executor->open.first; job != NULL; job = next) {
        next = job->next;
        if (job->deadline_ns == 0 || job->late) {
            continue;
        }
        if (now_ns >= job->deadline_ns) {
            job->late = true;
            rr_executor_advance(executor, job);
        } else if (job->deadline_ns < next_ns) {
            next_ns = job->deadline_ns;
        }
    }
    return next_ns;
}
