#include "rerank/report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/clean.h"
#include "rerank/eval/eval.h"
#include "rerank/report/query_part.h"

extern const char rr_report_html[]; /* rerank/report/report.html, embedded by cmake/layers.cmake */

rr_status rr_report_begin(rr_report *report, const rr_report_params *params, rr_diag *diag) {
    *report = (rr_report){.params = *params};
    return rr_parts_read(rr_report_html, &report->parts, diag);
}

/* Judgements */

/* What judgements say of one query. */
typedef struct judged_query {
    int32_t *levels;      /* [n] of its passages */
    double before, after; /* nDCG@10 */
} judged_query;

/* nDCG@10 of the passages in an order; NULL = that of the first stage. */
static rr_status judge_order(const rr_query *query, rr_text qid, const uint32_t *order,
    const rr_trec_table *qrels, double *out, rr_diag *diag) {
    rr_trec_table run = {.label = "the ranking"};
    rr_measures measures;
    rr_eval eval = {0};
    rr_eval_params params = {0};
    rr_status status = rr_measures_parse("ndcg@10", &measures, diag);
    for (size_t i = 0; i < query->n && status == RR_OK; i++) {
        const char *id = query->passages[order != NULL ? order[i] : i].id;
        rr_trec_row row = {.docid = id,
            .docid_bytes = (uint32_t)strlen(id),
            .line = (uint32_t)(i + 1),
            .score = (double)(query->n - i)};
        status = rr_trec_table_add(&run, qid, &row, diag);
    }
    status = status != RR_OK ? status : rr_trec_table_finish(&run, rr_trec_by_score, diag);
    status = status != RR_OK ? status : rr_eval_run(&run, qrels, &measures, &params, &eval, diag);
    *out = status == RR_OK ? eval.values[0] : 0.0;
    rr_eval_destroy(&eval);
    rr_trec_table_destroy(&run);
    return status;
}

/* levels stay NULL when the query is not judged. */
static rr_status judge(
    const rr_trec_table *qrels, const rr_run_item *item, judged_query *out, rr_diag *diag) {
    const rr_trec_query *found = NULL;
    size_t n = item->query.n;
    if (qrels != NULL && item->qid != NULL) {
        found = rr_trec_table_find(qrels, (rr_text){item->qid, strlen(item->qid)});
    } else if (qrels != NULL && qrels->n_queries == 1) {
        found = &qrels->queries[0];
    }
    if (found == NULL || n == 0) {
        return RR_OK;
    }
    rr_trec_table one = *qrels; /* a view of this query's judgements */
    one.queries = (rr_trec_query *)(uintptr_t)found;
    one.n_queries = 1;
    RR_TRY(judge_order(&item->query, found->qid, NULL, &one, &out->before, diag));
    RR_TRY(judge_order(&item->query, found->qid, item->ranking.order, &one, &out->after, diag));
    out->levels = malloc(n * sizeof *out->levels);
    if (out->levels == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu judgements", n);
    }
    for (size_t i = 0; i < n; i++) {
        const char *id = item->query.passages[i].id;
        rr_trec_row row = {.docid = id, .docid_bytes = (uint32_t)strlen(id)};
        const rr_trec_row *judgement =
            bsearch(&row, &qrels->rows[found->first], found->n, sizeof row, rr_trec_by_docid);
        out->levels[i] = judgement == NULL ? RR_UNPOOLED
            : judgement->level < 0         ? RR_UNJUDGED
                                           : judgement->level;
    }
    return RR_OK;
}

/* Queries */

/* Keeps the first value of a fact, and that others differ. */
static void note_fact(const rr_report *report, char *fact, size_t room, const char *value) {
    size_t bytes = value != NULL ? strlen(value) : 0;
    bytes = bytes < room ? bytes : room - 1;
    if (report->n_queries == 0) {
        memcpy(fact, value != NULL ? value : "", bytes);
        fact[bytes] = '\0';
    } else if (strlen(fact) != bytes || memcmp(fact, value != NULL ? value : "", bytes) != 0) {
        snprintf(fact, room, "several");
    }
}

