#include "tools/eval_out.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rerank/data/clean.h"
#include "tools/cli.h"

static const double significant = 0.05;

void rr_eval_report_name(rr_eval_report *report) {
    for (size_t i = 0; i < report->n_runs; i++) {
        const char *path = report->paths[i], *slash = strrchr(path, '/'),
                   *base = slash != NULL ? slash + 1 : path;
        size_t n = strlen(base);
        n -= n > 3 && strcmp(base + n - 3, ".gz") == 0 ? 3 : 0;
        size_t dot = n;
        while (dot > 0 && base[--dot] != '.') {
        }
        rr_buf_append(&report->names[i], base, dot > 0 ? dot : n);
    }
    for (size_t i = 0; i < report->n_runs; i++) {
        for (size_t k = 0; k < report->n_runs; k++) {
            bool alike = k != i && !report->names[i].failed && !report->names[k].failed &&
                strcmp(report->names[i].data, report->names[k].data) == 0;
            if (alike && strcmp(report->names[k].data, report->paths[k]) != 0) {
                rr_buf_clear(&report->names[k]);
                rr_buf_text(&report->names[k], report->paths[k]);
            }
        }
    }
}

/* Table */

/* Text from a file, made harmless for a terminal, padded to `width`. */
static void put_cell(const char *text, size_t bytes, size_t width, bool right) {
    rr_buf safe = {0};
    rr_clean_terminal(text, bytes, true, &safe);
    const char *shown = safe.data != NULL ? safe.data : "";
    size_t n_chars = rr_clean_count(shown, safe.bytes), pad = n_chars < width ? width - n_chars : 0;
    rr_out_printf("%*s%s%*s", right ? (int)pad : 0, "", shown, right ? 0 : (int)pad, "");
    rr_buf_destroy(&safe);
}

