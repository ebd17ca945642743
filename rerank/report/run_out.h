/* Rankings written out: for people, programs and evaluation tools.
 * Owns: the output formats. Appends text to a buffer; who sends it where is the caller's
 * business. */
#ifndef RR_RERANK_REPORT_RUN_OUT_H
#define RR_RERANK_REPORT_RUN_OUT_H

#include "rerank/rerank.h"

typedef enum rr_run_format {
    RR_RUN_TABLE, /* for people */
    RR_RUN_JSON,  /* indented; several queries make an array */
    RR_RUN_JSONL, /* the same object on one line a query */
    RR_RUN_TREC, /* "qid Q0 docid rank score tag": score = n − rank + 1, so that trec_eval sorts as we do */
    RR_RUN_TSV, /* "qid docid rank score" with tabs, no header: score = rr_ranking_score */
    RR_RUN_FORMAT_COUNT
} rr_run_format;

/* NULL-terminated, in the enum's order. */
extern const char *const rr_run_format_names[];

typedef struct rr_run_out {
    rr_run_format format;
    const char *model;  /* name; NULL is written as null */
    const char *device; /* name; NULL is written as null */
    /* a run of queries: JSON is an array and names the qid, a table names its query */
    bool many;
    /* Table: also what the reasoning says of each passage, and what drew the attention in passages
     * that were read; JSON: that, title and text of each passage. */
    bool explain;
    bool explain_all; /* table, with `explain`: all of it, and the whole reasoning */
    /* JSON: "options"; NULL = left out. Also how passages were shown, which the places of words
     * depend on: as the defaults when it is NULL. Borrowed, checked ones. */
    const rr_rank_params *params;
    const char *
        way; /* JSON's options: how rankings come out of the model ("reason", "strict", "logits", "read"); NULL = left out */
    size_t columns; /* width of a table; 0 = 100 */
} rr_run_out;

/* Whether every id of the query can be written: TREC runs cannot hold ids with spaces, nor a qid
 * that makes comments of its lines. Errors: RR_E_INPUT naming the id. */
rr_status rr_run_check(const rr_run_out *run, const rr_query *query, rr_diag *diag);

/* What stands before the first, for the query of number `index` from 0, and after the last. Errors:
 * RR_E_MEMORY. */
rr_status rr_run_begin(const rr_run_out *run, rr_buf *out, rr_diag *diag);
rr_status rr_run_query(const rr_run_out *run, const rr_query *query, const rr_ranking *ranking,
    size_t index, rr_buf *out, rr_diag *diag);
rr_status rr_run_end(const rr_run_out *run, rr_buf *out, rr_diag *diag);

/* The line of a recording (rr_recording_read) for one query. */
rr_status rr_run_record(
    const rr_query *query, const rr_ranking *ranking, rr_buf *out, rr_diag *diag);

#endif
