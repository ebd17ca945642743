/* Models as workers: a prompt's start in tokens, and the executor over real sessions of a small
 * generated model, whose rankings are those of one session whatever the number of workers. */
#define _GNU_SOURCE
#include "tests/check.h"

#include <time.h>
#include <unistd.h>

#include "rerank/execute.h"
#include "rerank/report/run_out.h"
#include "rerank/worker.h"
#include "tests/support/synth.h"

enum { N_PASSAGES = 9, N_QUERIES = 2, MAX_WORKERS = 4 };

static const char *const texts[N_PASSAGES] = {"one", "two words", "  three\n\n", "<|im_end|>\n",
    "[12] 5", "\xFF\xC3", "", "end.\n \n", "nine"};
static rr_passage passages[N_PASSAGES];
static bool is_short; /* the engine keeps fewer tokens than its sessions could have */
static char ids[N_PASSAGES][8];
static rr_query queries[N_QUERIES];

static void make_queries(void) {
    for (size_t i = 0; i < N_PASSAGES; i++) {
        snprintf(ids[i], sizeof ids[i], "d%zu", i);
        passages[i] = (rr_passage){.id = ids[i], .text = {texts[i], strlen(texts[i])}};
    }
    queries[0] =
        (rr_query){.qid = "q0", .text = {"which", 5}, .passages = passages, .n = N_PASSAGES};
    queries[1] = (rr_query){.qid = "q1", .text = {"what \n", 6}, .passages = passages + 1, .n = 6};
}

/* The start's tokens are the whole prompt's first ones, whatever the passages, and all but the
 * rest's. */
static void check_start(const rr_tokenizer *tokenizer, rr_prompt_style style) {
    rr_diag diag = {0};
    rr_prompt whole = {0};
    rr_tokens all = {0};
    CHECK_OK(rr_prompt_build(
                 &(rr_prompt_form){.style = style}, &queries[0], NULL, N_PASSAGES, &whole, &diag),
        diag);
    CHECK_OK(rr_chat_encode(tokenizer, whole.messages, whole.n, true, &all, &diag), diag);
    size_t before = 0;
    for (size_t n_known = 0; n_known <= N_PASSAGES; n_known++) {
        rr_prompt start = {0};
        rr_tokens tokens = {0};
        CHECK_OK(rr_prompt_build_start(&(rr_prompt_form){.style = style}, &queries[0], NULL,
                     n_known, N_PASSAGES, &start, &diag),
            diag);
        CHECK_OK(rr_prompt_start_tokens(tokenizer, &start, &tokens, &diag), diag);
        CHECK(tokens.n > before && tokens.n < all.n &&
            memcmp(tokens.ids, all.ids, tokens.n * sizeof *all.ids) == 0);
        CHECK_INT(start.n, 3 + (style == RR_PROMPT_REARANK ? 2 : 1) * n_known);
        before = tokens.n;
        rr_tokens_destroy(&tokens);
        rr_prompt_destroy(&start);
    }
    rr_tokens_destroy(&all);
    rr_prompt_destroy(&whole);
}

typedef struct outcome_state {
    rr_buf text;
    rr_rank_counts counts;
    uint64_t max_reused; /* of a query's windows but the first */
} outcome_state;

static rr_status take(void *user, size_t query, rr_ranking *ranking, rr_diag *diag) {
    outcome_state *out = user;
    rr_run_out json = {.format = RR_RUN_JSONL, .many = true};
    ranking->time_ns = 0;
    for (size_t i = 0; i < ranking->n_windows; i++) {
        rr_window_result *window = &ranking->windows[i];
        out->max_reused = i > 0 && window->reused_tokens > out->max_reused ? window->reused_tokens
                                                                           : out->max_reused;
        window->time_ns = window->prompt_ns = window->generate_ns = window->reused_tokens =
            window->shared_tokens = 0;
    }
    RR_TRY(rr_run_record(&queries[query], ranking, &out->text, diag));
    return rr_run_query(&json, &queries[query], ranking, query, &out->text, diag);
}

/* A model whose answer about the first window waits (10 s at most) until a prompt is prepared, so
 * that the test does not hang on who is faster. */
typedef struct patient_worker {
    rr_worker inner;
    atomic_size_t *n_prepares;
    bool waits;
} patient_worker;

