/* Queries on several workers, as they come: what is ready is ranked, and what is idle works ahead.
 * Owns: which worker ranks which window when; worker threads; the queue. The rankings are those of
 * rr_rank, one query after another, whatever the number of workers and whatever else is ranked:
 * only measurements (times, reused and shared tokens) differ. A list of queries that is known as a
 * whole is rerank/execute.h's business, models and devices are rerank/pool.h's.
 *
 * With more workers than windows that are ready, and a schedule that lets windows wait for each
 * other,
 *  - a waiting window's prompt is computed as far as its passages are known (window pipelining,
 *    rr_worker.prepare);
 *  - a window begins on the first ids of the answer before it, while that is still being written
 *    (early hand-over); it is done again if the finished answer says otherwise.
 *
 * A query is a job from when it is added until it is taken. Jobs begin in the order in which they
 * came, but those of different submitters in turns: one that has none begun comes before others'
 * next windows while fewer queries are begun than there are workers.
 *
 * A query whose deadline comes too soon ends as a whole ranking all the same: which of its windows
 * are late depends on how fast they were, on nothing else; the other queries' rankings are what
 * they are without one.
 *
 * All functions may be called from any thread, but for rr_executor_destroy; none but
 * rr_executor_stop from a signal handler. */
#ifndef RR_RERANK_EXECUTOR_H
#define RR_RERANK_EXECUTOR_H

#include <stdatomic.h>

#include "rerank/rerank.h"

typedef struct rr_executor rr_executor;

/* Zero values mean the defaults. */
typedef struct rr_executor_params {
    const rr_worker *workers; /* [n_workers], at least 1; borrowed */
    size_t n_workers;
    /* no threads are made: nothing is done but in rr_executor_work, by the first worker */
    bool no_threads;
    bool no_work_ahead;      /* neither prepares nor begins early */
    size_t most_waiting;     /* jobs that wait to begin; 0 = any number */
    const atomic_bool *stop; /* true does what rr_executor_stop does, once running calls return;
                              * may be NULL */
} rr_executor_params;

/* Makes the workers' threads; fewer when the system has no room for all, and none is no_threads.
 * Errors: RR_E_MEMORY, RR_E_INTERNAL (no lock). */
rr_status rr_executor_create(const rr_executor_params *params, rr_executor **out, rr_diag *diag);
/* Ends what is not over with RR_E_CANCELLED and waits for it. Jobs must have been taken, or be
 * taken by their on_over. Accepts a NULL one. */
void rr_executor_destroy(rr_executor **executor);
bool rr_executor_has_threads(const rr_executor *executor);

/* Errors, without a call of on_over: RR_E_USAGE (rr_rank_params_check), RR_E_BUSY (so many wait
 * already), RR_E_CANCELLED (stopped, drained), RR_E_MEMORY. */
rr_status rr_executor_add(
    rr_executor *executor, const rr_job_params *params, rr_job **out, rr_diag *diag);
/* Waits until the job is over (not without threads), gives its ranking and frees it. `out` must be
 * destroyed whatever happens; after an error it holds nothing. Errors: why there is no ranking:
 * RR_E_USAGE and RR_E_INPUT (rr_schedule_check), RR_E_MEMORY, RR_E_CANCELLED, and whatever the
 * responder returned. */
rr_status rr_executor_take(rr_executor *executor, rr_job **job, rr_ranking *out, rr_diag *diag);
bool rr_executor_is_over(rr_executor *executor, const rr_job *job);
/* Ends a job that is not over with RR_E_CANCELLED: nothing of it is begun any more, what runs is
 * told to stop. */
void rr_executor_cancel(rr_executor *executor, rr_job *job);

/* Without threads: does one thing on this thread, by the first worker. False = nothing is to be
 * done. */
bool rr_executor_work(rr_executor *executor);

/* Ends all that is not over, and refuses what comes, with RR_E_CANCELLED. Calls the workers'
 * `cancel`; safe in signal handlers where these are. rr_executor_resume waits until all is over and
 * takes jobs again. */
void rr_executor_stop(rr_executor *executor);
void rr_executor_resume(rr_executor *executor);
/* Takes no more jobs (RR_E_CANCELLED) and waits until all are over, or until `time_ns` (rr_time_ns;
 * 0 = as long as it takes). False = that time has come. */
bool rr_executor_drain(rr_executor *executor, uint64_t time_ns);

/* Jobs now, and what was done since it was created. `counts->time_ns` is that time. */
typedef struct rr_executor_stats {
    size_t n_waiting, n_begun;
    uint64_t n_ranked, n_failed, n_cancelled;
    rr_rank_counts counts;
} rr_executor_stats;
void rr_executor_stats_get(rr_executor *executor, rr_executor_stats *out);

#endif
