/* JSON files of a model's folder: bounded, strict, and read field by field with messages that name
 * file and field.
 * Owns: the parsed document. The files are hostile: length, nesting and types are checked here, the
 * range of a number is its reader's. */
#ifndef RR_MODEL_JSON_H
#define RR_MODEL_JSON_H

#include <yyjson.h>

#include "runtime/base/memory.h"
#include "runtime/base/text.h"

/* Levels that lists and objects may be nested; the files of known writers need fewer than ten. */
enum { RR_JSON_MAX_DEPTH = 64 };

typedef struct rr_json {
    yyjson_doc *doc;
    const char *label; /* names the file in messages; the caller's, or of the arena */
    rr_arena arena;
} rr_json;

/* Parses `bytes` bytes that stand at byte `offset` of the file `label`, which the caller keeps.
 * Errors: RR_E_INPUT with the byte of the file where the fault is (no UTF-8, no JSON, nested too
 * deep), RR_E_MEMORY. */
rr_status rr_json_parse(const void *data, size_t bytes, const char *label, uint64_t offset,
    rr_json *out, rr_diag *diag);
/* Reads a file of a folder. Errors: those of rr_json_parse; RR_E_IO, RR_E_INPUT for one that
 * exceeds `max_bytes` or is empty. */
rr_status rr_json_read(
    const char *folder, const char *name, uint64_t max_bytes, rr_json *out, rr_diag *diag);
void rr_json_destroy(rr_json *json); /* accepts a zeroed one */

/* "null", "bool", "number", "string", "list", "object" */
const char *rr_json_type(yyjson_val *value);
rr_text rr_json_string(yyjson_val *string);

/* An object of a file; `place` names it in messages: the file, or "file: field". */
typedef struct rr_json_object {
    yyjson_val *value; /* NULL = absent: then it has no fields */
    const char *place;
} rr_json_object;

/* Fields that are absent or null leave *out as it is. Errors: RR_E_INPUT, "place: field: number
 * expected, string found". */
rr_status rr_json_get_object(
    rr_json_object object, const char *field, yyjson_val **out, rr_diag *diag);
rr_status rr_json_get_list(
    rr_json_object object, const char *field, yyjson_val **out, rr_diag *diag);
rr_status rr_json_get_text(rr_json_object object, const char *field, rr_text *out, rr_diag *diag);
rr_status rr_json_get_bool(rr_json_object object, const char *field, bool *out, rr_diag *diag);
rr_status rr_json_get_number(rr_json_object object, const char *field, double *out, rr_diag *diag);
/* A whole number from `least` to `most`; may be written as 128.0. */
rr_status rr_json_get_integer(rr_json_object object, const char *field, int64_t least, int64_t most,
    int64_t *out, rr_diag *diag);
/* Whether it is there and not null. */
bool rr_json_has(rr_json_object object, const char *field);
/* RR_E_INPUT when a field stands there twice: readers differ in which one counts. For objects of
 * some dozens of fields. */
rr_status rr_json_check_unique(rr_json_object object, rr_diag *diag);

#endif
