#include "rerank/data/trec_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/bright.h"
#include "rerank/data/table_head.h"
#include "runtime/base/text.h"

enum { MAX_FIELDS = 7 };

typedef struct reader {
    rr_trec_table *table;
    const char *at, *end;
    uint32_t line; /* of the line last read, from 1 */
    rr_text text;  /* that line, without its end */
    rr_text fields[MAX_FIELDS];
    int n_fields; /* at most MAX_FIELDS; more in the line are not looked at */
    bool tabs;    /* fields are separated by single tabs */
} reader;

enum { SHOWN_BYTES = 200 };

/* The text as messages show it: cut, without control characters. */
static const char *show(rr_text text, char shown[SHOWN_BYTES]) {
    size_t n = 0;
    for (size_t i = 0; i < text.bytes && n + 5 < SHOWN_BYTES; i++) {
        unsigned char c = (unsigned char)text.data[i];
        n += (size_t)snprintf(
            shown + n, SHOWN_BYTES - n, c < 0x20 && c != '\t' ? "\\x%02x" : "%c", c);
    }
    shown[n] = '\0';
    return shown;
}

static rr_status fail_line(const reader *r, rr_diag *diag, const char *expected) {
    char shown[SHOWN_BYTES];
    return rr_fail(diag, RR_E_INPUT, "%s:%u: found %s\"%s\", expected %s", r->table->label, r->line,
        rr_table_head_is(r->text) ? "the head of a table, " : "", show(r->text, shown), expected);
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_text(rr_text field, const char *text) {
    return field.bytes == strlen(text) && memcmp(field.data, text, field.bytes) == 0;
}

static rr_text trimmed(rr_text field) {
    while (field.bytes > 0 && is_space(field.data[field.bytes - 1])) {
        field.bytes--;
    }
    while (field.bytes > 0 && is_space(*field.data)) {
        field.data++;
        field.bytes--;
    }
    return field;
}

static void split(reader *r) {
    const char *at = r->text.data, *end = at + r->text.bytes;
    r->n_fields = 0;
    while (r->n_fields < MAX_FIELDS) {
        if (r->tabs) {
            const char *tab = at < end ? memchr(at, '\t', (size_t)(end - at)) : NULL;
            const char *stop = tab != NULL ? tab : end;
            r->fields[r->n_fields++] = (rr_text){at, (size_t)(stop - at)};
            if (tab == NULL) {
                return;
            }
            at = tab + 1;
            continue;
        }
        while (at < end && is_space(*at)) {
            at++;
        }
        const char *start = at;
        while (at < end && !is_space(*at)) {
            at++;
        }
        if (at == start) {
            return;
        }
        r->fields[r->n_fields++] = (rr_text){start, (size_t)(at - start)};
    }
}

/* The next line that is not blank, not yet split; false at the end. */
static bool next_line(reader *r) {
    while (r->at < r->end) {
        const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
        const char *start = r->at;
        r->at = stop != NULL ? stop + 1 : r->end;
        stop = stop != NULL ? stop : r->end;
        r->line++;
        if (stop > start && stop[-1] == '\r') {
            stop--;
        }
        r->text = (rr_text){start, (size_t)(stop - start)};
        while (start < stop && is_space(*start)) {
            start++;
        }
        if (start < stop) {
            return true;
        }
    }
    return false;
}

/* What follows the spaces at the line's start, which is not blank. */
static const char *line_start(const reader *r) {
    const char *at = r->text.data;
    while (is_space(*at)) {
        at++;
    }
    return at;
}

/* Whether the line may be a comment: ids can start with '#', too. */
static bool has_hash(const reader *r) {
    return *line_start(r) == '#';
}

/* Whether a line with '#' is a comment whatever its fields: no id ends behind '#', but words that
 * end in a number could be a row. */
static bool is_remark(const reader *r) {
    const char *at = line_start(r) + 1;
    return !r->tabs && (at == r->text.data + r->text.bytes || is_space(*at));
}

/* Goes to the line that tells the form of the file: the first one, if possible without '#'. False
 * when there is none. */
static bool first_line(reader *r) {
    reader any = *r;
    while (next_line(r)) {
        if (!has_hash(r)) {
            return true;
        }
    }
    *r = any;
    return next_line(r);
}

/* Decimal numbers of up to 15 digits and a small exponent exactly and fast, all others by strtod;
 * NaN when it is no number. */
static double number(rr_text field) {
    static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t digits = 0;
    size_t i = 0, n_digits = 0, n_after = 0;
    bool negative = field.bytes > 0 && field.data[0] == '-', point = false;
    for (i = negative || (field.bytes > 0 && field.data[0] == '+');
         i < field.bytes && n_digits < 16; i++) {
        char c = field.data[i];
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            digits = digits * 10 + (uint64_t)(c - '0');
            n_digits++;
            n_after += point;
        } else {
            break;
        }
    }
    if (i == field.bytes && n_digits > 0 && n_digits < 16) {
        double value = (double)digits / tens[n_after]; /* both exact, hence rounded once */
        return negative ? -value : value;
    }
    char copy[512], *end;
    if (field.bytes == 0 || field.bytes >= sizeof copy || is_space(field.data[0]) ||
        memchr(field.data, '\0', field.bytes) != NULL) {
        return NAN;
    }
    memcpy(copy, field.data, field.bytes);
    copy[field.bytes] = '\0';
    double value = strtod(copy, &end);
    return *end == '\0' ? value : NAN;
}

