#include "rerank/eval/eval.h"

#include <math.h>
#include <stdlib.h>

typedef struct scratch { /* scratch for the longest ranking and the most judgements of a query */
    int32_t *levels, *ideal;
} scratch;

static int falling(const void *a, const void *b) {
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return left > right ? -1 : left < right;
}

/* Looks up every ranked passage. `ranked` may be NULL: an empty ranking. */
static rr_judged judge_query(const scratch *judge, const rr_trec_table *run,
    const rr_trec_query *ranked, const rr_trec_table *qrels, const rr_trec_query *query,
    const rr_eval_params *params) {
    rr_judged judged = {.levels = judge->levels,
        .ideal = judge->ideal,
        .relevant_from = params->relevant_from > 0 ? params->relevant_from : 1};
    const rr_trec_row *judgements = &qrels->rows[query->first];
    for (size_t i = 0; i < query->n; i++) {
        if (judgements[i].level >= 0) {
            judge->ideal[judged.n_ideal++] = judgements[i].level;
            judged.n_relevant += judgements[i].level >= judged.relevant_from;
        }
    }
    qsort(judge->ideal, judged.n_ideal, sizeof *judge->ideal, falling);
    size_t n = ranked != NULL ? ranked->n : 0;
    for (size_t i = 0; i < n && (params->depth == 0 || i < params->depth); i++) {
        const rr_trec_row *found = bsearch(&run->rows[ranked->first + i], judgements, query->n,
            sizeof *judgements, rr_trec_by_docid);
        int32_t level = found == NULL ? RR_UNPOOLED : found->level < 0 ? RR_UNJUDGED : found->level;
        if (level >= 0 || !params->judged_only) {
            judge->levels[judged.n++] = level;
            judged.n_relevant_ranked += level >= judged.relevant_from;
        }
    }
    return judged;
}

static size_t longest(const rr_trec_table *table) {
    size_t n = 1;
    for (size_t i = 0; i < table->n_queries; i++) {
        n = table->queries[i].n > n ? table->queries[i].n : n;
    }
    return n;
}

static double log_for_mean(double value) {
    return log(fmax(value, 0.00001));
}

/* trec_eval's sum over complete judgements counts every level above 0, whatever level relevance
 * starts from. */
static double count_positive(const rr_trec_table *qrels) {
    size_t n = 0;
    for (size_t i = 0; i < qrels->n_rows; i++) {
        n += qrels->rows[i].level > 0;
    }
    return (double)n;
}

static void average(rr_eval *eval, const rr_trec_table *qrels, bool complete) {
    for (size_t m = 0; m < eval->measures->n; m++) {
        rr_measure_mean mean = eval->measures->items[m].mean;
        double sum = 0.0;
        for (size_t i = 0; i < eval->n; i++) {
            double value = eval->values[i * eval->measures->n + m];
            sum += mean == RR_MEAN_GEOMETRIC ? log_for_mean(value) : value;
        }
        eval->means[m] = mean == RR_MEAN_SUM ? sum
            : mean == RR_MEAN_GEOMETRIC      ? exp(sum / (double)eval->n)
                                             : sum / (double)eval->n;
        if (complete && eval->measures->items[m].compute == rr_formula_num_rel) {
            eval->means[m] = count_positive(qrels);
        }
    }
}

static rr_status evaluate(const rr_trec_table *run, const rr_trec_table *qrels,
    const rr_eval_params *params, const scratch *judge, rr_eval *out, rr_diag *diag) {
    size_t n_common = 0;
    for (size_t i = 0; i < qrels->n_queries; i++) {
        const rr_trec_query *query = &qrels->queries[i],
                            *ranked = rr_trec_table_find(run, query->qid);
        n_common += ranked != NULL;
        if (ranked == NULL && !params->complete) {
            continue;
        }
        rr_judged judged = judge_query(judge, run, ranked, qrels, query, params);
        for (size_t m = 0; m < out->measures->n; m++) {
            const rr_measure *measure = &out->measures->items[m];
            out->values[out->n * out->measures->n + m] = measure->compute(&judged, measure);
        }
        out->queries[out->n++] = query;
    }
    for (size_t i = 0; i < run->n_queries; i++) {
        if (rr_trec_table_find(qrels, run->queries[i].qid) == NULL && out->n_unjudged++ == 0) {
            out->unjudged = run->queries[i].qid;
        }
    }
    out->n_missing = qrels->n_queries - n_common;
    if (n_common == 0) {
        rr_text one = run->queries[0].qid, other = qrels->queries[0].qid;
        return rr_fail(diag, RR_E_INPUT,
            "%s: no query of the run is judged in %s; found \"%.*s\" here, \"%.*s\" there",
            run->label, qrels->label, one.bytes < 100 ? (int)one.bytes : 100, one.data,
            other.bytes < 100 ? (int)other.bytes : 100, other.data);
    }
    average(out, qrels, params->complete);
    return RR_OK;
}

