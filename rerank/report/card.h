/* The passages of one query of `rearank report`, a card each.
 * Owns: the order of the template's parts within a card. Private to rerank/report/query_part.c. */
#ifndef RR_RERANK_REPORT_CARD_H
#define RR_RERANK_REPORT_CARD_H

#include "rerank/attention.h"
#include "rerank/report/explain.h"
#include "rerank/report/page_query.h"

/* Appends the parts from "passages" on, with a card a passage, best first. `attention` [n] by
 * passage; NULL = nothing was read. */
void rr_report_cards_write(const rr_report_query *query, const rr_explanations *explanations,
    const rr_attention *attention);

#endif