/* How rankings came out of the model, for people; a way that is not known stands for itself. */
static const char *describe_way(const char *way) {
    return strcmp(way, "read") == 0  ? "read in one pass"
        : strcmp(way, "strict") == 0 ? "strict answers"
        : strcmp(way, "logits") == 0 ? "by logits"
                                     : way;
}

static void note_item(rr_report *report, const rr_run_item *item) {
    char options[192] = "";
    if (item->has_params) {
        int length = item->params.schedule == RR_SCHEDULE_SINGLE
            ? snprintf(options, sizeof options, "one window")
            : item->params.schedule == RR_SCHEDULE_TOPDOWN
            ? snprintf(
                  options, sizeof options, "topdown, %zu passages a window", item->params.window)
            : snprintf(options, sizeof options, "%zu passages a window, step %zu",
                  item->params.window, item->params.step);
        if (item->params.passes > 1) {
            length += snprintf(options + length, sizeof options - (size_t)length, ", %zu passes",
                item->params.passes);
        }
        if (item->params.depth > 0 && item->params.depth < item->query.n) {
            length += snprintf(options + length, sizeof options - (size_t)length,
                ", first %zu ranked", item->params.depth);
        }
        if (item->params.passage_chars > 0) {
            length += snprintf(options + length, sizeof options - (size_t)length,
                ", %u characters of each", item->params.passage_chars);
        }
        if (item->way != NULL && strcmp(item->way, "reason") != 0) {
            snprintf(
                options + length, sizeof options - (size_t)length, ", %s", describe_way(item->way));
        } else if (item->params.style == RR_PROMPT_RANKGPT) {
            snprintf(options + length, sizeof options - (size_t)length, ", no reasoning");
        }
    }
    note_fact(report, report->model, sizeof report->model, item->model);
    note_fact(report, report->device, sizeof report->device, item->device);
    note_fact(report, report->options, sizeof report->options, options);
    if (report->n_queries == 0) {
        size_t bytes = rr_clean_cut(
            item->query.text.data, item->query.text.bytes, (sizeof report->first_query - 1) / 4);
        memcpy(report->first_query, item->query.text.data, bytes);
    }
    report->n_queries++;
    report->n_passages += item->query.n;
    report->n_windows += item->ranking.n_windows;
    report->n_without_texts += item->query.n > 0 && !item->has_texts;
    report->time_ns += item->ranking.time_ns;
    for (size_t i = 0; i < item->ranking.n_windows; i++) {
        const rr_window_result *window = &item->ranking.windows[i];
        report->n_repaired += window->repaired;
        report->n_truncated += window->truncated;
        report->n_late += window->late;
        report->prompt_tokens += window->prompt_tokens;
        report->reused_tokens += window->reused_tokens;
        report->generated_tokens += window->generated_tokens;
    }
}

static void write(rr_report *report, const char *part, const rr_values *values) {
    rr_parts_write(&report->parts, part, values, &report->body);
}

static void write_count_chip(rr_report *report, size_t n, const char *what) {
    if (n > 0) {
        rr_values v = {0};
        rr_values_printf(&v, "text", "%zu %s", n, what);
        write(report, "query-more-chip", &v);
    }
}

static const char *way_of(double difference) {
    return difference > 0.0 ? "up" : difference < 0.0 ? "down" : "same";
}

