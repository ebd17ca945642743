#include "rerank/data/docs.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/data/jsonl.h"
#include "rerank/data/table_head.h"
#include "runtime/base/hash.h"
#include "runtime/base/text_file.h"

/* The hash table */

static bool same(rr_text a, rr_text b) {
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

static size_t slot_of(const rr_docs *docs, rr_text id) {
    size_t at = (size_t)rr_hash(0, id.data, id.bytes) & (docs->n_slots - 1);
    while (docs->slots[at] != 0 && !same(docs->items[docs->slots[at] - 1].id, id)) {
        at = (at + 1) & (docs->n_slots - 1);
    }
    return at;
}

static bool grow(rr_docs *docs) {
    size_t capacity = docs->capacity == 0 ? 256 : docs->capacity * 2;
    uint32_t *slots = calloc(capacity * 2, sizeof *slots);
    rr_doc *items = slots != NULL ? realloc(docs->items, capacity * sizeof *items) : NULL;
    if (items == NULL) {
        free(slots);
        return false;
    }
    free(docs->slots);
    docs->items = items;
    docs->capacity = capacity;
    docs->slots = slots;
    docs->n_slots = capacity * 2;
    for (size_t i = 0; i < docs->n; i++) {
        slots[slot_of(docs, items[i].id)] = (uint32_t)(i + 1);
    }
    return true;
}

rr_status rr_docs_want(rr_docs *docs, rr_text id, rr_diag *diag) {
    if (docs->n >= INT32_MAX) {
        return rr_fail(diag, RR_E_INPUT, "more than %d ids are asked for", INT32_MAX);
    }
    if (docs->n == docs->capacity && !grow(docs)) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu ids", docs->n);
    }
    size_t at = slot_of(docs, id);
    if (docs->slots[at] == 0) {
        docs->items[docs->n++] = (rr_doc){.id = id};
        docs->slots[at] = (uint32_t)docs->n;
    }
    return RR_OK;
}

static rr_doc *find(const rr_docs *docs, rr_text id) {
    size_t at = docs->n > 0 ? slot_of(docs, id) : 0;
    return docs->n > 0 && docs->slots[at] != 0 ? &docs->items[docs->slots[at] - 1] : NULL;
}

const rr_doc *rr_docs_find(const rr_docs *docs, rr_text id) {
    return find(docs, id);
}

void rr_docs_destroy(rr_docs *docs) {
    rr_arena_destroy(&docs->arena);
    free(docs->items);
    free(docs->slots);
    *docs = (rr_docs){0};
}

/* Reading */

enum {
    N_KEYS = 3,
    AHEAD_BYTES = 64 << 20,
    PIECE_BYTES = 1 << 20,   /* of a packed file, as long as no line is longer */
    MAX_LINE_BYTES = 1 << 30 /* there: a line must fit into memory */
};

typedef struct key_set {
    const char *ids[N_KEYS], *texts[N_KEYS];
    const char *shape; /* in messages */
    const char *tab_shape;
} key_set;

static const key_set kinds[] = {
    [RR_DOCS_CORPUS] = {{"_id", "id", "docid"}, {"text", "contents", "content"},
        "{\"_id\", \"title\"?, \"text\"} on one line", "\"id<tab>text\""},
    [RR_DOCS_QUERIES] = {{"_id", "id", "qid"}, {"query", "text", NULL},
        "{\"_id\", \"text\"} on one line", "\"qid<tab>query\""},
};

typedef struct reader {
    rr_docs *docs;
    const key_set *keys;
    rr_jsonl jsonl;
    const rr_mapping *map; /* to read ahead in; NULL for memory */
    const char *label;     /* a copy that lives with the docs */
    uint64_t asked_bytes;  /* read ahead up to here */
    bool any, json;        /* a line was read; lines are JSON objects */
} reader;

