#include "rerank/data/candidates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/clean.h"
#include "rerank/data/hits.h"
#include "rerank/data/jsonl.h"
#include "rerank/data/table_head.h"
#include "runtime/base/text_file.h"

static const char candidates_shape[] =
    "{\"qid\", \"query\", \"hits\": [{\"docid\", \"text\"}, ...]} on one line, or an array of them";
static const char passage_shape[] = "{\"text\", \"title\"?, \"id\"?} on one line";
static const char recording_shape[] = "{\"qid\", \"responses\": [\"...\", ...]} on one line";

/* A growing array of one item type, outside the arena while its length is unknown. */
typedef struct item_list {
    void *items;
    size_t n, capacity, item_bytes;
} item_list;

static void *list_add(item_list *list) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        void *items = realloc(list->items, capacity * list->item_bytes);
        if (items == NULL) {
            return NULL;
        }
        list->items = items;
        list->capacity = capacity;
    }
    void *item = (char *)list->items + list->n++ * list->item_bytes;
    memset(item, 0, list->item_bytes);
    return item;
}

/* Copies the list into the arena and frees it. */
static rr_status list_finish(
    item_list *list, rr_arena *arena, void **items, size_t *n, rr_diag *diag) {
    void *copy = rr_arena_alloc(arena, list->n + 1, list->item_bytes);
    if (copy == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu items", list->n);
    }
    if (list->n > 0) {
        memcpy(copy, list->items, list->n * list->item_bytes);
    }
    *items = copy;
    *n = list->n;
    return RR_OK;
}

/* Candidates */

static rr_status check_docids(
    const rr_jsonl *jsonl, const char *key, const rr_query *query, rr_diag *diag) {
    rr_id_place *ids = malloc((query->n + 1) * sizeof *ids);
    if (ids == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line);
    }
    for (size_t i = 0; i < query->n; i++) {
        ids[i] = (rr_id_place){query->passages[i].id, i};
    }
    size_t earlier, later;
    rr_status status = RR_OK;
    if (rr_id_repeats(ids, query->n, &earlier, &later)) {
        status = rr_jsonl_fail(jsonl, diag,
            "docid \"%.100s\" stands in %s[%zu] and %s[%zu], expected once a query",
            query->passages[earlier].id, key, earlier, key, later);
    }
    free(ids);
    return status;
}

/* A passage whose text is null fails, or has no text.data, by what `nulls` says; NULL fails. */
static rr_status note_null(const rr_jsonl *jsonl, const char *where, const rr_hit *hit,
    rr_null_texts *nulls, rr_diag *diag) {
    if (nulls == NULL || !nulls->leave_out) {
        return rr_jsonl_fail(jsonl, diag,
            "%s\"docid\" \"%.100s\": its text is null, expected a text%s", where, hit->docid,
            nulls != NULL ? "; --skip-missing leaves such passages out" : "");
    }
    if (nulls->n++ == 0) {
        snprintf(nulls->first, sizeof nulls->first, "\"%.60s\" in %.60s:%zu", hit->docid,
            jsonl->label, jsonl->line);
    }
    return RR_OK;
}

static rr_status read_hit(const rr_jsonl *jsonl, const char *key, yyjson_val *hit, size_t index,
    rr_null_texts *nulls, rr_passage *out, rr_diag *diag) {
    char where[40];
    snprintf(where, sizeof where, "%s[%zu].", key, index);
    if (!yyjson_is_obj(hit)) {
        return rr_jsonl_fail(jsonl, diag,
            "%s[%zu]: found a JSON %s, expected {\"docid\", \"text\"}", key, index,
            yyjson_get_type_desc(hit));
    }
    rr_hit found = {0};
    RR_TRY(rr_hits_read(jsonl, hit, where, &found, diag));
    *out = (rr_passage){
        .id = found.docid, .title = found.title, .text = found.text, .score = found.score};
    if (found.is_null) {
        out->text = (rr_text){0};
        RR_TRY(note_null(jsonl, where, &found, nulls, diag));
    }
    return RR_OK;
}

/* Takes out the passages that have no text. */
static size_t without_nulls(rr_passage *passages, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (passages[i].text.data != NULL) {
            passages[kept++] = passages[i];
        }
    }
    return kept;
}

