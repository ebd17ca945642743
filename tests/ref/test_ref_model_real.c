/* The C reference model against vectors that tools/dev/truth/make_vectors.py computed on its own in
 * float64, on the real 0.5B file. */
#include "tests/ref/truth.h"
#include "tests/support/real_model.h"

static double log_sum_exp(const float *logits, size_t n) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, (double)logits[i]);
    }
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)logits[i] - most);
    }
    return most + log(sum);
}

/* The sum over the vocabulary, chosen logits, and the order of the best. */
static void check_row(const float *logits, size_t n_vocab, yyjson_val *row) {
    double position = number(row, "position");
    double sum = log_sum_exp(logits, n_vocab), expected = number(row, "logsumexp");
    CHECK_MSG(fabs(sum - expected) < 1e-4, "position %g: logsumexp %.7g, expected %.7g", position,
        sum, expected);
    static const char *const lists[2][2] = {{"top_ids", "top"}, {"fixed_ids", "fixed"}};
    for (int l = 0; l < 2; l++) {
        yyjson_val *ids = yyjson_obj_get(row, lists[l][0]),
                   *values = yyjson_obj_get(row, lists[l][1]);
        float picked[64];
        size_t n = yyjson_arr_size(ids);
        CHECK(n > 0 && n <= 64 && yyjson_arr_size(values) == n);
        for (size_t i = 0; i < n; i++) {
            picked[i] = logits[yyjson_get_uint(yyjson_arr_get(ids, i))];
        }
        double d = difference(picked, values);
        CHECK_MSG(d <= LIMIT, "position %g, %s logits: difference %.3g", position, lists[l][1], d);
    }
    uint32_t best;
    rr_ref_argmax(logits, 1, (uint32_t)n_vocab, &best);
    CHECK_INT(best, yyjson_get_uint(yyjson_arr_get_first(yyjson_obj_get(row, "top_ids"))));
}

static void check_model(const char *path, yyjson_val *truth) {
    rr_model *model = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_model_open(path, &model, &diag), diag);
    if (model == NULL) {
        return;
    }
    rr_source_file file = {0};
    if (!rr_source_file_at(model->source, 0, &file) ||
        file.bytes != (uint64_t)number(truth, "file_bytes")) {
        CHECK_SKIP("%s is another file than the one that truth_model.json was made from", path);
    }
    size_t n, i, n_entries;
    yyjson_val *entry, *rows = yyjson_obj_get(truth, "logits");
    int32_t *tokens = read_tokens(yyjson_obj_get(truth, "tokens"), &n);
    seen s;
    worst = 0;
    CHECK(n >= 300);
    if (run(model, &(rr_ref_model_params){.n_context = (uint32_t)n}, tokens, n, rows, &s)) {
        yyjson_arr_foreach(yyjson_obj_get(truth, "hidden"), i, n_entries, entry) {
            const float *hidden = hidden_at(&s, entry);
            double squares = 0, expected = number(entry, "norm");
            for (uint32_t c = 0; c < s.d_model; c++) {
                squares += (double)hidden[c] * (double)hidden[c];
            }
            CHECK_MSG(fabs(sqrt(squares) / expected - 1) < LIMIT,
                "layer %g position %g: norm %.8g, expected %.8g", number(entry, "layer"),
                number(entry, "position"), sqrt(squares), expected);
            double d = difference(hidden, yyjson_obj_get(entry, "first"));
            CHECK_MSG(d <= LIMIT, "layer %g position %g: difference %.3g", number(entry, "layer"),
                number(entry, "position"), d);
        }
        for (i = 0; i < s.n_kept; i++) {
            check_row(s.logits + i * s.n_vocab, s.n_vocab, yyjson_arr_get(rows, i));
        }
        printf("%s, %zu tokens: largest difference %.2g of the root mean square\n", model->name, n,
            worst);
        seen_free(&s);
    }
    free(tokens);
    rr_model_close(&model);
}

int main(void) {
    rr_buf path = {0};
    if (!rr_real_model_path(&path)) {
        CHECK_SKIP("no real model: set REARANK_TEST_MODEL");
    }
    yyjson_doc *doc = read_json("tests/data/truth_model.json");
    check_model(path.data, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    rr_buf_destroy(&path);
    return CHECK_END();
}
