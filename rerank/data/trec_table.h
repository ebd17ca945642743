/* Rows of (query, passage, value) grouped by query: what a run and a set of judgements have in
 * common. Owns: the bytes of the file that the ids point into, the grouping, the orders, the search
 * for repeated ids. One table, one thread at a time. */
#ifndef RR_RERANK_DATA_TREC_TABLE_H
#define RR_RERANK_DATA_TREC_TABLE_H

#include "runtime/base/text.h"
#include "runtime/base/text_file.h"

typedef struct rr_trec_row {
    const char *docid; /* no NUL at its end */
    uint32_t docid_bytes;
    uint32_t query; /* order of the query's first row in the file */
    uint32_t line;  /* from 1; JSON: the line where the query's object starts */
    uint32_t place; /* among the rows of the file, from 0 */
    union {
        double score;  /* of a run; never NaN */
        int32_t level; /* of a judgement; below 0: in the pool, but not judged */
    };
} rr_trec_row;

typedef struct rr_trec_query {
    rr_text qid;
    size_t first, n; /* its rows */
} rr_trec_query;

/* Zero-initialise; destroy whatever happens. While rows are added the queries stand in the file's
 * order. */
typedef struct rr_trec_table {
    const char *label; /* the file in messages; borrowed */
    rr_text_file file;
    rr_arena arena;         /* ids that do not stand in the file as they are */
    rr_trec_query *queries; /* [n_queries] after rr_trec_table_finish by qid, in byte order */
    size_t n_queries, queries_capacity;
    rr_trec_row *rows; /* [n_rows] */
    size_t n_rows, rows_capacity;
    /* hash table over the queries: index + 1, 0 = free; only while rows are added */
    uint32_t *slots;
    size_t n_slots;
    bool scattered; /* the rows of some query do not stand together */
} rr_trec_table;

/* Opens the file (rr_text_file_open; a pipe or "-" may hold RR_TREC_MAX_STREAM bytes). *data stays
 * valid until the table is destroyed. Errors: those of rr_text_file_open. */
#define RR_TREC_MAX_STREAM ((uint64_t)16 << 30)
rr_status rr_trec_table_load(
    rr_trec_table *table, const char *path, const char **data, size_t *bytes, rr_diag *diag);

/* Adds a row; row->query and row->place are filled in. Both ids must live as long as the table.
 * Errors: RR_E_MEMORY; RR_E_INPUT past 2^32 - 2 rows or for an id of 4 GiB. Cost: one comparison
 * when the query is that of the row before, else one look-up. */
rr_status rr_trec_table_add(rr_trec_table *table, rr_text qid, rr_trec_row *row, rr_diag *diag);

/* Orders rows of one query; fits qsort. */
typedef int (*rr_trec_order)(const void *a, const void *b);
/* score falling, then docid falling in byte order */
int rr_trec_by_score(const void *a, const void *b);
/* score falling, then in the order of the file */
int rr_trec_by_place(const void *a, const void *b);
int rr_trec_by_docid(const void *a, const void *b); /* docid rising in byte order */

/* Groups the rows, sorts the queries and each query's rows. Errors: RR_E_INPUT when a docid occurs
 * twice in a query, with both lines; RR_E_MEMORY. Cost: linear for rows that come grouped and in
 * order. */
rr_status rr_trec_table_finish(rr_trec_table *table, rr_trec_order order, rr_diag *diag);

/* Brings each query's rows into another order. Only after rr_trec_table_finish. */
void rr_trec_table_sort(rr_trec_table *table, rr_trec_order order);

/* NULL when absent. Only after rr_trec_table_finish. */
const rr_trec_query *rr_trec_table_find(const rr_trec_table *table, rr_text qid);
void rr_trec_table_destroy(rr_trec_table *table); /* accepts a zeroed one */

/* As strcmp, for texts that hold no NUL. */
int rr_trec_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

#endif