/* What is seen of a query that is not open. */
static void write_summary(rr_report *report, const rr_run_item *item, const judged_query *judged) {
    rr_values v = {0}, gain = {0}, more = {0};
    double difference = judged->after - judged->before;
    bool is_judged = judged->levels != NULL;
    rr_values_printf(&v, "q", "%zu", report->n_queries);
    rr_values_printf(&v, "number", "%zu", report->n_queries);
    if (is_judged) {
        rr_values_printf(&v, "gain", "%.4f", difference);
    } else {
        rr_values_text(&v, "gain", "", 0);
    }
    rr_values_text(&v, "query", item->query.text.data, item->query.text.bytes);
    write(report, "query-many", &v);
    if (is_judged) {
        rr_values_printf(&gain, "before", "%.4f", judged->before);
        rr_values_printf(&gain, "after", "%.4f", judged->after);
        rr_values_printf(&gain, "way", "%s", way_of(difference));
        if (difference == 0.0) {
            rr_values_printf(&gain, "difference", "±0");
        } else {
            rr_values_printf(&gain, "difference", "%+.4f", difference);
        }
        write(report, "query-gain", &gain);
    }
    rr_buf text = {0};
    rr_buf_printf(&text, "%s%s%zu passage%s · %zu window%s", item->qid != NULL ? item->qid : "",
        item->qid != NULL ? " · " : "", item->query.n, item->query.n == 1 ? "" : "s",
        item->ranking.n_windows, item->ranking.n_windows == 1 ? "" : "s");
    rr_values_text(&more, "text", text.data != NULL ? text.data : "", text.bytes);
    write(report, "query-more", &more);
    size_t n_repaired = 0, n_truncated = 0;
    for (size_t i = 0; i < item->ranking.n_windows; i++) {
        n_repaired += item->ranking.windows[i].repaired;
        n_truncated += item->ranking.windows[i].truncated;
    }
    write_count_chip(report, n_repaired, "repaired");
    write_count_chip(report, n_truncated, "cut");
    write_count_chip(report, rr_ranking_n_late(&item->ranking), "late");
    write(report, "query-more-end", NULL);
    report->body.failed = report->body.failed || text.failed;
    rr_buf_destroy(&text);
}

rr_status rr_report_add(void *user, rr_run_item *item, rr_diag *diag) {
    rr_report *report = user;
    judged_query judged = {0};
    size_t n = item->query.n;
    uint32_t *rank = malloc((n + 1) * sizeof *rank);
    rr_status status =
        rank == NULL ? rr_fail(diag, RR_E_MEMORY, "out of memory for %zu passages", n) : RR_OK;
    status = status != RR_OK ? status : judge(report->params.qrels, item, &judged, diag);
    if (status == RR_OK) {
        for (size_t i = 0; i < n; i++) {
            rank[item->ranking.order[i]] = (uint32_t)i;
        }
        note_item(report, item);
        if (judged.levels != NULL) {
            report->n_judged++;
            report->before += judged.before;
            report->after += judged.after;
        }
        rr_values v = {0};
        rr_values_printf(&v, "q", "%zu", report->n_queries);
        if (report->params.many) {
            write_summary(report, item, &judged);
        } else {
            write(report, "query-one", &v);
        }
        rr_report_query query = {
            &report->parts, &report->body, report->n_queries, item, rank, judged.levels};
        status = rr_report_query_write(&query, diag);
        write(report, report->params.many ? "query-many-end" : "query-one-end", NULL);
    }
    free(rank);
    free(judged.levels);
    return status;
}

/* Page */

static void write_fact(const rr_report *report, const char *name, const char *value, rr_buf *out) {
    if (value[0] != '\0') {
        rr_values v = {0};
        rr_values_printf(&v, "name", "%s", name);
        rr_values_printf(&v, "value", "%s", value);
        rr_parts_write(&report->parts, "fact", &v, out);
    }
}

