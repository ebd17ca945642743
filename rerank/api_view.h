/* A finished ranking as the public header shows it.
 * Owns: the copies that its results and windows point into: they live in the ranking's memory.
 * Private to rerank/api.c. */
#ifndef RR_RERANK_API_VIEW_H
#define RR_RERANK_API_VIEW_H

#include "rerank/rearank.h"
#include "rerank/rerank.h"

/* What a ranking was made of; borrowed during the call. */
typedef struct rr_api_view_params {
    const rr_query *query;
    const rr_prompt_form *form;      /* of its prompts */
    const rearank_passage *passages; /* [query->n] as the caller gave them, with their ids */
} rr_api_view_params;

/* *results [ranking->n] and *windows [ranking->n_windows] are set on success only. Errors:
 * RR_E_MEMORY. */
rr_status rr_api_view(const rr_api_view_params *params, rr_ranking *ranking,
    rearank_result **results, rearank_window **windows, rr_diag *diag);

#endif
