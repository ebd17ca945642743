/* How rankings are written: the formats, and what each of them shows.
 * Owns: nothing. run_out.h writes them. */
#ifndef RR_RERANK_REPORT_RUN_TYPES_H
#define RR_RERANK_REPORT_RUN_TYPES_H

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

#endif