static rr_status read_query(
    const rr_jsonl *jsonl, yyjson_val *object, rr_null_texts *nulls, rr_query *out, rr_diag *diag) {
    rr_hits hits;
    RR_TRY(rr_hits_open(jsonl, object, &hits, diag));
    out->qid = hits.qid;
    RR_TRY(rr_hits_query(jsonl, object, &out->text, diag));
    if (rr_clean_is_blank(out->text.data, out->text.bytes)) {
        return rr_jsonl_fail(jsonl, diag, "\"query\" is blank, expected the question to rank by");
    }
    rr_passage *passages =
        rr_arena_alloc(jsonl->arena, yyjson_arr_size(hits.list) + 1, sizeof *passages);
    if (passages == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line);
    }
    size_t index, n;
    yyjson_val *hit;
    yyjson_arr_foreach(hits.list, index, n, hit) {
        RR_TRY(read_hit(jsonl, hits.key, hit, index, nulls, &passages[index], diag));
    }
    out->passages = passages;
    out->n = n;
    RR_TRY(check_docids(jsonl, hits.key, out, diag));
    out->n = without_nulls(passages, n);
    return RR_OK;
}

/* Fails when an id of lines[n] (id and line number) occurs twice. */
static rr_status check_lines(
    const char *label, const char *key, rr_id_place *lines, size_t n, rr_diag *diag) {
    size_t earlier, later;
    if (rr_id_repeats(lines, n, &earlier, &later)) {
        const char *id = "";
        for (size_t i = 0; i < n; i++) {
            id = lines[i].place == later ? lines[i].id : id;
        }
        return rr_fail(diag, RR_E_INPUT,
            "%s:%zu: %s \"%.100s\" stands in line %zu already, expected once", label, later, key,
            id, earlier);
    }
    return RR_OK;
}

/* Whether the text is one JSON array instead of objects on lines. */
static bool is_query_array(const rr_jsonl *jsonl) {
    rr_jsonl ahead = *jsonl;
    rr_text line;
    return rr_jsonl_next_line(&ahead, &line) && line.data[strspn(line.data, " \t")] == '[';
}

/* What the items of a JSON array are, and how one is read. `read` gets the array's `user`, an item
 * of zeroes and the item's number from 1, and gives the item's id. */
typedef struct item_kind {
    const char *one, *several; /* as messages say it */
    const char *key;           /* of the id */
    size_t item_bytes;
    rr_status (*read)(void *user, const rr_jsonl *jsonl, yyjson_val *from, size_t number,
        void *item, const char **id, rr_diag *diag);
} item_kind;

/* Reads all items into the arena. Errors: those of `read`, with the item's number; RR_E_INPUT when
 * an id occurs twice. */
static rr_status read_items(const item_kind *kind, void *user, rr_jsonl *jsonl, yyjson_val *array,
    void **out, rr_diag *diag) {
    const size_t room = yyjson_arr_size(array) + 1;
    char *items = rr_arena_alloc(jsonl->arena, room, kind->item_bytes);
    rr_id_place *ids = rr_arena_alloc(jsonl->arena, room, sizeof *ids);
    if (items == NULL || ids == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory for %zu %s", jsonl->label, room - 1,
            kind->several);
    }
    size_t index, n, earlier, later;
    yyjson_val *from;
    jsonl->line = 1;
    yyjson_arr_foreach(array, index, n, from) {
        ids[index].place = index;
        const rr_status status = kind->read(
            user, jsonl, from, index + 1, items + index * kind->item_bytes, &ids[index].id, diag);
        if (status != RR_OK) {
            return rr_fail_context(diag, status, "%s %zu of the array", kind->one, index + 1);
        }
    }
    if (rr_id_repeats(ids, n, &earlier, &later)) {
        const char *id = "";
        for (size_t k = 0; k < n; k++) {
            id = ids[k].place == later ? ids[k].id : id;
        }
        return rr_fail(diag, RR_E_INPUT,
            "%s: %s \"%.100s\" stands in the %s %zu and %zu of the array, expected once",
            jsonl->label, kind->key, id, kind->several, earlier + 1, later + 1);
    }
    *out = items;
    return RR_OK;
}

