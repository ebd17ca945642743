/* The one way to start rankings from a model: opened once, it ranks queries as they come.
 * Owns: the engine, the draft model's engine, and for each window that is ranked at once a session
 * with its responder and worker; the queue before them; that all of it is opened anew when the
 * device is lost. Does not own which window is ranked when (rerank/executor.h), how a window is
 * asked about (rerank/responder.h), what was asked before (rerank/keep/journal.h), nor what is
 * shown of a ranking: explanations are made of a finished one (rerank/report/explain.h,
 * rerank/api_view.h) and need nothing when it is started.
 *
 * Rankings are those of rr_rank, one query after another, whatever runs beside them: only
 * measurements (times, reused and shared tokens) differ. Each query has parameters of its own, and
 * its own way to answer.
 *
 * A query in the pool is a ticket. Its life: waiting, begun (some window of it was asked about),
 * over (ranked, or failed with a status). Submitters take turns: a query waits for those of its own
 * submitter, not for the whole queue of another.
 *
 *     rr_pool_submit ──▶ waiting ──▶ begun ──▶ over ──▶ rr_pool_take
 *                          └─ rr_pool_cancel ───▶┘ (RR_E_CANCELLED)
 *
 * A lost device: the calls that run end with RR_E_DEVICE; once all have ended, the engines are
 * opened anew, in the same way, and what was being asked is asked again. Finished windows and
 * rankings stay. rr_pool_params.on_loss gets one line about it. A loss within a minute of that, or
 * an engine that cannot be opened again, is the end: queries that are not over fail with
 * RR_E_DEVICE, and so does every later submit.
 *
 * All functions may be called from any thread, but for rr_pool_close; none but rr_pool_stop from a
 * signal handler. */
#ifndef RR_RERANK_POOL_H
#define RR_RERANK_POOL_H

#include "rerank/answer_params.h"
#include "rerank/execute.h"

enum { RR_POOL_WORKERS = 64 }; /* at most */

typedef struct rr_pool rr_pool;
typedef struct rr_ticket rr_ticket; /* a query in a pool */

/* Zero values mean the defaults. Texts are copied. */
typedef struct rr_pool_params {
    /* The model and the device. Not looked at: n_sessions (n_workers says it). compute.readings
     * must be set where queries are to be read. */
    rr_engine_params engine;
    /* a smaller model of the same family, on the same device, that guesses what texts do not; NULL =
     * none */
    const char *draft_model_path;
    uint32_t n_workers; /* windows at once, at most RR_POOL_WORKERS; 0 = 1 */
    /* What happens where the whole contexts of n_workers do not fit into memory. True: there are
     * fewer workers. False: the workers share what fits (engine.kv_tokens 0 then means RR_KV_FIT);
     * with a draft model, which needs memory too, opening fails. */
    bool may_be_fewer;
    size_t queue; /* queries that may wait, at most; 0 = any number */
    /* Where there is one worker, it gets no thread: rr_pool_rank and rr_pool_execute rank on the
     * thread that calls them, one at a time, and only they do what was submitted. */
    bool one_on_caller;
    /* Gets one line for people: that the device was lost, and what follows. Called on a worker's
     * thread. NULL = the line goes to rr_log as a warning. */
    void (*on_loss)(void *user, const char *text);
    void *user;
} rr_pool_params;

/* A query to rank. What it points to is borrowed until it is over. */
typedef struct rr_pool_query {
    const rr_query *query;
    rr_rank_params rank;     /* its windows, its prompts, the time it may take, on_window */
    rr_answer_params answer; /* how the model is asked */
    /* Called on the worker's thread. When the device is lost and a window is asked about again, an
     * event that was called before is not called again. */
    rr_responder_events events;
    /* A time (rr_time_ns) from which on windows that are not ranked are late, also those of a query
     * that still waits; the ranking is whole all the same. 0 = none. Of this and
     * rank.deadline_after_ns the earlier one counts. */
    uint64_t deadline_ns;
    uint64_t submitter; /* any number; those of one number wait for each other */
    /* Called once, when the query is over, from any thread (also from within rr_pool_cancel and
     * rr_pool_close). It may call rr_pool_take for its ticket, and no other function of the pool;
     * elsewhere a ticket that has one is taken only after this was called. NULL = nobody. */
    void (*on_over)(void *user, rr_ticket *ticket);
    void *user;
} rr_pool_query;

