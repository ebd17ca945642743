#include "rerank/data/trec_table.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"

int rr_trec_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    size_t shared = a_bytes < b_bytes ? a_bytes : b_bytes;
    int order = shared > 0 ? memcmp(a, b, shared) : 0;
    return order != 0 ? order : a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static bool same(rr_text a, rr_text b) {
    return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
}

static uint64_t hash(const char *data, size_t bytes) {
    const uint64_t h = rr_fnv1a(data, bytes);
    return h ^ (h >> 29);
}

static rr_status no_memory(const rr_trec_table *table, rr_diag *diag) {
    return rr_fail(
        diag, RR_E_MEMORY, "%s: out of memory after %zu rows", table->label, table->n_rows);
}

rr_status rr_trec_table_load(
    rr_trec_table *table, const char *path, const char **data, size_t *bytes, rr_diag *diag) {
    table->label = path;
    RR_TRY(rr_text_file_open(path, RR_TREC_MAX_STREAM, &table->file, diag));
    *data = table->file.data;
    *bytes = table->file.bytes;
    return RR_OK;
}

/* Room for one item more; NULL when memory is exhausted. */
static void *grown(void *items, size_t n, size_t *capacity, size_t size) {
    if (n < *capacity) {
        return items;
    }
    size_t more = *capacity < 64 ? 64 : *capacity + *capacity / 2;
    void *moved = more <= SIZE_MAX / size ? realloc(items, more * size) : NULL;
    if (moved != NULL) {
        *capacity = more;
    }
    return moved;
}

/* Where the query stands in the hash table, or the free place for it. */
static size_t slot_of(const rr_trec_table *table, rr_text qid) {
    size_t at = (size_t)hash(qid.data, qid.bytes) & (table->n_slots - 1);
    while (table->slots[at] != 0 && !same(table->queries[table->slots[at] - 1].qid, qid)) {
        at = (at + 1) & (table->n_slots - 1);
    }
    return at;
}

static bool grow_slots(rr_trec_table *table) {
    size_t n = table->n_slots == 0 ? 256 : table->n_slots * 2;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    free(table->slots);
    table->slots = slots;
    table->n_slots = n;
    for (size_t i = 0; i < table->n_queries; i++) {
        table->slots[slot_of(table, table->queries[i].qid)] = (uint32_t)(i + 1);
    }
    return true;
}

/* The query's index; a new query gets the next. */
static bool find_or_add(rr_trec_table *table, rr_text qid, uint32_t *index) {
    if ((table->n_queries + 1) * 2 > table->n_slots && !grow_slots(table)) {
        return false;
    }
    size_t at = slot_of(table, qid);
    if (table->slots[at] == 0) {
        rr_trec_query *queries = grown(
            table->queries, table->n_queries, &table->queries_capacity, sizeof *table->queries);
        if (queries == NULL) {
            return false;
        }
        table->queries = queries;
        queries[table->n_queries] = (rr_trec_query){.qid = qid, .first = table->n_rows};
        table->slots[at] = (uint32_t)++table->n_queries;
    } else {
        table->scattered = true;
    }
    *index = table->slots[at] - 1;
    return true;
}

rr_status rr_trec_table_add(rr_trec_table *table, rr_text qid, rr_trec_row *row, rr_diag *diag) {
    if (table->n_rows >= UINT32_MAX - 1 || qid.bytes >= UINT32_MAX) {
        return rr_fail(diag, RR_E_INPUT, "%s: more than %u rows", table->label, UINT32_MAX - 1);
    }
    uint32_t last = table->n_rows > 0 ? table->rows[table->n_rows - 1].query : 0;
    if (table->n_rows > 0 && same(table->queries[last].qid, qid)) {
        row->query = last;
    } else if (!find_or_add(table, qid, &row->query)) {
        return no_memory(table, diag);
    }
    rr_trec_row *rows =
        grown(table->rows, table->n_rows, &table->rows_capacity, sizeof *table->rows);
    if (rows == NULL) {
        return no_memory(table, diag);
    }
    table->rows = rows;
    row->place = (uint32_t)table->n_rows;
    rows[table->n_rows++] = *row;
    table->queries[row->query].n++;
    return RR_OK;
}

int rr_trec_by_docid(const void *a, const void *b) {
    const rr_trec_row *left = a, *right = b;
    return rr_trec_compare(left->docid, left->docid_bytes, right->docid, right->docid_bytes);
}

int rr_trec_by_score(const void *a, const void *b) {
    const rr_trec_row *left = a, *right = b;
    return left->score > right->score ? -1
        : left->score < right->score  ? 1
                                      : rr_trec_by_docid(b, a);
}

int rr_trec_by_place(const void *a, const void *b) {
    const rr_trec_row *left = a, *right = b;
    return left->score > right->score ? -1
        : left->score < right->score  ? 1
        : left->place < right->place  ? -1
                                      : left->place > right->place;
}