static rr_status read_query_item(void *user, const rr_jsonl *jsonl, yyjson_val *from, size_t number,
    void *item, const char **id, rr_diag *diag) {
    (void)number;
    rr_query *query = item;
    if (!yyjson_is_obj(from)) {
        return rr_jsonl_fail(jsonl, diag, "found a JSON %s, expected %s",
            yyjson_get_type_desc(from), candidates_shape);
    }
    RR_TRY(read_query(jsonl, from, user, query, diag));
    *id = query->qid;
    return RR_OK;
}

static rr_status read_queries(
    rr_jsonl *jsonl, yyjson_val *array, rr_null_texts *nulls, rr_candidates *out, rr_diag *diag) {
    static const item_kind kind = {"query", "queries", "qid", sizeof(rr_query), read_query_item};
    void *queries;
    RR_TRY(read_items(&kind, nulls, jsonl, array, &queries, diag));
    out->queries = queries;
    out->n = yyjson_arr_size(array);
    return out->n > 0
        ? RR_OK
        : rr_fail(diag, RR_E_INPUT, "%s: no queries, expected %s", jsonl->label, candidates_shape);
}

static rr_status parse_query_array(
    rr_jsonl *jsonl, rr_null_texts *nulls, rr_candidates *out, rr_diag *diag) {
    yyjson_read_err error;
    yyjson_doc *doc = yyjson_read_opts(
        (char *)(uintptr_t)jsonl->data, jsonl->bytes, YYJSON_READ_NOFLAG, NULL, &error);
    if (doc == NULL && error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", jsonl->label);
    }
    if (doc == NULL) {
        return rr_fail(diag, RR_E_INPUT, "%s: not JSON at byte %zu: %s; expected %s", jsonl->label,
            error.pos + 1, rr_jsonl_error((rr_text){jsonl->data, jsonl->bytes}, &error),
            candidates_shape);
    }
    rr_status status = read_queries(jsonl, yyjson_doc_get_root(doc), nulls, out, diag);
    yyjson_doc_free(doc);
    return status;
}

static rr_status parse(const char *data, size_t bytes, const char *label, rr_null_texts *nulls,
    rr_candidates *out, rr_diag *diag) {
    *out = (rr_candidates){0};
    rr_jsonl jsonl = rr_jsonl_start(label, data, bytes, &out->arena);
    item_list queries = {.item_bytes = sizeof(rr_query)},
              lines = {.item_bytes = sizeof(rr_id_place)};
    rr_status status = RR_OK;
    rr_text line;
    if (is_query_array(&jsonl)) {
        return parse_query_array(&jsonl, nulls, out, diag);
    }
    while (rr_jsonl_next_line(&jsonl, &line)) {
        yyjson_doc *doc;
        RR_TRY_GOTO(rr_jsonl_parse(&jsonl, line, candidates_shape, &doc, diag));
        rr_query query;
        status = read_query(&jsonl, yyjson_doc_get_root(doc), nulls, &query, diag);
        yyjson_doc_free(doc);
        RR_TRY_GOTO(status);
        rr_query *kept = list_add(&queries);
        rr_id_place *place = list_add(&lines);
        if (kept == NULL || place == NULL) {
            RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", label, jsonl.line));
        }
        *kept = query;
        *place = (rr_id_place){query.qid, jsonl.line};
    }
    if (queries.n == 0) {
        RR_TRY_GOTO(
            rr_fail(diag, RR_E_INPUT, "%s: no queries, expected %s", label, candidates_shape));
    }
    RR_TRY_GOTO(check_lines(label, "qid", lines.items, lines.n, diag));
    void *items = NULL;
    RR_TRY_GOTO(list_finish(&queries, &out->arena, &items, &out->n, diag));
    out->queries = items;
fail:
    free(queries.items);
    free(lines.items);
    return status;
}

rr_status rr_candidates_parse(
    const char *data, size_t bytes, const char *label, rr_candidates *out, rr_diag *diag) {
    return parse(data, bytes, label, NULL, out, diag);
}

rr_status rr_candidates_read(const char *path, rr_candidates *out, rr_diag *diag) {
    return rr_candidates_read_texts(path, NULL, out, diag);
}

rr_status rr_candidates_read_texts(
    const char *path, rr_null_texts *nulls, rr_candidates *out, rr_diag *diag) {
    *out = (rr_candidates){0};
    rr_buf text = {0};
    rr_status status = rr_text_file_read(path, RR_CANDIDATES_MAX_BYTES, &text, diag);
    if (status == RR_OK) {
        status = parse(text.data, text.bytes, rr_text_label(path), nulls, out, diag);
    }
    rr_buf_destroy(&text);
    return status;
}

