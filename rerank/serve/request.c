#include "rerank/serve/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/clean.h"
#include "rerank/serve/fields.h"
#include "runtime/base/hash.h"
#include "runtime/model/utf8.h"

const char *const rr_serve_mode_names[] = {"reason", "strict", "logits", "read", NULL};
_Static_assert(
    sizeof rr_serve_mode_names / sizeof rr_serve_mode_names[0] == RR_SERVE_MODE_COUNT + 1,
    "one name a mode");

/* The members by which a dialect says the same as the others. */
typedef struct dialect_names {
    const char *list, *top, *returns;
    bool strings_only;
    unsigned bad_status; /* of a wrong type */
    unsigned too_many_status;
} dialect_names;

static const dialect_names dialects[] = {
    [RR_DIALECT_DOCUMENTS] = {"documents", "top_n", "return_documents", false, 400, 413},
    [RR_DIALECT_TEI] = {"texts", "top_n", "return_text", true, 422, 422},
    [RR_DIALECT_VOYAGE] = {"documents", "top_k", "return_documents", false, 400, 413},
    [RR_DIALECT_MIXEDBREAD] = {"input", "top_k", "return_input", false, 400, 413},
};

/* What is filled in while a request is read. */
typedef struct reader {
    rr_fields fields; /* of the root */
    const dialect_names *names;
    rr_serve_request *request;
    const char **rank_fields; /* [n_rank_fields] */
    size_t n_rank_fields;
    rr_passage *passages;
    uint32_t *index, *blank;
    size_t n_blank;
} reader;

static bool is_out_of_memory(rr_fault *fault) {
    return rr_fault_set_status(fault, RR_E_MEMORY, &(rr_diag){"out of memory for the request"});
}

/* The body */