static rr_status respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    const patient_worker *worker = user;
    for (size_t ms = 0;
         worker->waits && call->index == 0 && atomic_load(worker->n_prepares) == 0 && ms < 10000;
         ms++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return worker->inner.responder.respond(worker->inner.responder.user, call, reply, diag);
}

static rr_status prepare(void *user, const rr_call *call, uint64_t *n_computed, rr_diag *diag) {
    const patient_worker *worker = user;
    rr_status status = worker->inner.prepare(worker->inner.responder.user, call, n_computed, diag);
    atomic_fetch_add(worker->n_prepares, 1);
    return status;
}

static void cancel(void *user) {
    const patient_worker *worker = user;
    worker->inner.cancel(worker->inner.responder.user);
}

static bool is_pipelined(const rr_rank_params *rank, size_t n_queries, size_t n_workers) {
    return !is_short && n_queries == 1 && n_workers > 1 && rank->schedule == RR_SCHEDULE_SLIDING;
}

static void run(rr_model_responder *models, const rr_rank_params *rank, size_t n_queries,
    size_t n_workers, outcome_state *out) {
    rr_worker workers[MAX_WORKERS];
    patient_worker patient[MAX_WORKERS];
    atomic_size_t n_prepares = 0;
    rr_diag diag = {0};
    *out = (outcome_state){0};
    for (size_t i = 0; i < n_workers; i++) {
        models[i].style = rank->style;
        patient[i] = (patient_worker){
            .n_prepares = &n_prepares, .waits = is_pipelined(rank, n_queries, n_workers)};
        CHECK_OK(rr_model_worker_make(&models[i], &patient[i].inner, &diag), diag);
        CHECK((patient[i].inner.prepare == NULL) == is_short);
        workers[i] = (rr_worker){{respond, &patient[i]}, is_short ? NULL : prepare, cancel};
    }
    rr_execute_params params = {.queries = queries,
        .n_queries = n_queries,
        .rank = *rank,
        .workers = workers,
        .n_workers = n_workers,
        .on_ranking = take,
        .user = out,
        .counts = &out->counts};
    CHECK_OK(rr_execute(&params, &diag), diag);
}

static void check_same(
    rr_model_responder *models, const rr_rank_params *rank, size_t n_queries, const char *name) {
    outcome_state plain, other;
    run(models, rank, n_queries, 1, &plain);
    for (size_t n_workers = 2; n_workers <= MAX_WORKERS; n_workers += 2) {
        run(models, rank, n_queries, n_workers, &other);
        CHECK_MSG(plain.text.bytes == other.text.bytes &&
                memcmp(plain.text.data, other.text.data, plain.text.bytes) == 0,
            "%s, %zu workers: other bytes:\n%s\n%s", name, n_workers, plain.text.data,
            other.text.data);
        CHECK(plain.counts.n_windows == other.counts.n_windows &&
            plain.counts.prompt_tokens == other.counts.prompt_tokens);
        printf(
            "%s, %zu workers: %zu windows, %zu prompt tokens, on the critical path %zu of %zu alone, ahead %zu\n",
            name, n_workers, (size_t)other.counts.n_windows, (size_t)other.counts.prompt_tokens,
            (size_t)other.counts.critical_tokens, (size_t)plain.counts.critical_tokens,
            (size_t)other.counts.ahead_tokens);
        if (is_pipelined(rank, n_queries, n_workers)) {
            /* the known passages of a later window were there when it was asked */
            CHECK(other.counts.n_prepared > 0 && other.counts.ahead_tokens > 0 &&
                other.max_reused > plain.max_reused);
            CHECK(n_workers > 2 || other.counts.critical_tokens < plain.counts.critical_tokens);
        }
        rr_buf_destroy(&other.text);
    }
    rr_buf_destroy(&plain.text);
}

static uint64_t n_computed(rr_engine *engine) {
    rr_engine_stats stats;
    rr_engine_stats_get(engine, &stats);
    return stats.prompt_tokens;
}

static void run_one(rr_model_responder *model, rr_rank_counts *counts) {
    rr_worker worker;
    rr_diag diag = {0};
    outcome_state out = {0};
    CHECK_OK(rr_model_worker_make(model, &worker, &diag), diag);
    rr_execute_params params = {.queries = queries,
        .n_queries = 1,
        .rank = {.window = 4, .step = 2, .style = RR_PROMPT_RANKGPT},
        .workers = &worker,
        .n_workers = 1,
        .on_ranking = take,
        .user = &out,
        .counts = counts};
    CHECK_OK(rr_execute(&params, &diag), diag);
    rr_buf_destroy(&out.text);
}

