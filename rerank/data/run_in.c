#include "rerank/data/run_in.h"

#include <stdlib.h>
#include <string.h>

#include "rerank/data/bright.h"
#include "rerank/data/clean.h"
#include "rerank/data/docs.h"
#include "rerank/data/trec_read.h"

/* A reading in progress. */
typedef struct joiner {
    const rr_run_in *params;
    rr_trec_table run, excluded;
    rr_docs queries, passages;
    const rr_trec_query **order; /* [n] the run's queries in the order of its file */
    size_t n;
    rr_candidates *out;
    rr_run_in_counts *counts;
} joiner;

static rr_text docid_of(const rr_trec_row *row) {
    return (rr_text){row->docid, row->docid_bytes};
}

static int shown(rr_text text) {
    return text.bytes < 100 ? (int)text.bytes : 100;
}

static rr_status no_memory(const joiner *j, rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "%s: out of memory", j->params->run);
}

/* Sorts by where a query first stands in the file; fits qsort. */
static int by_place(const void *a, const void *b) {
    const rr_trec_query *left = *(const rr_trec_query *const *)a,
                        *right = *(const rr_trec_query *const *)b;
    /* rows are grouped in the order of first appearance */
    return left->first < right->first ? -1 : left->first > right->first;
}

static rr_status order_queries(joiner *j, rr_diag *diag) {
    j->order = malloc((j->run.n_queries + 1) * sizeof *j->order);
    if (j->order == NULL) {
        return no_memory(j, diag);
    }
    for (size_t i = 0; i < j->run.n_queries; i++) {
        j->order[i] = &j->run.queries[i];
    }
    j->n = j->run.n_queries;
    qsort(j->order, j->n, sizeof *j->order, by_place);
    if (j->params->max_queries != 0 && j->params->max_queries < j->n) {
        j->n = j->params->max_queries;
    }
    return RR_OK;
}

/* BRIGHT's rule, where the list of queries is BRIGHT's. */
static rr_status exclude(joiner *j, rr_diag *diag) {
    rr_text_file file;
    RR_TRY(rr_text_file_open(j->params->queries, RR_TEXT_MAX_UNPACKED, &file, diag));
    rr_status status = RR_OK;
    if (rr_bright_is(file.data, file.bytes)) {
        size_t depth = j->params->depth;
        status =
            rr_bright_parse(file.data, file.bytes, j->params->queries, NULL, &j->excluded, diag);
        if (status == RR_OK) {
            j->counts->n_excluded = rr_bright_exclude(
                &j->run, &j->excluded, depth != 0 && depth < RR_BRIGHT_CUT ? RR_BRIGHT_CUT : depth);
        }
    }
    rr_text_file_close(&file);
    return status;
}

static size_t n_ranked(const joiner *j, const rr_trec_query *query) {
    return j->params->depth != 0 && j->params->depth < query->n ? j->params->depth : query->n;
}

static rr_status note_replaced(joiner *j, rr_diag *diag) {
    const rr_doc_replaced *first =
        j->queries.n_replaced > 0 ? &j->queries.first_replaced : &j->passages.first_replaced;
    j->counts->n_replaced = j->queries.n_replaced + j->passages.n_replaced;
    if (j->counts->n_replaced == 0) {
        return RR_OK;
    }
    rr_buf text = {0};
    rr_buf_printf(&text, "\"%.*s\" in %s:%zu, before in line %zu", shown(first->id), first->id.data,
        first->label, first->line, first->earlier);
    j->counts->first_replaced =
        text.failed ? NULL : rr_arena_copy(&j->out->arena, text.data, text.bytes);
    rr_buf_destroy(&text);
    return j->counts->first_replaced != NULL ? RR_OK : no_memory(j, diag);
}