/* The four digits of a \u escape; −1 = they are none. */
static int32_t escape_value(const char *at, const char *end) {
    int32_t value = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') {
        return -1;
    }
    for (int i = 2; i < 6; i++) {
        const char c = at[i];
        const int digit = c >= '0' && c <= '9' ? c - '0'
            : c >= 'a' && c <= 'f'             ? c - 'a' + 10
            : c >= 'A' && c <= 'F'             ? c - 'A' + 10
                                               : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* JavaScript cuts strings in the middle of a pair of surrogates: what is left of one becomes
 * U+FFFD. */
static void mend_surrogates(char *body, size_t bytes) {
    const char *const end = body + bytes;
    for (char *at = body; (at = memchr(at, '\\', (size_t)(end - at))) != NULL;) {
        const int32_t first = escape_value(at, end);
        if (first < 0xD800 || first > 0xDFFF) {
            at += first >= 0 ? 6 : end - at > 1 ? 2 : 1; /* two: an escaped backslash */
            continue;
        }
        const int32_t second = escape_value(at + 6, end);
        if (first < 0xDC00 && second >= 0xDC00 && second <= 0xDFFF) {
            at += 12;
        } else {
            memcpy(at + 2, "fffd", 4);
            at += 6;
        }
    }
}

static bool check_utf8(const char *body, size_t bytes, rr_fault *fault) {
    for (size_t at = 0; at < bytes;) {
        int32_t code_point;
        const size_t length =
            rr_utf8_next((const unsigned char *)body + at, bytes - at, &code_point);
        if (code_point < 0) {
            return rr_fault_set(
                fault, 400, "the body is not UTF-8 at byte %zu; JSON is UTF-8 always", at);
        }
        at += length;
    }
    return true;
}

static bool parse(char *body, size_t bytes, rr_serve_request *request, rr_fault *fault) {
    if (!check_utf8(body, bytes, fault)) {
        return false;
    }
    mend_surrogates(body, bytes);
    yyjson_read_err error;
    request->json = yyjson_read_opts(body, bytes, 0, NULL, &error);
    if (request->json == NULL && error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return is_out_of_memory(fault);
    }
    if (request->json == NULL) {
        return rr_fault_set(fault, 400, "the body is not JSON: byte %zu: %s", error.pos, error.msg);
    }
    yyjson_val *root = yyjson_doc_get_root(request->json);
    if (!yyjson_is_obj(root)) {
        return rr_fault_set(fault, 400,
            "found %s, expected an object: {\"query\": \"…\", \"documents\": [\"…\", …]}",
            rr_field_found(root));
    }
    return true;
}

static bool choose_dialect(reader *r, rr_fault *fault) {
    const rr_fields *fields = &r->fields;
    rr_dialect dialect = RR_DIALECT_DOCUMENTS;
    yyjson_val *documents = rr_field(fields, "documents");
    if (rr_field(fields, "texts") != NULL ||
        (documents == NULL && yyjson_obj_get(fields->object, "texts") != NULL)) {
        dialect = RR_DIALECT_TEI;
        fault->is_tei = true;
    } else if (documents != NULL) {
        if (rr_field(fields, "top_k") != NULL && rr_field(fields, "top_n") == NULL) {
            dialect = RR_DIALECT_VOYAGE;
        }
    } else if (rr_field(fields, "input") != NULL) {
        dialect = RR_DIALECT_MIXEDBREAD;
    } else {
        return rr_fault_set(fault, 400,
            "found %s for \"documents\", expected a list of texts (or of objects with \"text\"); "
            "\"texts\" is the name that Text Embeddings Inference has for it",
            rr_field_found(yyjson_obj_get(fields->object, "documents")));
    }
    r->request->dialect = dialect;
    r->names = &dialects[dialect];
    r->fields.bad_status = r->names->bad_status;
    return true;
}

/* Members */

static bool read_query(reader *r) {
    yyjson_val *value = rr_field(&r->fields, "query");
    yyjson_val *text = yyjson_is_obj(value) ? yyjson_obj_get(value, "text") : value;
    if (!yyjson_is_str(text)) {
        return rr_fault_set(r->fields.fault, r->fields.bad_status,
            "\"query\": found %s, expected a string", rr_field_found(value));
    }
    r->request->query.text = (rr_text){yyjson_get_str(text), yyjson_get_len(text)};
    if (rr_clean_is_blank(r->request->query.text.data, r->request->query.text.bytes)) {
        return rr_fault_set(
            r->fields.fault, 400, "\"query\": found a blank one, expected a text to rank by");
    }
    return true;
}

static bool read_rank_fields(reader *r) {
    yyjson_val *list = rr_field(&r->fields, "rank_fields");
    if (list == NULL || r->names->strings_only || yyjson_arr_size(list) == 0) {
        return list == NULL || r->names->strings_only || yyjson_is_arr(list) ||
            rr_fault_set(r->fields.fault, r->fields.bad_status,
                "\"rank_fields\": found %s, expected a list of names", rr_field_found(list));
    }
    r->rank_fields =
        rr_arena_alloc(&r->request->arena, yyjson_arr_size(list), sizeof *r->rank_fields);
    if (r->rank_fields == NULL) {
        return is_out_of_memory(r->fields.fault);
    }
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item) {
        if (!yyjson_is_str(item)) {
            return rr_fault_set(r->fields.fault, r->fields.bad_status,
                "\"rank_fields\": item %zu: found %s, expected a name", i, rr_field_found(item));
        }
        r->rank_fields[i] = yyjson_get_str(item);
    }
    r->n_rank_fields = n;
    return true;
}

/* A member's value as a line of text: a string as it is, anything else as JSON. */
static void append_value(yyjson_val *value, rr_buf *out) {
    if (yyjson_is_str(value)) {
        rr_buf_append(out, yyjson_get_str(value), yyjson_get_len(value));
        return;
    }
    size_t bytes = 0;
    char *json = yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &bytes);
    if (json == NULL) {
        out->failed = true;
    } else {
        rr_buf_append(out, json, bytes);
    }
    free(json);
}

