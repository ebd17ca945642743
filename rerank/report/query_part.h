/* One query of `rearank report`: its chart, its reasoning, its passages.
 * Owns: the order of the template's parts within a query, but for those of a passage's card
 * (rerank/report/card.h). Private to rerank/report/report.c. */
#ifndef RR_RERANK_REPORT_QUERY_PART_H
#define RR_RERANK_REPORT_QUERY_PART_H

#include "rerank/report/report.h"

/* What is written about, and where its parts go. */
typedef struct rr_report_query {
    const rr_parts *parts;
    rr_buf *out;
    size_t q; /* number of the query, from 1: makes ids unique */
    const rr_run_item *item;
    const uint32_t *rank; /* [n] of each passage, from 0 */
    /* [n] of each passage, RR_UNPOOLED and RR_UNJUDGED where there is none; NULL without
     * judgements */
    const int32_t *levels;
} rr_report_query;

/* Appends the parts from "body" to "body-end". Errors: RR_E_MEMORY. */
rr_status rr_report_query_write(const rr_report_query *query, rr_diag *diag);

/* "up", "down" or "same": where a passage went. */
const char *rr_report_way(const rr_report_query *query, size_t passage);
/* Appends the passage's grade, where it was judged. */
void rr_report_level(const rr_report_query *query, size_t passage);

/* "1,234", "850 ms", "12.3 s", "3 min 5 s" in a buffer of at least 32 bytes, which is returned. */
const char *rr_report_count(uint64_t n, char *out);
const char *rr_report_time(uint64_t ns, char *out);

#endif
