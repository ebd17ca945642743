#include "rerank/job.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/thread.h"

static rr_status out_of_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory while ranking");
}

/* The ranking's order: the schedule's, and behind it what is not ranked. */
static rr_status finish(rr_job *job, rr_diag *diag) {
    rr_ranking *ranking = &job->ranking;
    size_t n_ranked = ranking->n_windows > 0 ? job->ranking.n : 0;
    rr_window_result *windows =
        rr_arena_alloc(&ranking->arena, ranking->n_windows + 1, sizeof *windows);
    ranking->order =
        rr_arena_alloc(&ranking->arena, job->asked.query->n + 1, sizeof *ranking->order);
    if (windows == NULL || ranking->order == NULL) {
        return out_of_memory(diag);
    }
    if (n_ranked > 0) {
        memcpy(windows, ranking->windows, ranking->n_windows * sizeof *windows);
        memcpy(ranking->order, rr_schedule_order(job->schedule), n_ranked * sizeof *ranking->order);
    }
    for (size_t i = n_ranked; i < job->asked.query->n; i++) {
        ranking->order[i] = (uint32_t)i;
    }
    ranking->n = job->asked.query->n;
    RR_TRY(rr_ranking_score_all(ranking, diag));
    free(ranking->windows);
    ranking->windows = windows;
    ranking->time_ns = rr_time_ns() - job->start_ns;
    rr_job_close(job, RR_JOB_FINISHED);
    return RR_OK;
}

rr_status rr_job_open(rr_job *job, rr_diag *diag) {
    const rr_query *query = job->asked.query;
    if (query->n > UINT32_MAX) {
        return rr_fail(
            diag, RR_E_USAGE, "found %zu passages, expected at most %u", query->n, UINT32_MAX);
    }
    rr_schedule_params schedule = rr_rank_schedule(&job->asked.rank);
    job->state = RR_JOB_OPEN;
    job->failed_at = SIZE_MAX;
    job->start_ns = rr_time_ns();
    job->ranking.n = rr_rank_n(query, &job->asked.rank);
    RR_TRY(rr_schedule_create(&schedule, job->ranking.n, &job->schedule, diag));
    job->calls = calloc(RR_SCHEDULE_AHEAD, sizeof *job->calls);
    job->failed_diag = calloc(1, sizeof *job->failed_diag);
    if (job->calls == NULL || job->failed_diag == NULL) {
        return out_of_memory(diag);
    }
    return rr_schedule_is_finished(job->schedule) ? finish(job, diag) : RR_OK;
}

rr_job_call *rr_job_call_at(rr_job *job, size_t index) {
    return &job->calls[index % RR_SCHEDULE_AHEAD];
}

void rr_job_note_failure(rr_job *job, size_t index, rr_status status, const rr_diag *diag) {
    if (index < job->failed_at) {
        job->failed_at = index;
        job->failed_status = status;
        *job->failed_diag = *diag;
    }
    rr_schedule_forget(job->schedule, index);
}

rr_status rr_job_leave(rr_job *job, size_t index, const rr_window_result *spent, rr_diag *diag) {
    const rr_planned *planned = rr_schedule_at(job->schedule, index);
    uint32_t *passages = rr_arena_alloc(&job->ranking.arena, planned->n, sizeof *passages);
    uint32_t *permutation = rr_arena_alloc(&job->ranking.arena, planned->n, sizeof *permutation);
    if (passages == NULL || permutation == NULL) {
        return out_of_memory(diag);
    }
    memcpy(passages, planned->passages, planned->n * sizeof *passages);
    for (uint32_t i = 0; i < planned->n; i++) {
        permutation[i] = i + 1;
    }
    rr_window_result *result = &rr_job_call_at(job, index)->result;
    *result = *spent;
    result->window = planned->window;
    result->passages = passages;
    result->permutation = permutation;
    result->n = planned->n;
    result->late = true;
    result->response = result->reasoning = result->answer = (rr_text){"", 0};
    rr_schedule_done(job->schedule, index, permutation);
    return RR_OK;
}

/* The first window of a late job that is not confirmed, where nobody is at it. */
static rr_status leave_first(rr_job *job, rr_diag *diag) {
    size_t index = rr_schedule_first(job->schedule);
    if (!job->late || index == rr_schedule_end(job->schedule) || index >= job->failed_at ||
        rr_schedule_at(job->schedule, index)->state != RR_WINDOW_WAITING) {
        return RR_OK;
    }
    /* it waits for nothing, since all before it are confirmed */
    rr_schedule_begin(job->schedule, index);
    *rr_job_call_at(job, index) = (rr_job_call){0};
    return rr_job_leave(job, index, &(rr_window_result){0}, diag);
}