static size_t longer(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t text_width(const char *text) {
    return rr_clean_count(text, strlen(text));
}

typedef struct widths {
    size_t measure, query, runs[256];
} widths;

static widths measure_widths(const rr_eval_report *report) {
    widths w = {.measure = 7, .query = 5};
    for (size_t m = 0; m < report->measures.n; m++) {
        w.measure = longer(w.measure, strlen(report->measures.items[m].name));
    }
    for (size_t r = 0; r < report->n_runs; r++) {
        w.runs[r] = longer(text_width(report->names[r].data), report->digits + 5);
        for (size_t i = 0; i < report->runs[r].n && report->per_query; i++) {
            rr_text qid = report->runs[r].queries[i]->qid;
            w.query = longer(w.query, rr_clean_count(qid.data, qid.bytes));
        }
    }
    return w;
}

static void put_value(const rr_eval_report *report, size_t measure, double value, size_t width) {
    rr_out_printf("  %*.*f", (int)width,
        rr_measure_is_count(&report->measures.items[measure]) ? 0 : (int)report->digits, value);
}

/* "low, high", right-aligned in `width`; "-" for what has none. */
static void put_interval(const rr_eval_report *report, rr_interval interval, size_t width) {
    char text[64] = "-";
    if (!isnan(interval.low)) {
        (void)snprintf(text, sizeof text, "%.*f, %.*f", (int)report->digits, interval.low,
            (int)report->digits, interval.high);
    }
    rr_out_printf("  %*s", (int)width, text);
}

static void put_intervals(const rr_eval_report *report, const widths *w) {
    const size_t least = 2 * report->digits + 6;
    rr_out_printf("\n%g %% intervals of the means, bootstrap of %u samples\n%-*s",
        100.0 * report->bootstrap.level, report->bootstrap.n_samples, (int)w->measure, "measure");
    for (size_t r = 0; r < report->n_runs; r++) {
        rr_out_text("  ");
        put_cell(report->names[r].data, report->names[r].bytes, longer(w->runs[r], least), true);
    }
    rr_out_text("\n");
    for (size_t m = 0; m < report->measures.n; m++) {
        if (rr_measure_is_count(&report->measures.items[m])) {
            continue;
        }
        rr_out_printf("%-*s", (int)w->measure, report->measures.items[m].name);
        for (size_t r = 0; r < report->n_runs; r++) {
            put_interval(
                report, report->intervals[r * report->measures.n + m], longer(w->runs[r], least));
        }
        rr_out_text("\n");
    }
}

static const rr_t_test *best_test(const rr_eval_report *report, size_t run, size_t measure) {
    for (size_t i = 0; i < report->n_pairs; i++) {
        if (report->pairs[i].a == 0 && report->pairs[i].b == run) {
            return &report->pairs[i].tests[measure];
        }
    }
    return NULL;
}

/* Whether the run differs from the first one. */
static bool differs(const rr_eval_report *report, size_t run, size_t measure) {
    const rr_t_test *test = best_test(report, run, measure);
    return test != NULL && !rr_measure_is_count(&report->measures.items[measure]) &&
        rr_bonferroni(test->p, report->n_pairs) < significant;
}

static void put_queries(const rr_eval_report *report, const widths *w) {
    size_t at[256] = {0};
    for (;;) {
        const rr_trec_query *next = NULL; /* the lowest query that is not printed yet */
        for (size_t r = 0; r < report->n_runs; r++) {
            const rr_eval *run = &report->runs[r];
            if (at[r] < run->n && (next == NULL || run->queries[at[r]] < next)) {
                next = run->queries[at[r]];
            }
        }
        if (next == NULL || rr_out_failed()) {
            return;
        }
        for (size_t m = 0; m < report->measures.n; m++) {
            rr_out_printf("%-*s  ", (int)w->measure, report->measures.items[m].name);
            put_cell(next->qid.data, next->qid.bytes, w->query, false);
            for (size_t r = 0; r < report->n_runs; r++) {
                const rr_eval *run = &report->runs[r];
                if (at[r] < run->n && run->queries[at[r]] == next) {
                    put_value(report, m, run->values[at[r] * report->measures.n + m], w->runs[r]);
                } else {
                    rr_out_printf("  %*s", (int)w->runs[r], "-");
                }
                rr_out_text(r + 1 < report->n_runs ? " " : "\n");
            }
        }
        for (size_t r = 0; r < report->n_runs; r++) {
            at[r] += at[r] < report->runs[r].n && report->runs[r].queries[at[r]] == next;
        }
    }
}

static void put_tests(const rr_eval_report *report, const widths *w) {
    bool corrected = report->n_pairs > 1;
    const size_t interval_width = 2 * report->digits + 8; /* two signs */
    rr_out_printf("\nPaired t-test, two-sided%s; * in the table: p < %g against %s\n",
        corrected ? ", p after Bonferroni's correction" : "", significant, report->names[0].data);
    for (size_t i = 0; i < report->n_pairs; i++) {
        const rr_eval_pair *pair = &report->pairs[i];
        rr_out_printf("\n%s - %s, %zu queries\n%-*s  difference         t         p",
            report->names[pair->b].data, report->names[pair->a].data, pair->tests[0].n,
            (int)w->measure, "measure");
        if (report->bootstrap.n_samples > 0) {
            rr_out_printf("  %*s", (int)interval_width, "interval");
        }
        rr_out_text("\n");
        for (size_t m = 0; m < report->measures.n; m++) {
            const rr_t_test *test = &pair->tests[m];
            if (rr_measure_is_count(&report->measures.items[m])) {
                continue;
            }
            rr_out_printf("%-*s  %+10.*f  %8.3f  ", (int)w->measure, report->measures.items[m].name,
                (int)report->digits, test->difference, test->t);
            double p = rr_bonferroni(test->p, report->n_pairs);
            rr_out_printf(isnan(p) ? "       -" : p < 0.0001 ? " <0.0001" : "%8.4f", p);
            if (report->bootstrap.n_samples > 0) {
                put_interval(report, pair->intervals[m], interval_width);
            }
            rr_out_text("\n");
        }
    }
}

void rr_eval_report_table(const rr_eval_report *report) {
    widths w = measure_widths(report);
    rr_out_printf("%-*s", (int)w.measure, "measure");
    if (report->per_query) {
        rr_out_printf("  %-*s", (int)w.query, "query");
    }
    for (size_t r = 0; r < report->n_runs; r++) {
        rr_out_text("  ");
        put_cell(report->names[r].data, report->names[r].bytes, w.runs[r], true);
        rr_out_text(r + 1 < report->n_runs ? " " : "\n");
    }
    if (report->per_query) {
        put_queries(report, &w);
    }
    for (size_t m = 0; m < report->measures.n; m++) {
        rr_out_printf("%-*s", (int)w.measure, report->measures.items[m].name);
        if (report->per_query) {
            rr_out_printf("  %-*s", (int)w.query, "all");
        }
        for (size_t r = 0; r < report->n_runs; r++) {
            put_value(report, m, report->runs[r].means[m], w.runs[r]);
            bool last = r + 1 == report->n_runs;
            rr_out_text(differs(report, r, m) ? last ? "*\n" : "*" : last ? "\n" : " ");
        }
    }
    if (report->bootstrap.n_samples > 0) {
        put_intervals(report, &w);
    }
    if (report->n_pairs > 0) {
        put_tests(report, &w);
    }
}

/* LaTeX */

static void put_tex(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (c == '\\' || c == '~' || c == '^') {
            rr_out_text(c == '\\' ? "\\textbackslash{}"
                    : c == '~'    ? "\\textasciitilde{}"
                                  : "\\textasciicircum{}");
        } else if ((unsigned char)c >= 0x20) {
            rr_out_printf(strchr("&%$#_{}", c) != NULL ? "\\%c" : "%c", c);
        }
    }
}

