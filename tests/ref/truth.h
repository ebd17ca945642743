/* Comparing a forward of the reference with the vectors of tools/dev/truth/make_vectors.py. */
#ifndef RR_TESTS_REF_TRUTH_H
#define RR_TESTS_REF_TRUTH_H

#include <math.h>

#include "runtime/ref/ref.h"
#include "tests/check.h"
#include "yyjson.h"

/* Limit on the largest difference, relative to the root mean square of the vector compared. Float32
 * roundings of 6e-8 in every activation add up to 2e-6 or 3e-6 in all the models here; a weight
 * read wrongly shows from 1e-3 up. */
static const double LIMIT = 1e-5;

/* What a forward shows is kept for all positions; the models are small and the prompts short. */
typedef struct seen {
    uint32_t d_model, n_vocab;
    size_t n;
    float *hidden; /* [layers + 1][n][d_model] */
    float *logits; /* [n_kept][n_vocab], rows of `kept` */
    const size_t *kept;
    size_t n_kept;
} seen;

static inline void on_hidden(void *user, uint32_t layer, size_t position, const float *hidden) {
    seen *s = user;
    memcpy(s->hidden + (layer * s->n + position) * s->d_model, hidden, s->d_model * sizeof *hidden);
}

static inline rr_status on_logits(void *user, size_t position, const float *logits, rr_diag *diag) {
    (void)diag;
    seen *s = user;
    for (size_t i = 0; i < s->n_kept; i++) {
        if (s->kept[i] == position) {
            memcpy(s->logits + i * s->n_vocab, logits, s->n_vocab * sizeof *logits);
        }
    }
    return RR_OK;
}

static inline double number(yyjson_val *object, const char *key) {
    return yyjson_get_num(yyjson_obj_get(object, key));
}

static double worst; /* over all vectors of a model, for the report */

/* The largest difference relative to the root mean square of the expected values. */
static inline double difference(const float *found, yyjson_val *expected) {
    double most = 0, squares = 0;
    size_t i, n;
    yyjson_val *value;
    yyjson_arr_foreach(expected, i, n, value) {
        double e = yyjson_get_num(value);
        most = fmax(most, fabs((double)found[i] - e));
        squares += e * e;
    }
    double relative = n == 0 ? INFINITY : most / sqrt(squares / (double)n);
    worst = fmax(worst, relative);
    return relative;
}

static inline yyjson_doc *read_json(const char *path) {
    yyjson_read_err error;
    yyjson_doc *doc = yyjson_read_file(path, 0, NULL, &error);
    CHECK_MSG(doc != NULL, "%s: %s", path, error.msg);
    return doc;
}

static inline int32_t *read_tokens(yyjson_val *array, size_t *n) {
    *n = yyjson_arr_size(array);
    int32_t *tokens = malloc(*n * sizeof *tokens);
    for (size_t i = 0; i < *n; i++) {
        tokens[i] = (int32_t)yyjson_get_int(yyjson_arr_get(array, i));
    }
    return tokens;
}

/* Runs the reference and keeps what it shows; `kept` are the positions of the entries of `rows`. */
static inline bool run(const rr_model *model, const rr_ref_model_params *params,
    const int32_t *tokens, size_t n, yyjson_val *rows, seen *s) {
    rr_diag diag = {0};
    rr_ref_model *ref = NULL;
    size_t n_rows = yyjson_arr_size(rows), *kept = malloc(n_rows * sizeof *kept);
    for (size_t i = 0; i < n_rows; i++) {
        kept[i] = (size_t)number(yyjson_arr_get(rows, i), "position");
    }
    *s = (seen){.d_model = model->config.d_model,
        .n_vocab = model->config.n_vocab,
        .n = n,
        .kept = kept,
        .n_kept = n_rows};
    s->hidden = malloc((model->config.n_layers + 1) * n * s->d_model * sizeof *s->hidden);
    s->logits = malloc(n_rows * s->n_vocab * sizeof *s->logits);
    CHECK_OK(rr_ref_model_create(model, params, &ref, &diag), diag);
    if (ref == NULL) {
        return false;
    }
    const rr_ref_observer observer = {.hidden = on_hidden, .logits = on_logits, .user = s};
    rr_status status = rr_ref_forward(ref, tokens, n, &observer, &diag);
    CHECK_OK(status, diag);
    rr_ref_model_destroy(&ref);
    return status == RR_OK;
}

static inline void seen_free(seen *s) {
    free((void *)s->kept);
    free(s->hidden);
    free(s->logits);
}

static inline const float *hidden_at(const seen *s, yyjson_val *entry) {
    return s->hidden +
        ((size_t)number(entry, "layer") * s->n + (size_t)number(entry, "position")) * s->d_model;
}

#endif
