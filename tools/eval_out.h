/* What `rearank eval` prints: a table, JSON, or LaTeX.
 * Owns: those three forms, and the names under which runs are shown. */
#ifndef RR_TOOLS_EVAL_OUT_H
#define RR_TOOLS_EVAL_OUT_H

#include "rerank/eval/eval.h"

typedef struct rr_eval_pair { /* run b against run a */
    size_t a, b;
    rr_t_test *tests;       /* [measures] */
    rr_interval *intervals; /* [measures] of the differences */
} rr_eval_pair;

typedef struct rr_eval_report {
    const char *qrels;
    rr_measures measures;
    rr_eval_params params;
    const char *paths[256]; /* of the runs, as given */
    /* for tables: the file's name without folder and ending, made unique by the path */
    rr_buf names[256];
    rr_eval *runs; /* [n_runs] */
    size_t n_runs;
    rr_eval_pair *pairs; /* [n_pairs]; each p is corrected for n_pairs tests */
    size_t n_pairs;
    rr_eval_bootstrap bootstrap; /* n_samples = 0: no intervals are shown */
    rr_interval *intervals;      /* [n_runs][measures] of the means */
    bool per_query;
    uint32_t digits; /* decimals in table and LaTeX */
} rr_eval_report;

/* Fills report->names. */
void rr_eval_report_name(rr_eval_report *report);
void rr_eval_report_table(const rr_eval_report *report);
/* {"qrels", "level", "measures": [name], "runs": [{"run", "queries", "unjudged_queries",
 * "missing_queries", "mean": {measure: value}, "per_query": {qid: {measure: value}}}],
 * "comparisons": [{"baseline", "run", "measure", "queries", "difference", "t", "df", "p",
 * "p_corrected"}]}; with intervals also "bootstrap": {"samples", "level"}, runs[]."interval":
 * {measure: [low, high]} and comparisons[]."interval": [low, high]. Infinite and undefined values
 * are null. Errors: RR_E_MEMORY. */
rr_status rr_eval_report_json(const rr_eval_report *report, rr_diag *diag);
/* A tabular for the booktabs package: a run a row, the best value bold, a dagger where p_corrected
 * < 0.05. */
void rr_eval_report_tex(const rr_eval_report *report);

#endif
