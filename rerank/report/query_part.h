/* One query of `rearank report`: its chart, its reasoning, its passages.
 * Owns: the order of the template's parts within a query, but for those of a passage's card
 * (rerank/report/card.h). Private to rerank/report/report.c. */
#ifndef RR_RERANK_REPORT_QUERY_PART_H
#define RR_RERANK_REPORT_QUERY_PART_H

#include "rerank/report/page_query.h"

/* Appends the parts from "body" to "body-end". Errors: RR_E_MEMORY. */
rr_status rr_report_query_write(const rr_report_query *query, rr_diag *diag);

#endif