/* The members that rank_fields names, one a line, with their names where there are several. */
static bool compose(reader *r, size_t place, yyjson_val *object, rr_text *out) {
    rr_buf text = {0};
    size_t n_found = 0;
    for (size_t i = 0; i < r->n_rank_fields; i++) {
        yyjson_val *value = yyjson_obj_get(object, r->rank_fields[i]);
        if (value != NULL && !yyjson_is_null(value)) {
            if (r->n_rank_fields > 1) {
                rr_buf_printf(&text, "%s%s: ", n_found > 0 ? "\n" : "", r->rank_fields[i]);
            }
            append_value(value, &text);
            n_found++;
        }
    }
    char *copy = text.failed || n_found == 0
        ? NULL
        : rr_arena_copy(&r->request->arena, text.data != NULL ? text.data : "", text.bytes);
    if (copy != NULL) {
        *out = (rr_text){copy, text.bytes};
    }
    rr_buf_destroy(&text);
    if (n_found == 0) {
        return rr_fault_set(r->fields.fault, r->fields.bad_status,
            "document %zu has none of the members that \"rank_fields\" names", place);
    }
    return copy != NULL || is_out_of_memory(r->fields.fault);
}

/* What the model is shown of a document that is an object. */
static bool read_object(reader *r, size_t place, yyjson_val *object, rr_passage *passage) {
    yyjson_val *text = yyjson_obj_get(object, "text");
    if (r->n_rank_fields > 0) {
        RR_FAULT_TRY(compose(r, place, object, &passage->text));
    } else if (yyjson_is_str(text)) {
        passage->text = (rr_text){yyjson_get_str(text), yyjson_get_len(text)};
    } else {
        return rr_fault_set(r->fields.fault, r->fields.bad_status,
            "document %zu: \"text\": found %s, expected a string (or \"rank_fields\" that says "
            "what to rank by)",
            place, rr_field_found(text));
    }
    yyjson_val *title = yyjson_obj_get(object, "title");
    if (r->n_rank_fields == 0 && yyjson_is_str(title)) {
        passage->title = (rr_text){yyjson_get_str(title), yyjson_get_len(title)};
    }
    r->request->documents[place] = (rr_serve_document){object,
        yyjson_is_str(text) ? (rr_text){yyjson_get_str(text), yyjson_get_len(text)}
                            : passage->text};
    return true;
}

static bool read_document(reader *r, size_t place, yyjson_val *item) {
    rr_passage passage = {.text = {"", 0}, .title = {"", 0}};
    if (yyjson_is_str(item)) {
        passage.text = (rr_text){yyjson_get_str(item), yyjson_get_len(item)};
        r->request->documents[place] = (rr_serve_document){NULL, passage.text};
    } else if (yyjson_is_obj(item) && !r->names->strings_only) {
        RR_FAULT_TRY(read_object(r, place, item, &passage));
    } else {
        return rr_fault_set(r->fields.fault, r->fields.bad_status,
            "\"%s\": document %zu: found %s, expected a string%s", r->names->list, place,
            rr_field_found(item), r->names->strings_only ? "" : " or an object with \"text\"");
    }
    if (rr_clean_is_blank(passage.text.data, passage.text.bytes) &&
        rr_clean_is_blank(passage.title.data, passage.title.bytes)) {
        r->blank[r->n_blank++] = (uint32_t)place;
        return true;
    }
    char id[16];
    const int id_bytes = snprintf(id, sizeof id, "%zu", place);
    passage.id = rr_arena_copy(&r->request->arena, id, (size_t)id_bytes);
    if (passage.id == NULL) {
        return is_out_of_memory(r->fields.fault);
    }
    r->index[r->request->query.n] = (uint32_t)place;
    r->passages[r->request->query.n++] = passage;
    return true;
}

