#include "rerank/json_out.h"

#include "rerank/clean.h"

yyjson_mut_val *rr_json_text(yyjson_mut_doc *doc, const char *text, size_t bytes) {
    rr_buf clean = {0};
    rr_clean_utf8(text, bytes, &clean);
    yyjson_mut_val *value =
        clean.failed ? NULL : yyjson_mut_strncpy(doc, clean.data != NULL ? clean.data : "", clean.bytes);
    rr_buf_destroy(&clean);
    return value;
}
