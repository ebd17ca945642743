/* A ranking as a table for people, and what the reasoning said about its passages or drew the
 * attention in them. Owns: that layout. Private to rerank/report/run_out.c. */
#ifndef RR_RERANK_REPORT_RUN_TABLE_H
#define RR_RERANK_REPORT_RUN_TABLE_H

#include "rerank/report/run_types.h"

/* Appends the table of query number `index`, with the scores of passages that were read. Then with
 * run->explain: what drew the attention in the first RR_TABLE_NAMED passages that were read, the
 * words between stars; at most RR_TABLE_SAID sentences about each of the first RR_TABLE_NAMED
 * passages that the reasoning names (those sentences that name the fewest passages), and what
 * became of windows: the reasoning where it is short and there is one window, the windows that were
 * cut or repaired where there are many. A last line says what was left out. run->explain_all leaves
 * out nothing. Errors: RR_E_MEMORY; also in out->failed. */
enum { RR_TABLE_SAID = 2, RR_TABLE_NAMED = 20, RR_TABLE_LINES = 12 };
rr_status rr_run_table(const rr_run_out *run, const rr_query *query, const rr_ranking *ranking,
    size_t index, rr_buf *out, rr_diag *diag);

#endif