static bool read_documents(reader *r, const rr_serve_limits *limits) {
    rr_serve_request *request = r->request;
    rr_fault *fault = r->fields.fault;
    yyjson_val *list = rr_field(&r->fields, r->names->list);
    if (!yyjson_is_arr(list)) {
        return rr_fault_set(fault, r->fields.bad_status, "\"%s\": found %s, expected a list",
            r->names->list, rr_field_found(list));
    }
    const size_t n = yyjson_arr_size(list);
    if (n == 0) {
        fault->is_empty = true;
        return rr_fault_set(fault, 400,
            "\"%s\": found an empty list, expected at least one document", r->names->list);
    }
    if (n > limits->max_documents) {
        return rr_fault_set(fault, r->names->too_many_status,
            "\"%s\": found %zu, this server takes at most %zu at once", r->names->list, n,
            limits->max_documents);
    }
    request->documents = rr_arena_alloc(&request->arena, n, sizeof *request->documents);
    r->passages = rr_arena_alloc(&request->arena, n, sizeof *r->passages);
    r->index = rr_arena_alloc(&request->arena, n, sizeof *r->index);
    r->blank = rr_arena_alloc(&request->arena, n, sizeof *r->blank);
    if (request->documents == NULL || r->passages == NULL || r->index == NULL || r->blank == NULL) {
        return is_out_of_memory(fault);
    }
    request->n = n;
    size_t i, n_items;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n_items, item) {
        RR_FAULT_TRY(read_document(r, i, item));
    }
    request->query.qid = "";
    request->query.passages = r->passages;
    request->index = r->index;
    request->blank = r->blank;
    return true;
}

static bool read_results_wanted(reader *r) {
    rr_serve_request *request = r->request;
    uint64_t top = 0;
    RR_FAULT_TRY(
        rr_field_count(&r->fields, r->names->top, (rr_field_range){0, request->n, true}, &top));
    request->top_n = top == 0 ? request->n : (size_t)top;
    return rr_field_bool(&r->fields, r->names->returns, &request->returns_documents);
}

/* Of the members that say how a text is cut and scores are made, those that mean something here;
 * the others are checked for their type. */
static bool read_cutting(reader *r) {
    static const char *const ends[] = {"right", "left", NULL};
    rr_serve_request *request = r->request;
    bool ignored = false;
    int end = 0;
    const char *of_end =
        request->dialect == RR_DIALECT_TEI ? "truncation_direction" : "truncation_side";
    RR_FAULT_TRY(rr_field_bool(&r->fields, "raw_scores", &ignored));
    RR_FAULT_TRY(rr_field_choice(&r->fields, of_end, ends, &end));
    request->keeps_end = end == 1;
    if (request->dialect == RR_DIALECT_TEI) {
        return rr_field_bool(&r->fields, "truncate", &ignored);
    }
    yyjson_val *priority = rr_field(&r->fields, "priority");
    if (priority != NULL && !yyjson_is_int(priority)) {
        return rr_fault_set(r->fields.fault, r->fields.bad_status,
            "\"priority\": found %s, expected a whole number", rr_field_found(priority));
    }
    request->priority = priority != NULL ? yyjson_get_sint(priority) : 0;
    return rr_field_count(&r->fields, "max_tokens_per_doc", (rr_field_range){1, 1u << 20, true},
        &request->max_tokens_per_document);
}