static rr_status read_texts(joiner *j, rr_diag *diag) {
    for (size_t i = 0; i < j->n; i++) {
        RR_TRY(rr_docs_want(&j->queries, j->order[i]->qid, diag));
        for (size_t k = 0; k < n_ranked(j, j->order[i]); k++) {
            RR_TRY(
                rr_docs_want(&j->passages, docid_of(&j->run.rows[j->order[i]->first + k]), diag));
        }
    }
    RR_TRY(rr_docs_read(&j->queries, RR_DOCS_QUERIES, j->params->queries, diag));
    for (size_t i = 0; i < j->params->n_corpora; i++) {
        RR_TRY(rr_docs_read(&j->passages, RR_DOCS_CORPUS, j->params->corpora[i], diag));
    }
    j->counts->n_passages = j->passages.n;
    j->counts->n_missing_passages = j->passages.n - j->passages.n_found;
    j->counts->n_missing_queries = j->queries.n - j->queries.n_found;
    return note_replaced(j, diag);
}

/* A text that is missing: of a query, or of a passage. */
typedef struct missing {
    bool query;
    const rr_doc *doc; /* NULL = none is missing */
    uint32_t line;     /* in the run */
} missing;

static missing first_missing(const joiner *j) {
    for (size_t i = 0; i < j->n; i++) {
        const rr_trec_query *query = j->order[i];
        const rr_trec_row *rows = &j->run.rows[query->first];
        const rr_doc *doc = rr_docs_find(&j->queries, query->qid);
        if (doc->label == NULL) {
            return (missing){.query = true, .doc = doc, .line = query->n > 0 ? rows->line : 0};
        }
        for (size_t k = 0; k < n_ranked(j, query); k++) {
            doc = rr_docs_find(&j->passages, docid_of(&rows[k]));
            if (doc->label == NULL) {
                return (missing){.doc = doc, .line = rows[k].line};
            }
        }
    }
    return (missing){0};
}

/* What it is, and where one would look for it in vain. */
static void describe_missing(const joiner *j, const missing *m, rr_buf *out) {
    rr_buf_printf(
        out, "%s \"%.*s\"", m->query ? "query" : "passage", shown(m->doc->id), m->doc->id.data);
    if (m->doc->null_label != NULL) {
        rr_buf_printf(
            out, " has null for its text in %s:%zu", m->doc->null_label, m->doc->null_line);
    } else {
        rr_buf_printf(out, " is not in %s%s", m->query ? j->params->queries : j->params->corpora[0],
            !m->query && j->params->n_corpora > 1 ? " nor the other files" : "");
    }
}

static rr_status check_missing(joiner *j, rr_diag *diag) {
    const rr_run_in_counts *counts = j->counts;
    missing m = first_missing(j);
    if (m.doc == NULL) {
        return RR_OK;
    }
    rr_buf text = {0};
    describe_missing(j, &m, &text);
    rr_status status = RR_OK;
    if (text.failed) {
        status = no_memory(j, diag);
    } else if (j->params->skip_missing) {
        j->counts->first_missing = rr_arena_copy(&j->out->arena, text.data, text.bytes);
        status = j->counts->first_missing != NULL ? RR_OK : no_memory(j, diag);
    } else {
        status = rr_fail(diag, RR_E_INPUT,
            "%s:%u: %s; missing: %zu of %zu %s. --skip-missing goes on without them",
            j->params->run, m.line, text.data,
            m.query ? counts->n_missing_queries : counts->n_missing_passages,
            m.query ? j->n : counts->n_passages, m.query ? "queries" : "passages");
    }
    rr_buf_destroy(&text);
    return status;
}

/* A copy of an id, fit for every output. */
static rr_status copy_id(joiner *j, rr_text id, uint32_t line, const char **out, rr_diag *diag) {
    bool plain = true;
    for (size_t i = 0; i < id.bytes && plain; i++) {
        plain = (unsigned char)id.data[i] >= 0x20 && (unsigned char)id.data[i] < 0x7F;
    }
    if (!plain) {
        rr_buf clean = {0};
        rr_clean_terminal(id.data, id.bytes, false, &clean);
        bool ok = !clean.failed && clean.bytes == id.bytes &&
            memcmp(clean.data, id.data, id.bytes) == 0 && memchr(id.data, '\t', id.bytes) == NULL;
        rr_buf_clear(&clean);
        rr_clean_utf8(id.data, id.bytes, &clean);
        ok = ok && !clean.failed && clean.bytes == id.bytes &&
            memcmp(clean.data, id.data, id.bytes) == 0;
        rr_buf_destroy(&clean);
        if (!ok) {
            return rr_fail(diag, RR_E_INPUT,
                "%s:%u: found an id that is no valid UTF-8 or holds control characters",
                j->params->run, line);
        }
    }
    *out = rr_arena_copy(&j->out->arena, id.data, id.bytes);
    return *out != NULL ? RR_OK : no_memory(j, diag);
}

