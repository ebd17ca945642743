/* Typed reads of the optional members of a JSON request.
 * Owns: the rules for them, that null is absent, that "true" and "false" may be texts, and the
 * wording of what is wrong. Private to rerank/serve. */
#ifndef RR_RERANK_SERVE_FIELDS_H
#define RR_RERANK_SERVE_FIELDS_H

#include <yyjson.h>

#include "rerank/serve/fault.h"

/* One object of a request, and what a wrong type in it is answered with. */
typedef struct rr_fields {
    yyjson_val *object;
    const char *where;   /* before a name in messages: "" or "rearank." */
    unsigned bad_status; /* 400, or 422 where Text Embeddings Inference is spoken */
    rr_fault *fault;
} rr_fields;

/* The member; NULL when it is absent or null. */
yyjson_val *rr_field(const rr_fields *fields, const char *name);

/* Each leaves *out as it is where the member is absent; false = the fault is set. */
bool rr_field_bool(const rr_fields *fields, const char *name, bool *out);
/* A whole number from `min` to `max`; above `max` counts as `max` where `clamps`. */
typedef struct rr_field_range {
    uint64_t min, max;
    bool clamps;
} rr_field_range;
bool rr_field_count(const rr_fields *fields, const char *name, rr_field_range range, uint64_t *out);
/* A number of seconds, 0 or more. */
bool rr_field_seconds(const rr_fields *fields, const char *name, double *out);
/* The index of one of `names` (NULL-terminated), whatever its case. */
bool rr_field_choice(const rr_fields *fields, const char *name, const char *const *names, int *out);

/* What was found, for messages: "a string", "nothing", … */
const char *rr_field_found(yyjson_val *value);

#endif
