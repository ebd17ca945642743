/* Adapters that are written: what comes back from both forms, and what they cannot hold. */
#include <math.h>

#include "runtime/base/file.h"
#include "runtime/base/file_out.h"
#include "runtime/base/folder.h"
#include "runtime/model/adapter.h"
#include "tests/check.h"
#include "tests/support/folder.h"

enum { D = 64, FFN = 96, N = 3 };
static const uint32_t ranks[N] = {4, 3, 8};
static char folder[256];
static rr_diag diag;
static float values[D * FFN];

/* Three pairs of two layers. Q8_0 stands in A alone, as B's columns are too few for a block. */
static void make(rr_adapter *out, rr_adapter_pair *pairs, rr_qtype type, const double *scales) {
    static const rr_role roles[N] = {RR_ROLE_Q, RR_ROLE_DOWN, RR_ROLE_Q};
    static uint8_t bytes[2 * N][D * FFN * 4];
    for (uint32_t i = 0; i < N; i++) {
        const uint32_t cols = roles[i] == RR_ROLE_DOWN ? FFN : D;
        const rr_qtype type_b = type == RR_Q_Q8_0 ? RR_Q_F16 : type;
        rr_blocks_quantize(type, values + i, ranks[i] * cols, bytes[2 * i]);
        rr_blocks_quantize(type_b, values + i + 7, ranks[i] * D, bytes[2 * i + 1]);
        pairs[i] = (rr_adapter_pair){.role = roles[i], .layer = i / 2, .rank = ranks[i]};
        pairs[i].a = (rr_weight){
            .type = type, .rows = ranks[i], .cols = cols, .data = bytes[2 * i], .bytes = 1};
        pairs[i].b = (rr_weight){
            .type = type_b, .rows = D, .cols = ranks[i], .data = bytes[2 * i + 1], .bytes = 1};
        pairs[i].scale = scales[i];
    }
    *out = (rr_adapter){.pairs = pairs,
        .n_pairs = N,
        .base = "org/a \"name\" \xc3\xa9",
        .base_fingerprint = 0x0123456789abcdefu};
}

/* The largest difference of scale · B, and whether A is the same. */
static double difference(const rr_adapter_pair *a, const rr_adapter_pair *b) {
    static float one[D * FFN], other[D * FFN];
    double most = 0;
    rr_weight_unpack(&a->a, 0, a->rank, one);
    rr_weight_unpack(&b->a, 0, a->rank, other);
    if (memcmp(one, other, (size_t)a->rank * a->a.cols * sizeof *one) != 0) {
        return INFINITY;
    }
    rr_weight_unpack(&a->b, 0, D, one);
    rr_weight_unpack(&b->b, 0, D, other);
    for (size_t i = 0; i < (size_t)D * a->rank; i++) {
        const double gap = fabs(a->scale * (double)one[i] - b->scale * (double)other[i]);
        most = gap > most ? gap : most;
    }
    return most;
}

static void same(
    const char *what, const rr_adapter *adapter, const char *path, bool is_gguf, double bound) {
    rr_adapter *read = NULL;
    CHECK_OK(rr_adapter_open(path, &read, &diag), diag);
    if (read == NULL) {
        return;
    }
    CHECK_INT(read->n_pairs, N);
    CHECK_TEXT(read->base, is_gguf ? "org/a \"name\" ??" : adapter->base);
    CHECK(read->base_fingerprint == adapter->base_fingerprint);
    for (size_t i = 0; i < N && read->n_pairs == N; i++) {
        const rr_adapter_pair *a = &adapter->pairs[i], *b = &read->pairs[i];
        CHECK(a->role == b->role && a->layer == b->layer && a->rank == b->rank);
        const double gap = difference(a, b);
        CHECK_MSG(gap <= bound, "%s, pair %zu: %g apart, %g allowed", what, i, gap, bound);
        CHECK_MSG(is_gguf || b->scale == a->scale, "%s, pair %zu: scale %.17g, %.17g expected",
            what, i, b->scale, a->scale);
    }
    rr_adapter_close(&read);
}

