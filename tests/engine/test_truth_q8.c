/* Whole-model truth of the int8 graph on synthetic models in every weight format that it holds,
 * forced where the device would choose another: it runs everywhere. Also the same bits whatever the
 * chunking and the company. REARANK_TEST_FAST=1 takes one format. */
#include <unistd.h>

#include "tests/engine/truth.h"
#include "tests/support/folder.h"
#include "tests/support/synth.h"

/* the longer one goes over several pages of the cache */
enum { N = 90, N_LONG = 300, VOCABULARY = 320 };
static int32_t tokens[N_LONG];

static rr_engine *open_q8(const char *path, uint32_t chunk) {
    rr_engine *engine = NULL;
    rr_diag diag = {0};
    const rr_engine_params params = {.compute.model_path = path,
        .compute.n_context = N_LONG,
        .n_sessions = 4,
        .compute.prompt_chunk = chunk,
        .compute.graph = "q8",
        .compute.lift = true,
        .compute.validation = getenv("REARANK_TEST_VALIDATION") != NULL};
    CHECK_OK(rr_engine_open(&params, &engine, &diag), diag);
    if (engine != NULL) {
        CHECK_TEXT(
            rr_graph_name(rr_engine_model(engine), rr_engine_device(engine), &params.compute),
            "q8");
    }
    return engine;
}

static rr_synth shape_of(rr_qtype type, rr_qtype v) {
    return (rr_synth){.d_model = 256,
        .n_heads = 4,
        .n_kv_heads = 2,
        .head_size = 64,
        .d_ffn = 512,
        .embedding = type,
        .output = type,
        .qkv = type,
        .o = v,
        .gate_up = type,
        .down = v,
        .tied = type == RR_Q_Q8_0,
        .seed = 5};
}

/* What int8 activations cost on random weights, which no training has made robust. */
static void check_truth(rr_qtype type, const char *path) {
    rr_diag diag = {0};
    rr_synth synth = shape_of(type, type);
    CHECK_OK(rr_synth_write(&synth, path, &diag), diag);
    rr_engine *engine = open_q8(path, 37);
    rr_ref_model *ref = NULL;
    if (engine == NULL) {
        return;
    }
    const size_t n = type == RR_Q_Q4_K ? N_LONG : N;
    CHECK_OK(rr_ref_model_create(
                 rr_engine_model(engine), &(rr_ref_model_params){.n_context = N_LONG}, &ref, &diag),
        diag);
    const truth_limits limits = {0.9, 2e-3, 2e-3};
    truth_check_prompt(rr_qtype_get((uint32_t)type)->name, engine, ref, tokens, n, &limits);
    CHECK_INT(rr_engine_n_validation_messages(engine), 0);
    rr_ref_model_destroy(&ref);
    rr_engine_close(&engine);
}

static void sync_logits(rr_session *session, size_t n, float *out) {
    rr_diag diag = {0};
    const float *logits = NULL;
    CHECK_OK(rr_session_sync(session, tokens, n, &diag), diag);
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    memcpy(out, logits, VOCABULARY * sizeof *out);
}

/* Chunks of 7 and of 64; a decode pass alone and in company. */
static void check_bits(const char *path) {
    static float expected[VOCABULARY], found[VOCABULARY], alone[VOCABULARY];
    rr_diag diag = {0};
    rr_synth synth = shape_of(RR_Q_Q4_K, RR_Q_Q6_K);
    CHECK_OK(rr_synth_write(&synth, path, &diag), diag);
    for (uint32_t chunk = 7; chunk <= 64; chunk += 57) {
        rr_engine *engine = open_q8(path, chunk);
        rr_session *sessions[3] = {NULL, NULL, NULL};
        const int32_t next[3] = {3, 141, 59};
        const float *logits = NULL;
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
            "chunks of %u: logits differ from those of 7", chunk);
        CHECK_OK(rr_engine_decode(engine, &sessions[0], &next[0], 1, &diag), diag);
        CHECK_OK(rr_session_logits(sessions[0], &logits, &diag), diag);
        memcpy(alone, logits, sizeof alone);
        sync_logits(sessions[0], N, found);
        CHECK_OK(rr_engine_decode(engine, sessions, next, 3, &diag), diag);
        CHECK_OK(rr_session_logits(sessions[0], &logits, &diag), diag);
        CHECK_MSG(memcmp(alone, logits, sizeof alone) == 0,
            "a row in company differs from the row alone");
        for (int i = 0; i < 3; i++) {
            rr_session_destroy(&sessions[i]);
        }
        CHECK_INT(rr_engine_n_validation_messages(engine), 0);
        rr_engine_close(&engine);
    }
}

int main(void) {
    char path[256];
    truth_need_device();
    rr_test_file(path, sizeof path);
    for (int i = 0; i < N_LONG; i++) {
        tokens[i] = (i * i * 7 + i * 131) % VOCABULARY;
    }
    check_bits(path);
    size_t n;
    const rr_qtype_info *types = rr_qtype_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (types[i].scale_bytes != 0 && (!check_is_fast() || types[i].type == RR_Q_Q4_K)) {
            check_truth(types[i].type, path);
        }
    }
    remove(path);
    return CHECK_END();
}