void rr_candidates_destroy(rr_candidates *candidates) {
    rr_arena_destroy(&candidates->arena);
    *candidates = (rr_candidates){0};
}

/* Passages of one query */

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* By name, else by the first line: a JSON object that has a text in "text" or what stands for
 * it. */
static bool is_jsonl(const char *label, const char *data, size_t bytes) {
    if (ends_with(label, ".jsonl") || ends_with(label, ".ndjson") ||
        ends_with(label, ".jsonl.gz") || ends_with(label, ".ndjson.gz")) {
        return true;
    }
    rr_arena unused = {0};
    rr_jsonl jsonl = rr_jsonl_start(label, data, bytes, &unused);
    rr_text line;
    yyjson_doc *doc = NULL;
    if (!rr_jsonl_next_line(&jsonl, &line) || line.data[strspn(line.data, " \t")] != '{' ||
        rr_jsonl_parse(&jsonl, line, passage_shape, &doc, NULL) != RR_OK) {
        return false;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool found = yyjson_is_str(yyjson_obj_get(root, rr_hits_text_key(root)));
    yyjson_doc_free(doc);
    return found;
}

/* Rows of a table would be ranked with their commas and ids as if they were passages. */
static rr_status check_no_head(const rr_jsonl *jsonl, rr_text line, rr_diag *diag) {
    if (!rr_table_head_is(line)) {
        return RR_OK;
    }
    return rr_jsonl_fail(jsonl, diag,
        "found the head of a table, \"%.*s\", expected a passage a line or %s",
        line.bytes < 100 ? (int)line.bytes : 100, line.data, passage_shape);
}

static const char *passage_id_key(yyjson_val *object) {
    return yyjson_obj_get(object, "id") != NULL ? "id"
        : yyjson_obj_get(object, "_id") != NULL ? "_id"
                                                : "docid";
}

static rr_status read_object(
    const rr_jsonl *jsonl, yyjson_val *object, rr_passage *out, rr_diag *diag) {
    RR_TRY(rr_jsonl_text(jsonl, object, "", rr_hits_text_key(object), false, &out->text, diag));
    RR_TRY(rr_jsonl_text(jsonl, object, "", "title", true, &out->title, diag));
    return rr_jsonl_id(jsonl, object, "", passage_id_key(object), true, &out->id, diag);
}

/* A passage without an id gets its number. */
static rr_status finish_passage(
    const rr_jsonl *jsonl, size_t number, rr_passage *passage, rr_diag *diag) {
    if (passage->id == NULL) {
        char digits[24];
        int n = snprintf(digits, sizeof digits, "%zu", number);
        passage->id = rr_arena_copy(jsonl->arena, digits, (size_t)n);
    }
    if (passage->id == NULL || passage->text.data == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line);
    }
    return RR_OK;
}

static rr_status read_passage(
    const rr_jsonl *jsonl, rr_text line, bool json, rr_passage *out, rr_diag *diag) {
    *out = (rr_passage){0};
    if (json) {
        yyjson_doc *doc;
        RR_TRY(rr_jsonl_parse(jsonl, line, passage_shape, &doc, diag));
        rr_status status = read_object(jsonl, yyjson_doc_get_root(doc), out, diag);
        yyjson_doc_free(doc);
        RR_TRY(status);
    } else {
        out->text = (rr_text){rr_arena_copy(jsonl->arena, line.data, line.bytes), line.bytes};
    }
    return finish_passage(jsonl, jsonl->line, out, diag);
}

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) {
        at++;
    }
    return at;
}

/* One JSON value over the whole text, as programs write it that know no JSON Lines; NULL when the
 * text is something else. A text that begins as an array of objects does is meant to be one:
 * *broken tells what is wrong with it. */
