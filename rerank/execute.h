/* A list of queries that is known as a whole: ranked by an executor, given back in its order.
 * Owns: that order, and what becomes of the others when one fails. */
#ifndef RR_RERANK_EXECUTE_H
#define RR_RERANK_EXECUTE_H

#include "rerank/executor.h"

typedef struct rr_execute_params {
    const rr_query *queries; /* [n_queries] */
    size_t n_queries;
    rr_rank_params rank;
    /* [n_workers], at least 1; with one everything runs on the calling thread */
    const rr_worker *workers;
    size_t n_workers;
    /* Ranks the queries; NULL = an executor is made of `workers`, `stop` and `no_work_ahead`, which
     * are ignored otherwise. */
    rr_executor *executor;
    /* With `executor`: the asker, submitter and no_prepare of the jobs; NULL = the defaults. */
    const rr_job_params *like;
    /* True: the query's ranking is known from elsewhere; nothing is asked, on_ranking gets a zeroed
     * one. On the calling thread. May be NULL. */
    bool (*is_known)(void *user, size_t query);
    /* Each ranking of this run as soon as it is there, in any order, on the calling thread, before
     * on_ranking. An error ends the run. May be NULL. */
    rr_status (*on_finished)(void *user, size_t query, const rr_ranking *ranking, rr_diag *diag);
    /* Each finished ranking, in the queries' order, on the calling thread. May take it (and zero
     * it); else it is destroyed afterwards. An error ends the run. */
    rr_status (*on_ranking)(void *user, size_t query, rr_ranking *ranking, rr_diag *diag);
    void *user;
    /* true ends the run with RR_E_CANCELLED, once running calls return; may be NULL */
    const atomic_bool *stop;
    bool no_work_ahead;     /* neither prepares nor begins early */
    rr_rank_counts *counts; /* may be NULL; of all that the executor did, with this call's time */
} rr_execute_params;

/* Ranks all queries. When one fails, those before it are finished, those behind it are given up
 * where they stand, and the error of the first that failed is returned; when the run is cancelled,
 * all are given up. Either way on_ranking gets every query that was finished. Errors: as rr_rank's,
 * and of on_ranking. */
rr_status rr_execute(const rr_execute_params *params, rr_diag *diag);

/* Ranks one query, one window after another in the plain order, on the calling thread. 0 and 1
 * passages answer at once, without a call. `out` must be destroyed whatever happens; after an error
 * it holds nothing. Errors: RR_E_USAGE, RR_E_MEMORY, and whatever the responder returns. */
rr_status rr_rank(const rr_query *query, const rr_rank_params *params,
    const rr_responder *responder, rr_ranking *out, rr_diag *diag);

#endif
