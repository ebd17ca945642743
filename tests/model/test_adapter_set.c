/* Adapters in use: what several add to a weight, how they are told apart, what is refused. */
#include <math.h>

#include "runtime/base/folder.h"
#include "runtime/model/adapted.h"
#include "tests/check.h"
#include "tests/support/folder.h"
#include "tests/support/synth.h"

enum { D = 64, RANK = 2 }; /* the width of rr_synth's default model */
static char folder[256];
static rr_diag diag;

/* One pair, of q_proj of the layer, at folder/name. */
static void write_one(const char *name, uint32_t layer, float first, float b, double scale) {
    char path[300];
    float values_a[RANK * D], values_b[D * RANK];
    for (uint32_t i = 0; i < RANK * D; i++) {
        values_a[i] = first + (float)i;
        values_b[i] = b;
    }
    rr_adapter_pair pair = {.role = RR_ROLE_Q, .layer = layer, .rank = RANK, .scale = scale};
    pair.a =
        (rr_weight){.type = RR_Q_F32, .rows = RANK, .cols = D, .data = (const uint8_t *)values_a};
    pair.b =
        (rr_weight){.type = RR_Q_F32, .rows = D, .cols = RANK, .data = (const uint8_t *)values_b};
    const rr_adapter adapter = {.pairs = &pair, .n_pairs = 1, .base = ""};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(rr_adapter_write(&adapter, path, &diag), diag);
}

static rr_adapter_use use_of(const char *name, double factor) {
    static char paths[8][300];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return (rr_adapter_use){path, factor};
}

static uint64_t digest_of(const rr_adapter_use *uses, size_t n) {
    rr_adapter_set *set = NULL;
    CHECK_OK(rr_adapter_set_open(uses, n, &set, &diag), diag);
    const uint64_t digest = rr_adapter_set_digest(set);
    CHECK(digest != 0);
    rr_adapter_set_close(&set);
    return digest;
}

/* Ranks one behind the other, each with its own scale. */
static void adds(void) {
    rr_adapter_set *set = NULL;
    const rr_adapter_use uses[] = {use_of("one", 1), use_of("other", 0.5), use_of("third", 1)};
    CHECK_OK(rr_adapter_set_open(uses, 3, &set, &diag), diag);
    if (set == NULL) {
        return;
    }
    CHECK_INT(rr_adapter_set_n(set), 3);
    CHECK_INT(rr_adapter_set_rank(set, 0, RR_ROLE_Q), 2 * RANK);
    CHECK_INT(rr_adapter_set_rank(set, 1, RR_ROLE_Q), RANK);
    CHECK_INT(rr_adapter_set_rank(set, 0, RR_ROLE_K), 0);
    float a[2 * RANK * D], b[2 * RANK];
    rr_adapter_set_a(set, 0, RR_ROLE_Q, a);
    rr_adapter_set_b(set, 0, RR_ROLE_Q, 3, b);
    CHECK(a[0] == 1 && a[RANK * D] == 100 && a[2 * RANK * D - 1] == 100 + RANK * D - 1);
    CHECK(b[0] == 6 && b[1] == 6 && b[2] == -2.5f && b[3] == -2.5f);
    rr_adapter_set_close(&set);
    CHECK_INT(rr_adapter_set_rank(NULL, 0, RR_ROLE_Q), 0);
    CHECK(rr_adapter_set_digest(NULL) == 0);
}

static void tells_apart(void) {
    const rr_adapter_use one = use_of("one", 1), weaker = use_of("one", 0.5),
                         file = use_of("one.gguf", 1), other = use_of("other", 1);
    const rr_adapter_use both[] = {one, other};
    CHECK(digest_of(&one, 1) == digest_of(&file, 1));
    CHECK(digest_of(&one, 1) != digest_of(&weaker, 1));
    CHECK(digest_of(&one, 1) != digest_of(&other, 1));
    CHECK(digest_of(both, 2) != digest_of(&one, 1));
}

static void adapts(void) {
    rr_buf storage = {0};
    rr_model *model = NULL;
    CHECK_OK(rr_synth_open(&(rr_synth){.seed = 3}, &storage, &model, &diag), diag);
    if (model != NULL) {
        const uint64_t before = rr_model_fingerprint(model);
        const rr_adapter_use beyond = use_of("beyond", 1), one = use_of("one", 1);
        CHECK(rr_model_adapt(model, &beyond, 1, &diag) == RR_E_INPUT && model->adapters == NULL);
        CHECK(strstr(diag.text, "has 2 layers") != NULL);
        CHECK_OK(rr_model_adapt(model, NULL, 0, &diag), diag);
        CHECK(rr_model_fingerprint(model) == before);
        CHECK_OK(rr_model_adapt(model, &one, 1, &diag), diag);
        CHECK(rr_model_fingerprint(model) != before);
    }
    rr_model_close(&model);
    rr_buf_destroy(&storage);
}

static void refuses(void) {
    rr_adapter_set *set = NULL;
    const rr_adapter_use uses[] = {use_of("one", 1), use_of("absent", 1)};
    CHECK(rr_adapter_set_open(uses, 2, &set, &diag) == RR_E_IO && set == NULL);
    static const struct {
        float a, b;
        double scale;
        const char *word;
    } faults[] = {{NAN, 1, 1, "lora_A has the value nan"}, {0, INFINITY, 1, "lora_B"},
        {0, 1e30f, 1e30, "times 1e+30, at [0, 0]"}};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        write_one("fault", 0, faults[i].a, faults[i].b, faults[i].scale);
        const rr_adapter_use use = use_of("fault", 1);
        CHECK(rr_adapter_set_open(&use, 1, &set, &diag) == RR_E_INPUT && set == NULL);
        CHECK_MSG(strstr(diag.text, faults[i].word) != NULL, "\"%s\"", diag.text);
    }
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    CHECK_OK(rr_folder_make(folder, &diag), diag);
    write_one("one", 0, 1, 3, 2);
    write_one("one.gguf", 0, 1, 3, 2);
    write_one("other", 0, 100, -5, 1);
    write_one("third", 1, 0, 1, 1);
    write_one("beyond", 7, 0, 1, 1);
    adds();
    tells_apart();
    adapts();
    refuses();
    rr_folder_remove(folder);
    return CHECK_END();
}