static yyjson_doc *read_whole(const rr_jsonl *jsonl, yyjson_read_err *broken) {
    const char *end = jsonl->data + jsonl->bytes, *at = skip_space(jsonl->data, end);
    *broken = (yyjson_read_err){0};
    if (at == end || (*at != '[' && *at != '{')) {
        return NULL;
    }
    const bool array = *at == '[';
    rr_jsonl lines = *jsonl;
    rr_text line;
    yyjson_doc *doc = NULL;
    if (!array && rr_jsonl_next_line(&lines, &line) &&
        rr_jsonl_parse(&lines, line, passage_shape, &doc, NULL) == RR_OK) {
        yyjson_doc_free(doc);
        return NULL; /* JSON Lines: the room for all of it is not needed */
    }
    at = skip_space(at + 1, end);
    yyjson_read_err error;
    doc = yyjson_read_opts(
        (char *)(uintptr_t)jsonl->data, jsonl->bytes, YYJSON_READ_NOFLAG, NULL, &error);
    if (doc == NULL && array && at < end && *at == '{') {
        *broken = error;
    }
    return doc;
}

/* An item of an array of passages: an object, or a text alone. */
static rr_status read_passage_item(void *user, const rr_jsonl *jsonl, yyjson_val *from,
    size_t number, void *item, const char **id, rr_diag *diag) {
    (void)user;
    rr_passage *passage = item;
    if (yyjson_is_str(from)) {
        const size_t bytes = yyjson_get_len(from);
        passage->text = (rr_text){rr_arena_copy(jsonl->arena, yyjson_get_str(from), bytes), bytes};
    } else if (yyjson_is_obj(from)) {
        RR_TRY(read_object(jsonl, from, passage, diag));
    } else {
        return rr_jsonl_fail(jsonl, diag,
            "found a JSON %s in a JSON array, expected {\"text\", \"title\"?, \"id\"?} or a text",
            yyjson_get_type_desc(from));
    }
    RR_TRY(finish_passage(jsonl, number, passage, diag));
    *id = passage->id;
    return RR_OK;
}

static rr_status read_array(rr_jsonl *jsonl, yyjson_val *array, rr_query *query, rr_diag *diag) {
    static const item_kind kind = {"item", "items", "id", sizeof(rr_passage), read_passage_item};
    void *passages;
    RR_TRY(read_items(&kind, NULL, jsonl, array, &passages, diag));
    query->passages = passages;
    query->n = yyjson_arr_size(array);
    return RR_OK;
}

