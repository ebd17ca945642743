/* Evaluation of runs against relevance judgements, by the rules of trec_eval 10.
 * Owns: which queries count, the means, the comparison of runs. Order: score falling, then docid
 * falling (byte order), scores as doubles; rank columns are ignored; the ideal order is over all
 * judged passages of a query. */
#ifndef RR_RERANK_EVAL_EVAL_H
#define RR_RERANK_EVAL_EVAL_H

#include "rerank/data/trec_table.h"
#include "rerank/eval/measure.h"
#include "rerank/eval/stats.h"

typedef struct rr_eval_params {
    /* levels from here on are relevant, 1 and up; 0 = 1. Gains of nDCG stay the levels */
    int32_t relevant_from;
    size_t depth; /* ranks that are looked at; 0 = all */
    /* judged queries that the run lacks count as empty rankings, instead of not at all */
    bool complete;
    bool judged_only; /* passages without a judgement are taken out of the rankings */
} rr_eval_params;

/* The values of one run. Zero-initialise. Borrows the measures and the tables. */
typedef struct rr_eval {
    const rr_measures *measures;
    const rr_trec_query **queries; /* [n] judged queries that count, by qid in byte order */
    double *values;                /* [n][measures->n] */
    /* [measures->n] over the queries: arithmetic, geometric (values below 1e-5 as 1e-5) or sums;
     * the sum of num_rel with `complete` is of all levels above 0, as trec_eval counts it */
    double *means;
    size_t n;
    size_t n_unjudged; /* queries of the run without judgements: left out */
    rr_text unjudged;  /* the first of them */
    size_t n_missing;  /* judged queries that the run lacks */
} rr_eval;

/* `run` and `qrels` as read by rerank/data/trec_read.h. `out` must be destroyed whatever happens.
 * Errors: RR_E_INPUT when no query is in both, RR_E_MEMORY. Cost: run rows × log of the judgements
 * of their query. */
rr_status rr_eval_run(const rr_trec_table *run, const rr_trec_table *qrels,
    const rr_measures *measures, const rr_eval_params *params, rr_eval *out, rr_diag *diag);
void rr_eval_destroy(rr_eval *eval);

/* How intervals are found: see rr_bootstrap_mean. n_samples = 0: not at all, all are NaN. */
typedef struct rr_eval_bootstrap {
    uint32_t n_samples;
    double level;
    uint64_t seed;
} rr_eval_bootstrap;

/* The interval of the mean of a measure over the queries; NaN for sums. Errors: RR_E_MEMORY. */
rr_status rr_eval_mean_interval(const rr_eval *eval, size_t measure, const rr_eval_bootstrap *how,
    rr_interval *out, rr_diag *diag);

/* Paired t-test of a measure over the queries that count in both: of b - a; and the interval of
 * that difference. Errors: RR_E_MEMORY. */
rr_status rr_trec_compare_runs(const rr_eval *a, const rr_eval *b, size_t measure,
    const rr_eval_bootstrap *how, rr_t_test *out, rr_interval *interval, rr_diag *diag);

#endif
