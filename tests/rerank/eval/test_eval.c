/* Measures on cases computed by hand: graded levels, ties, unjudged passages, nothing relevant, and
 * which queries count. */
#include "tests/check.h"

#include <math.h>

#include "rerank/data/trec_read.h"
#include "rerank/eval/eval.h"

typedef struct fixture {
    rr_trec_table run, qrels;
    rr_measures measures;
    rr_eval eval;
} fixture;

static void evaluate(
    fixture *f, const char *run, const char *qrels, const char *measures, rr_eval_params params) {
    rr_diag diag = {0};
    *f = (fixture){0};
    CHECK_OK(rr_eval_parse_run(run, strlen(run), "run", &f->run, &diag), diag);
    CHECK_OK(rr_eval_parse_qrels(qrels, strlen(qrels), "qrels", &f->qrels, &diag), diag);
    CHECK_OK(rr_measures_parse(measures, &f->measures, &diag), diag);
    CHECK_OK(rr_eval_run(&f->run, &f->qrels, &f->measures, &params, &f->eval, &diag), diag);
}

static void release(fixture *f) {
    rr_eval_destroy(&f->eval);
    rr_trec_table_destroy(&f->run);
    rr_trec_table_destroy(&f->qrels);
}

/* One measure's mean. */
static void gives(const char *run, const char *qrels, const char *measure, rr_eval_params params,
    double expected) {
    fixture f;
    evaluate(&f, run, qrels, measure, params);
    CHECK_MSG(fabs(f.eval.means[0] - expected) < 1e-12, "%s: found %.15g, expected %.15g", measure,
        f.eval.means[0], expected);
    release(&f);
}

static const rr_eval_params usual = {0};
/* in rank order: a 0, b 3, x unjudged, c 1, u in the pool but unjudged; d 2 is not found */
static const char *const run =
    "1 Q0 a 9 5 t\n1 Q0 b 9 4 t\n1 Q0 x 9 3 t\n1 Q0 c 9 2 t\n1 Q0 u 9 1 t\n";
static const char *const qrels = "1 0 a 0\n1 0 b 3\n1 0 c 1\n1 0 d 2\n1 0 u -1\n";

static void check_formulas(void) {
    double dcg = 3 / log2(3) + 1 / log2(5), ideal = 3 + 2 / log2(3) + 1 / log2(4);
    gives(run, qrels, "ndcg", usual, dcg / ideal);
    gives(run, qrels, "ndcg@10", usual, dcg / ideal);
    gives(run, qrels, "ndcg_cut_2", usual, 3 / log2(3) / (3 + 2 / log2(3)));
    gives(run, qrels, "ndcg@1", usual, 0);
    gives(run, qrels, "map", usual, (1 / 2.0 + 2 / 4.0) / 3);
    gives(run, qrels, "map@3", usual, 1 / 2.0 / 3);
    gives(run, qrels, "mrr", usual, 1 / 2.0);
    gives(run, qrels, "MRR@1", usual, 0);
    gives(run, qrels, "recip_rank", (rr_eval_params){.relevant_from = 4}, 0);
    gives(run, qrels, "recall@2", usual, 1 / 3.0);
    gives(run, qrels, "R@100", usual, 2 / 3.0);
    gives(run, qrels, "P@10", usual, 2 / 10.0);
    gives(run, qrels, "p_4", usual, 2 / 4.0);
    gives(run, qrels, "Rprec", usual, 1 / 3.0);
    gives(run, qrels, "success@1", usual, 0);
    gives(run, qrels, "hit@2", usual, 1);
    gives(run, qrels, "judged@5", usual, 3 / 5.0);
    gives(run, qrels, "unj_10", usual, 2 / 10.0);
    gives(run, qrels, "num_rel", usual, 3);
    gives(run, qrels, "num_ret", usual, 5);
    gives(run, qrels, "bpref", usual, 0); /* the one judged other passage is above both */
    gives(run, qrels, "iprec@0", usual, 1 / 2.0);
    gives(run, qrels, "iprec@1", usual, 0);
    gives(run, qrels, "set_F", usual, 2 * (2 / 5.0) * (2 / 3.0) / (2 / 5.0 + 2 / 3.0));
    gives(run, qrels, "rbp", usual, 0.1 * (0.9 + 1 / 3.0 * 0.9 * 0.9 * 0.9));
    gives(run, qrels, "map", (rr_eval_params){.relevant_from = 2}, 1 / 2.0 / 2);
    /* the gains stay */
    gives(run, qrels, "ndcg", (rr_eval_params){.relevant_from = 2}, dcg / ideal);
    gives(run, qrels, "map", (rr_eval_params){.depth = 3}, 1 / 2.0 / 3);
    gives(run, qrels, "map", (rr_eval_params){.judged_only = true}, (1 / 2.0 + 2 / 3.0) / 3);
    gives(run, qrels, "num_ret", (rr_eval_params){.judged_only = true}, 3);
}

