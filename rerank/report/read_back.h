/* Rankings read back from the JSON that `rearank rank` writes (rerank/report/run_out.h).
 * Owns: that input. Everything here is hostile: messages name file, place, what was found and what
 * was expected. */
#ifndef RR_RERANK_REPORT_READ_BACK_H
#define RR_RERANK_REPORT_READ_BACK_H

#include "rerank/rerank.h"

/* One query as it was ranked. Texts that the file does not bring are empty. */
typedef struct rr_run_item {
    const char *qid;            /* NULL when the file has none: a single query */
    const char *model, *device; /* NULL when unknown */
    bool has_params;            /* window, step, depth and style are known */
    rr_rank_params params;
    /* how the rankings came out of the model (rr_run_out.way); NULL when unknown */
    const char *way;
    bool has_texts;       /* any passage has a text */
    rr_passage *passages; /* [query.n], those of `query`, open to be filled in */
    rr_query query;       /* passages in the order of the first stage */
    rr_ranking ranking;   /* its arena holds nothing; all memory is the reader's */
} rr_run_item;

/* Called for each query in the file's order; the item is borrowed during the call. An error ends
 * the reading. */
typedef rr_status (*rr_run_item_fn)(void *user, rr_run_item *item, rr_diag *diag);

/* Reads an array of queries, one query, or one a line. What is needed: "results" with each "index"
 * from 0 to n - 1 once and an "id" each, in ranked order; "windows" whose passages and permutations
 * fit. Unknown members are ignored. `label` names the data in messages. Errors: RR_E_INPUT (also
 * when there is no query), RR_E_MEMORY, and what `fn` returns. */
rr_status rr_run_items_parse(const char *data, size_t bytes, const char *label, rr_run_item_fn fn,
    void *user, rr_diag *diag);

#endif