/* To a folder, from there to a file and back: nothing is lost but by rounding. */
static void keeps(const char *what, rr_qtype type, const double *scales, double bound) {
    rr_adapter adapter, *read = NULL;
    rr_adapter_pair pairs[N];
    char first[300], file[300], second[300];
    snprintf(first, sizeof first, "%s/first", folder);
    snprintf(second, sizeof second, "%s/second/deep", folder);
    snprintf(file, sizeof file, "%s/a.GGUF", folder);
    make(&adapter, pairs, type, scales);
    CHECK_OK(rr_adapter_write(&adapter, first, &diag), diag);
    same(what, &adapter, first, false, 0);
    CHECK_OK(rr_adapter_open(first, &read, &diag), diag);
    if (read != NULL) {
        CHECK_OK(rr_adapter_write(read, file, &diag), diag);
        rr_adapter_close(&read);
        same(what, &adapter, file, true, bound);
    }
    CHECK_OK(rr_adapter_open(file, &read, &diag), diag);
    if (read != NULL) {
        CHECK_OK(rr_adapter_write(read, second, &diag), diag);
        rr_adapter_close(&read);
        CHECK_OK(rr_adapter_open(second, &read, &diag), diag);
    }
    for (size_t i = 0; read != NULL && i < N; i++) {
        CHECK_MSG(difference(&pairs[i], &read->pairs[i]) <= bound, "%s, pair %zu", what, i);
    }
    rr_adapter_close(&read);
    rr_folder_remove(folder);
}

static void keeps_all(void) {
    /* one alpha of 8, with which the scale of rank 3 has endless digits */
    const double one_alpha[N] = {2, 8.0 / 3, 1};
    const double several[N] = {0.5, 1.0 / 3, 16 / sqrt(8.0)};
    const double none_first[N] = {0, 8.0 / 3, -1}, none[N] = {0, 0, 0};
    const rr_qtype types[] = {RR_Q_F32, RR_Q_F16, RR_Q_BF16, RR_Q_Q8_0};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        keeps("one alpha", types[i], one_alpha, 0);
        keeps("several alphas", types[i], several, 1e-6);
        keeps("none for the first", types[i], none_first, 1e-6);
        keeps("none at all", types[i], none, 0);
    }
}

static void replaces(void) {
    const double old_scales[N] = {2, 2, 2}, scales[N] = {1, 1, 1};
    rr_adapter adapter;
    rr_adapter_pair pairs[N];
    char path[300];
    rr_buf text = {0};
    make(&adapter, pairs, RR_Q_F32, old_scales);
    CHECK_OK(rr_adapter_write(&adapter, folder, &diag), diag);
    snprintf(path, sizeof path, "%s/README.md", folder);
    CHECK_OK(rr_file_write_atomic(path, "mine", 4, &diag), diag);
    make(&adapter, pairs, RR_Q_F16, scales);
    CHECK_OK(rr_adapter_write(&adapter, folder, &diag), diag);
    CHECK_OK(rr_adapter_write(&adapter, folder, &diag), diag);
    same("a second time", &adapter, folder, false, 0);
    CHECK(rr_file_read(path, 100, &text, &diag) == RR_OK && text.bytes == 4);
    rr_buf_destroy(&text);
    rr_folder_remove(folder);
}

static void refuses(void) {
    const double large[N] = {1e300, 1, 1}, larger[N] = {1e308, 1, 1}, plain[N] = {1, 1, 1};
    rr_adapter adapter;
    rr_adapter_pair pairs[N];
    char path[300];
    CHECK_OK(rr_folder_make(folder, &diag), diag);
    snprintf(path, sizeof path, "%s/a.gguf", folder);
    make(&adapter, pairs, RR_Q_F32, large);
    CHECK(rr_adapter_write(&adapter, path, &diag) == RR_E_UNSUPPORTED);
    CHECK(strstr(diag.text, "1e+300") != NULL);
    CHECK(rr_file_look(path, &(uint64_t){0}) == RR_FILE_NONE);
    make(&adapter, pairs, RR_Q_F32, larger);
    CHECK(rr_adapter_write(&adapter, folder, &diag) == RR_E_UNSUPPORTED);
    make(&adapter, pairs, RR_Q_F32, plain);
    CHECK_OK(rr_file_write_atomic(path, "x", 1, &diag), diag);
    snprintf(path, sizeof path, "%s/a.gguf/b", folder);
    CHECK(rr_adapter_write(&adapter, path, &diag) == RR_E_IO);
    rr_folder_remove(folder);
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    for (size_t i = 0; i < D * FFN; i++) {
        values[i] = (float)((int)(i * 37 % 15) - 7) / 8.0f;
    }
    keeps_all();
    replaces();
    refuses();
    return CHECK_END();
}