/* A query's text may come from a file of tabs, in which any byte can stand. */
static rr_status copy_clean(joiner *j, rr_text text, rr_text *out, rr_diag *diag) {
    rr_buf clean = {0};
    rr_clean_utf8(text.data, text.bytes, &clean);
    const char *copy = clean.failed || clean.data == NULL
        ? NULL
        : rr_arena_copy(&j->out->arena, clean.data, clean.bytes);
    *out = (rr_text){copy, clean.bytes};
    rr_buf_destroy(&clean);
    return copy != NULL ? RR_OK : no_memory(j, diag);
}

static rr_status join_query(
    joiner *j, const rr_trec_query *from, const rr_doc *doc, rr_query *query, rr_diag *diag) {
    const rr_trec_row *rows = &j->run.rows[from->first];
    size_t depth = n_ranked(j, from);
    rr_passage *passages = rr_arena_alloc(&j->out->arena, from->n + 1, sizeof *passages);
    if (passages == NULL) {
        return no_memory(j, diag);
    }
    RR_TRY(copy_id(j, from->qid, from->n > 0 ? rows->line : 0, &query->qid, diag));
    RR_TRY(copy_clean(j, doc->text, &query->text, diag));
    for (size_t k = 0; k < from->n; k++) {
        const rr_doc *text = k < depth ? rr_docs_find(&j->passages, docid_of(&rows[k])) : NULL;
        if (text != NULL && text->label == NULL) {
            continue;
        }
        rr_passage *passage = &passages[query->n++];
        *passage = (rr_passage){.title = {"", 0}, .text = {"", 0}, .score = rows[k].score};
        RR_TRY(copy_id(j, docid_of(&rows[k]), rows[k].line, &passage->id, diag));
        if (text != NULL) {
            passage->title = text->title;
            passage->text = text->text;
        }
    }
    query->passages = passages;
    return RR_OK;
}

static rr_status join_all(joiner *j, rr_diag *diag) {
    rr_query *queries = rr_arena_alloc(&j->out->arena, j->n + 1, sizeof *queries);
    if (queries == NULL) {
        return no_memory(j, diag);
    }
    j->out->queries = queries;
    for (size_t i = 0; i < j->n; i++) {
        const rr_doc *doc = rr_docs_find(&j->queries, j->order[i]->qid);
        if (doc->label == NULL) {
            continue;
        }
        if (rr_clean_is_blank(doc->text.data, doc->text.bytes)) {
            return rr_fail(diag, RR_E_INPUT,
                "%s:%zu: the query is blank, expected the question to rank by", doc->label,
                doc->line);
        }
        RR_TRY(join_query(j, j->order[i], doc, &queries[j->out->n], diag));
        j->out->n++;
    }
    if (j->out->n == 0) {
        return rr_fail(diag, RR_E_INPUT, "%s: none of its queries is in %s", j->params->run,
            j->params->queries);
    }
    return RR_OK;
}

rr_status rr_run_in_read(
    const rr_run_in *params, rr_candidates *out, rr_run_in_counts *counts, rr_diag *diag) {
    joiner j = {.params = params, .out = out, .counts = counts};
    *out = (rr_candidates){0};
    *counts = (rr_run_in_counts){0};
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_trec_read_run(params->run, &j.run, diag));
    rr_trec_table_sort(&j.run, rr_trec_by_place);
    RR_TRY_GOTO(exclude(&j, diag));
    RR_TRY_GOTO(order_queries(&j, diag));
    RR_TRY_GOTO(read_texts(&j, diag));
    RR_TRY_GOTO(check_missing(&j, diag));
    RR_TRY_GOTO(join_all(&j, diag));
fail:
    rr_arena_take(&out->arena, &j.queries.arena);
    rr_arena_take(&out->arena, &j.passages.arena);
    rr_docs_destroy(&j.queries);
    rr_docs_destroy(&j.passages);
    rr_trec_table_destroy(&j.run);
    rr_trec_table_destroy(&j.excluded);
    free(j.order);
    return status;
}