static bool one_of(const char *const keys[N_KEYS], const char *key, size_t bytes) {
    for (int i = 0; i < N_KEYS; i++) {
        if (keys[i] != NULL && strlen(keys[i]) == bytes && memcmp(keys[i], key, bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* Memory for a doc's texts. An id may come again with every line: what is too small doubles, so
 * that all blocks of a doc together stay below four times its longest texts. */
static bool make_room(reader *r, rr_doc *doc, size_t bytes) {
    if (doc->memory == NULL || doc->memory_bytes < bytes) {
        doc->memory_bytes = doc->memory == NULL ? bytes : bytes * 2;
        doc->memory = rr_arena_alloc(&r->docs->arena, doc->memory_bytes + 1, 1);
    }
    return doc->memory != NULL;
}

static void note_replaced(reader *r, const rr_doc *doc) {
    if (r->docs->n_replaced++ == 0) {
        r->docs->first_replaced = (rr_doc_replaced){
            .id = doc->id, .label = r->label, .line = r->jsonl.line, .earlier = doc->line};
    }
}

static rr_status keep(reader *r, rr_doc *doc, rr_text title, rr_text text, rr_diag *diag) {
    if (doc->label != NULL && same(doc->title, title) && same(doc->text, text)) {
        return RR_OK;
    }
    if (doc->label != NULL && doc->label != r->label) {
        return rr_jsonl_fail(&r->jsonl, diag,
            "id \"%.*s\" stands in %s:%zu already, with another text",
            (int)(doc->id.bytes < 100 ? doc->id.bytes : 100), doc->id.data, doc->label, doc->line);
    }
    if (!make_room(r, doc, title.bytes + text.bytes)) {
        return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", r->jsonl.label, r->jsonl.line);
    }
    if (doc->label != NULL) {
        note_replaced(r, doc);
    } else {
        r->docs->n_found++;
    }
    char *texts = doc->memory;
    memcpy(texts, title.data, title.bytes);
    memcpy(texts + title.bytes, text.data, text.bytes);
    doc->title = (rr_text){texts, title.bytes};
    doc->text = (rr_text){texts + title.bytes, text.bytes};
    doc->label = r->label;
    doc->line = r->jsonl.line;
    return RR_OK;
}

static const char *skip_spaces(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) {
        at++;
    }
    return at;
}

/* The id of an object whose first member is a plain one: a text without escapes, or digits. False
 * when it must be parsed. */
static bool leading_id(const key_set *keys, rr_text line, rr_text *id) {
    const char *end = line.data + line.bytes, *at = skip_spaces(line.data, end);
    at = at < end && *at == '{' ? skip_spaces(at + 1, end) : end;
    if (at == end || *at != '"') {
        return false;
    }
    const char *key = ++at;
    at = memchr(key, '"', (size_t)(end - key));
    if (at == NULL || !one_of(keys->ids, key, (size_t)(at - key))) {
        return false;
    }
    at = skip_spaces(at + 1, end);
    at = at < end && *at == ':' ? skip_spaces(at + 1, end) : end;
    if (at < end && *at == '"') {
        const char *start = at + 1, *stop = memchr(start, '"', (size_t)(end - start));
        *id = (rr_text){start, stop != NULL ? (size_t)(stop - start) : 0};
        return stop != NULL && memchr(start, '\\', id->bytes) == NULL;
    }
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    *id = (rr_text){start, (size_t)(at - start)};
    /* as the parser would print the number: no leading zeros, small enough for 64 bits */
    return id->bytes > 0 && id->bytes < 19 && (*start != '0' || id->bytes == 1) && at < end &&
        strchr(" \t,}", *at) != NULL;
}

/* The object's first member whose name is among the keys, if possible one that is not null. */
static const char *member(yyjson_val *object, const char *const keys[N_KEYS]) {
    const char *found = NULL;
    size_t index, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, index, n, key, value) {
        if (one_of(keys, yyjson_get_str(key), yyjson_get_len(key))) {
            found = found == NULL || !yyjson_is_null(value) ? yyjson_get_str(key) : found;
            if (!yyjson_is_null(value)) {
                break;
            }
        }
    }
    return found != NULL ? found : keys[0];
}

static rr_status read_texts(reader *r, yyjson_val *object, rr_doc *doc, rr_diag *diag) {
    const char *key = member(object, r->keys->texts);
    rr_text title, text;
    if (yyjson_is_null(yyjson_obj_get(object, key))) {
        doc->null_label = r->label;
        doc->null_line = r->jsonl.line;
        return RR_OK;
    }
    RR_TRY(rr_jsonl_text(&r->jsonl, object, "", key, false, &text, diag));
    RR_TRY(rr_jsonl_text(&r->jsonl, object, "", "title", true, &title, diag));
    return keep(r, doc, title, text, diag);
}

static rr_status read_object(reader *r, rr_text line, rr_diag *diag) {
    rr_text lead;
    if (leading_id(r->keys, line, &lead) && find(r->docs, lead) == NULL) {
        return RR_OK;
    }
    yyjson_doc *json;
    RR_TRY(rr_jsonl_parse(&r->jsonl, line, r->keys->shape, &json, diag));
    yyjson_val *object = yyjson_doc_get_root(json);
    rr_arena scratch = {0};
    const char *id;
    rr_status status = RR_OK;
    r->jsonl.arena = &scratch;
    RR_TRY_GOTO(rr_jsonl_id(&r->jsonl, object, "", member(object, r->keys->ids), false, &id, diag));
    rr_doc *doc = find(r->docs, (rr_text){id, strlen(id)});
    if (doc != NULL) {
        RR_TRY_GOTO(read_texts(r, object, doc, diag));
    }
fail:
    rr_arena_destroy(&scratch);
    yyjson_doc_free(json);
    return status;
}

static rr_status read_tabbed(reader *r, rr_text line, rr_diag *diag) {
    const char *tab = memchr(line.data, '\t', line.bytes);
    if (tab == NULL || tab == line.data) {
        int shown = line.bytes < 60 ? (int)line.bytes : 60;
        const char *found = tab != NULL ? "nothing before the tab"
            : rr_table_head_is(line)    ? "the head of a table of commas"
                                        : "no tab";
        return rr_jsonl_fail(&r->jsonl, diag, "found %s in \"%.*s\", expected %s or %s", found,
            shown, line.data, r->keys->tab_shape, r->keys->shape);
    }
    rr_doc *doc = find(r->docs, (rr_text){line.data, (size_t)(tab - line.data)});
    rr_text text = {tab + 1, (size_t)(line.data + line.bytes - tab - 1)};
    if (doc != NULL && memchr(text.data, '\0', text.bytes) != NULL) {
        return rr_jsonl_fail(&r->jsonl, diag, "found a NUL byte, expected text in UTF-8");
    }
    return doc == NULL ? RR_OK : keep(r, doc, (rr_text){"", 0}, text, diag);
}

static void read_ahead(reader *r, const char *at) {
    uint64_t done = (uint64_t)((const uint8_t *)at - r->map->data);
    if (done + AHEAD_BYTES / 2 >= r->asked_bytes && r->asked_bytes < r->map->bytes) {
        rr_file_will_read(r->map, r->asked_bytes, AHEAD_BYTES);
        r->asked_bytes += AHEAD_BYTES;
    }
}

static rr_status read_lines(reader *r, rr_diag *diag) {
    rr_text line;
    while (rr_jsonl_next_line(&r->jsonl, &line)) {
        if (!r->any) {
            const char *start = skip_spaces(line.data, line.data + line.bytes);
            r->json = start < line.data + line.bytes && *start == '{';
            r->any = true;
        }
        RR_TRY(r->json ? read_object(r, line, diag) : read_tabbed(r, line, diag));
        if (r->map != NULL) {
            read_ahead(r, line.data);
        }
    }
    return RR_OK;
}

static rr_status check_any(const reader *r, rr_diag *diag) {
    return r->any ? RR_OK
                  : rr_fail(diag, RR_E_INPUT, "%s: is empty, expected lines of %s or %s",
                        r->jsonl.label, r->keys->tab_shape, r->keys->shape);
}

static rr_status start(rr_docs *docs, rr_docs_kind kind, const char *data, size_t bytes,
    const char *label, reader *r, rr_diag *diag) {
    *r = (reader){
        .docs = docs,
        .keys = &kinds[kind],
        .jsonl = rr_jsonl_start(label, data, bytes, NULL),
        .label = rr_arena_copy(&docs->arena, label, strlen(label)),
    };
    return r->label != NULL ? RR_OK : rr_fail(diag, RR_E_MEMORY, "%s: out of memory", label);
}

rr_status rr_docs_parse(rr_docs *docs, rr_docs_kind kind, const char *data, size_t bytes,
    const char *label, rr_diag *diag) {
    reader r;
    RR_TRY(start(docs, kind, data, bytes, label, &r, diag));
    RR_TRY(read_lines(&r, diag));
    return check_any(&r, diag);
}

/* A text that comes in pieces, of which whole lines are read. */
typedef struct packed_text {
    rr_text_stream *stream;
    char *data;
    size_t bytes, room;
    bool ended;
} packed_text;

/* Reads on behind what is left of the piece before. */
static rr_status next_piece(packed_text *p, const char *label, rr_diag *diag) {
    if (p->bytes == p->room) { /* one line, and still not its end */
        size_t room = p->room == 0 ? PIECE_BYTES : p->room * 2;
        char *data = room <= MAX_LINE_BYTES ? realloc(p->data, room) : NULL;
        if (data == NULL) {
            return room <= MAX_LINE_BYTES
                ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory for a line of more than %zu bytes",
                      label, p->room)
                : rr_fail(
                      diag, RR_E_INPUT, "%s: holds a line of more than %zu bytes", label, p->room);
        }
        p->data = data;
        p->room = room;
    }
    size_t n;
    RR_TRY(rr_text_stream_read(p->stream, p->data + p->bytes, p->room - p->bytes, &n, diag));
    p->ended = n < p->room - p->bytes;
    p->bytes += n;
    return RR_OK;
}

static size_t whole_lines(const packed_text *p) {
    size_t n = p->bytes;
    while (!p->ended && n > 0 && p->data[n - 1] != '\n') {
        n--;
    }
    return n;
}

static rr_status read_packed(rr_docs *docs, rr_docs_kind kind, const char *path, rr_diag *diag) {
    packed_text p = {0};
    reader r = {0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_text_stream_open(path, &p.stream, diag));
    while (!p.ended) {
        RR_TRY_GOTO(next_piece(&p, path, diag));
        const size_t n = whole_lines(&p);
        if (r.label == NULL) {
            RR_TRY_GOTO(start(docs, kind, p.data, n, path, &r, diag));
        } else {
            r.jsonl.data = p.data;
            r.jsonl.bytes = n;
        }
        RR_TRY_GOTO(read_lines(&r, diag));
        p.bytes -= n;
        memmove(p.data, p.data + n, p.bytes);
    }
    RR_TRY_GOTO(check_any(&r, diag));
fail:
    rr_text_stream_close(&p.stream);
    free(p.data);
    return status;
}

static rr_status read_mapped(
    rr_docs *docs, rr_docs_kind kind, const rr_text_file *file, const char *path, rr_diag *diag) {
    reader r;
    RR_TRY(start(docs, kind, file->data, file->bytes, path, &r, diag));
    r.map = file->map.data != NULL ? &file->map : NULL;
    RR_TRY(read_lines(&r, diag));
    return check_any(&r, diag);
}

rr_status rr_docs_read(rr_docs *docs, rr_docs_kind kind, const char *path, rr_diag *diag) {
    rr_mapping map = {0};
    RR_TRY(rr_file_map(path, &map, diag));
    const bool packed = rr_text_packing(map.data, (size_t)map.bytes) != NULL;
    rr_file_unmap(&map);
    if (packed) {
        return read_packed(docs, kind, path, diag);
    }
    rr_text_file file;
    RR_TRY(rr_text_file_open(path, 0, &file, diag));
    rr_status status = read_mapped(docs, kind, &file, path, diag);
    rr_text_file_close(&file);
    return status;
}
