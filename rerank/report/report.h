/* `rearank report`: rankings as one HTML page that stands alone.
 * Owns: what the page says and in which order; how it looks is rerank/report/report.html. Adds queries one
 * by one, so that only the page is kept in memory. One report, one thread at a time. */
#ifndef RR_RERANK_REPORT_REPORT_H
#define RR_RERANK_REPORT_REPORT_H

#include "rerank/data/trec_table.h"
#include "rerank/report/parts.h"
#include "rerank/report/read_back.h"

typedef struct rr_report_params {
    const char *title;  /* NULL: the query, or how many queries there are */
    const char *source; /* shown beside the program's name, such as the file; may be NULL */
    /* a list of queries to open, with a search, even when there is only one */
    bool many;
    /* as rr_trec_read_qrels gives it: grades and nDCG@10; may be NULL; borrowed */
    const rr_trec_table *qrels;
} rr_report_params;

/* Zero-initialise; its members are the module's. */
typedef struct rr_report {
    rr_report_params params;
    rr_parts parts;
    rr_buf body;
    char first_query[256];
    char model[128], device[128],
        options[128]; /* of the first query; "several" when others differ */
    size_t n_queries, n_passages, n_windows, n_repaired, n_truncated, n_late, n_judged,
        n_without_texts;
    uint64_t prompt_tokens, reused_tokens, generated_tokens, time_ns;
    double before, after; /* sums of nDCG@10 over the judged queries */
} rr_report;

/* Errors: RR_E_INTERNAL. */
rr_status rr_report_begin(rr_report *report, const rr_report_params *params, rr_diag *diag);
/* One query; the item is borrowed during the call. Fits rr_run_item_fn with the report as `user`.
 * Without a qid it is judged as the judgements' only query, and not at all when they have several.
 * Errors: RR_E_MEMORY; RR_E_INPUT when an id occurs twice and there are judgements. Cost: linear in
 * texts and reasoning, some 1.5 KB of page a passage beside its text. */
rr_status rr_report_add(void *report, rr_run_item *item, rr_diag *diag);
/* Writes the page. Errors: RR_E_MEMORY. */
rr_status rr_report_end(rr_report *report, rr_buf *out, rr_diag *diag);
void rr_report_destroy(rr_report *report); /* accepts a zeroed one */

#endif