/* Opens the engines and starts the workers' threads. Cold cost: as rr_engine_open. Errors: those of
 * rr_engine_open, rr_session_create and rr_draft_model_check; RR_E_USAGE for more than
 * RR_POOL_WORKERS; RR_E_INTERNAL when the system gives no threads. */
rr_status rr_pool_open(const rr_pool_params *params, rr_pool **out, rr_diag *diag);
/* Ends what is not over with RR_E_CANCELLED and waits for it. Tickets must have been taken, or be
 * taken by their on_over. Accepts a NULL one. */
void rr_pool_close(rr_pool **pool);

/* Hands a query in; *out is its ticket, which rr_pool_take must get back. Errors, all at once and
 * without a call of on_over:
 *   RR_E_USAGE, RR_E_INPUT  parameters or a number of passages that cannot be (rr_rank_params_check,
 *                           rr_schedule_check); reading without a readout, or an engine without
 *                           `readings`
 *   RR_E_BUSY               so many wait already (rr_pool_params.queue): later
 *   RR_E_CANCELLED          the pool was stopped, drained or is closing
 *   RR_E_DEVICE             the device is gone for good
 *   RR_E_MEMORY */
rr_status rr_pool_submit(rr_pool *pool, const rr_pool_query *query, rr_ticket **out, rr_diag *diag);

/* Waits until the query is over, gives its ranking (to be destroyed; after an error it holds
 * nothing) and takes the ticket back. Errors: as rr_rank; RR_E_CANCELLED (rr_pool_cancel,
 * rr_pool_stop, an event that refused), RR_E_DEVICE (lost for good). */
rr_status rr_pool_take(rr_pool *pool, rr_ticket **ticket, rr_ranking *out, rr_diag *diag);
bool rr_pool_is_over(rr_pool *pool, const rr_ticket *ticket);

/* Ends one query soon: nothing of it is begun any more, what runs for it is cut short. No effect on
 * one that is over. */
void rr_pool_cancel(rr_pool *pool, rr_ticket *ticket);

/* Submits, waits and takes. */
rr_status rr_pool_rank(rr_pool *pool, const rr_pool_query *query, rr_ranking *out, rr_diag *diag);

/* Ranks a list as rr_execute does, in this pool, whose bound does not hold for it: the members of
 * `list` that choose an executor (workers, executor, like, stop, no_work_ahead) are ignored. The
 * answer, events and submitter of `how` hold for all queries of the list; its other members are
 * ignored. */
rr_status rr_pool_execute(
    rr_pool *pool, const rr_execute_params *list, const rr_pool_query *how, rr_diag *diag);

/* Ends all that is not over, and refuses what comes, with RR_E_CANCELLED, until rr_pool_resume. Safe
 * in signal handlers. */
void rr_pool_stop(rr_pool *pool);
void rr_pool_resume(rr_pool *pool);

/* Takes no more queries (RR_E_CANCELLED) and waits until all are over, or until `time_ns`
 * (rr_time_ns; 0 = as long as it takes). False = that time has come. */
bool rr_pool_drain(rr_pool *pool, uint64_t time_ns);

/* What the pool runs on; the texts live as long as the pool. */
const char *rr_pool_model_name(const rr_pool *pool);
const char *rr_pool_device_name(const rr_pool *pool);
const rr_memory_plan *rr_pool_plan(const rr_pool *pool);
size_t rr_pool_n_workers(const rr_pool *pool);

typedef struct rr_pool_stats {
    rr_executor_stats queries; /* counts.time_ns: since it was opened */
    rr_engine_stats engine;    /* of all engines that it had, without the draft model's */
    uint64_t n_losses;         /* of the device */
    bool is_lost;              /* for good */
} rr_pool_stats;
void rr_pool_stats_get(rr_pool *pool, rr_pool_stats *out);

#endif
