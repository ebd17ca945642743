/* One query on its way to a ranking.
 * Owns: its schedule, its calls, and its ranking while that grows. No threads: the executor's
 * lock guards all of it. */
#ifndef RR_RERANK_JOB_H
#define RR_RERANK_JOB_H

#include "rerank/rerank.h"

typedef enum rr_job_state {
    RR_JOB_WAITING,
    RR_JOB_OPEN,
    RR_JOB_FINISHED,
    RR_JOB_GIVEN_UP
} rr_job_state;

/* What goes with a window of the schedule that is in view. */
typedef struct rr_job_call {
    size_t worker;           /* that is at it while it runs */
    bool is_early;           /* begun on a forecast */
    bool wait_till_settled;  /* it failed on a forecast */
    rr_window_result result; /* when done */
} rr_job_call;

struct rr_job {
    rr_job_params asked; /* rank: filled in */
    rr_job_state state;
    rr_schedule *schedule;
    rr_job_call *calls; /* [RR_SCHEDULE_AHEAD], call i in i % RR_SCHEDULE_AHEAD; while open */
    size_t n_running;
    /* the earliest settled window that failed; SIZE_MAX = none. No later one begins */
    size_t failed_at;
    rr_status failed_status; /* also of one that was given up: why */
    rr_diag *failed_diag;    /* the same in words; NULL when there was no memory for it */
    rr_ranking ranking;      /* whole when finished */
    size_t n_room;           /* of ranking.windows while open, which lies outside the arena */
    uint64_t start_ns;
    bool has_begun;       /* a window was asked about */
    uint64_t deadline_ns; /* 0 = none, or none yet */
    bool late;            /* the deadline is over: no more windows begin */

    /* the executor's */
    struct rr_line *line;
    size_t n_at;  /* workers that are at it, also in vain */
    bool is_over; /* and nobody is at it */
    struct rr_job *next, *previous;
};

/* Jobs in a row, linked by next and previous: a job is in one list at a time. */
typedef struct rr_job_list {
    rr_job *first, *last;
    size_t n;
} rr_job_list;
void rr_job_list_push(rr_job_list *list, rr_job *job);
void rr_job_list_remove(rr_job_list *list, rr_job *job);

/* Opens a waiting job; a query of fewer than 2 passages is finished at once. Errors: as
 * rr_schedule_create. */
rr_status rr_job_open(rr_job *job, rr_diag *diag);
rr_job_call *rr_job_call_at(rr_job *job, size_t index);

/* Drops what turned out to be of no use and confirms what can be, in a late job also windows that
 * nobody is at; the last window finishes the job. Windows that run in vain are left to the caller
 * (rr_planned.stale). Errors: RR_E_MEMORY, and the failure that was noted. */
rr_status rr_job_advance(rr_job *job, rr_rank_counts *counts, rr_diag *diag);

/* A settled window failed. The job fails by it once all before it are confirmed, as the plain order
 * would. */
void rr_job_note_failure(rr_job *job, size_t index, rr_status status, const rr_diag *diag);

/* A settled running window of a late job ends without an answer: its passages keep their order.
 * `spent`: what it cost. Errors: RR_E_MEMORY. */
rr_status rr_job_leave(rr_job *job, size_t index, const rr_window_result *spent, rr_diag *diag);

/* Notes a result's tokens as lost. */
void rr_job_lose(rr_rank_counts *counts, const rr_window_result *result);

/* Ends an open job: frees everything but a finished ranking's own memory and the failure. */
void rr_job_close(rr_job *job, rr_job_state state);

#endif