/* Passages as one JSON value; *found = false where the text holds lines. */
static rr_status read_json(rr_jsonl *jsonl, rr_query *query, bool *found, rr_diag *diag) {
    yyjson_read_err broken;
    yyjson_doc *doc = read_whole(jsonl, &broken);
    *found = doc != NULL;
    if (broken.msg != NULL) {
        return broken.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION
            ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory", jsonl->label)
            : rr_fail(diag, RR_E_INPUT,
                  "%s: begins as a JSON array but is none at byte %zu: %s; expected an array of %s, or such "
                  "objects without brackets, each on one line",
                  jsonl->label, broken.pos + 1, broken.msg, "{\"text\"}");
    }
    if (doc == NULL) {
        return RR_OK;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    rr_status status = yyjson_is_arr(root)
        ? read_array(jsonl, root, query, diag)
        : rr_fail(diag, RR_E_INPUT,
              "%s: found one JSON object over many lines, expected %s, or an array of such "
              "objects",
              jsonl->label, passage_shape);
    yyjson_doc_free(doc);
    return status;
}

/* Sets *out to one query without passages. */
static rr_status start_query(
    const char *qid, const char *query, rr_candidates *out, rr_diag *diag) {
    *out = (rr_candidates){0};
    if (rr_clean_is_blank(query, strlen(query))) {
        return rr_fail(diag, RR_E_USAGE, "the query is blank, expected the question to rank by");
    }
    rr_buf clean = {0};
    rr_clean_utf8(query, strlen(query), &clean);
    out->queries = rr_arena_alloc(&out->arena, 1, sizeof *out->queries);
    const char *copy = clean.failed ? NULL : rr_arena_copy(&out->arena, clean.data, clean.bytes);
    const char *qid_copy = rr_arena_copy(&out->arena, qid, strlen(qid));
    rr_status status = RR_OK;
    if (out->queries == NULL || copy == NULL || qid_copy == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for the query");
    } else {
        out->queries[0] = (rr_query){.qid = qid_copy, .text = {copy, clean.bytes}};
        out->n = 1;
    }
    rr_buf_destroy(&clean);
    return status;
}

static rr_status read_passage_lines(
    const char *data, size_t bytes, const char *label, rr_candidates *out, rr_diag *diag) {
    bool json = is_jsonl(label, data, bytes);
    rr_jsonl jsonl = rr_jsonl_start(label, data, bytes, &out->arena);
    item_list passages = {.item_bytes = sizeof(rr_passage)},
              lines = {.item_bytes = sizeof(rr_id_place)};
    rr_status status = RR_OK;
    rr_text line;
    while (rr_jsonl_next_line(&jsonl, &line)) {
        rr_passage passage;
        if (!json && passages.n == 0) {
            RR_TRY_GOTO(check_no_head(&jsonl, line, diag));
        }
        RR_TRY_GOTO(read_passage(&jsonl, line, json, &passage, diag));
        rr_passage *kept = list_add(&passages);
        rr_id_place *place = list_add(&lines);
        if (kept == NULL || place == NULL) {
            RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", label, jsonl.line));
        }
        *kept = passage;
        *place = (rr_id_place){passage.id, jsonl.line};
    }
    RR_TRY_GOTO(check_lines(label, "id", lines.items, lines.n, diag));
    void *items = NULL;
    RR_TRY_GOTO(list_finish(&passages, &out->arena, &items, &out->queries[0].n, diag));
    out->queries[0].passages = items;
fail:
    free(passages.items);
    free(lines.items);
    return status;
}

rr_status rr_passages_parse(const char *qid, const char *query, const char *data, size_t bytes,
    const char *label, rr_candidates *out, rr_diag *diag) {
    RR_TRY(start_query(qid, query, out, diag));
    rr_jsonl whole = rr_jsonl_start(label, data, bytes, &out->arena);
    bool found;
    RR_TRY(read_json(&whole, &out->queries[0], &found, diag));
    if (!found) {
        RR_TRY(read_passage_lines(data, bytes, label, out, diag));
    }
    return out->queries[0].n > 0
        ? RR_OK
        : rr_fail(diag, RR_E_INPUT,
              "%s: holds no passages, expected one a line, or JSON: %s, or an array of such objects",
              label, passage_shape);
}

/* A whole file as one passage, its path as the id (without what an id must not hold). */
static rr_status read_file_passage(
    const char *path, rr_arena *arena, rr_passage *out, rr_diag *diag) {
    if (strcmp(path, "-") == 0) {
        return rr_fail(diag, RR_E_USAGE,
            "\"-\" is one of several files; standard input can only stand alone, with a "
            "passage a line");
    }
    rr_buf text = {0}, id = {0};
    rr_status status = rr_text_file_read(path, RR_CANDIDATES_MAX_BYTES, &text, diag);
    if (status == RR_OK) {
        rr_clean_terminal(path, strlen(path), true, &id);
        out->id = id.failed ? NULL : rr_arena_copy(arena, id.data, id.bytes);
        out->text = (rr_text){
            rr_arena_copy(arena, text.data != NULL ? text.data : "", text.bytes), text.bytes};
        if (out->id == NULL || out->text.data == NULL) {
            status = rr_fail(diag, RR_E_MEMORY, "%s: out of memory", path);
        }
    }
    rr_buf_destroy(&text);
    rr_buf_destroy(&id);
    return status;
}

rr_status rr_passages_read(const char *qid, const char *query, const char *const *paths,
    size_t n_paths, rr_candidates *out, rr_diag *diag) {
    if (n_paths == 1) {
        *out = (rr_candidates){0};
        rr_buf text = {0};
        rr_status status = rr_text_file_read(paths[0], RR_CANDIDATES_MAX_BYTES, &text, diag);
        if (status == RR_OK) {
            status = rr_passages_parse(
                qid, query, text.data, text.bytes, rr_text_label(paths[0]), out, diag);
        }
        rr_buf_destroy(&text);
        return status;
    }
    RR_TRY(start_query(qid, query, out, diag));
    rr_passage *passages = rr_arena_alloc(&out->arena, n_paths + 1, sizeof *passages);
    rr_id_place *ids = rr_arena_alloc(&out->arena, n_paths + 1, sizeof *ids);
    if (passages == NULL || ids == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu passages", n_paths);
    }
    for (size_t i = 0; i < n_paths; i++) {
        RR_TRY(read_file_passage(paths[i], &out->arena, &passages[i], diag));
        ids[i] = (rr_id_place){passages[i].id, i};
    }
    size_t earlier, later;
    if (rr_id_repeats(ids, n_paths, &earlier, &later)) {
        return rr_fail(diag, RR_E_USAGE, "%s: named twice, expected each file once", paths[later]);
    }
    out->queries[0].passages = passages;
    out->queries[0].n = n_paths;
    return RR_OK;
}

/* Recorded answers */

static rr_status read_recorded(
    const rr_jsonl *jsonl, yyjson_val *object, rr_recorded *out, rr_diag *diag) {
    yyjson_val *texts;
    RR_TRY(rr_jsonl_id(jsonl, object, "", "qid", false, &out->qid, diag));
    RR_TRY(rr_jsonl_array(jsonl, object, "", "responses", &texts, diag));
    rr_text *responses =
        rr_arena_alloc(jsonl->arena, yyjson_arr_size(texts) + 1, sizeof *responses);
    if (responses == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line);
    }
    size_t index, n;
    yyjson_val *text;
    yyjson_arr_foreach(texts, index, n, text) {
        if (!yyjson_is_str(text)) {
            return rr_jsonl_fail(jsonl, diag, "responses[%zu]: found a JSON %s, expected a text",
                index, yyjson_get_type_desc(text));
        }
        responses[index] =
            (rr_text){rr_arena_copy(jsonl->arena, yyjson_get_str(text), yyjson_get_len(text)),
                yyjson_get_len(text)};
        if (responses[index].data == NULL) {
            return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line);
        }
    }
    out->responses = responses;
    out->n = n;
    out->line = jsonl->line;
    return RR_OK;
}