static void check_edges(void) {
    /* ties go by docid, falling: b before a */
    gives("1 Q0 a 1 1 t\n1 Q0 b 2 1 t\n", "1 0 a 1\n1 0 b 0\n", "mrr", usual, 0.5);
    gives("1 Q0 a 2 1 t\n1 Q0 b 1 1 t\n", "1 0 b 1\n1 0 a 0\n", "mrr", usual, 1);
    /* nothing relevant: 0 everywhere, and the query counts */
    fixture f;
    evaluate(&f, "1 Q0 a 1 1 t\n2 Q0 a 1 1 t\n", "1 0 a 0\n2 0 a 1\n",
        "all_trec,map,mrr,p@1,ndcg@10,bpref", usual);
    for (size_t m = 0; m < f.measures.n; m++) {
        double value = f.eval.values[m];
        CHECK_MSG(isfinite(value), "%s: %g", f.measures.items[m].name, value);
        bool count = rr_measure_is_count(&f.measures.items[m]) ||
            strcmp(f.measures.items[m].name, "utility") == 0;
        CHECK_MSG(count || value == 0.0, "%s: %g", f.measures.items[m].name, value);
        if (strcmp(f.measures.items[m].name, "map") == 0) {
            CHECK(f.eval.means[m] == 0.5);
        }
        if (strcmp(f.measures.items[m].name, "gm_map") == 0) {
            CHECK(fabs(f.eval.means[m] - sqrt(0.00001)) < 1e-12);
        }
    }
    release(&f);
    /* only judgements below 0: none counts */
    evaluate(&f, "1 Q0 a 1 1 t\n", "1 0 a -1\n", "all_trec", usual);
    for (size_t m = 0; m < f.measures.n; m++) {
        CHECK_MSG(isfinite(f.eval.values[m]), "%s", f.measures.items[m].name);
    }
    release(&f);
}

static void check_queries(void) {
    fixture f;
    const char *two = "1 Q0 a 1 1 t\n9 Q0 a 1 1 t\n", *judged = "1 0 a 1\n2 0 a 1\n3 0 a 1\n";
    evaluate(&f, two, judged, "map,num_rel,num_q", usual);
    CHECK(f.eval.n == 1 && f.eval.n_unjudged == 1 && f.eval.n_missing == 2 &&
        f.eval.means[0] == 1.0 && f.eval.means[1] == 1.0);
    release(&f);
    evaluate(&f, two, judged, "map,num_rel,num_q", (rr_eval_params){.complete = true});
    CHECK(f.eval.n == 3 && fabs(f.eval.means[0] - 1 / 3.0) < 1e-12 && f.eval.means[1] == 3.0 &&
        f.eval.means[2] == 3.0);
    release(&f);
    /* as trec_eval: by the level of relevance for each query, but the sum over complete judgements
     * is of all levels above 0 */
    const char *graded = "1 0 a 2\n1 0 b 1\n1 0 c 0\n2 0 a 1\n2 0 b -1\n";
    evaluate(&f, two, graded, "num_rel,num_rel_ret",
        (rr_eval_params){.relevant_from = 2, .complete = true});
    CHECK(f.eval.n == 2 && f.eval.values[0] == 1.0 && f.eval.values[2] == 0.0 &&
        f.eval.means[0] == 3.0 && f.eval.means[1] == 1.0);
    release(&f);
    evaluate(&f, two, graded, "num_rel", (rr_eval_params){.relevant_from = 2});
    CHECK(f.eval.means[0] == 1.0);
    release(&f);
    rr_diag diag = {0};
    f = (fixture){0};
    CHECK_OK(rr_eval_parse_run("8 Q0 a 1 1 t\n", 13, "run", &f.run, &diag), diag);
    CHECK_OK(rr_eval_parse_qrels(judged, strlen(judged), "qrels", &f.qrels, &diag), diag);
    CHECK_OK(rr_measures_parse("map", &f.measures, &diag), diag);
    CHECK_INT(rr_eval_run(&f.run, &f.qrels, &f.measures, &usual, &f.eval, &diag), RR_E_INPUT);
    CHECK_TEXT(
        diag.text, "run: no query of the run is judged in qrels; found \"8\" here, \"1\" there");
    release(&f);
}

