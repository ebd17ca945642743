/* Engines with adapters: the logits of the float reference that adds B A x, on every graph; the same
 * bits whatever the chunking and the company; adapters that change some products alone.
 * REARANK_TEST_FAST=1 takes the device's own graph. */
#include <unistd.h>

#include "runtime/base/folder.h"
#include "tests/engine/truth.h"
#include "tests/support/folder.h"
#include "tests/support/random_adapter.h"
#include "tests/support/synth.h"

enum { N = 90, VOCABULARY = 320 };
static int32_t tokens[N];
static char folder[256], model_path[300];
static const char *graph;
static rr_diag diag;

/* What float and quantized activations cost on random weights: as in test_truth.c and
 * test_truth_q8.c. */
static const struct {
    const char *graph;
    truth_limits limits;
} graphs[] = {
    {"plain", {1.0, 1e-8, 1e-8}}, {"q8", {0.9, 2e-3, 2e-3}}, {"lanes", {0.95, 1e-5, 5e-6}}};

static const char *path_of(const char *name) {
    static char paths[8][300]; /* of each file one */
    size_t i = 0;
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    while (paths[i][0] != '\0' && strcmp(paths[i], path) != 0) {
        i++;
    }
    snprintf(paths[i], sizeof paths[i], "%s", path);
    return paths[i];
}

/* NULL where the graph does not run. */
static rr_engine *open_with(const rr_adapter_use *uses, size_t n, uint32_t chunk) {
    rr_engine *engine = NULL;
    const rr_engine_params params = {.compute.model_path = model_path,
        .compute.adapters = uses,
        .compute.n_adapters = n,
        .compute.n_context = 128,
        .n_sessions = 4,
        .compute.prompt_chunk = chunk,
        .compute.graph = graph,
        .compute.lift = true,
        .compute.validation = getenv("REARANK_TEST_VALIDATION") != NULL};
    CHECK_OK(rr_engine_open(&params, &engine, &diag), diag);
    if (engine != NULL &&
        strcmp(rr_graph_name(rr_engine_model(engine), rr_engine_device(engine), &params.compute),
            graph) != 0) {
        rr_engine_close(&engine);
    }
    return engine;
}

static void close_engine(rr_engine **engine) {
    CHECK_INT(rr_engine_n_validation_messages(*engine), 0);
    rr_engine_close(engine);
}

static void check_truth(
    const char *what, const rr_adapter_use *uses, size_t n, const truth_limits *limits) {
    rr_engine *engine = open_with(uses, n, 37);
    rr_ref_model *ref = NULL;
    if (engine == NULL) {
        return;
    }
    CHECK_OK(rr_ref_model_create(rr_engine_model(engine),
                 &(rr_ref_model_params){.n_context = N, .kv_f16 = true}, &ref, &diag),
        diag);
    if (ref != NULL) {
        truth_check_prompt(what, engine, ref, tokens, N, limits);
    }
    rr_ref_model_destroy(&ref);
    close_engine(&engine);
}

static void sync_logits(rr_session *session, size_t n, float *out) {
    const float *logits = NULL;
    CHECK_OK(rr_session_sync(session, tokens, n, &diag), diag);
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    memcpy(out, logits, VOCABULARY * sizeof *out);
}

static void decode_logits(
    rr_engine *engine, rr_session **sessions, size_t n, const int32_t *next, float *out) {
    const float *logits = NULL;
    CHECK_OK(rr_engine_decode(engine, sessions, next, n, &diag), diag);
    CHECK_OK(rr_session_logits(sessions[0], &logits, &diag), diag);
    memcpy(out, logits, VOCABULARY * sizeof *out);
}

/* A prompt in chunks of 7 and of 64; a decode pass alone and in company. */
static void check_bits(const rr_adapter_use *uses, size_t n) {
    static float expected[VOCABULARY], found[VOCABULARY], alone[VOCABULARY];
    const int32_t next[3] = {3, 141, 59};
    for (uint32_t chunk = 7; chunk <= 64; chunk += 57) {
        rr_engine *engine = open_with(uses, n, chunk);
        rr_session *sessions[3] = {NULL, NULL, NULL};
        if (engine == NULL) {
            return;
        }
        for (int i = 0; i < 3; i++) {
            CHECK_OK(rr_session_create(engine, &sessions[i], &diag), diag);
            sync_logits(sessions[i], (size_t)(N - 20 * i), i == 0 ? found : alone);
        }
        if (chunk == 7) {
            memcpy(expected, found, sizeof expected);
        }
        CHECK_MSG(memcmp(expected, found, sizeof expected) == 0,
            "%s: chunks of %u: logits differ from those of 7", graph, chunk);
        decode_logits(engine, sessions, 1, next, alone);
        sync_logits(sessions[0], N, found);
        decode_logits(engine, sessions, 3, next, found);
        CHECK_MSG(memcmp(alone, found, sizeof alone) == 0,
            "%s: a row in company differs from the row alone", graph);
        for (int i = 0; i < 3; i++) {
            rr_session_destroy(&sessions[i]);
        }
        close_engine(&engine);
    }
}