/* Tokens that another session has already are shared, and are not among the computed ones: of
 * windows, and of what is prepared. */
static void check_computed(rr_engine *engine, rr_model_responder *models) {
    rr_rank_counts first, second;
    rr_diag diag = {0};
    models[0].style = models[1].style = models[2].style = RR_PROMPT_RANKGPT;
    uint64_t before = n_computed(engine);
    run_one(&models[0], &first);
    CHECK_INT(first.critical_tokens, n_computed(engine) - before);
    CHECK_INT(first.shared_tokens, 0);
    before = n_computed(engine);
    run_one(&models[1], &second);
    CHECK_INT(second.prompt_tokens, first.prompt_tokens);
    CHECK(second.shared_tokens > 0);
    CHECK_INT(second.critical_tokens, n_computed(engine) - before);

    rr_worker worker;
    rr_prompt prompt = {0};
    rr_call call = {.query = &queries[0], .n = N_PASSAGES, .prompt = &prompt};
    uint64_t n_prepared = 0;
    CHECK_OK(rr_prompt_build_start(&(rr_prompt_form){.style = RR_PROMPT_RANKGPT}, &queries[0], NULL,
                 0, 4, &prompt, &diag),
        diag);
    CHECK_OK(rr_model_worker_make(&models[2], &worker, &diag), diag);
    before = n_computed(engine);
    CHECK_OK(worker.prepare(worker.responder.user, &call, &n_prepared, &diag), diag);
    CHECK_INT(n_prepared, n_computed(engine) - before);
    CHECK(rr_session_n_shared(models[2].session) > 0);
    rr_prompt_destroy(&prompt);
}

static void check_engine(const char *path, uint32_t kv_tokens) {
    rr_diag diag = {0};
    rr_engine *engine = NULL;
    rr_session *sessions[MAX_WORKERS] = {0};
    rr_model_responder models[MAX_WORKERS];
    rr_engine_params params = {.compute.model_path = path,
        .compute.n_context = 2048,
        .n_sessions = MAX_WORKERS,
        .kv_tokens = kv_tokens};
    is_short = kv_tokens != 0;
    CHECK_OK(rr_engine_open(&params, &engine, &diag), diag);
    for (size_t i = 0; engine != NULL && i < MAX_WORKERS; i++) {
        CHECK_OK(rr_session_create(engine, &sessions[i], &diag), diag);
        models[i] =
            (rr_model_responder){.engine = engine, .session = sessions[i], .how.max_tokens = 6};
    }
    if (engine != NULL) {
        const rr_tokenizer *tokenizer = NULL;
        CHECK_OK(rr_engine_tokenizer(engine, &tokenizer, &diag), diag);
        check_start(tokenizer, RR_PROMPT_REARANK);
        check_start(tokenizer, RR_PROMPT_RANKGPT);
        if (!is_short) {
            check_computed(engine, models);
        }
        check_same(models, &(rr_rank_params){.window = 4, .step = 2}, 1, "sliding");
        check_same(models, &(rr_rank_params){.window = 4, .step = 2}, 2, "sliding, two queries");
        check_same(
            models, &(rr_rank_params){.window = 4, .schedule = RR_SCHEDULE_TOPDOWN}, 1, "topdown");
        check_same(models, &(rr_rank_params){.window = 4, .step = 2, .style = RR_PROMPT_RANKGPT}, 1,
            "sliding, no thinking");
        rr_engine_stats stats;
        rr_engine_stats_get(engine, &stats);
        printf("%llu pages lost to others\n", (unsigned long long)stats.evictions);
        CHECK((stats.evictions > 0) == is_short);
    }
    for (size_t i = 0; i < MAX_WORKERS; i++) {
        rr_session_destroy(&sessions[i]);
    }
    rr_engine_close(&engine);
}

int main(void) {
    char path[256];
    rr_synth synth = {.n_context = 4096, .with_vocabulary = true, .seed = 3};
    rr_synth_file(&synth, path, sizeof path);
    make_queries();
    check_engine(path, 0);
    check_engine(path, 2048);
    remove(path);
    return CHECK_END();
}
