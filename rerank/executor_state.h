/* Inside the executor: its state, and the choice of what a worker does next.
 * Owns: the shapes. The lock guards everything but what is said. */
#ifndef RR_RERANK_EXECUTOR_STATE_H
#define RR_RERANK_EXECUTOR_STATE_H

#include "rerank/executor.h"
#include "rerank/handover.h"
#include "rerank/job.h"
#include "runtime/base/thread.h"

/* A window of a job. */
typedef struct rr_place {
    rr_job *job; /* NULL = none */
    size_t index;
} rr_place;

typedef enum rr_task_kind { RR_TASK_NONE, RR_TASK_CALL, RR_TASK_PREPARE } rr_task_kind;

typedef struct rr_task {
    rr_task_kind kind;
    rr_place at;
} rr_task;

struct rr_run_state;

/* Everything but `unwanted` and the listener's own state is guarded by the executor's lock. */
typedef struct rr_worker_state {
    struct rr_run_state *executor;
    const rr_worker *means;
    rr_thread thread;
    bool has_thread;
    rr_task now;
    rr_place held;            /* what it prepared and has not used */
    bool told;                /* to stop what it runs */
    bool may_start_cancelled; /* it was told too late: what runs next may end at once */
    atomic_bool unwanted;
    uint32_t *order; /* [RR_WINDOW_MAX] of what it runs */
    uint32_t *ids;   /* [RR_WINDOW_MAX] handed over */
    rr_handover handover;
} rr_worker_state;

typedef struct rr_run_state {
    const rr_execute_params *params;
    rr_rank_params rank; /* filled in */
    rr_worker_state *workers;
    size_t n_workers;
    rr_mutex lock;
    rr_cond changed;
    rr_job *jobs;       /* [n_queries] */
    size_t first_open;  /* all before are finished or given up */
    size_t next;        /* to be opened */
    size_t limit;       /* jobs from here on are given up */
    size_t n_delivered; /* jobs looked at for on_ranking */
    rr_status status;   /* why, and for the earliest job that says so */
    rr_diag diag;
    rr_rank_counts counts;
} rr_run_state;

static inline bool rr_place_is_same(rr_place a, rr_place b) {
    return a.job == b.job && a.index == b.index;
}

/* What this worker should do now, RR_TASK_NONE when there is nothing at the moment: real work of
 * the queries at hand, then of another query, then work ahead. Opens queries; one that cannot be
 * opened fails. */
rr_task rr_executor_choose(rr_run_state *executor, const rr_worker_state *self);

/* Gives up jobs from number `limit` on, for the reason given. */
void rr_executor_give_up(
    rr_run_state *executor, size_t limit, rr_status status, const rr_diag *diag);

#endif
