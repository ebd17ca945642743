/* Folders that hold a data set, as their makers publish it.
 * Owns: the names of files that are looked for. Reads none of them. */
#ifndef RR_RERANK_DATA_DATASET_H
#define RR_RERANK_DATA_DATASET_H

#include "runtime/base/memory.h"

/* Paths of what was found, NULL for what was not; of several names the first that is there, each as
 * it stands or with .gz:
 *   corpus      corpus.jsonl (BEIR), documents.jsonl (BRIGHT), collection.tsv (MS MARCO),
 *               corpus.tsv
 *   queries     queries.jsonl (BEIR), examples.jsonl (BRIGHT), queries.tsv (MS MARCO), topics.tsv
 *   qrels       qrels/test.tsv, qrels/dev.tsv (BEIR), qrels.tsv, qrels.txt, qrels (a file),
 *               examples.jsonl (BRIGHT)
 *   run         run.trec, bm25.trec, run.tsv, run.txt, bm25.tsv, bm25.txt
 *   candidates  candidates.jsonl: queries with passages in one file (rr_candidates_read)
 * Zero-initialise; destroy whatever happens. */
typedef struct rr_dataset {
    rr_arena arena;
    const char *corpus, *queries, *qrels, *run, *candidates;
} rr_dataset;

/* Errors: RR_E_IO when there is no such folder or it cannot be entered, RR_E_MEMORY. */
rr_status rr_dataset_find(const char *folder, rr_dataset *out, rr_diag *diag);
void rr_dataset_destroy(rr_dataset *dataset); /* accepts a zeroed one */

/* The names above for messages and help, with commas between. */
typedef enum rr_dataset_part {
    RR_DATASET_CORPUS,
    RR_DATASET_QUERIES,
    RR_DATASET_QRELS,
    RR_DATASET_RUN,
    RR_DATASET_CANDIDATES
} rr_dataset_part;
void rr_dataset_names(rr_dataset_part part, rr_buf *out);

/* Whether the path is a folder. */
bool rr_dataset_is_folder(const char *path);

#endif
