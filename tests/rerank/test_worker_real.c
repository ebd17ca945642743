/* The real model's answers hand over: two windows of one query on two workers give the bytes of
 * one. */
#include "tests/check.h"

#include "rerank/execute.h"
#include "rerank/report/run_out.h"
#include "rerank/worker.h"
#include "tests/support/real_model.h"

enum { N_PASSAGES = 6 };

static const char *const texts[N_PASSAGES] = {
    "A flea can live up to a year, but its general lifespan depends on its living conditions.",
    "Paris is the capital of France.",
    "The life cycle of a flea can last anywhere from 20 days to an entire year.",
    "Dogs need a walk twice a day.",
    "Flea eggs hatch within a week and the larvae spin cocoons.",
    "The rain in Spain stays mainly in the plain.",
};
static rr_passage passages[N_PASSAGES];
static const rr_query query = {.qid = "q",
    .text = {"how long is life cycle of flea", 30},
    .passages = passages,
    .n = N_PASSAGES};

static rr_status take(void *user, size_t index, rr_ranking *ranking, rr_diag *diag) {
    (void)index;
    ranking->time_ns = 0;
    for (size_t i = 0; i < ranking->n_windows; i++) {
        rr_window_result *window = &ranking->windows[i];
        window->time_ns = window->prompt_ns = window->generate_ns = window->reused_tokens =
            window->shared_tokens = 0;
    }
    const rr_run_out json = {.format = RR_RUN_JSONL};
    return rr_run_query(&json, &query, ranking, 0, user, diag);
}

static void run(rr_engine *engine, rr_session **sessions, size_t n_workers, rr_buf *out) {
    rr_model_responder models[2];
    rr_worker workers[2];
    rr_diag diag = {0};
    rr_rank_counts counts = {0};
    for (size_t i = 0; i < n_workers; i++) {
        models[i] = (rr_model_responder){.engine = engine,
            .session = sessions[i],
            .style = RR_PROMPT_RANKGPT,
            .how.max_tokens = 60};
        CHECK_OK(rr_model_worker_make(&models[i], &workers[i], &diag), diag);
    }
    rr_execute_params params = {.queries = &query,
        .n_queries = 1,
        .rank = {.window = 4, .step = 2, .style = RR_PROMPT_RANKGPT},
        .workers = workers,
        .n_workers = n_workers,
        .on_ranking = take,
        .user = out,
        .counts = &counts};
    CHECK_OK(rr_execute(&params, &diag), diag);
    CHECK_INT(counts.n_windows, 2);
    printf(
        "%zu workers: %zu prompt tokens, computed %zu alone, %zu early, %zu ahead; begun early %zu, redone %zu\n",
        n_workers, (size_t)counts.prompt_tokens, (size_t)counts.critical_tokens,
        (size_t)counts.early_tokens, (size_t)counts.ahead_tokens, (size_t)counts.n_early,
        (size_t)counts.n_redone);
}

int main(void) {
    rr_buf path = {0}, plain = {0}, other = {0};
    if (!rr_real_model_path(&path)) {
        rr_buf_destroy(&path);
        CHECK_SKIP("set REARANK_TEST_MODEL");
    }
    rr_diag diag = {0};
    rr_engine *engine = NULL;
    rr_session *sessions[2] = {0};
    for (size_t i = 0; i < N_PASSAGES; i++) {
        passages[i] = (rr_passage){.id = texts[i], .text = {texts[i], strlen(texts[i])}};
    }
    rr_engine_params params = {
        .compute.model_path = path.data, .compute.n_context = 1024, .n_sessions = 2};
    CHECK_OK(rr_engine_open(&params, &engine, &diag), diag);
    for (size_t i = 0; engine != NULL && i < 2; i++) {
        CHECK_OK(rr_session_create(engine, &sessions[i], &diag), diag);
    }
    if (sessions[1] != NULL) {
        run(engine, sessions, 1, &plain);
        run(engine, sessions, 2, &other);
        CHECK_MSG(plain.bytes == other.bytes && memcmp(plain.data, other.data, plain.bytes) == 0,
            "other bytes:\n%s\n%s", plain.data, other.data);
    }
    rr_session_destroy(&sessions[0]);
    rr_session_destroy(&sessions[1]);
    rr_engine_close(&engine);
    rr_buf_destroy(&path);
    rr_buf_destroy(&plain);
    rr_buf_destroy(&other);
    return CHECK_END();
}
