/* Runs in JSON: what `rearank rank` writes, and candidates files, also RankGPT's and rank_llm's. */
#include "rerank/data/trec_read.h"

#include <string.h>

#include "rerank/data/hits.h"

static const char *const shape =
    "{\"qid\": …, \"results\": [{\"id\": …}]} or {\"qid\": …, \"hits\": [{\"docid\": …, \"score\"?: …}]}";

/* Whether all hits bring a score, be it one that is no number. */
static bool has_scores(yyjson_val *hits) {
    size_t index, n;
    yyjson_val *hit;
    yyjson_arr_foreach(hits, index, n, hit) {
        yyjson_val *score = yyjson_obj_get(hit, "score");
        if (score == NULL || yyjson_is_null(score)) {
            return false;
        }
    }
    return true;
}

static rr_status add_query(
    const rr_jsonl *jsonl, rr_trec_table *table, yyjson_val *object, rr_diag *diag) {
    if (!yyjson_is_obj(object)) {
        return rr_jsonl_fail(
            jsonl, diag, "found a JSON %s, expected %s", yyjson_get_type_desc(object), shape);
    }
    bool ours = yyjson_obj_get(object, "results") != NULL ||
        (yyjson_obj_get(object, "hits") == NULL && yyjson_obj_get(object, "candidates") == NULL);
    rr_hits hits = {.key = "results"};
    yyjson_val *hit;
    if (ours) {
        RR_TRY(rr_jsonl_id(jsonl, object, "", "qid", false, &hits.qid, diag));
        RR_TRY(rr_jsonl_array(jsonl, object, "", hits.key, &hits.list, diag));
    } else {
        RR_TRY(rr_hits_open(jsonl, object, &hits, diag));
    }
    bool scored = !ours && has_scores(hits.list);
    size_t index, n;
    yyjson_arr_foreach(hits.list, index, n, hit) {
        if (!yyjson_is_obj(hit)) {
            return rr_jsonl_fail(jsonl, diag, "\"%s\"[%zu]: found a JSON %s, expected an object",
                hits.key, index, yyjson_get_type_desc(hit));
        }
        const char *docid;
        double score = (double)(n - index); /* in the order given */
        RR_TRY(rr_jsonl_id(jsonl, hit, "", ours ? "id" : "docid", false, &docid, diag));
        if (scored) {
            RR_TRY(rr_jsonl_number(jsonl, hit, "", "score", &score, diag));
        }
        rr_trec_row row = {.docid = docid,
            .docid_bytes = (uint32_t)strlen(docid),
            .line = (uint32_t)jsonl->line,
            .score = score};
        RR_TRY(rr_trec_table_add(table, (rr_text){hits.qid, strlen(hits.qid)}, &row, diag));
    }
    return RR_OK;
}

/* One value over the whole file: an array of queries, or one query on many lines. */
static rr_status add_document(
    rr_jsonl *jsonl, rr_trec_table *table, yyjson_val *root, rr_diag *diag) {
    jsonl->line = 1;
    if (!yyjson_is_arr(root)) {
        return add_query(jsonl, table, root, diag);
    }
    size_t index, n;
    yyjson_val *object;
    yyjson_arr_foreach(root, index, n, object) {
        rr_status status = add_query(jsonl, table, object, diag);
        if (status != RR_OK) {
            return rr_fail_context(diag, status, "query %zu of the array", index + 1);
        }
    }
    return RR_OK;
}

rr_status rr_eval_parse_json(const char *data, size_t bytes, rr_trec_table *table, rr_diag *diag) {
    rr_jsonl jsonl = rr_jsonl_start(table->label, data, bytes, &table->arena);
    yyjson_read_err error;
    rr_text line;
    yyjson_doc *doc = NULL;
    rr_diag first = {0};
    if (!rr_jsonl_next_line(&jsonl, &line)) {
        return RR_OK;
    }
    if (rr_jsonl_parse(&jsonl, line, shape, &doc, &first) != RR_OK) {
        yyjson_doc *whole =
            yyjson_read_opts((char *)(uintptr_t)data, bytes, YYJSON_READ_NOFLAG, NULL, &error);
        if (whole == NULL) { /* the more telling of the two messages */
            return line.data[0] == '{' && jsonl.bytes > 0 && error.pos < line.bytes
                ? rr_fail(diag, RR_E_INPUT, "%s", first.text)
                : rr_fail(diag, RR_E_INPUT, "%s: not JSON at byte %zu: %s; expected %s",
                      table->label, error.pos + 1, rr_jsonl_error((rr_text){data, bytes}, &error),
                      shape);
        }
        rr_status status = add_document(&jsonl, table, yyjson_doc_get_root(whole), diag);
        yyjson_doc_free(whole);
        return status;
    }
    for (;;) {
        rr_status status = add_query(&jsonl, table, yyjson_doc_get_root(doc), diag);
        yyjson_doc_free(doc);
        RR_TRY(status);
        if (!rr_jsonl_next_line(&jsonl, &line)) {
            return RR_OK;
        }
        RR_TRY(rr_jsonl_parse(&jsonl, line, shape, &doc, diag));
    }
}