static bool is_best(const rr_eval_report *report, size_t run, size_t measure) {
    for (size_t r = 0; r < report->n_runs; r++) {
        if (report->runs[r].means[measure] > report->runs[run].means[measure]) {
            return false;
        }
    }
    return report->n_runs > 1 && !rr_measure_is_count(&report->measures.items[measure]);
}

static void put_tex_value(const rr_eval_report *report, size_t measure, double value) {
    rr_out_printf("%.*f",
        rr_measure_is_count(&report->measures.items[measure]) ? 0 : (int)report->digits, value);
}

void rr_eval_report_tex(const rr_eval_report *report) {
    rr_out_printf("\\begin{tabular}{l%s", report->per_query ? "l" : "");
    for (size_t m = 0; m < report->measures.n; m++) {
        rr_out_text("r");
    }
    rr_out_printf("}\n\\toprule\nrun%s", report->per_query ? " & query" : "");
    for (size_t m = 0; m < report->measures.n; m++) {
        rr_out_text(" & ");
        put_tex(report->measures.items[m].name, strlen(report->measures.items[m].name));
    }
    rr_out_text(" \\\\\n\\midrule\n");
    for (size_t r = 0; r < report->n_runs; r++) {
        const rr_eval *run = &report->runs[r];
        for (size_t i = 0; i < run->n && report->per_query; i++) {
            put_tex(report->names[r].data, report->names[r].bytes);
            rr_out_text(" & ");
            put_tex(run->queries[i]->qid.data, run->queries[i]->qid.bytes);
            for (size_t m = 0; m < report->measures.n; m++) {
                rr_out_text(" & ");
                put_tex_value(report, m, run->values[i * report->measures.n + m]);
            }
            rr_out_text(" \\\\\n");
        }
        put_tex(report->names[r].data, report->names[r].bytes);
        rr_out_text(report->per_query ? " & all" : "");
        for (size_t m = 0; m < report->measures.n; m++) {
            bool best = is_best(report, r, m);
            rr_out_text(best ? " & \\textbf{" : " & ");
            put_tex_value(report, m, run->means[m]);
            rr_out_text(best ? "}" : "");
            rr_out_text(differs(report, r, m) ? "$^\\dagger$" : "");
            rr_interval interval = report->intervals[r * report->measures.n + m];
            if (report->bootstrap.n_samples > 0 && !isnan(interval.low)) {
                rr_out_printf(" {\\scriptsize [%.*f, %.*f]}", (int)report->digits, interval.low,
                    (int)report->digits, interval.high);
            }
        }
        rr_out_text(" \\\\\n");
    }
    rr_out_text("\\bottomrule\n\\end{tabular}\n");
    if (report->n_pairs > 0) {
        rr_out_printf("%% dagger: p < %g against the first run, paired t-test, two-sided%s\n",
            significant, report->n_pairs > 1 ? ", Bonferroni" : "");
    }
}