/* Splits a line that has tabs at them alone, so that ids may hold spaces: if `n` fields or more
 * have something in them beside spaces, and the one at `value` is a number. Else splits it at all
 * spaces, and gives false. */
static bool split_at_tabs(reader *r, int n, int value) {
    bool fits = memchr(r->text.data, '\t', r->text.bytes) != NULL;
    if (fits) {
        r->tabs = true;
        split(r);
        r->tabs = false;
        fits = r->n_fields >= n;
    }
    for (int i = 0; fits && i < n; i++) {
        r->fields[i] = trimmed(r->fields[i]);
        fits = r->fields[i].bytes > 0;
    }
    if (!fits || isnan(number(r->fields[value]))) {
        split(r);
        return false;
    }
    return true;
}

static bool whole_number(rr_text field, int64_t limit, int64_t *out) {
    double value = number(field);
    if (isnan(value) || fabs(value) > (double)limit || value != floor(value)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

static bool is_id(rr_text field) {
    return field.bytes > 0 && field.bytes < UINT32_MAX &&
        memchr(field.data, '\0', field.bytes) == NULL;
}

static reader start(const char *data, size_t bytes, rr_trec_table *table) {
    return (reader){.table = table, .at = data, .end = data + bytes};
}

static const char *without_mark(const char *data, size_t *bytes) {
    bool mark = *bytes >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0;
    *bytes -= mark ? 3 : 0;
    return mark ? data + 3 : data;
}

static rr_status add(
    reader *r, int qid, int docid, rr_trec_row row, rr_diag *diag, const char *expected) {
    if (!is_id(r->fields[qid]) || !is_id(r->fields[docid])) {
        return fail_line(r, diag, expected);
    }
    row.docid = r->fields[docid].data;
    row.docid_bytes = (uint32_t)r->fields[docid].bytes;
    row.line = r->line;
    return rr_trec_table_add(r->table, r->fields[qid], &row, diag);
}

/* Runs */

static const char *const run_shapes[] = {
    [3] = "\"qid docid rank\" as in the lines before",
    [4] = "\"qid docid rank score\" as in the lines before",
    [6] = "\"qid Q0 docid rank score tag\"",
};

/* The number of columns of the file, told from its first line: 3, 4 or 6; 0 = no run. */
static int run_columns(reader *r) {
    int64_t rank;
    r->tabs = true;
    split(r);
    if ((r->n_fields == 3 || r->n_fields == 4) && whole_number(r->fields[2], INT32_MAX, &rank)) {
        return r->n_fields;
    }
    r->tabs = false;
    split(r);
    if ((r->n_fields == 3 || r->n_fields == 4) && whole_number(r->fields[2], INT32_MAX, &rank)) {
        return r->n_fields;
    }
    return split_at_tabs(r, 6, 4) || r->n_fields >= 6 ? 6 : 0;
}

/* The score of the line, which is split here; NaN when it is no row. *moved: whether an id with a
 * space has moved the columns of a TREC row, which then has seven words or more, and a number where
 * the tag stands. */
static double run_score(reader *r, int columns, bool *moved) {
    *moved = false;
    if (columns == 6) {
        *moved = !split_at_tabs(r, 6, 4) && r->n_fields > 6 && !isnan(number(r->fields[5]));
        return r->n_fields >= 6 ? number(r->fields[4]) : NAN;
    }
    split(r);
    return r->n_fields == columns ? number(r->fields[columns - 1]) : NAN;
}

/* What is wrong with a line that has no score. */
static rr_status fail_score(const reader *r, int columns, rr_diag *diag) {
    char shown[SHOWN_BYTES], value[SHOWN_BYTES];
    if (columns == 6 ? r->n_fields < 6 : r->n_fields != columns) {
        return fail_line(r, diag, run_shapes[columns]);
    }
    rr_text field = r->fields[columns == 6 ? 4 : columns - 1];
    const char *advice = field.bytes > 0 && memchr(field.data, ',', field.bytes) != NULL
        ? " with a point before its decimals"
        : field.bytes == 3 && rr_ascii_same(field.data, "nan", 3) ? ": NaN has no place in an order"
                                                                  : "";
    return rr_fail(diag, RR_E_INPUT, "%s:%u: found the %s \"%s\" in \"%s\", expected a number%s",
        r->table->label, r->line, columns == 3 ? "rank" : "score", show(field, value),
        show(r->text, shown), advice);
}

static rr_status parse_run_lines(
    const char *data, size_t bytes, rr_trec_table *table, rr_diag *diag) {
    reader r = start(data, bytes, table), first = r;
    if (!first_line(&first)) {
        return RR_OK;
    }
    int columns = run_columns(&first);
    if (columns == 0) {
        return has_hash(&first)
            ? RR_OK
            : fail_line(&first, diag,
                  "\"qid Q0 docid rank score tag\", \"qid docid rank [score]\" or JSON");
    }
    r.tabs = first.tabs;
    while (next_line(&r)) {
        bool moved;
        double score = run_score(&r, columns, &moved);
        if (has_hash(&r) && (isnan(score) || is_remark(&r))) {
            continue;
        }
        if (isnan(score)) {
            return fail_score(&r, columns, diag);
        }
        if (moved) {
            return fail_line(&r, diag,
                "\"qid Q0 docid rank score tag\" in six words; where ids hold spaces, tabs between the columns");
        }
        rr_trec_row row = {.score = columns == 3 ? -score : score};
        RR_TRY(add(&r, 0, columns == 6 ? 2 : 1, row, diag, run_shapes[columns]));
    }
    return RR_OK;
}

rr_status rr_eval_parse_run(
    const char *data, size_t bytes, const char *label, rr_trec_table *table, rr_diag *diag) {
    table->label = label;
    data = without_mark(data, &bytes);
    size_t i = 0;
    while (i < bytes && is_space(data[i])) {
        i++;
    }
    if (i < bytes && (data[i] == '{' || data[i] == '[')) {
        RR_TRY(rr_eval_parse_json(data, bytes, table, diag));
    } else {
        RR_TRY(parse_run_lines(data, bytes, table, diag));
    }
    if (table->n_rows == 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: found no results, expected a run (\"qid Q0 docid rank score tag\")", label);
    }
    return rr_trec_table_finish(table, rr_trec_by_score, diag);
}

rr_status rr_trec_read_run(const char *path, rr_trec_table *table, rr_diag *diag) {
    const char *data;
    size_t bytes;
    RR_TRY(rr_trec_table_load(table, path, &data, &bytes, diag));
    return rr_eval_parse_run(data, bytes, path, table, diag);
}

/* Judgements */

/* The form of the lines: how many columns, and whether the first line is BEIR's "query-id corpus-id
 * score", after which only tabs part them. */
static int qrels_columns(reader *r, bool *header) {
    bool named = r->text.bytes >= 5 && memcmp(r->text.data, "query", 5) == 0;
    r->tabs = named && memchr(r->text.data, '\t', r->text.bytes) != NULL;
    split(r);
    *header = named && r->n_fields == 3;
    int words = r->n_fields;
    if (r->tabs || words < 3 || split_at_tabs(r, 4, 3)) {
        return r->n_fields;
    }
    /* four words with two tabs: an id with a space, unless the second word is TREC's iteration */
    bool trec = words == 4 && (is_text(r->fields[1], "0") || is_text(r->fields[1], "Q0"));
    return !trec && split_at_tabs(r, 3, 2) ? r->n_fields : words;
}

static bool qrels_level(reader *r, int columns, int64_t *level) {
    if (r->tabs || columns < 3) {
        split(r);
    } else {
        split_at_tabs(r, columns, columns - 1);
    }
    return (columns == 3 || columns == 4) && r->n_fields == columns &&
        whole_number(r->fields[columns - 1], RR_EVAL_MAX_LEVEL, level);
}

static rr_status parse_qrels_lines(
    const char *data, size_t bytes, rr_trec_table *table, rr_diag *diag) {
    reader r = start(data, bytes, table), first = r;
    bool header;
    if (!first_line(&first)) {
        return RR_OK;
    }
    const int columns = qrels_columns(&first, &header);
    const char *expected = columns == 3 ? "\"qid docid level\" with a whole number as level"
        : columns == 4 ? "\"qid iteration docid level\" with a whole number as level"
                       : "\"qid iteration docid level\" (TREC) or \"qid docid level\" (BEIR)";
    r.tabs = first.tabs;
    while (next_line(&r)) {
        int64_t level;
        bool row = qrels_level(&r, columns, &level);
        if ((header && r.line == first.line) || (has_hash(&r) && (!row || is_remark(&r)))) {
            continue;
        }
        if (!row) {
            return fail_line(&r, diag, expected);
        }
        RR_TRY(add(&r, 0, columns - 2, (rr_trec_row){.level = (int32_t)level}, diag, expected));
    }
    return RR_OK;
}

rr_status rr_eval_parse_qrels(
    const char *data, size_t bytes, const char *label, rr_trec_table *table, rr_diag *diag) {
    table->label = label;
    data = without_mark(data, &bytes);
    if (rr_bright_is(data, bytes)) {
        return rr_bright_parse(data, bytes, label, table, NULL, diag);
    }
    RR_TRY(parse_qrels_lines(data, bytes, table, diag));
    if (table->n_rows == 0) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: found no judgements, expected lines of \"qid iteration docid level\"", label);
    }
    return rr_trec_table_finish(table, rr_trec_by_docid, diag);
}

rr_status rr_trec_read_qrels(const char *path, rr_trec_table *table, rr_diag *diag) {
    const char *data;
    size_t bytes;
    RR_TRY(rr_trec_table_load(table, path, &data, &bytes, diag));
    return rr_eval_parse_qrels(data, bytes, path, table, diag);
}

rr_status rr_trec_read_judgements(
    const char *path, rr_trec_table *table, rr_trec_table *excluded, rr_diag *diag) {
    const char *data;
    size_t bytes;
    RR_TRY(rr_trec_table_load(table, path, &data, &bytes, diag));
    return rr_bright_is(data, bytes) ? rr_bright_parse(data, bytes, path, table, excluded, diag)
                                     : rr_eval_parse_qrels(data, bytes, path, table, diag);
}
