/* Every figure of trec_eval that the shared data holds, per query and in the mean, to the four
 * decimals that it prints: its own tests, and its output for the candidate lists and for two
 * replayed rerankers. */
#define _GNU_SOURCE
#include "tests/check.h"

#include <math.h>

#include "rerank/data/candidates.h"
#include "rerank/data/trec_read.h"
#include "rerank/eval/eval.h"
#include "rerank/execute.h"
#include "rerank/replay.h"
#include "rerank/report/run_out.h"
#include "tests/rerank/replay_checks.h"

/* Measures with parameters that have no name here, said with others: `scale[0] * value of name[0] +
 * …`. */
static const struct {
    const char *trec;
    struct {
        double scale;
        const char *name;
    } parts[3];
} spelled[] = {
    {"11pt_avg_.25,.5,.75",
        {{1 / 3.0, "iprec@0.25"}, {1 / 3.0, "iprec@0.5"}, {1 / 3.0, "iprec@0.75"}}},
    {"utility_2,-1,0,0", {{3, "num_rel_ret"}, {-1, "num_ret"}, {0, "num_q"}}},
    /* with levels 0 and 1 one gain is as good as another */
    {"ndcg_1=3,2=9,4=4.5", {{1, "ndcg"}, {0, "num_q"}, {0, "num_q"}}},
};

typedef struct comparison {
    const rr_trec_table *run, *qrels;
    rr_eval_params params;
    size_t n_values, n_queries;
} comparison;

static double value_of(const comparison *c, const char *name, const char *qid) {
    rr_measures measures;
    rr_eval eval = {0};
    rr_diag diag = {0};
    double value = NAN;
    CHECK_OK(rr_measures_parse(name, &measures, &diag), diag);
    if (measures.n == 1) {
        CHECK_OK(rr_eval_run(c->run, c->qrels, &measures, &c->params, &eval, &diag), diag);
    }
    for (size_t i = 0; i < eval.n; i++) {
        rr_text found = eval.queries[i]->qid;
        if (found.bytes == strlen(qid) && memcmp(found.data, qid, found.bytes) == 0) {
            value = eval.values[i];
        }
    }
    if (strcmp(qid, "all") == 0 && eval.means != NULL) {
        /* utility's parts are sums in the mean, the measure itself is not */
        value = measures.items[0].mean == RR_MEAN_SUM && c->n_queries > 0
            ? eval.means[0] / (double)c->n_queries
            : eval.means[0];
    }
    rr_eval_destroy(&eval);
    return value;
}

static void check_line(comparison *c, const char *file, char *line) {
    char *name = strtok(line, " \t\n"), *qid = strtok(NULL, " \t\n"), *text = strtok(NULL, " \t\n");
    if (text == NULL || strcmp(name, "runid") == 0 || strcmp(name, "relstring") == 0) {
        return; /* texts, no measures */
    }
    double value = 0.0;
    c->n_queries = 0;
    bool found = false;
    for (size_t i = 0; i < sizeof spelled / sizeof spelled[0] && !found; i++) {
        if (strcmp(name, spelled[i].trec) == 0) {
            found = true;
            c->n_queries = 3;
            for (int k = 0; k < 3; k++) {
                value += spelled[i].parts[k].scale * value_of(c, spelled[i].parts[k].name, qid);
            }
        }
    }
    if (!found) {
        value = value_of(c, name, qid);
    }
    CHECK_MSG(fabs(value - strtod(text, NULL)) <= 0.50001e-4,
        "%s: %s of %s: found %.6f, expected %s", file, name, qid, value, text);
    c->n_values++;
}

static void check_file(const char *expected, comparison *c) {
    FILE *file = fopen(expected, "rb");
    CHECK_MSG(file != NULL, "%s is not there", expected);
    char line[512];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        check_line(c, expected, line);
    }
    if (file != NULL) {
        fclose(file);
    }
    CHECK_MSG(c->n_values > 20, "%s: only %zu values", expected, c->n_values);
    printf("%s: %zu values\n", strrchr(expected, '/') + 1, c->n_values);
}

static void compare(
    const char *expected, const char *qrels_path, const char *run_path, rr_eval_params params) {
    rr_trec_table run = {0}, qrels = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_trec_read_run(run_path, &run, &diag), diag);
    CHECK_OK(rr_trec_read_qrels(qrels_path, &qrels, &diag), diag);
    check_file(expected, &(comparison){.run = &run, .qrels = &qrels, .params = params});
    rr_trec_table_destroy(&run);
    rr_trec_table_destroy(&qrels);
}