rr_status rr_eval_run(const rr_trec_table *run, const rr_trec_table *qrels,
    const rr_measures *measures, const rr_eval_params *params, rr_eval *out, rr_diag *diag) {
    *out = (rr_eval){.measures = measures};
    scratch judge = {
        malloc(longest(run) * sizeof *judge.levels), malloc(longest(qrels) * sizeof *judge.ideal)};
    out->queries = malloc(qrels->n_queries * sizeof *out->queries);
    out->values = calloc(qrels->n_queries, measures->n * sizeof *out->values);
    out->means = calloc(measures->n, sizeof *out->means);
    bool whole = judge.levels != NULL && judge.ideal != NULL && out->queries != NULL &&
        out->values != NULL && out->means != NULL;
    rr_status status = whole
        ? evaluate(run, qrels, params, &judge, out, diag)
        : rr_fail(diag, RR_E_MEMORY, "out of memory for %zu queries", qrels->n_queries);
    free(judge.levels);
    free(judge.ideal);
    return status;
}

void rr_eval_destroy(rr_eval *eval) {
    free(eval->queries);
    free(eval->values);
    free(eval->means);
    *eval = (rr_eval){0};
}

static rr_status bootstrap(
    const double *values, size_t n, const rr_eval_bootstrap *how, rr_interval *out, rr_diag *diag) {
    if (rr_bootstrap_mean(values, n, how->n_samples, how->level, how->seed, out)) {
        return RR_OK;
    }
    return rr_fail(diag, RR_E_MEMORY, "out of memory for %u samples", how->n_samples);
}

rr_status rr_eval_mean_interval(const rr_eval *eval, size_t measure, const rr_eval_bootstrap *how,
    rr_interval *out, rr_diag *diag) {
    rr_measure_mean mean = eval->measures->items[measure].mean;
    *out = (rr_interval){NAN, NAN};
    if (mean == RR_MEAN_SUM || how->n_samples == 0) {
        return RR_OK;
    }
    double *values = malloc((eval->n > 0 ? eval->n : 1) * sizeof *values);
    if (values == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu queries", eval->n);
    }
    for (size_t i = 0; i < eval->n; i++) {
        double value = eval->values[i * eval->measures->n + measure];
        values[i] = mean == RR_MEAN_GEOMETRIC ? log_for_mean(value) : value;
    }
    rr_status status = bootstrap(values, eval->n, how, out, diag);
    if (mean == RR_MEAN_GEOMETRIC) { /* exp rises: it keeps quantiles */
        *out = (rr_interval){exp(out->low), exp(out->high)};
    }
    free(values);
    return status;
}

rr_status rr_trec_compare_runs(const rr_eval *a, const rr_eval *b, size_t measure,
    const rr_eval_bootstrap *how, rr_t_test *out, rr_interval *interval, rr_diag *diag) {
    size_t most = a->n < b->n ? a->n : b->n, n = 0, n_measures = a->measures->n;
    double *pairs = calloc(most > 0 ? most : 1, 2 * sizeof *pairs);
    if (pairs == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu queries", most);
    }
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        /* both point into the same judgements, in the same order */
        if (a->queries[i] == b->queries[k]) {
            pairs[n] = a->values[i++ * n_measures + measure];
            pairs[most + n++] = b->values[k++ * n_measures + measure];
        } else if (a->queries[i] < b->queries[k]) {
            i++;
        } else {
            k++;
        }
    }
    *out = rr_t_test_paired(pairs, pairs + most, n);
    for (size_t i = 0; i < n; i++) {
        pairs[i] = pairs[most + i] - pairs[i];
    }
    rr_status status = bootstrap(pairs, n, how, interval, diag);
    free(pairs);
    return status;
}
