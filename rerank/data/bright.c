#include "rerank/data/bright.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/data/jsonl.h"

static const char shape[] =
    "{\"id\", \"query\", \"gold_ids\": [...], \"excluded_ids\": [...]} on one line";

bool rr_bright_is(const char *data, size_t bytes) {
    rr_arena unused = {0};
    rr_jsonl jsonl = rr_jsonl_start("", data, bytes, &unused);
    rr_text line;
    yyjson_doc *doc;
    if (!rr_jsonl_next_line(&jsonl, &line) || line.data[strspn(line.data, " \t")] != '{' ||
        rr_jsonl_parse(&jsonl, line, shape, &doc, NULL) != RR_OK) {
        return false;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool found = yyjson_is_arr(yyjson_obj_get(root, "gold_ids")) ||
        yyjson_is_arr(yyjson_obj_get(root, "excluded_ids"));
    yyjson_doc_free(doc);
    return found;
}

static int by_text(const void *a, const void *b) {
    const rr_text *left = a, *right = b;
    return rr_trec_compare(left->data, left->bytes, right->data, right->bytes);
}

/* The ids of a member, each once, as rows. A member that is absent holds none. */
static rr_status add_ids(const rr_jsonl *jsonl, yyjson_val *object, const char *key,
    const char *qid, rr_trec_table *table, rr_diag *diag) {
    yyjson_val *list, *item;
    if (yyjson_obj_get(object, key) == NULL) {
        return RR_OK;
    }
    RR_TRY(rr_jsonl_array(jsonl, object, "", key, &list, diag));
    rr_text *ids = malloc((yyjson_arr_size(list) + 1) * sizeof *ids);
    if (ids == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line);
    }
    rr_status status = RR_OK;
    size_t index, n_items, n = 0;
    yyjson_arr_foreach(list, index, n_items, item) {
        const char *id = yyjson_get_str(item);
        size_t bytes = yyjson_get_len(item);
        if (!yyjson_is_str(item) || bytes == 0 || memchr(id, '\0', bytes) != NULL) {
            RR_TRY_GOTO(rr_jsonl_fail(jsonl, diag, "\"%s\"[%zu]: found a JSON %s, expected an id",
                key, index, yyjson_get_type_desc(item)));
        }
        if (strcmp(id, "N/A") != 0) {
            ids[n++] = (rr_text){rr_arena_copy(&table->arena, id, bytes), bytes};
            if (ids[n - 1].data == NULL) {
                RR_TRY_GOTO(
                    rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line));
            }
        }
    }
    const char *owner = rr_arena_copy(&table->arena, qid, strlen(qid));
    if (owner == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line));
    }
    qsort(ids, n, sizeof *ids, by_text);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_text(&ids[i - 1], &ids[i]) != 0) {
            rr_trec_row row = {.docid = ids[i].data,
                .docid_bytes = (uint32_t)ids[i].bytes,
                .line = (uint32_t)jsonl->line,
                .level = 1};
            RR_TRY_GOTO(rr_trec_table_add(table, (rr_text){owner, strlen(owner)}, &row, diag));
        }
    }
fail:
    free(ids);
    return status;
}

static rr_status read_lines(
    rr_jsonl *jsonl, rr_trec_table *gold, rr_trec_table *excluded, rr_diag *diag) {
    rr_text line;
    while (rr_jsonl_next_line(jsonl, &line)) {
        yyjson_doc *doc;
        rr_arena scratch = {0};
        const char *qid;
        jsonl->arena = &scratch;
        RR_TRY(rr_jsonl_parse(jsonl, line, shape, &doc, diag));
        yyjson_val *object = yyjson_doc_get_root(doc);
        rr_status status = rr_jsonl_id(jsonl, object, "", "id", false, &qid, diag);
        if (status == RR_OK && gold != NULL) {
            status = add_ids(jsonl, object, "gold_ids", qid, gold, diag);
        }
        if (status == RR_OK && excluded != NULL) {
            status = add_ids(jsonl, object, "excluded_ids", qid, excluded, diag);
        }
        rr_arena_destroy(&scratch);
        yyjson_doc_free(doc);
        RR_TRY(status);
    }
    return RR_OK;
}

rr_status rr_bright_parse(const char *data, size_t bytes, const char *label, rr_trec_table *gold,
    rr_trec_table *excluded, rr_diag *diag) {
    rr_jsonl jsonl = rr_jsonl_start(label, data, bytes, NULL);
    if (gold != NULL) {
        gold->label = label;
    }
    if (excluded != NULL) {
        excluded->label = label;
    }
    RR_TRY(read_lines(&jsonl, gold, excluded, diag));
    if (gold != NULL && gold->n_rows == 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: found no gold_ids, expected %s", label, shape);
    }
    RR_TRY(gold != NULL ? rr_trec_table_finish(gold, rr_trec_by_docid, diag) : RR_OK);
    return excluded != NULL ? rr_trec_table_finish(excluded, rr_trec_by_docid, diag) : RR_OK;
}

size_t rr_bright_exclude(rr_trec_table *run, const rr_trec_table *excluded, size_t cut) {
    size_t n_taken = 0;
    for (size_t i = 0; i < run->n_queries; i++) {
        rr_trec_query *query = &run->queries[i];
        rr_trec_row *rows = &run->rows[query->first];
        const rr_trec_query *out = rr_trec_table_find(excluded, query->qid);
        size_t n = cut != 0 && cut < query->n ? cut : query->n, kept = 0;
        for (size_t k = 0; k < n; k++) {
            bool taken = out != NULL &&
                bsearch(&rows[k], &excluded->rows[out->first], out->n, sizeof *rows,
                    rr_trec_by_docid) != NULL;
            n_taken += taken;
            if (!taken) {
                rows[kept++] = rows[k];
            }
        }
        query->n = kept;
    }
    return n_taken;
}
