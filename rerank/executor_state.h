/* Inside the executor: its state, and what its files call of each other.
 * Owns: the shapes. The lock guards everything but what is said. Functions want it held. */
#ifndef RR_RERANK_EXECUTOR_STATE_H
#define RR_RERANK_EXECUTOR_STATE_H

#include "rerank/handover.h"
#include "rerank/job.h"
#include "rerank/rerank.h"
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

/* Everything but `unwanted` and the listener's own state is guarded by the executor's lock. */
typedef struct rr_worker_state {
    struct rr_executor *executor;
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

/* The jobs of one submitter. There is one while any of them waits or is open. */
typedef struct rr_line {
    uint64_t submitter;
    rr_job_list waiting; /* in the order in which they came */
    size_t n_open;
    uint64_t served; /* when a job of it was opened last, counted in such events */
    struct rr_line *next;
} rr_line;

typedef struct rr_executor {
    rr_worker_state *workers; /* [n_workers] */
    size_t n_workers;
    bool has_threads;
    bool no_work_ahead; /* as rr_executor_params has it, and the next two */
    size_t most_waiting;
    const atomic_bool *stop;
    rr_mutex lock;
    rr_cond changed; /* there may be something to do */
    rr_cond ended;   /* a job is over */
    rr_cond timed;   /* a job has a deadline */
    rr_thread clock; /* looks after deadlines while all workers are busy */
    bool has_clock;
    rr_line *lines;
    rr_job_list open;    /* in the order in which they were opened */
    rr_job_list over;    /* nobody is at them any more; on_over is to be called */
    size_t n_jobs;       /* that are not over: waiting, open, or given up with somebody at them */
    size_t n_waiting;    /* of them */
    size_t n_timed;      /* of those that wait: with a deadline */
    size_t n_telling;    /* calls of on_over that run */
    uint64_t n_served;   /* jobs that were opened */
    bool closed;         /* no more jobs come */
    bool ending;         /* threads must end */
    atomic_bool stopped; /* by rr_executor_stop */
    uint64_t start_ns;
    uint64_t n_ranked, n_failed, n_cancelled;
    rr_rank_counts counts;
} rr_executor;

static inline bool rr_place_is_same(rr_place a, rr_place b) {
    return a.job == b.job && a.index == b.index;
}

/* Whether all is to be ended: by rr_executor_stop, or by the caller's own flag. */
static inline bool rr_executor_must_stop(const rr_executor *executor) {
    return atomic_load(&executor->stopped) ||
        (executor->stop != NULL && atomic_load(executor->stop));
}

/* executor_jobs.c: a job's way from one list to the next.
 * Puts a job in its submitter's line; RR_E_MEMORY. */
rr_status rr_executor_queue(rr_executor *executor, rr_job *job, rr_diag *diag);
/* Whether a submitter waits that has nothing open. */
bool rr_executor_has_newcomer(const rr_executor *executor);
/* Opens the next job that waits, if any. One that cannot be opened ends. */
void rr_executor_open_next(rr_executor *executor);
/* Opens jobs that wait and whose time is over, and notes it of those that are open. Their running
 * calls know it themselves. Gives the next deadline, UINT64_MAX = none. */
uint64_t rr_executor_note_late(rr_executor *executor);
/* Brings a job and its workers up to date after anything happened to it. */
void rr_executor_advance(rr_executor *executor, rr_job *job);
/* Ends a job that has no ranking, for the reason given. */
void rr_executor_give_up(rr_executor *executor, rr_job *job, rr_status status, const char *reason);
void rr_executor_give_up_all(rr_executor *executor, rr_status status, const char *reason);
/* A worker has left a job. */
void rr_executor_leave_job(rr_executor *executor, rr_job *job);
/* Calls on_over of jobs that are over, without the lock. */
void rr_executor_tell_over(rr_executor *executor);

/* executor_choose.c: what this worker should do now, RR_TASK_NONE when there is nothing at the
 * moment: real work of the queries at hand, then of another query, then work ahead. Opens queries;
 * it comes back with nothing when one of these is over at once. */
rr_task rr_executor_choose(rr_executor *executor, const rr_worker_state *self);

/* executor_run.c: does it; the lock is free meanwhile. */
void rr_executor_run(rr_worker_state *worker, rr_task what);

#endif