static int compare_recorded(const void *a, const void *b) {
    return strcmp(((const rr_recorded *)a)->qid, ((const rr_recorded *)b)->qid);
}

rr_status rr_recording_parse(
    const char *data, size_t bytes, const char *label, rr_recording *out, rr_diag *diag) {
    *out = (rr_recording){0};
    rr_jsonl jsonl = rr_jsonl_start(label, data, bytes, &out->arena);
    item_list items = {.item_bytes = sizeof(rr_recorded)},
              lines = {.item_bytes = sizeof(rr_id_place)};
    rr_status status = RR_OK;
    rr_text line;
    while (rr_jsonl_next_line(&jsonl, &line)) {
        yyjson_doc *doc;
        RR_TRY_GOTO(rr_jsonl_parse(&jsonl, line, recording_shape, &doc, diag));
        rr_recorded recorded;
        status = read_recorded(&jsonl, yyjson_doc_get_root(doc), &recorded, diag);
        yyjson_doc_free(doc);
        RR_TRY_GOTO(status);
        rr_recorded *kept = list_add(&items);
        rr_id_place *place = list_add(&lines);
        if (kept == NULL || place == NULL) {
            RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", label, jsonl.line));
        }
        *kept = recorded;
        *place = (rr_id_place){recorded.qid, jsonl.line};
    }
    RR_TRY_GOTO(check_lines(label, "qid", lines.items, lines.n, diag));
    if (items.n > 1) {
        qsort(items.items, items.n, sizeof(rr_recorded), compare_recorded);
    }
    void *copy = NULL;
    RR_TRY_GOTO(list_finish(&items, &out->arena, &copy, &out->n, diag));
    out->items = copy;
fail:
    free(items.items);
    free(lines.items);
    return status;
}

rr_status rr_recording_read(const char *path, rr_recording *out, rr_diag *diag) {
    *out = (rr_recording){0};
    rr_buf text = {0};
    rr_status status = rr_text_file_read(path, RR_CANDIDATES_MAX_BYTES, &text, diag);
    if (status == RR_OK) {
        status = rr_recording_parse(text.data, text.bytes, rr_text_label(path), out, diag);
    }
    rr_buf_destroy(&text);
    return status;
}

void rr_recording_destroy(rr_recording *recording) {
    rr_arena_destroy(&recording->arena);
    *recording = (rr_recording){0};
}

const rr_recorded *rr_recording_find(const rr_recording *recording, const char *qid) {
    rr_recorded wanted = {.qid = qid};
    return recording->n == 0 ? NULL
                             : bsearch(&wanted, recording->items, recording->n,
                                   sizeof *recording->items, compare_recorded);
}
