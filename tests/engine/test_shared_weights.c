/* Small folders with known results, where they are at hand, through the device: logits of the float
 * graph near the true ones, and of every graph near the reference of the same rounded weights. */
#include <math.h>

#include "runtime/base/file.h"
#include "runtime/base/folder.h"
#include "runtime/model/folder.h"
#include "runtime/ref/ref.h"
#include "tests/engine/small.h"

/* From the true logits, the largest of which are 34 to 45: the KV cache is f16. From a reference with
 * such a cache, where a key in the middle of two f16 may be rounded the other way. */
static const double LIMIT = 0.02, LIMIT_KV_F16 = 5e-3;
/* Activations of 8 or 12 bits, by the root mean square of the logits. */
static const double ROUGH = 0.05;
enum { N = 12, N_VOCAB = 300 };
/* As in every expected.json. */
static const int32_t tokens[N] = {1, 17, 42, 299, 0, 128, 255, 64, 200, 7, 283, 33};
static rr_diag diag;
static char root[512];

typedef struct rows {
    float logits[N][N_VOCAB];
    size_t n;
} rows;

static rr_status keep_row(void *user, size_t position, const float *logits, rr_diag *d) {
    rows *r = user;
    (void)d;
    if (position < N) {
        memcpy(r->logits[position], logits, sizeof r->logits[0]);
        r->n++;
    }
    return RR_OK;
}

/* The largest difference, and how many rows have another best token. */
static double difference(const rows *a, const rows *b, double *mean_square, int *n_other) {
    double worst = 0, squares = 0;
    *n_other = 0;
    for (int r = 0; r < N; r++) {
        for (int i = 0; i < N_VOCAB; i++) {
            worst = fmax(worst, fabs((double)a->logits[r][i] - (double)b->logits[r][i]));
            squares += (double)b->logits[r][i] * (double)b->logits[r][i];
        }
        uint32_t best[2];
        rr_ref_argmax(a->logits[r], 1, N_VOCAB, &best[0]);
        rr_ref_argmax(b->logits[r], 1, N_VOCAB, &best[1]);
        *n_other += best[0] != best[1];
    }
    *mean_square = squares / (N * N_VOCAB);
    return worst;
}

static void run(const rr_engine_params *params, rows *out) {
    rr_engine *engine = small_open(params);
    rr_session *session = NULL;
    out->n = 0;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    CHECK_OK(rr_session_logits_all(session, tokens, N, keep_row, out, &diag), diag);
    CHECK_INT(out->n, N);
    rr_session_destroy(&session);
    small_close(&engine);
}

/* The reference with a cache of f16, over the weights that `params` open. */
static void run_reference(const rr_compute_params *params, rows *out) {
    rr_model *model = NULL;
    rr_ref_model *ref = NULL;
    out->n = 0;
    CHECK_OK(rr_compute_open_model(params, &model, &diag), diag);
    CHECK_OK(rr_ref_model_create(
                 model, &(rr_ref_model_params){.n_context = 64, .kv_f16 = true}, &ref, &diag),
        diag);
    const rr_ref_observer observer = {.logits = keep_row, .user = out};
    CHECK_OK(rr_ref_forward(ref, tokens, N, &observer, &diag), diag);
    rr_ref_model_destroy(&ref);
    rr_model_close(&model);
}

static void check_exact(const char *name, const char *path) {
    static rows found, expected;
    char file[1024];
    rr_buf bytes = {0};
    double mean_square;
    int n_other;
    snprintf(file, sizeof file, "%s/%s/expected/logits.f32", root, name);
    CHECK_OK(rr_file_read(file, 1 << 20, &bytes, &diag), diag);
    CHECK_INT(bytes.bytes, sizeof expected.logits);
    memcpy(expected.logits, bytes.data, sizeof expected.logits);
    run(
        &(rr_engine_params){
            .compute.model_path = path, .compute.n_context = 64, .compute.exact = true},
        &found);
    double d = difference(&found, &expected, &mean_square, &n_other);
    CHECK_MSG(d <= LIMIT && n_other == 0, "%s: difference %.3g, %d other tokens", name, d, n_other);
    run_reference(&(rr_compute_params){.model_path = path}, &expected);
    const double with_kv = difference(&found, &expected, &mean_square, &n_other);
    CHECK_MSG(with_kv <= LIMIT_KV_F16, "%s: difference %.3g with a cache of f16", name, with_kv);
    printf("%s, exact: %.2g, with a cache of f16 %.2g\n", name, d, with_kv);
    rr_buf_destroy(&bytes);
}

/* Float matrices quantized at the start, in each graph that can run it, against the reference of
 * the same model. */
static void check_quantized(const char *name, const char *path, const char *type) {
    static const char *const graphs[] = {"plain", "q8", "lanes"};
    static rows found, expected;
    run_reference(&(rr_compute_params){.model_path = path, .quantize = type}, &expected);
    for (size_t g = 0; g < sizeof graphs / sizeof graphs[0]; g++) {
        double mean_square;
        int n_other;
        run(&(rr_engine_params){.compute.model_path = path,
                .compute.quantize = type,
                .compute.n_context = 64,
                .compute.graph = graphs[g]},
            &found);
        const double d = difference(&found, &expected, &mean_square, &n_other);
        CHECK_MSG(d <= ROUGH * sqrt(mean_square) * 10, "%s as %s, %s: difference %.3g of %.3g",
            name, type, graphs[g], d, sqrt(mean_square));
        printf("%s as %s, %s: %.2g of %.2g\n", name, type, graphs[g], d, sqrt(mean_square));
    }
}

static bool check_folder(void *user, const char *name) {
    char path[1024];
    (void)user;
    snprintf(path, sizeof path, "%s/%s/model", root, name);
    if (rr_is_folder(path) && strncmp(name, "gguf-split", 10) != 0) {
        check_exact(name, path);
        if (strcmp(name, "dense-bf16-sharded") == 0 || strcmp(name, "gptq-int4-g128-sym") == 0) {
            check_quantized(name, path, "q8_0");
            check_quantized(name, path, "q4_0");
        }
    }
    return true;
}

int main(void) {
    const char *shared = check_shared();
    snprintf(root, sizeof root, "%s/data/weights", shared != NULL ? shared : "");
    if (shared == NULL || !rr_is_folder(root)) {
        CHECK_SKIP("no folder of weights with known results at %s", root);
    }
    CHECK_OK(rr_folder_list(root, check_folder, NULL, &diag), diag);
    return CHECK_END();
}
