#include "rerank/report/query_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/clean.h"
#include "rerank/eval/measure.h"
#include "rerank/report/card.h"
#include "rerank/report/explain.h"

enum {
    LONG_CHART = 30, /* from here on the chart's rows are low */
    NAME_CHARS = 110 /* of a row in the chart */
};

static void write(const rr_report_query *query, const char *part, const rr_values *values) {
    rr_parts_write(query->parts, part, values, query->out);
}

/* Chart */

static void write_line(const rr_report_query *query, size_t passage) {
    rr_values v = {0};
    rr_values_printf(&v, "p", "%zu", passage);
    rr_values_printf(&v, "way", "%s", rr_report_way(query, passage));
    rr_values_printf(&v, "from", "%zu.5", passage);
    rr_values_printf(&v, "to", "%u.5", query->rank[passage]);
    write(query, "line", &v);
}

static void write_row(const rr_report_query *query, size_t rank) {
    size_t passage = query->item->ranking.order[rank];
    const rr_passage *it = &query->item->query.passages[passage];
    size_t up = passage > rank ? passage - rank : 0, down = rank > passage ? rank - passage : 0;
    rr_values v = {0}, name = {0};
    rr_values_printf(&v, "p", "%zu", passage);
    rr_values_printf(&v, "q", "%zu", query->q);
    rr_values_printf(&v, "way", "%s", rr_report_way(query, passage));
    rr_values_printf(&v, "rank", "%zu", rank + 1);
    if (up + down > 0) {
        rr_values_printf(&v, "moved", "%s%zu", up > 0 ? "▲" : "▼", up + down);
        rr_values_printf(&v, "spoken", "%s by %zu", up > 0 ? "up" : "down", up + down);
    } else {
        rr_values_printf(&v, "moved", "–");
        rr_values_printf(&v, "spoken", "unmoved");
    }
    write(query, "row", &v);
    rr_report_level(query, passage);
    rr_text shown = it->title.bytes > 0 ? it->title
        : it->text.bytes > 0            ? it->text
                                        : (rr_text){it->id, strlen(it->id)};
    shown.bytes = rr_clean_cut(shown.data, shown.bytes, NAME_CHARS);
    rr_values_text(&name, "name", shown.data, shown.bytes);
    write(query, "row-end", &name);
}

static void write_chart(const rr_report_query *query) {
    size_t n = query->item->query.n, n_up = 0, n_down = 0;
    for (size_t i = 0; i < n; i++) {
        n_up += query->rank[i] < i;
        n_down += query->rank[i] > i;
    }
    rr_values body = {0}, lines = {0};
    if (n_up + n_down > 0) {
        rr_values_printf(&body, "legend", "%zu passages: %zu moved up, %zu down, %zu stayed", n,
            n_up, n_down, n - n_up - n_down);
    } else {
        rr_values_printf(&body, "legend", "%zu passage%s: the order stayed", n, n == 1 ? "" : "s");
    }
    rr_values_printf(&body, "long", "%s", n >= LONG_CHART ? " long" : "");
    write(query, "body", &body);
    for (size_t i = 0; i < n; i++) {
        rr_values v = {0};
        rr_values_printf(&v, "p", "%zu", i);
        rr_values_printf(&v, "was", "%zu", i + 1);
        write(query, "was", &v);
    }
    rr_values_printf(&lines, "n", "%zu", n);
    write(query, "lines", &lines);
    for (size_t i = 0; i < n; i++) {
        write_line(query, i);
    }
    write(query, "now", NULL);
    for (size_t i = 0; i < n; i++) {
        write_row(query, i);
    }
    write(query, "chart-end", NULL);
}

/* Reasoning */

static void write_text(const rr_report_query *query, const char *text, size_t bytes) {
    if (bytes > 0) {
        rr_values v = {0};
        rr_values_text(&v, "text", text, bytes);
        write(query, "text", &v);
    }
}

static void write_mention(const rr_report_query *query, const rr_window_result *window,
    rr_text text, const rr_mention *mention) {
    rr_buf all = {0};
    for (uint32_t label = mention->first; label <= mention->last; label++) {
        rr_buf_printf(&all, "%s%u", label > mention->first ? " " : "", window->passages[label - 1]);
    }
    rr_values v = {0};
    rr_values_printf(&v, "q", "%zu", query->q);
    rr_values_printf(&v, "p", "%u", window->passages[mention->first - 1]);
    rr_values_text(&v, "all", all.data != NULL ? all.data : "", all.bytes);
    rr_values_text(&v, "text", text.data + mention->begin, mention->end - mention->begin);
    write(query, "mention", &v);
    query->out->failed = query->out->failed || all.failed;
    rr_buf_destroy(&all);
}

/* A text with its mentions as links. */
static rr_status write_linked(
    const rr_report_query *query, const rr_window_result *window, rr_text text, rr_diag *diag) {
    rr_arena arena = {0};
    rr_explained read;
    rr_status status = rr_explain_text(text.data, text.bytes, window->n, &arena, &read, diag);
    size_t done = 0;
    for (size_t i = 0; status == RR_OK && i < read.n_mentions; i++) {
        write_text(query, text.data + done, read.mentions[i].begin - done);
        write_mention(query, window, text, &read.mentions[i]);
        done = read.mentions[i].end;
    }
    if (status == RR_OK) {
        write_text(query, text.data + done, text.bytes - done);
    }
    rr_arena_destroy(&arena);
    return status;
}

static void write_chip(const rr_report_query *query, const char *text) {
    rr_values v = {0};
    rr_values_printf(&v, "text", "%s", text);
    write(query, "chip", &v);
}

