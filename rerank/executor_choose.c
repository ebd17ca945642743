#include "rerank/executor_state.h"

static bool is_in_view(rr_place at) {
    return at.index >= rr_schedule_first(at.job->schedule) &&
        at.index < rr_schedule_end(at.job->schedule);
}

/* Another worker is at this prompt, or has it ready, and will see that the window can be ranked. */
static bool is_reserved(const rr_executor *executor, const rr_worker_state *self, rr_place at) {
    for (size_t i = 0; i < executor->n_workers; i++) {
        const rr_worker_state *other = &executor->workers[i];
        bool is_free = other->now.kind == RR_TASK_NONE || other->now.kind == RR_TASK_PREPARE;
        if (other != self && is_free && rr_place_is_same(other->held, at)) {
            return true;
        }
    }
    return false;
}

static bool can_begin(rr_job *job, size_t index, bool settled) {
    const rr_planned *planned = rr_schedule_at(job->schedule, index);
    return planned->state == RR_WINDOW_WAITING && planned->n_known == planned->n &&
        planned->settled == settled && index < job->failed_at && !job->late &&
        (settled || !rr_job_call_at(job, index)->wait_till_settled);
}

/* The window of the job that may begin and comes first in the plain order; what this worker
 * prepared comes before. */
static bool find_call(const rr_executor *executor, const rr_worker_state *self, rr_job *job,
    bool settled, size_t *index) {
    if (self->held.job == job && is_in_view(self->held) &&
        can_begin(job, self->held.index, settled)) {
        *index = self->held.index;
        return true;
    }
    for (size_t i = rr_schedule_first(job->schedule); i < rr_schedule_end(job->schedule); i++) {
        if (can_begin(job, i, settled) && !is_reserved(executor, self, (rr_place){job, i})) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* Among the open jobs with a window for this worker the one that has the fewest running, the
 * earliest of those. */
static rr_task find_task(rr_executor *executor, const rr_worker_state *self, bool settled) {
    rr_task best = {RR_TASK_NONE, {NULL, 0}};
    for (rr_job *job = executor->open.first; job != NULL; job = job->next) {
        size_t index;
        if ((best.at.job == NULL || job->n_running < best.at.job->n_running) &&
            find_call(executor, self, job, settled, &index)) {
            best = (rr_task){RR_TASK_CALL, {job, index}};
        }
    }
    return best;
}

/* Whether a window `ahead` of the job's first one has a prompt that can be computed in part. */
static bool is_preparable(
    const rr_executor *executor, const rr_worker_state *self, rr_job *job, size_t ahead) {
    if (job->late || job->asked.no_prepare ||
        ahead >= rr_schedule_end(job->schedule) - rr_schedule_first(job->schedule)) {
        return false;
    }
    rr_place at = {job, rr_schedule_first(job->schedule) + ahead};
    const rr_planned *planned = rr_schedule_at(job->schedule, at.index);
    return planned->state == RR_WINDOW_WAITING && planned->n_sure > 0 &&
        planned->n_known < planned->n && !is_reserved(executor, self, at);
}

/* The next window whose prompt can be computed in part: the nearest, of those one of the query that
 * this worker knows. No further ahead than there are workers. */
static rr_task find_prompt(const rr_executor *executor, const rr_worker_state *self) {
    rr_task found = {RR_TASK_NONE, {NULL, 0}};
    if (self->held.job != NULL && is_in_view(self->held) &&
        rr_schedule_at(self->held.job->schedule, self->held.index)->state == RR_WINDOW_WAITING) {
        return found;
    }
    for (size_t ahead = 0; ahead < executor->n_workers && found.kind == RR_TASK_NONE; ahead++) {
        for (rr_job *job = executor->open.first; job != NULL; job = job->next) {
            bool is_nearer = found.kind == RR_TASK_NONE || job == self->now.at.job;
            if (is_nearer && is_preparable(executor, self, job, ahead)) {
                found = (rr_task){RR_TASK_PREPARE, {job, rr_schedule_first(job->schedule) + ahead}};
            }
        }
    }
    return found;
}

rr_task rr_executor_choose(rr_executor *executor, const rr_worker_state *self) {
    if (executor->open.n < executor->n_workers && rr_executor_has_newcomer(executor)) {
        rr_executor_open_next(executor);
    }
    rr_task found = find_task(executor, self, true);
    while (found.kind == RR_TASK_NONE && executor->n_waiting > 0 && executor->over.n == 0) {
        rr_executor_open_next(executor);
        found = find_task(executor, self, true);
    }
    if (found.kind == RR_TASK_NONE && executor->over.n == 0 && executor->n_workers > 1 &&
        !executor->no_work_ahead) {
        found = find_task(executor, self, false);
        if (found.kind == RR_TASK_NONE && self->means->prepare != NULL) {
            found = find_prompt(executor, self);
        }
    }
    return found;
}