static void write_flags(const rr_report *report, rr_buf *out) {
    char text[96] = "none";
    if (report->n_repaired > 0 && report->n_truncated > 0) {
        snprintf(
            text, sizeof text, "%zu repaired, %zu cut", report->n_repaired, report->n_truncated);
    } else if (report->n_repaired + report->n_truncated > 0) {
        snprintf(text, sizeof text, "%zu %s", report->n_repaired + report->n_truncated,
            report->n_repaired > 0 ? "repaired" : "cut");
    }
    if (report->n_windows > 0) {
        write_fact(report, "Faulty answers", text, out);
    }
    if (report->n_late > 0) {
        snprintf(text, sizeof text, "%zu, as they were when the deadline came", report->n_late);
        write_fact(report, "Late windows", text, out);
    }
}

static void write_facts(const rr_report *report, rr_buf *out) {
    char text[160], a[32], b[32], c[32];
    if (report->n_judged > 0) {
        double n = (double)report->n_judged;
        snprintf(text, sizeof text, "%.4f → %.4f", report->before / n, report->after / n);
        write_fact(report, report->n_judged > 1 ? "Mean nDCG@10" : "nDCG@10", text, out);
    }
    write_fact(report, "Model", report->model, out);
    write_fact(report, "Device", report->device, out);
    write_fact(report, "Options", report->options, out);
    write_fact(report, "Passages", rr_report_count(report->n_passages, a), out);
    write_fact(report, "Windows", rr_report_count(report->n_windows, a), out);
    if (report->prompt_tokens + report->generated_tokens > 0) {
        snprintf(text, sizeof text, "%s prompt (%s reused), %s written",
            rr_report_count(report->prompt_tokens, a), rr_report_count(report->reused_tokens, b),
            rr_report_count(report->generated_tokens, c));
        write_fact(report, "Tokens", text, out);
        write_fact(report, "Time", rr_report_time(report->time_ns, a), out);
    }
    write_flags(report, out);
}

static void write_note(const rr_report *report, rr_buf *out) {
    char text[256];
    if (report->n_without_texts == 0) {
        return;
    }
    snprintf(text, sizeof text,
        "%s no texts of passages: rank with --explain, or give the report --candidates or --passages to show them.",
        report->n_without_texts == report->n_queries ? "This run holds"
                                                     : "Some queries of this run hold");
    rr_values v = {0};
    rr_values_printf(&v, "text", "%s", text);
    rr_parts_write(&report->parts, "note", &v, out);
}

rr_status rr_report_end(rr_report *report, rr_buf *out, rr_diag *diag) {
    const rr_parts *parts = &report->parts;
    rr_values head = {0}, foot = {0};
    char title[64];
    snprintf(
        title, sizeof title, "%zu quer%s", report->n_queries, report->n_queries == 1 ? "y" : "ies");
    const char *shown = report->params.title != NULL ? report->params.title
        : report->params.many                        ? title
                                                     : report->first_query;
    rr_values_printf(&head, "version", "%s", REARANK_VERSION);
    rr_values_printf(&head, "source", "%s%.300s", report->params.source != NULL ? " · " : "",
        report->params.source != NULL ? report->params.source : "");
    rr_values_text(&head, "title", shown, strlen(shown));
    rr_parts_write(parts, "head", &head, out);
    write_facts(report, out);
    rr_parts_write(parts, "facts-end", NULL, out);
    write_note(report, out);
    rr_parts_write(parts, "head-end", NULL, out);
    if (report->params.many) {
        rr_parts_write(parts, "find", NULL, out);
        if (report->n_judged > 0) {
            rr_parts_write(parts, "find-order", NULL, out);
        }
        rr_parts_write(parts, "find-end", NULL, out);
    }
    rr_parts_write(parts, "main", NULL, out);
    rr_buf_append(out, report->body.data, report->body.bytes);
    rr_values_printf(&foot, "version", "%s", REARANK_VERSION);
    rr_parts_write(parts, "foot", &foot, out);
    out->failed = out->failed || report->body.failed;
    return out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory while writing a report") : RR_OK;
}

void rr_report_destroy(rr_report *report) {
    rr_buf_destroy(&report->body);
    *report = (rr_report){0};
}
