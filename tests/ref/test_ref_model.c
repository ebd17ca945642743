/* The C reference model against vectors that tools/dev/truth/make_vectors.py computed on its own in
 * float64, on the synthetic models; and what must not change its results. */
#include "tests/ref/truth.h"
#include "tests/support/synth.h"

static void check_tiny(yyjson_val *truth) {
    yyjson_val *c = yyjson_obj_get(truth, "config"), *rows = yyjson_obj_get(truth, "logits"),
               *entry;
    rr_synth synth = {.n_layers = (uint32_t)number(c, "n_layers"),
        .d_model = (uint32_t)number(c, "d_model"),
        .n_heads = (uint32_t)number(c, "n_heads"),
        .n_kv_heads = (uint32_t)number(c, "n_kv_heads"),
        .head_size = (uint32_t)number(c, "head_size"),
        .d_ffn = (uint32_t)number(c, "d_ffn"),
        .n_vocab = (uint32_t)number(c, "n_vocab"),
        .rope_theta = (float)number(c, "rope_theta"),
        .rms_epsilon = (float)number(c, "rms_epsilon"),
        .tied = yyjson_get_bool(yyjson_obj_get(c, "tied")),
        .seed = (uint64_t)number(truth, "seed")};
    rr_buf storage = {0};
    rr_model *model = NULL;
    rr_diag diag = {0};
    CHECK_OK(rr_synth_open(&synth, &storage, &model, &diag), diag);
    size_t n, i, n_entries;
    int32_t *tokens = read_tokens(yyjson_obj_get(truth, "tokens"), &n);
    seen s;
    worst = 0;
    if (model != NULL && run(model, &(rr_ref_model_params){.n_context = 24}, tokens, n, rows, &s)) {
        yyjson_arr_foreach(yyjson_obj_get(truth, "hidden"), i, n_entries, entry) {
            double d = difference(hidden_at(&s, entry), yyjson_obj_get(entry, "values"));
            CHECK_MSG(d <= LIMIT, "layer %g position %g: difference %.3g", number(entry, "layer"),
                number(entry, "position"), d);
        }
        yyjson_arr_foreach(rows, i, n_entries, entry) {
            double d = difference(s.logits + i * s.n_vocab, yyjson_obj_get(entry, "values"));
            CHECK_MSG(
                d <= LIMIT, "logits of position %g: difference %.3g", number(entry, "position"), d);
        }
        printf("synthetic, seed %g: largest difference %.2g of the root mean square\n",
            number(truth, "seed"), worst);
        seen_free(&s);
    }
    free(tokens);
    rr_model_close(&model);
    rr_buf_destroy(&storage);
}

/* Blocks of tokens, threads and cache precision: the first two change no bit, the last one
 * little. */
static void check_options(void) {
    rr_buf storage = {0};
    rr_model *model = NULL;
    rr_diag diag = {0};
    CHECK_OK(
        rr_synth_open(&(rr_synth){.n_context = 1024, .seed = 3}, &storage, &model, &diag), diag);
    enum { N = 600 }; /* more than a block */
    int32_t tokens[N];
    for (int i = 0; i < N; i++) {
        tokens[i] = (i * 131 + i / 7) % 320;
    }
    const char *positions = "[{\"position\":20},{\"position\":519},{\"position\":599}]";
    yyjson_doc *rows = yyjson_read(positions, strlen(positions), 0);
    CHECK(rows != NULL);
    seen a, b, c, d;
    yyjson_val *list = yyjson_doc_get_root(rows);
    if (run(model, &(rr_ref_model_params){.n_context = N, .n_threads = 2}, tokens, N, list, &a) &&
        run(model, &(rr_ref_model_params){.n_context = N, .n_threads = 1}, tokens, N, list, &b) &&
        run(model, &(rr_ref_model_params){.n_context = N, .kv_f16 = true}, tokens, N, list, &c) &&
        run(model, &(rr_ref_model_params){.n_context = 21}, tokens, 21, list, &d)) {
        size_t row = a.n_vocab * sizeof *a.logits;
        CHECK(memcmp(a.logits, b.logits, 3 * row) == 0);
        CHECK(memcmp(a.logits, d.logits, row) == 0);
        double squares = 0, error = 0;
        for (size_t i = 0; i < 3 * a.n_vocab; i++) {
            squares += (double)a.logits[i] * (double)a.logits[i];
            error += ((double)a.logits[i] - (double)c.logits[i]) *
                ((double)a.logits[i] - (double)c.logits[i]);
        }
        CHECK_MSG(error > 0 && error < 1e-5 * squares,
            "f16 cache: normalised mean square error %.3g", error / squares);
        seen_free(&a), seen_free(&b), seen_free(&c), seen_free(&d);
    }
    yyjson_doc_free(rows);

    rr_ref_model *ref = NULL;
    CHECK_OK(rr_ref_model_create(model, &(rr_ref_model_params){.n_context = 4}, &ref, &diag), diag);
    const rr_ref_observer nothing = {0};
    CHECK_INT(rr_ref_forward(ref, tokens, 5, &nothing, &diag), RR_E_USAGE);
    CHECK_INT(rr_ref_forward(ref, tokens, 0, &nothing, &diag), RR_E_USAGE);
    tokens[1] = 320;
    CHECK_INT(rr_ref_forward(ref, tokens, 2, &nothing, &diag), RR_E_USAGE);
    tokens[1] = -1;
    CHECK_INT(rr_ref_forward(ref, tokens, 2, &nothing, &diag), RR_E_USAGE);
    rr_ref_model_destroy(&ref);
    rr_model_close(&model);
    rr_buf_destroy(&storage);
}

int main(void) {
    yyjson_doc *doc = read_json("tests/data/truth_tiny.json");
    yyjson_val *models = yyjson_obj_get(yyjson_doc_get_root(doc), "models"), *truth;
    size_t i, n;
    yyjson_arr_foreach(models, i, n, truth) {
        check_tiny(truth);
    }
    CHECK(n >= 2);
    check_options();
    yyjson_doc_free(doc);
    return CHECK_END();
}