/* Rows of one query together, in the order in which they came. */
static bool group(rr_trec_table *table) {
    rr_trec_row *grouped = malloc((table->n_rows > 0 ? table->n_rows : 1) * sizeof *grouped);
    if (grouped == NULL) {
        return false;
    }
    size_t first = 0;
    for (size_t i = 0; i < table->n_queries; i++) {
        table->queries[i].first = first;
        first += table->queries[i].n;
        table->queries[i].n = 0;
    }
    for (size_t i = 0; i < table->n_rows; i++) {
        rr_trec_query *query = &table->queries[table->rows[i].query];
        grouped[query->first + query->n++] = table->rows[i];
    }
    free(table->rows);
    table->rows = grouped;
    table->rows_capacity = table->n_rows;
    return true;
}

/* Slots of a hash table over n rows. */
static size_t slots_for(size_t n) {
    size_t n_slots = 16;
    while (n_slots < n * 2) {
        n_slots *= 2;
    }
    return n_slots;
}

/* A docid that occurs twice among the rows, which are in any order. `slots` is scratch of
 * slots_for(n): row index + 1, 0 = free. */
static bool find_repeat(
    const rr_trec_row *rows, size_t n, uint32_t *slots, size_t *one, size_t *other) {
    const size_t n_slots = slots_for(n);
    memset(slots, 0, n_slots * sizeof *slots);
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)hash(rows[i].docid, rows[i].docid_bytes) & (n_slots - 1);
        while (slots[at] != 0) {
            if (rr_trec_by_docid(&rows[slots[at] - 1], &rows[i]) == 0) {
                *one = slots[at] - 1;
                *other = i;
                return true;
            }
            at = (at + 1) & (n_slots - 1);
        }
        slots[at] = (uint32_t)(i + 1);
    }
    return false;
}

static rr_status fail_repeat(const rr_trec_table *table, const rr_trec_query *query, size_t one,
    size_t other, rr_diag *diag) {
    const rr_trec_row *a = &table->rows[query->first + one],
                      *b = &table->rows[query->first + other];
    uint32_t earlier = a->line < b->line ? a->line : b->line,
             later = a->line < b->line ? b->line : a->line;
    return rr_fail(diag, RR_E_INPUT,
        "%s:%u: query \"%.*s\" has the passage \"%.*s\" twice (first in line %u), expected it once",
        table->label, later, (int)(query->qid.bytes < 100 ? query->qid.bytes : 100),
        query->qid.data, (int)(a->docid_bytes < 200 ? a->docid_bytes : 200), a->docid, earlier);
}

void rr_trec_table_sort(rr_trec_table *table, rr_trec_order order) {
    for (size_t i = 0; i < table->n_queries; i++) {
        const rr_trec_query *query = &table->queries[i];
        rr_trec_row *rows = &table->rows[query->first];
        size_t in_order = 1;
        while (in_order < query->n && order(&rows[in_order - 1], &rows[in_order]) <= 0) {
            in_order++;
        }
        if (in_order < query->n) {
            qsort(rows, query->n, sizeof *rows, order);
        }
    }
}

/* Fails when a docid stands twice in a query. */
static rr_status check_repeats(const rr_trec_table *table, rr_diag *diag) {
    size_t longest = 0;
    for (size_t i = 0; i < table->n_queries; i++) {
        longest = table->queries[i].n > longest ? table->queries[i].n : longest;
    }
    uint32_t *slots = malloc(slots_for(longest) * sizeof *slots);
    if (slots == NULL) {
        return no_memory(table, diag);
    }
    rr_status status = RR_OK;
    for (size_t i = 0; i < table->n_queries && status == RR_OK; i++) {
        const rr_trec_query *query = &table->queries[i];
        size_t one, other;
        if (find_repeat(&table->rows[query->first], query->n, slots, &one, &other)) {
            status = fail_repeat(table, query, one, other, diag);
        }
    }
    free(slots);
    return status;
}

static int by_qid(const void *a, const void *b) {
    const rr_trec_query *left = a, *right = b;
    return rr_trec_compare(left->qid.data, left->qid.bytes, right->qid.data, right->qid.bytes);
}

rr_status rr_trec_table_finish(rr_trec_table *table, rr_trec_order order, rr_diag *diag) {
    free(table->slots);
    table->slots = NULL;
    table->n_slots = 0;
    if (table->scattered && !group(table)) {
        return no_memory(table, diag);
    }
    rr_trec_table_sort(table, order);
    RR_TRY(check_repeats(table, diag));
    if (table->n_queries > 1) {
        qsort(table->queries, table->n_queries, sizeof *table->queries, by_qid);
    }
    return RR_OK;
}

const rr_trec_query *rr_trec_table_find(const rr_trec_table *table, rr_text qid) {
    const rr_trec_query wanted = {.qid = qid};
    return table->n_queries > 0
        ? bsearch(&wanted, table->queries, table->n_queries, sizeof wanted, by_qid)
        : NULL;
}

void rr_trec_table_destroy(rr_trec_table *table) {
    rr_text_file_close(&table->file);
    rr_arena_destroy(&table->arena);
    free(table->queries);
    free(table->rows);
    free(table->slots);
    *table = (rr_trec_table){0};
}
