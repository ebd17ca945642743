/* Windows to learn from: passages with grades, drawn from judged lists as REARANK's augmentation
 * draws them (arXiv 2505.20046): random ones of the first 100 of a list, shuffled, several times a
 * query. Owns: which passages make a window. The same lists, settings and seed give the same
 * windows. */
#ifndef RR_RERANK_LEARN_FIT_WINDOWS_H
#define RR_RERANK_LEARN_FIT_WINDOWS_H

#include "rerank/data/candidates.h"
#include "rerank/data/trec_table.h"

typedef struct rr_fit_window {
    uint32_t set; /* of the lists that were given */
    const rr_query *query;
    uint32_t n;
    uint32_t *passages; /* [n] of the query, as they are shown */
    int32_t *grades;    /* [n] 0 and more */
} rr_fit_window;

typedef struct rr_fit_windows {
    rr_arena arena;
    /* [n]: by round, then by set and query: the first of every query, then the second … */
    rr_fit_window *windows;
    size_t n;
    /* queries that give none: grades that are all equal, or too few judged passages */
    size_t n_left_out;
} rr_fit_windows;

/* Zero values mean the defaults. */
typedef struct rr_fit_windows_params {
    uint32_t size;      /* passages a window; 0 = 20 */
    uint32_t least;     /* fewer judged ones make none; 0 = 8 */
    uint32_t depth;     /* only so many from a list's top; 0 = 100 */
    uint32_t per_query; /* windows a query; 0 = 1 */
    uint64_t seed;
} rr_fit_windows_params;

/* One judged list. */
typedef struct rr_fit_set {
    const rr_candidates *candidates; /* borrowed */
    const rr_trec_table *qrels;
    /* a passage that the judgements do not name is not relevant; else it is left out */
    bool unjudged_is_0;
    uint32_t n_queries; /* only so many, chosen by the seed; 0 = all */
} rr_fit_set;

/* At most half of a window are passages of a grade above 0, as long as there are others. `out` must
 * be destroyed whatever happens. Errors: RR_E_MEMORY. */
rr_status rr_fit_windows_make(const rr_fit_set *sets, size_t n_sets,
    const rr_fit_windows_params *params, rr_fit_windows *out, rr_diag *diag);
void rr_fit_windows_destroy(rr_fit_windows *windows); /* accepts a zeroed one */

#endif
