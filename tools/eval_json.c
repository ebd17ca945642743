/* `rearank eval --format json`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "rerank/data/json_out.h"
#include "tools/cli.h"
#include "tools/eval_out.h"

static bool add_text(
    yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *text) {
    return yyjson_mut_obj_add(
        object, yyjson_mut_str(doc, key), rr_json_text(doc, text, strlen(text)));
}

static bool add_number(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, double value) {
    return isfinite(value) ? yyjson_mut_obj_add_real(doc, object, key, value)
                           : yyjson_mut_obj_add_null(doc, object, key);
}

static bool add_values(yyjson_mut_doc *doc, yyjson_mut_val *object, const rr_measures *measures,
    const double *values) {
    bool ok = object != NULL;
    for (size_t m = 0; m < measures->n && ok; m++) {
        const rr_measure *measure = &measures->items[m];
        ok = rr_measure_is_count(measure)
            ? yyjson_mut_obj_add_uint(doc, object, measure->name, (uint64_t)values[m])
            : add_number(doc, object, measure->name, values[m]);
    }
    return ok;
}

static bool add_interval(
    yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, rr_interval interval) {
    yyjson_mut_val *ends = yyjson_mut_obj_add_arr(doc, object, key);
    const double values[] = {interval.low, interval.high};
    bool ok = ends != NULL;
    for (size_t i = 0; i < 2 && ok; i++) {
        ok = isfinite(values[i]) ? yyjson_mut_arr_add_real(doc, ends, values[i])
                                 : yyjson_mut_arr_add_null(doc, ends);
    }
    return ok;
}

static bool add_intervals(
    yyjson_mut_doc *doc, yyjson_mut_val *object, const rr_eval_report *report, size_t run) {
    yyjson_mut_val *all = yyjson_mut_obj_add_obj(doc, object, "interval");
    bool ok = all != NULL;
    for (size_t m = 0; m < report->measures.n && ok; m++) {
        const rr_measure *measure = &report->measures.items[m];
        ok = rr_measure_is_count(measure) ||
            add_interval(doc, all, measure->name, report->intervals[run * report->measures.n + m]);
    }
    return ok;
}

static bool add_run(
    yyjson_mut_doc *doc, yyjson_mut_val *runs, const rr_eval_report *report, size_t index) {
    const rr_eval *run = &report->runs[index];
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, runs), *mean = yyjson_mut_obj(doc),
                   *queries = yyjson_mut_obj(doc);
    bool ok = object != NULL && add_text(doc, object, "run", report->paths[index]) &&
        yyjson_mut_obj_add_uint(doc, object, "queries", run->n) &&
        yyjson_mut_obj_add_uint(doc, object, "unjudged_queries", run->n_unjudged) &&
        yyjson_mut_obj_add_uint(doc, object, "missing_queries", run->n_missing) &&
        add_values(doc, mean, &report->measures, run->means) &&
        yyjson_mut_obj_add_val(doc, object, "mean", mean) &&
        (report->bootstrap.n_samples == 0 || add_intervals(doc, object, report, index)) &&
        queries != NULL && yyjson_mut_obj_add_val(doc, object, "per_query", queries);
    for (size_t i = 0; i < run->n && ok; i++) {
        yyjson_mut_val *values = yyjson_mut_obj(doc);
        ok = add_values(doc, values, &report->measures, &run->values[i * report->measures.n]) &&
            yyjson_mut_obj_add(queries,
                rr_json_text(doc, run->queries[i]->qid.data, run->queries[i]->qid.bytes), values);
    }
    return ok;
}

static bool add_pair(yyjson_mut_doc *doc, yyjson_mut_val *list, const rr_eval_report *report,
    const rr_eval_pair *pair) {
    bool ok = true;
    for (size_t m = 0; m < report->measures.n && ok; m++) {
        const rr_t_test *test = &pair->tests[m];
        if (rr_measure_is_count(&report->measures.items[m])) {
            continue;
        }
        yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);
        ok = object != NULL && add_text(doc, object, "baseline", report->paths[pair->a]) &&
            add_text(doc, object, "run", report->paths[pair->b]) &&
            yyjson_mut_obj_add_str(doc, object, "measure", report->measures.items[m].name) &&
            yyjson_mut_obj_add_uint(doc, object, "queries", test->n) &&
            add_number(doc, object, "difference", test->difference) &&
            add_number(doc, object, "t", test->t) &&
            yyjson_mut_obj_add_uint(doc, object, "df", (uint64_t)test->df) &&
            add_number(doc, object, "p", test->p) &&
            add_number(doc, object, "p_corrected", rr_bonferroni(test->p, report->n_pairs)) &&
            (report->bootstrap.n_samples == 0 ||
                add_interval(doc, object, "interval", pair->intervals[m]));
    }
    return ok;
}

rr_status rr_eval_report_json(const rr_eval_report *report, rr_diag *diag) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *names = yyjson_mut_arr(doc),
                   *runs = yyjson_mut_arr(doc);
    yyjson_mut_val *comparisons = yyjson_mut_arr(doc);
    bool ok = root != NULL && names != NULL && runs != NULL && comparisons != NULL;
    yyjson_mut_doc_set_root(doc, root);
    if (ok && report->bootstrap.n_samples > 0) {
        yyjson_mut_val *how = yyjson_mut_obj_add_obj(doc, root, "bootstrap");
        ok = how != NULL &&
            yyjson_mut_obj_add_uint(doc, how, "samples", report->bootstrap.n_samples) &&
            yyjson_mut_obj_add_real(doc, how, "level", report->bootstrap.level);
    }
    ok = ok && add_text(doc, root, "qrels", report->qrels) &&
        yyjson_mut_obj_add_int(doc, root, "level", report->params.relevant_from) &&
        yyjson_mut_obj_add_val(doc, root, "measures", names) &&
        yyjson_mut_obj_add_val(doc, root, "runs", runs) &&
        yyjson_mut_obj_add_val(doc, root, "comparisons", comparisons);
    for (size_t m = 0; m < report->measures.n && ok; m++) {
        ok = yyjson_mut_arr_add_str(doc, names, report->measures.items[m].name);
    }
    for (size_t r = 0; r < report->n_runs && ok; r++) {
        ok = add_run(doc, runs, report, r);
    }
    for (size_t i = 0; i < report->n_pairs && ok; i++) {
        ok = add_pair(doc, comparisons, report, &report->pairs[i]);
    }
    size_t bytes = 0;
    char *text = ok ? yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, &bytes) : NULL;
    if (text != NULL) {
        rr_out_write(text, bytes);
        rr_out_text("\n");
    }
    bool written = text != NULL;
    yyjson_mut_doc_free(doc);
    free(text);
    return written ? RR_OK
                   : rr_fail(diag, RR_E_MEMORY, "out of memory while writing the evaluation");
}
