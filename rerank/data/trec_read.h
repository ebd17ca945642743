/* Runs and relevance judgements from files.
 * Owns: the input formats of `rearank eval`. Everything here is hostile: messages name file, line,
 * what was found and what was expected. */
#ifndef RR_RERANK_DATA_TREC_READ_H
#define RR_RERANK_DATA_TREC_READ_H

#include "rerank/data/trec_table.h"

/* Reads a run; what the file holds is told from its first line:
 *   qid Q0 docid rank score tag   a TREC run; columns by spaces and tabs, or by tabs alone where a
 *                                 line has six of them: then an id may hold spaces; the rank is
 *                                 ignored, more columns are ignored, except where they tell of an
 *                                 id with spaces
 *   qid docid rank                an MS MARCO run; score = -rank
 *   qid docid rank score          what `rearank rank --format tsv` writes; between tabs an id may
 *                                 hold spaces
 *   JSON, JSON Lines              {"qid", "results": [{"id"}]} as `rearank rank` writes it, best
 *                                 first, or {"qid", "hits": [{"docid", "score"?}]} in any form of
 *                                 rerank/data/hits.h; without scores in the order given
 * Blank lines, a byte order mark and CR before the line end are skipped, and so are comments: lines
 * that start with '#' and have not the form of the others, or a space behind the '#' where columns
 * are not parted by tabs. An id may start with '#'. Scores are doubles, as in trec_eval 10 (9
 * rounded them to floats). Rows come out by score falling, then docid falling (byte order). `table`
 * is zeroed by the caller, `path` borrowed ("-" = standard input). Errors: RR_E_IO, RR_E_INPUT
 * (also for an empty file and for a docid that occurs twice in a query), RR_E_MEMORY. Cost: linear,
 * some 10 million lines in 3 s. */
rr_status rr_trec_read_run(const char *path, rr_trec_table *table, rr_diag *diag);

/* Reads judgements: "qid iter docid level" (TREC, MS MARCO) or "qid docid level" with tabs (BEIR,
 * whose header line "query-id corpus-id score" is skipped); between tabs ids may hold spaces; or
 * BRIGHT's examples (rerank/data/bright.h; gold ids have level 1). A level is a whole number of at most
 * RR_EVAL_MAX_LEVEL in size; below 0 it means in the pool but not judged. Comments are as in runs.
 * Rows come out by docid. */
#define RR_EVAL_MAX_LEVEL 1000000
rr_status rr_trec_read_qrels(const char *path, rr_trec_table *table, rr_diag *diag);

/* The same for judgements that also say what is excluded from every run (rr_bright_exclude): reads
 * BRIGHT's examples into both tables; of other files `excluded` stays zeroed. */
rr_status rr_trec_read_judgements(
    const char *path, rr_trec_table *table, rr_trec_table *excluded, rr_diag *diag);

/* The same over memory, borrowed as long as the table lives. */
rr_status rr_eval_parse_run(
    const char *data, size_t bytes, const char *label, rr_trec_table *table, rr_diag *diag);
rr_status rr_eval_parse_qrels(
    const char *data, size_t bytes, const char *label, rr_trec_table *table, rr_diag *diag);

/* The JSON part of rr_eval_parse_run (eval_read_json.c): adds the rows, finishes nothing. */
rr_status rr_eval_parse_json(const char *data, size_t bytes, rr_trec_table *table, rr_diag *diag);

#endif