/* With a factor of 0 an adapter changes no bit of what the same graph computes; else it does. */
static void check_effect(void) {
    static float plain[VOCABULARY], nothing[VOCABULARY], some[VOCABULARY];
    const rr_adapter_use off = {path_of("all"), 0.0}, on = {path_of("all"), 1.0};
    const struct {
        const rr_adapter_use *use;
        float *logits;
    } ways[] = {{NULL, plain}, {&off, nothing}, {&on, some}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        rr_engine *engine = open_with(ways[i].use, ways[i].use != NULL, 64);
        rr_session *session = NULL;
        if (engine == NULL) {
            return;
        }
        CHECK_OK(rr_session_create(engine, &session, &diag), diag);
        sync_logits(session, N, ways[i].logits);
        rr_session_destroy(&session);
        close_engine(&engine);
    }
    double gap = 0, noise = 0;
    for (int i = 0; i < VOCABULARY; i++) {
        gap = fmax(gap, fabs((double)some[i] - (double)plain[i]));
        noise = fmax(noise, fabs((double)nothing[i] - (double)plain[i]));
    }
    CHECK_MSG(gap > 1.0, "%s: logits differ by %g", graph, gap);
    CHECK_MSG(noise < 0.05 * gap, "%s: with a factor of 0 logits differ by %g", graph, noise);
}

static void check_refused(void) {
    rr_engine *engine = NULL;
    const rr_adapter_use use = {path_of("other"), 1.0};
    const rr_engine_params params = {
        .compute.model_path = model_path, .compute.adapters = &use, .compute.n_adapters = 1};
    CHECK(rr_engine_open(&params, &engine, &diag) == RR_E_INPUT && engine == NULL);
    CHECK_MSG(strstr(diag.text, "another model's adapter") != NULL, "\"%s\"", diag.text);
}

static void write_files(void) {
    rr_model *model = NULL;
    const rr_synth synth = {.n_layers = 3,
        .d_model = 256,
        .n_heads = 4,
        .n_kv_heads = 2,
        .head_size = 64,
        .d_ffn = 512,
        .embedding = RR_Q_Q8_0,
        .output = RR_Q_Q8_0,
        .qkv = RR_Q_Q4_0,
        .o = RR_Q_Q4_0,
        .gate_up = RR_Q_Q4_K,
        .down = RR_Q_Q6_K,
        .seed = 5};
    CHECK_OK(rr_folder_make(folder, &diag), diag);
    snprintf(model_path, sizeof model_path, "%s/model.gguf", folder);
    CHECK_OK(rr_synth_write(&synth, model_path, &diag), diag);
    CHECK_OK(rr_model_open(model_path, &model, &diag), diag);
    if (model == NULL) {
        return;
    }
    const rr_model_config *c = &model->config;
    rr_model_config other = *c;
    other.d_ffn = 576;
    const struct {
        const char *name;
        rr_random_adapter params;
        const rr_model_config *config;
    } files[] = {{"all", {.rank = 16, .seed = 1}, c},
        {"few.gguf",
            {.rank = 5,
                .roles = 1u << RR_ROLE_K | 1u << RR_ROLE_UP | 1u << RR_ROLE_O,
                .layers = 1u << 1,
                .seed = 2},
            c},
        {"down", {.rank = 40, .roles = 1u << RR_ROLE_DOWN | 1u << RR_ROLE_Q, .seed = 3}, c},
        {"other", {0}, &other}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        CHECK_OK(rr_random_adapter_write(
                     &files[i].params, files[i].config, path_of(files[i].name), &diag),
            diag);
    }
    rr_model_close(&model);
}

int main(void) {
    truth_need_device();
    rr_test_folder(folder, sizeof folder);
    for (int i = 0; i < N; i++) {
        tokens[i] = (i * i * 7 + i * 131) % VOCABULARY;
    }
    write_files();
    const rr_adapter_use all = {path_of("all"), 1.0};
    const rr_adapter_use several[] = {
        {path_of("few.gguf"), 1.0}, {path_of("all"), -0.5}, {path_of("down"), 0.75}};
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        graph = graphs[i].graph;
        printf("graph: %s\n", graph);
        check_truth("rank 16 everywhere", &all, 1, &graphs[i].limits);
        check_truth("few products", several, 1, &graphs[i].limits);
        check_truth("several", several, 3, &graphs[i].limits);
        check_bits(several, 3);
        check_effect();
    }
    check_refused();
    rr_folder_remove(folder);
    return CHECK_END();
}
