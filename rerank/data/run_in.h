/* Candidates from a run of another search engine: the run names passages, a corpus and a list of
 * queries bring their texts. Owns: how the three are joined. Does not own their formats
 * (rerank/data/trec_read.h, rerank/data/docs.h, rerank/data/bright.h). */
#ifndef RR_RERANK_DATA_RUN_IN_H
#define RR_RERANK_DATA_RUN_IN_H

#include "rerank/data/candidates.h"

typedef struct rr_run_in {
    const char *run;            /* any format of rr_trec_read_run; "-" = standard input */
    const char *const *corpora; /* [n_corpora] files of rr_docs_read; at least one */
    size_t n_corpora;
    /* a file of rr_docs_read. A list of BRIGHT's examples also says what is excluded: then every
     * query is cut to its first max(100, depth) results (all for depth 0), and what is excluded is
     * taken out of them */
    const char *queries;
    /* texts are read for this many passages from the top of a query; 0 = for all */
    size_t depth;
    size_t max_queries; /* only the first ones of the run; 0 = all */
    bool skip_missing;  /* go on without what has no text, instead of failing */
} rr_run_in;

typedef struct rr_run_in_counts {
    size_t n_passages;         /* different ones whose texts were asked for */
    size_t n_missing_passages; /* of them: in no corpus */
    size_t n_missing_queries;  /* queries of the run without a text */
    /* names the first of both for people; NULL = none. In the candidates' arena */
    const char *first_missing;
    /* texts that took the place of another with their id, earlier in the same file */
    size_t n_replaced;
    const char *first_replaced; /* names the first for people, as first_missing does */
    size_t n_excluded;          /* results taken out */
} rr_run_in_counts;

/* Queries come in the order of the run, each one's passages by score falling; ties keep the order
 * of the file, which is that of the first stage (by docid they are only measured). Passages behind
 * `depth` keep their place but have no text. Of missing texts, also such as are null, the message
 * names the first and the count; with `skip_missing` such passages and queries are left out. Ids
 * must be valid UTF-8 without control characters. `out` must be destroyed whatever happens. Errors:
 * RR_E_IO, RR_E_INPUT, RR_E_MEMORY. Cost: linear in the run; one pass over the corpus. Memory: the
 * rows of the run and the texts that are kept. */
rr_status rr_run_in_read(
    const rr_run_in *params, rr_candidates *out, rr_run_in_counts *counts, rr_diag *diag);

#endif