static bool read_wish(reader *r) {
    rr_serve_wish *wish = &r->request->wish;
    *wish = (rr_serve_wish){.mode = RR_SERVE_MODE_DEFAULT, .schedule = -1};
    yyjson_val *object = rr_field(&r->fields, "rearank");
    if (object == NULL) {
        return true;
    }
    if (!yyjson_is_obj(object)) {
        return rr_fault_set(r->fields.fault, r->fields.bad_status,
            "\"rearank\": found %s, expected an object: {\"explain\": true, \"mode\": \"read\"}",
            rr_field_found(object));
    }
    wish->given = true;
    const rr_fields fields = {object, "rearank.", r->fields.bad_status, r->fields.fault};
    int mode = RR_SERVE_MODE_DEFAULT;
    const bool ok = rr_field_bool(&fields, "explain", &wish->explain) &&
        rr_field_choice(&fields, "mode", rr_serve_mode_names, &mode) &&
        rr_field_choice(&fields, "schedule", rr_schedule_names, &wish->schedule) &&
        rr_field_count(
            &fields, "window", (rr_field_range){2, RR_WINDOW_MAX, false}, &wish->window) &&
        rr_field_count(&fields, "step", (rr_field_range){1, RR_WINDOW_MAX, false}, &wish->step) &&
        rr_field_count(&fields, "depth", (rr_field_range){0, SIZE_MAX, true}, &wish->depth) &&
        rr_field_count(
            &fields, "passes", (rr_field_range){1, RR_PASSES_MAX, false}, &wish->passes) &&
        rr_field_count(&fields, "orders", (rr_field_range){1, 64, false}, &wish->orders) &&
        rr_field_seconds(&fields, "deadline", &wish->deadline_s);
    wish->mode = (rr_serve_mode)mode;
    return ok;
}

static bool read_all(char *body, size_t bytes, const rr_serve_limits *limits,
    rr_serve_request *request, rr_fault *fault) {
    RR_FAULT_TRY(parse(body, bytes, request, fault));
    reader r = {.request = request, .fields = {yyjson_doc_get_root(request->json), "", 400, fault}};
    return choose_dialect(&r, fault) && read_query(&r) && read_rank_fields(&r) &&
        read_documents(&r, limits) && read_results_wanted(&r) && read_cutting(&r) && read_wish(&r);
}

bool rr_serve_request_read(char *body, size_t bytes, const rr_serve_limits *limits,
    rr_serve_request *out, rr_fault *fault) {
    rr_serve_request made = {0};
    if (!read_all(body, bytes, limits, &made, fault)) {
        rr_serve_request_destroy(&made);
        return false;
    }
    *out = made;
    return true;
}

void rr_serve_request_destroy(rr_serve_request *request) {
    yyjson_doc_free(request->json);
    rr_arena_destroy(&request->arena);
    *request = (rr_serve_request){0};
}

/* Equality */

static bool is_same_wish(const rr_serve_wish *a, const rr_serve_wish *b) {
    return a->mode == b->mode && a->window == b->window && a->step == b->step &&
        a->depth == b->depth && a->passes == b->passes && a->orders == b->orders &&
        a->schedule == b->schedule;
}

bool rr_serve_request_is_same(const rr_serve_request *a, const rr_serve_request *b) {
    if (a->query.n != b->query.n || a->n != b->n || a->keeps_end != b->keeps_end ||
        a->max_tokens_per_document != b->max_tokens_per_document ||
        !is_same_wish(&a->wish, &b->wish) || rr_text_compare(a->query.text, b->query.text) != 0) {
        return false;
    }
    for (size_t i = 0; i < a->query.n; i++) {
        const rr_passage *p = &a->query.passages[i], *q = &b->query.passages[i];
        if (a->index[i] != b->index[i] || rr_text_compare(p->text, q->text) != 0 ||
            rr_text_compare(p->title, q->title) != 0) {
            return false;
        }
    }
    return true;
}

uint64_t rr_serve_request_hash(const rr_serve_request *request) {
    uint64_t hash = rr_hash(request->n, request->query.text.data, request->query.text.bytes);
    for (size_t i = 0; i < request->query.n; i++) {
        const rr_passage *passage = &request->query.passages[i];
        hash = rr_hash(hash, passage->title.data, passage->title.bytes);
        hash = rr_hash(hash, passage->text.data, passage->text.bytes);
    }
    return hash;
}

size_t rr_serve_request_bytes(const rr_serve_request *request) {
    /* yyjson takes a value of 16 bytes for each item and keeps the text */
    const size_t json = request->json != NULL
        ? yyjson_doc_get_read_size(request->json) + 16 * yyjson_doc_get_val_count(request->json)
        : 0;
    return json + request->arena.used_bytes;
}