static void check_compare(void) {
    rr_diag diag = {0};
    const char *judged = "1 0 a 1\n2 0 a 1\n3 0 a 1\n4 0 a 1\n";
    const char *one = "1 Q0 a 1 1 t\n2 Q0 b 1 1 t\n3 Q0 a 1 1 t\n",
               *other = "2 Q0 a 1 1 t\n3 Q0 b 1 1 t\n4 Q0 a 1 1 t\n1 Q0 a 1 1 t\n";
    fixture f;
    evaluate(&f, one, judged, "mrr", usual);
    rr_trec_table table = {0};
    rr_eval eval;
    rr_t_test test;
    CHECK_OK(rr_eval_parse_run(other, strlen(other), "other", &table, &diag), diag);
    CHECK_OK(rr_eval_run(&table, &f.qrels, &f.measures, &usual, &eval, &diag), diag);
    rr_interval interval;
    const rr_eval_bootstrap none = {0}, how = {.n_samples = 1000, .level = 0.9, .seed = 1};
    CHECK_OK(rr_trec_compare_runs(&f.eval, &eval, 0, &none, &test, &interval, &diag), diag);
    CHECK_INT(test.n, 3); /* differences 0, 1, -1 over queries 1 to 3 */
    CHECK(test.difference == 0.0 && test.t == 0.0 && test.p == 1.0);
    CHECK(isnan(interval.low) && isnan(interval.high));
    CHECK_OK(rr_trec_compare_runs(&f.eval, &eval, 0, &how, &test, &interval, &diag), diag);
    /* of 27 samples one has the mean -1, three have -2/3 */
    CHECK(fabs(interval.low + 2.0 / 3.0) < 1e-12 && fabs(interval.high - 2.0 / 3.0) < 1e-12);
    rr_eval_destroy(&eval);
    rr_trec_table_destroy(&table);
    release(&f);
}

static void check_intervals(void) {
    rr_diag diag = {0};
    fixture f;
    evaluate(&f, "1 Q0 a 1 1 t\n2 Q0 b 1 1 t\n", "1 0 a 1\n2 0 a 1\n", "mrr,num_ret,gm_map", usual);
    const rr_eval_bootstrap none = {0}, how = {.n_samples = 1000, .level = 0.9, .seed = 1};
    rr_interval interval;
    CHECK_OK(rr_eval_mean_interval(&f.eval, 0, &how, &interval, &diag), diag);
    CHECK(interval.low == 0.0 && interval.high == 1.0);
    CHECK_OK(rr_eval_mean_interval(&f.eval, 1, &how, &interval, &diag), diag);
    CHECK(isnan(interval.low));
    CHECK_OK(rr_eval_mean_interval(&f.eval, 2, &how, &interval, &diag), diag);
    CHECK(fabs(interval.low - 1e-5) < 1e-12 && fabs(interval.high - 1.0) < 1e-12);
    CHECK_OK(rr_eval_mean_interval(&f.eval, 0, &none, &interval, &diag), diag);
    CHECK(isnan(interval.low));
    release(&f);
}

static void check_names(void) {
    rr_measures measures;
    rr_diag diag = {0};
    CHECK_OK(
        rr_measures_parse("ndcg@10, map,,map,set_P,Rprec_mult_0.20,11pt_avg", &measures, &diag),
        diag);
    CHECK_INT(measures.n, 5);
    CHECK_TEXT(measures.items[0].name, "ndcg@10");
    CHECK_INT(measures.items[0].cut, 10);
    CHECK(measures.items[3].fraction == 0.2);
    CHECK_OK(rr_measures_parse("official", &measures, &diag), diag);
    CHECK_INT(measures.n, 29);
    static const char *const wrong[] = {"", ",", "recall", "ndcg@0", "ndcg@", "ndcg@x", "ndcg@-1",
        "map@99999999999", "bpref@3", "@", "_", "iprec@-1", "ndcg@1e3",
        "this_name_is_longer_than_any_measure_of_the_table@10", "ndcgx"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_MSG(rr_measures_parse(wrong[i], &measures, &diag) == RR_E_USAGE, "\"%s\" is taken",
            wrong[i]);
    }
}

int main(void) {
    check_formulas();
    check_edges();
    check_queries();
    check_compare();
    check_intervals();
    check_names();
    return CHECK_END();
}
