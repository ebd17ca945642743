/* What `rearank reproduce` found, and its report.
 * Owns: the measuring of the finished run and the two files of the report. */
#ifndef RR_TOOLS_REPRODUCE_H
#define RR_TOOLS_REPRODUCE_H

#include "runtime/base/memory.h"

typedef struct rr_published { /* a row of published.def */
    const char *name, *title;
    size_t n_queries;
    double bm25, zero_shot, rankgpt4, rearank;
} rr_published;

enum {
    RR_REPRODUCE_DEPTH = 100,
    RR_REPRODUCE_WINDOW = 20,
    RR_REPRODUCE_STEP = 10,
    RR_REPRODUCE_TOKENS = 2048
};

/* nDCG@10 in percent. */
typedef struct rr_reproduced {
    const rr_published *row;
    const char *command; /* the ranking's; borrowed */
    size_t limit;        /* --limit-queries; 0 = all */
    size_t n_queries;    /* that count: ranked and judged */
    double first, ours;  /* of the first stage and of the new ranking, over these queries */
    double low, high;    /* 95 % interval of `ours`: bootstrap over queries */
    size_t n_better, n_worse;
    size_t n_windows, n_repaired, n_truncated;
    uint64_t prompt_tokens, generated_tokens;
    double seconds;
    rr_buf model, device; /* as the run names them */
    rr_buf per_query;     /* JSON members: "qid": [first, ours] */
} rr_reproduced;

/* The mean nDCG@10 of a run by itself, over the queries that are judged; BRIGHT's exclusions apply.
 * Errors: as rr_trec_read_run. */
rr_status rr_reproduce_first_stage(
    const char *run, const char *qrels, double *ndcg, size_t *n_queries, rr_diag *diag);

/* Measures OUT/ranked.jsonl against the first stage. `out` (row, command and limit set) is to be
 * destroyed whatever happens. */
rr_status rr_reproduce_measure(const char *ranked, const char *first_stage, const char *qrels,
    rr_reproduced *out, rr_diag *diag);
/* Writes report.md and report.json into the folder and the former to standard output. */
rr_status rr_reproduce_report(const rr_reproduced *found, const char *folder, rr_diag *diag);
void rr_reproduced_destroy(rr_reproduced *found);

#endif
