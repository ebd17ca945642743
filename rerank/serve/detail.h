/* The member `rearank` of an answer: how the ranking came about.
 * Owns: its JSON. Documents have the numbers that the client gave them, by their place in its
 * list. Pure. */
#ifndef RR_RERANK_SERVE_DETAIL_H
#define RR_RERANK_SERVE_DETAIL_H

#include "rerank/serve/outcome.h"

/* Appends {"mode", "calibrated", "late", "device", "time_ms"}, and where the request asked to
 * explain also "windows" and "explanations". Failure shows in out->failed. */
void rr_serve_detail(const rr_serve_request *request, const rr_ranking *ranking,
    const rr_serve_made_by *made_by, rr_buf *out);

/* Appends the documents [1,0,…] of passages of the query, by their numbers. */
void rr_serve_shown(
    const rr_serve_request *request, const uint32_t *passages, size_t n, rr_buf *out);

/* Appends one window: {"begin", "end", "documents", "permutation", "reasoning", …}. */
void rr_serve_detail_window(
    const rr_serve_request *request, const rr_window_result *window, rr_buf *out);

#endif