/* Tokens and time; a recording has neither. */
static void write_cost(
    const rr_report_query *query, const rr_window_result *window, uint64_t longest_ns) {
    char a[32], b[32], c[32];
    rr_values v = {0}, bar = {0};
    rr_buf text = {0};
    if (window->prompt_tokens + window->generated_tokens == 0) {
        return;
    }
    rr_buf_printf(&text, "%s prompt tokens", rr_report_count(window->prompt_tokens, a));
    if (window->reused_tokens > 0) {
        rr_buf_printf(&text, " (%s reused)", rr_report_count(window->reused_tokens, a));
    }
    if (window->reads != NULL) {
        rr_buf_printf(&text, " · %s", rr_report_time(window->time_ns, a));
    } else {
        rr_buf_printf(&text, ", %s written · ", rr_report_count(window->generated_tokens, a));
        rr_buf_printf(&text, "%s: %s reading, %s writing", rr_report_time(window->time_ns, a),
            rr_report_time(window->prompt_ns, b), rr_report_time(window->generate_ns, c));
    }
    rr_values_text(&v, "text", text.data != NULL ? text.data : "", text.bytes);
    write(query, "window-cost", &v);
    if (longest_ns > 0) {
        rr_values_printf(
            &bar, "prompt", "%.2f", 100.0 * (double)window->prompt_ns / (double)longest_ns);
        rr_values_printf(
            &bar, "write", "%.2f", 100.0 * (double)window->generate_ns / (double)longest_ns);
        write(query, "bar", &bar);
    }
    query->out->failed = query->out->failed || text.failed;
    rr_buf_destroy(&text);
}

static void start_answer(const rr_report_query *query, const char *name) {
    rr_values v = {0};
    rr_values_printf(&v, "name", "%s", name);
    write(query, "answer", &v);
}

/* The window's permutation under a name. */
static rr_status write_order(
    const rr_report_query *query, const rr_window_result *window, const char *name, rr_diag *diag) {
    rr_buf order = {0};
    for (uint32_t i = 0; i < window->n; i++) {
        rr_buf_printf(&order, "%s[%u]", i > 0 ? " > " : "", window->permutation[i]);
    }
    start_answer(query, name);
    rr_status status = write_linked(query, window, (rr_text){order.data, order.bytes}, diag);
    write(query, "answer-end", NULL);
    query->out->failed = query->out->failed || order.failed;
    rr_buf_destroy(&order);
    return status;
}

/* What was written; where the order was read nobody wrote it. */
static rr_status write_answers(
    const rr_report_query *query, const rr_window_result *window, rr_diag *diag) {
    if (window->reads != NULL) {
        return write_order(query, window, "Order", diag);
    }
    start_answer(query, "Answer");
    RR_TRY(write_linked(query, window, window->answer, diag));
    write(query, "answer-end", NULL);
    return window->repaired ? write_order(query, window, "Read as", diag) : RR_OK;
}

static rr_status write_window(
    const rr_report_query *query, size_t index, uint64_t longest_ns, rr_diag *diag) {
    const rr_window_result *window = &query->item->ranking.windows[index];
    rr_values v = {0};
    rr_values_printf(&v, "q", "%zu", query->q);
    rr_values_printf(&v, "w", "%zu", index + 1);
    rr_values_printf(&v, "first", "%zu", window->window.begin + 1);
    rr_values_printf(&v, "last", "%zu", window->window.end);
    write(query, "window", &v);
    if (window->repaired) {
        write_chip(query, "answer repaired");
    }
    if (window->truncated) {
        write_chip(query, "answer cut");
    }
    if (window->late) {
        write_chip(query, "late: as it was");
    }
    write(query, "window-head-end", NULL);
    write_cost(query, window, longest_ns);
    if (window->reasoning.bytes > 0) {
        write(query, "reasoning", NULL);
        RR_TRY(write_linked(query, window, window->reasoning, diag));
        write(query, "reasoning-end", NULL);
    } else if (!window->late) {
        write(query, window->reads != NULL ? "read-in-one-pass" : "no-reasoning", NULL);
    }
    RR_TRY(window->late ? RR_OK : write_answers(query, window, diag));
    write(query, "window-end", NULL);
    return RR_OK;
}

static rr_status write_windows(const rr_report_query *query, rr_diag *diag) {
    const rr_ranking *ranking = &query->item->ranking;
    uint64_t longest_ns = 0;
    for (size_t i = 0; i < ranking->n_windows; i++) {
        uint64_t ns = ranking->windows[i].prompt_ns + ranking->windows[i].generate_ns;
        longest_ns = ns > longest_ns ? ns : longest_ns;
    }
    if (ranking->n_windows == 0) {
        write(query, "no-windows", NULL);
    }
    for (size_t i = 0; i < ranking->n_windows; i++) {
        RR_TRY(write_window(query, i, longest_ns, diag));
    }
    return RR_OK;
}

rr_status rr_report_query_write(const rr_report_query *query, rr_diag *diag) {
    const rr_ranking *ranking = &query->item->ranking;
    rr_explanations explanations = {0};
    rr_attention *attention = NULL;
    rr_status status = RR_OK;
    write_chart(query);
    RR_TRY_GOTO(write_windows(query, diag));
    RR_TRY_GOTO(rr_explain_ranking(ranking, &explanations, diag));
    if (ranking->scores != NULL) {
        attention = malloc(ranking->n * sizeof *attention);
        if (attention == NULL) {
            RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "out of memory for %zu passages", ranking->n));
        }
        rr_attention_find(ranking, attention);
    }
    rr_report_cards_write(query, &explanations, attention);
    write(query, "body-end", NULL);
fail:
    free(attention);
    rr_explanations_destroy(&explanations);
    return status;
}