static uint64_t n_computed(const rr_window_result *result) {
    return result->prompt_tokens - result->reused_tokens - result->shared_tokens;
}

void rr_job_lose(rr_rank_counts *counts, const rr_window_result *result) {
    counts->n_redone++;
    counts->lost_tokens += n_computed(result) + result->generated_tokens;
}

static void count(rr_rank_counts *counts, const rr_job_call *call) {
    const rr_window_result *result = &call->result;
    counts->n_windows++;
    counts->prompt_tokens += result->prompt_tokens;
    counts->reused_tokens += result->reused_tokens;
    counts->shared_tokens += result->shared_tokens;
    counts->generated_tokens += result->generated_tokens;
    *(call->is_early ? &counts->early_tokens : &counts->critical_tokens) += n_computed(result);
}

/* Adds a confirmed window to the ranking. */
static rr_status keep(rr_job *job, size_t index, const rr_window_result *result, rr_diag *diag) {
    const rr_rank_params *params = &job->asked.rank;
    rr_ranking *ranking = &job->ranking;
    if (ranking->n_windows == job->n_room) {
        size_t n_room = 2 * job->n_room + 16;
        rr_window_result *windows = realloc(ranking->windows, n_room * sizeof *windows);
        if (windows == NULL) {
            return out_of_memory(diag);
        }
        ranking->windows = windows;
        job->n_room = n_room;
    }
    ranking->windows[ranking->n_windows++] = *result;
    if (params->on_window != NULL) {
        rr_call call = {
            .query = job->asked.query,
            .index = index,
            .n_calls = rr_schedule_n_windows(job->schedule),
            .window = result->window,
            .order = result->passages,
            .n = result->n,
            .asker = job->asked.asker,
            .standing = rr_schedule_order(job->schedule),
            .n_standing = job->ranking.n,
        };
        params->on_window(params->user, &call, result);
    }
    return RR_OK;
}

/* Forgets finished windows that ranked the wrong passages; each may make the next one wrong. */
static void drop_stale(rr_job *job, rr_rank_counts *counts) {
    for (size_t i = rr_schedule_first(job->schedule); i < rr_schedule_end(job->schedule); i++) {
        const rr_planned *planned = rr_schedule_at(job->schedule, i);
        if (planned->stale && planned->state == RR_WINDOW_DONE) {
            rr_job_lose(counts, &rr_job_call_at(job, i)->result);
            rr_schedule_forget(job->schedule, i);
        }
    }
}

rr_status rr_job_advance(rr_job *job, rr_rank_counts *counts, rr_diag *diag) {
    for (;;) {
        RR_TRY(leave_first(job, diag));
        drop_stale(job, counts);
        size_t index = rr_schedule_first(job->schedule);
        if (!rr_schedule_confirm(job->schedule)) {
            break;
        }
        rr_job_call *call = rr_job_call_at(job, index);
        count(counts, call);
        RR_TRY(keep(job, index, &call->result, diag));
        *call = (rr_job_call){0};
    }
    if (rr_schedule_first(job->schedule) == job->failed_at) {
        return rr_fail(diag, job->failed_status, "%s", job->failed_diag->text);
    }
    return rr_schedule_is_finished(job->schedule) ? finish(job, diag) : RR_OK;
}

void rr_job_close(rr_job *job, rr_job_state state) {
    if (state != RR_JOB_FINISHED) {
        free(job->ranking.windows);
        job->ranking.windows = NULL;
        rr_ranking_destroy(&job->ranking);
    }
    rr_schedule_destroy(&job->schedule);
    free(job->calls);
    job->calls = NULL;
    job->state = state;
}

void rr_job_list_push(rr_job_list *list, rr_job *job) {
    job->previous = list->last;
    job->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = job;
    list->last = job;
    list->n++;
}

void rr_job_list_remove(rr_job_list *list, rr_job *job) {
    *(job->previous != NULL ? &job->previous->next : &list->first) = job->next;
    *(job->next != NULL ? &job->next->previous : &list->last) = job->previous;
    job->previous = job->next = NULL;
    list->n--;
}
