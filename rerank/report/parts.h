/* A page in parts with places to fill in: the template of `rearank report` (rerank/report/report.html).
 * Owns: the template's syntax ("<!--part NAME-->" starts a part, "{{name}}" is a place) and how
 * values are escaped: there is no way to fill in a value that is not. */
#ifndef RR_RERANK_REPORT_PARTS_H
#define RR_RERANK_REPORT_PARTS_H

#include "runtime/base/memory.h"
#include "runtime/base/text.h"

enum { RR_PARTS_MAX = 96, RR_VALUES_MAX = 8 };

typedef struct rr_part {
    rr_text name, text;
} rr_part;

typedef struct rr_parts {
    rr_part items[RR_PARTS_MAX];
    size_t n;
} rr_parts;

/* Finds the parts of a template, which must outlive `out`. Text before the first part is a comment;
 * a part's last newline does not belong to it. Errors: RR_E_INTERNAL for too many parts or a name
 * that occurs twice. */
rr_status rr_parts_read(const char *template, rr_parts *out, rr_diag *diag);

/* What fills the places. Zero-initialise; names and texts are borrowed, printed values are kept
 * inside. */
typedef struct rr_values {
    struct {
        const char *name;
        rr_text text;
    } items[RR_VALUES_MAX];
    char room[512];
    size_t n, used;
} rr_values;

void rr_values_text(rr_values *values, const char *name, const char *text, size_t bytes);
/* For what fits in `room` with the others: numbers, words of our own. Longer ones are cut. */
void rr_values_printf(rr_values *values, const char *name, const char *format, ...) RR_PRINTF(3, 4);

/* Appends a part with its places filled in by rr_html_append. `values` may be NULL. A part or place
 * without a match is an error of the program and ends it by an assert: the tests fill every
 * part. */
void rr_parts_write(const rr_parts *parts, const char *name, const rr_values *values, rr_buf *out);

/* Appends any text as HTML for content and for attributes in double quotes: & < > " ' become
 * entities; control characters but newline and tab, and marks that turn the direction of text, are
 * written out as on a terminal; invalid UTF-8 becomes U+FFFD. */
void rr_html_append(const char *text, size_t bytes, rr_buf *out);

#endif
