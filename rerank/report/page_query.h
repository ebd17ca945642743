/* One query of `rearank report` as its parts see it, and what they write in the same way: where a
 * passage went, its grade, numbers and times. Private to rerank/report. */
#ifndef RR_RERANK_REPORT_PAGE_QUERY_H
#define RR_RERANK_REPORT_PAGE_QUERY_H

#include "rerank/report/parts.h"
#include "rerank/report/read_back.h"

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

/* "up", "down" or "same": where a passage went. */
const char *rr_report_way(const rr_report_query *query, size_t passage);
/* Appends the passage's grade, where it was judged. */
void rr_report_level(const rr_report_query *query, size_t passage);

/* "1,234", "850 ms", "12.3 s", "3 min 5 s" in a buffer of at least 32 bytes, which is returned. */
const char *rr_report_count(uint64_t n, char *out);
const char *rr_report_time(uint64_t ns, char *out);

#endif
