/* Rankings written out: for people, programs and evaluation tools.
 * Owns: the output formats. Appends text to a buffer; who sends it where is the caller's
 * business. */
#ifndef RR_RERANK_REPORT_RUN_OUT_H
#define RR_RERANK_REPORT_RUN_OUT_H

#include "rerank/report/run_types.h"

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