/* The recorded answers, ranked, written as `format` and read again. */
static void compare_replay(const char *data, const char *name, rr_run_format format) {
    char expected[4096], qrels_path[4096], path[4096];
    rr_diag diag = {0};
    rr_candidates candidates;
    rr_recording recording;
    rr_buf text = {0};
    snprintf(path, sizeof path, "%s/dl19.bm25.jsonl", data);
    CHECK_OK(rr_candidates_read(path, &candidates, &diag), diag);
    snprintf(path, sizeof path, "%s/replay/%s.dl19.jsonl", data, name);
    CHECK_OK(rr_recording_read(path, &recording, &diag), diag);
    rr_replay replay = {&recording, name};
    /* as the runs were made that trec_eval measured */
    rr_responder responder = {respond_with_numbers, &replay};
    rr_rank_params params = {0};
    rr_run_out out = {.format = format, .many = true};
    CHECK_OK(rr_run_begin(&out, &text, &diag), diag);
    for (size_t i = 0; i < candidates.n; i++) {
        rr_ranking ranking;
        CHECK_OK(rr_rank(&candidates.queries[i], &params, &responder, &ranking, &diag), diag);
        CHECK_OK(rr_run_query(&out, &candidates.queries[i], &ranking, i, &text, &diag), diag);
        rr_ranking_destroy(&ranking);
    }
    CHECK_OK(rr_run_end(&out, &text, &diag), diag);
    rr_trec_table run = {0}, qrels = {0};
    CHECK_OK(
        rr_eval_parse_run(text.data, text.bytes, rr_run_format_names[format], &run, &diag), diag);
    snprintf(qrels_path, sizeof qrels_path, "%s/dl19.bm25.qrels", data);
    CHECK_OK(rr_trec_read_qrels(qrels_path, &qrels, &diag), diag);
    snprintf(expected, sizeof expected, "%s/expected/replay.%s.dl19.trec_eval.txt", data, name);
    check_file(expected, &(comparison){.run = &run, .qrels = &qrels});
    rr_trec_table_destroy(&run);
    rr_trec_table_destroy(&qrels);
    rr_buf_destroy(&text);
    rr_recording_destroy(&recording);
    rr_candidates_destroy(&candidates);
}

int main(void) {
    const char *shared = check_shared();
    if (shared == NULL) {
        CHECK_SKIP("no shared test data (REARANK_SHARED)");
    }
    char data[2048], expected[4096], qrels[4096], run[4096];
    snprintf(data, sizeof data, "%s/data", shared);
    static const struct {
        const char *expected, *run;
        rr_eval_params params;
    } trec[] = {
        {"out.test", "results.test", {0}},
        {"out.test.a", "results.test", {0}},
        {"out.test.aq", "results.test", {0}},
        {"out.test.aqc", "results.trunc", {.complete = true}},
        {"out.test.aqcM", "results.trunc", {.complete = true, .depth = 100}},
        {"out.test.meas_params", "results.test", {0}},
    };
    snprintf(qrels, sizeof qrels, "%s/trec_eval/qrels.test", data);
    for (size_t i = 0; i < sizeof trec / sizeof trec[0]; i++) {
        snprintf(expected, sizeof expected, "%s/trec_eval/%s", data, trec[i].expected);
        snprintf(run, sizeof run, "%s/trec_eval/%s", data, trec[i].run);
        compare(expected, qrels, run, trec[i].params);
    }
    static const char *const sets[] = {"dl19.bm25", "dl21.bm25", "scifact.bm25", "noveleval"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        snprintf(expected, sizeof expected, "%s/expected/%s.trec_eval.txt", data, sets[i]);
        snprintf(qrels, sizeof qrels, "%s/%s.qrels", data, sets[i]);
        snprintf(run, sizeof run, "%s/%s.jsonl", data, sets[i]);
        compare(expected, qrels, run, (rr_eval_params){0});
    }
    for (int format = RR_RUN_JSON; format <= RR_RUN_TSV; format++) {
        compare_replay(data, "rankvicuna_clean", (rr_run_format)format);
        compare_replay(data, "vicuna7b_v15_zeroshot", (rr_run_format)format);
    }
    return CHECK_END();
}
