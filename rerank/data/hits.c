#include "rerank/data/hits.h"

#include <stdio.h>
#include <string.h>

static yyjson_val *member(yyjson_val *object, const char *key) {
    yyjson_val *value = yyjson_obj_get(object, key);
    return yyjson_is_null(value) ? NULL : value;
}

const char *rr_hits_text_key(yyjson_val *object) {
    static const char *const keys[] = {"text", "segment", "contents", "content", "body", "passage"};
    const char *null_key = keys[0];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (member(object, keys[i]) != NULL) {
            return keys[i];
        }
        null_key = yyjson_obj_get(object, keys[i]) != NULL ? keys[i] : null_key;
    }
    return null_key;
}

/* Where the qid stands: in the object, in its query, or in its first hit; the object when it is
 * nowhere. */
static yyjson_val *qid_owner(yyjson_val *object, yyjson_val *list, const char **where) {
    yyjson_val *query = yyjson_obj_get(object, "query"), *hit = yyjson_arr_get_first(list);
    *where = "";
    if (member(object, "qid") == NULL && yyjson_is_obj(query)) {
        *where = "query.";
        return query;
    }
    if (yyjson_obj_get(object, "qid") == NULL && member(hit, "qid") != NULL) {
        *where = "hits[0].";
        return hit;
    }
    return object;
}

rr_status rr_hits_open(const rr_jsonl *jsonl, yyjson_val *object, rr_hits *out, rr_diag *diag) {
    bool candidates = member(object, "hits") == NULL && member(object, "candidates") != NULL;
    out->key = candidates ? "candidates" : "hits";
    const char *where;
    yyjson_val *owner = qid_owner(object, yyjson_obj_get(object, out->key), &where);
    RR_TRY(rr_jsonl_id(jsonl, owner, where, "qid", false, &out->qid, diag));
    return rr_jsonl_array(jsonl, object, "", out->key, &out->list, diag);
}

rr_status rr_hits_query(const rr_jsonl *jsonl, yyjson_val *object, rr_text *out, rr_diag *diag) {
    yyjson_val *query = yyjson_obj_get(object, "query");
    return yyjson_is_obj(query) ? rr_jsonl_text(jsonl, query, "query.", "text", false, out, diag)
                                : rr_jsonl_text(jsonl, object, "", "query", false, out, diag);
}

/* RankGPT's texts begin with their title; where it is empty, with words that say nothing. */
static rr_text without_empty_title(rr_text text) {
    static const char empty[] = "Title: Content: ";
    size_t n = sizeof empty - 1;
    return text.bytes >= n && memcmp(text.data, empty, n) == 0
        ? (rr_text){text.data + n, text.bytes - n}
        : text;
}

rr_status rr_hits_read(
    const rr_jsonl *jsonl, yyjson_val *hit, const char *where, rr_hit *out, rr_diag *diag) {
    yyjson_val *doc = yyjson_obj_get(hit, "doc");
    char inside[80];
    if (yyjson_is_obj(doc)) {
        snprintf(inside, sizeof inside, "%sdoc.", where);
    } else {
        snprintf(inside, sizeof inside, "%s", where);
        doc = hit;
    }
    RR_TRY(rr_jsonl_id(jsonl, hit, where, "docid", false, &out->docid, diag));
    const char *key = rr_hits_text_key(doc);
    out->is_null = yyjson_is_null(yyjson_obj_get(doc, key));
    RR_TRY(rr_jsonl_text(jsonl, doc, inside, key, out->is_null, &out->text, diag));
    out->text = without_empty_title(out->text);
    RR_TRY(rr_jsonl_text(jsonl, doc, inside, "title", true, &out->title, diag));
    return rr_jsonl_number(jsonl, hit, where, "score", &out->score, diag);
}
