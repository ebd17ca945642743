/* The readers of runs and judgements: the first byte chooses which ('q' = judgements, else a run).
 * What is accepted must be grouped, sorted and free of repeats, and every measure must be finite on
 * it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/trec_read.h"
#include "rerank/eval/eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void use(const rr_trec_table *table, rr_trec_order order) {
    size_t n_rows = 0;
    for (size_t i = 0; i < table->n_queries; i++) {
        const rr_trec_query *query = &table->queries[i];
        if (query->n == 0 || rr_trec_table_find(table, query->qid) != query) {
            abort();
        }
        for (size_t k = 1; k < query->n; k++) {
            if (order(&table->rows[query->first + k - 1], &table->rows[query->first + k]) >= 0) {
                abort();
            }
        }
        n_rows += query->n;
    }
    if (n_rows != table->n_rows) {
        abort();
    }
}

static void measure(const rr_trec_table *run, const rr_trec_table *qrels) {
    rr_measures measures;
    rr_eval eval;
    rr_diag diag = {0};
    rr_eval_params params = {.complete = true};
    if (rr_measures_parse("all_trec", &measures, &diag) != RR_OK) {
        abort();
    }
    rr_status status = rr_eval_run(run, qrels, &measures, &params, &eval, &diag);
    for (size_t i = 0; i < eval.n * measures.n && status == RR_OK; i++) {
        if (!isfinite(eval.values[i])) {
            abort();
        }
    }
    rr_eval_destroy(&eval);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0) {
        return 0;
    }
    static const char qrels_text[] = "1 0 a 2\n1 0 b 0\n1 0 c -1\n",
                      run_text[] = "1 Q0 a 1 2 t\n1 Q0 b 2 1 t\n1 Q0 z 3 0 t\n";
    rr_trec_table read = {0}, other = {0};
    rr_diag diag = {0};
    bool is_qrels = data[0] == 'q';
    const char *text = (const char *)data + 1;
    rr_status status = is_qrels ? rr_eval_parse_qrels(text, bytes - 1, "fuzz", &read, &diag)
                                : rr_eval_parse_run(text, bytes - 1, "fuzz", &read, &diag);
    if (status == RR_OK ? read.n_rows == 0 : diag.text[0] == '\0') {
        abort();
    }
    if (status == RR_OK) {
        use(&read, is_qrels ? rr_trec_by_docid : rr_trec_by_score);
        status = is_qrels
            ? rr_eval_parse_run(run_text, sizeof run_text - 1, "run", &other, &diag)
            : rr_eval_parse_qrels(qrels_text, sizeof qrels_text - 1, "qrels", &other, &diag);
        if (status != RR_OK) {
            abort();
        }
        measure(is_qrels ? &other : &read, is_qrels ? &read : &other);
    }
    rr_trec_table_destroy(&read);
    rr_trec_table_destroy(&other);
    return 0;
}
