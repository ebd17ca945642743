/* Little engines for the tests of sessions: a model of mixed formats that every graph can run. */
#ifndef RR_TESTS_ENGINE_SMALL_H
#define RR_TESTS_ENGINE_SMALL_H

#include "runtime/engine/internal.h"
#include "tests/check.h"
#include "tests/support/synth.h"

static const rr_synth small_model = {.d_model = 256,
    .head_size = 64,
    .d_ffn = 512,
    .n_vocab = 400,
    .with_vocabulary = true,
    .embedding = RR_Q_Q8_0,
    .output = RR_Q_Q6_K,
    .qkv = RR_Q_Q5_0,
    .o = RR_Q_Q4_0,
    .gate_up = RR_Q_Q4_K,
    .down = RR_Q_Q5_K};

/* With validation when the environment asks for it. Ends the test where there is no device, or no
 * engine comes of it. */
static inline rr_engine *small_open(const rr_engine_params *params) {
    rr_diag diag = {0};
    rr_engine *engine = NULL;
    rr_engine_params validated = *params;
    validated.compute.validation = getenv("REARANK_TEST_VALIDATION") != NULL;
    validated.compute.lift = true;
    rr_status status = rr_engine_open(&validated, &engine, &diag);
    if (status == RR_E_DEVICE) {
        CHECK_SKIP("%s", diag.text);
    }
    CHECK_OK(status, diag);
    if (engine == NULL) {
        exit(1);
    }
    return engine;
}

static inline void small_close(rr_engine **engine) {
    CHECK_INT(rr_engine_n_validation_messages(*engine), 0);
    rr_engine_close(engine);
    CHECK(*engine == NULL);
}

/* Runs `test` once for each graph, whose name stands in `*graph` meanwhile: lanes, where the device
 * has it, plain and q8. Fast: the kernels of q8 are checked there, its sessions on other
 * devices. */
static inline void small_on_graphs(const char *model_path, const char **graph, void (*test)(void)) {
    static const char *const names[] = {"lanes", "plain", "q8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rr_engine *engine = small_open(&(rr_engine_params){
            .compute.model_path = model_path, .compute.n_context = 64, .compute.graph = names[i]});
        const bool runs = strcmp(rr_graph_kind_name(engine->compute->graph_kind), names[i]) == 0 &&
            !(check_is_fast() && strcmp(names[i], "q8") == 0);
        small_close(&engine);
        printf("graph: %s%s\n", names[i], runs ? "" : ", not here");
        if (runs) {
            *graph = names[i];
            test();
            *graph = NULL;
        }
    }
}

#endif
