/* A walk over the lines of a JSON Lines text, and typed reads of an object's members.
 * Owns: line numbers and the wording of what is wrong with a line. Private to rerank/. */
#ifndef RR_RERANK_DATA_JSONL_H
#define RR_RERANK_DATA_JSONL_H

#include <yyjson.h>

#include "runtime/base/memory.h"
#include "runtime/base/text.h"

typedef struct rr_jsonl {
    const char *label; /* the file in messages */
    const char *data;  /* what is left; borrowed */
    size_t bytes;
    size_t line;     /* number of the line last read, from 1 */
    rr_arena *arena; /* texts are copied here */
} rr_jsonl;

/* Starts at the beginning; a byte order mark is skipped. */
rr_jsonl rr_jsonl_start(const char *label, const char *data, size_t bytes, rr_arena *arena);

/* The next line that is not blank, without its line end; false at the end. */
bool rr_jsonl_next_line(rr_jsonl *jsonl, rr_text *line);

/* Parses a line that must hold one JSON object; the caller frees *doc (set on success only).
 * `shape` shows the expected object in messages. */
rr_status rr_jsonl_parse(
    const rr_jsonl *jsonl, rr_text line, const char *shape, yyjson_doc **doc, rr_diag *diag);

/* What is wrong with a text that is no JSON, in words: the parser's, or that a number is none, as
 * Python writes it. */
const char *rr_jsonl_error(rr_text text, const yyjson_read_err *error);

/* Reads a member of the object that `where` names ("", "hits[3]."). A text is copied into the
 * arena. Errors: RR_E_INPUT (absent, of another type), RR_E_MEMORY. An optional text that is absent
 * or null leaves *out empty. */
rr_status rr_jsonl_text(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, bool optional, rr_text *out, rr_diag *diag);
/* An id: a text that is not empty and holds no control characters, or an integer. NULL when
 * optional and absent. */
rr_status rr_jsonl_id(const rr_jsonl *jsonl, yyjson_val *object, const char *where, const char *key,
    bool optional, const char **out, rr_diag *diag);
rr_status rr_jsonl_number(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, double *out, rr_diag *diag);
/* What a JSON number says; 0 for anything else. */
double rr_jsonl_value(yyjson_val *number);
rr_status rr_jsonl_array(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, yyjson_val **out, rr_diag *diag);

/* "file:line: " and the message. */
rr_status rr_jsonl_fail(const rr_jsonl *jsonl, rr_diag *diag, const char *format, ...)
    RR_PRINTF(3, 4);

/* An id and where it stands. Finds an id that occurs twice: sorts `items` by id and gives the
 * earlier and the later `place` of the first such pair; false when all differ. */
typedef struct rr_id_place {
    const char *id;
    size_t place;
} rr_id_place;
bool rr_id_repeats(rr_id_place *items, size_t n, size_t *earlier, size_t *later);

#endif
