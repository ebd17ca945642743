/* What writers of JSON share. Owns: nothing. */
#ifndef RR_RERANK_DATA_JSON_OUT_H
#define RR_RERANK_DATA_JSON_OUT_H

#include <stddef.h>
#include <yyjson.h>

#include "runtime/base/memory.h"

/* A text that may be no valid UTF-8: the document gets a clean copy (rr_clean_utf8). NULL when out
 * of memory. */
yyjson_mut_val *rr_json_text(yyjson_mut_doc *doc, const char *text, size_t bytes);

/* Appends a text as a JSON string in quotes, made valid UTF-8. */
void rr_json_quote(const char *text, size_t bytes, rr_buf *out);
/* Appends "key":"text", the text as rr_json_quote writes it. */
void rr_json_member(const char *key, const char *text, rr_buf *out);

#endif
