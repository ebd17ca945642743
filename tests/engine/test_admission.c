/* A KV cache smaller than what its sessions could fill: a session with a reservation keeps its
 * pages, one without loses those that others need and computes them again, and no session's bits
 * change. */
#include <pthread.h>
#include <unistd.h>

#include "runtime/base/thread.h"
#include "runtime/engine/session_hold.h"
#include "tests/engine/small.h"

enum {
    P = RR_KV_PAGE,
    N_CONTEXT = 4 * P,
    N_PAGES = 5,
    N_THREADS = 4,
    N_ROUNDS = 4,
    N_ANSWER = 9,
    N_VOCAB = 400
};

static char model_path[256];
static const char *graph; /* under test */

static rr_engine *open_engine(uint32_t kv_tokens) {
    const rr_engine_params params = {.compute.model_path = model_path,
        .compute.n_context = N_CONTEXT,
        .n_sessions = N_THREADS,
        .compute.prompt_chunk = 64,
        .kv_tokens = kv_tokens,
        .compute.graph = graph};
    return small_open(&params);
}

static void open_sessions(rr_engine *engine, rr_session *sessions[N_THREADS]) {
    rr_diag diag = {0};
    for (int i = 0; i < N_THREADS; i++) {
        sessions[i] = NULL;
        CHECK_OK(rr_session_create(engine, &sessions[i], &diag), diag);
    }
}

static void close_all(rr_engine *engine, rr_session *sessions[N_THREADS]) {
    for (int i = 0; i < N_THREADS; i++) {
        rr_session_destroy(&sessions[i]);
    }
    CHECK_INT(engine->admission.n_promised, 0);
    CHECK(engine->admission.first == NULL);
    rr_engine_stats stats;
    rr_engine_stats_get(engine, &stats);
    CHECK_INT(stats.pages_used, 0);
    small_close(&engine);
}

/* What a session says to a prompt. */
typedef struct job {
    int32_t prompt[N_CONTEXT];
    size_t n;
    int32_t answer[N_ANSWER];
    float logits[N_VOCAB]; /* behind it */
} job;

static job jobs[N_THREADS][N_ROUNDS];

/* Lengths about pages' ends; every other prompt begins like the one before. */
static void make_jobs(void) {
    static const size_t lengths[N_THREADS][N_ROUNDS] = {
        {P - 5, 2 * P, P + 1, 3 * P - N_ANSWER},
        {2 * P + 7, P, 20, P - 1},
        {3 * P, 30, 2 * P - 1, P + P / 2},
        {P, 3 * P + 40, P / 2, 2 * P},
    };
    for (size_t t = 0; t < N_THREADS; t++) {
        for (size_t r = 0; r < N_ROUNDS; r++) {
            job *j = &jobs[t][r];
            j->n = lengths[t][r];
            for (size_t i = 0; i < j->n; i++) {
                const size_t differs = i < P - 20 ? 0 : t * 3 + r;
                j->prompt[i] = (int32_t)((i * 13 + differs * 7 + r / 2 + 1) % N_VOCAB);
            }
        }
    }
}

static rr_status run_job(rr_session *session, const job *j, job *out, rr_diag *diag) {
    const rr_generate_params params = {.max_tokens = N_ANSWER, .ignore_end = true};
    const float *logits = NULL;
    rr_tokens ids = {0};
    RR_TRY(rr_session_sync(session, j->prompt, j->n, diag));
    rr_status status = rr_session_generate(session, &params, &ids, NULL, diag);
    status = status == RR_OK ? rr_session_logits(session, &logits, diag) : status;
    if (status == RR_OK && ids.n == N_ANSWER) {
        memcpy(out->answer, ids.ids, sizeof out->answer);
        memcpy(out->logits, logits, sizeof out->logits);
    }
    rr_tokens_destroy(&ids);
    return status;
}

static void check_job(const job *j, const job *out, const char *what) {
    CHECK_MSG(memcmp(j->answer, out->answer, sizeof j->answer) == 0,
        "%s: another answer to %zu tokens", what, j->n);
    CHECK_MSG(memcmp(j->logits, out->logits, sizeof j->logits) == 0,
        "%s: other bits behind %zu tokens", what, j->n);
}

static void hold(rr_session *session, size_t n) {
    rr_diag diag = {0};
    CHECK_OK(rr_session_hold(session, n, &diag), diag);
}

static void run_held(rr_session *session, const job *j, const char *what) {
    rr_diag diag = {0};
    job out = {0};
    hold(session, j->n + N_ANSWER);
    CHECK_OK(run_job(session, j, &out, &diag), diag);
    rr_session_release(session);
    check_job(j, &out, what);
}

/* The answers that are to be had in company come of sessions that have room at any time. */
static void run_alone(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(0);
    rr_session *sessions[N_THREADS];
    open_sessions(engine, sessions);
    CHECK_OK(rr_session_hold(sessions[0], N_CONTEXT, &diag), diag); /* does nothing here */
    rr_session_release(sessions[0]);
    for (int t = 0; t < N_THREADS; t++) {
        for (int r = 0; r < N_ROUNDS; r++) {
            CHECK_OK(run_job(sessions[t], &jobs[t][r], &jobs[t][r], &diag), diag);
        }
    }
    CHECK_INT(rr_engine_plan(engine)->kv_tokens, N_THREADS * N_CONTEXT);
    close_all(engine, sessions);
}

typedef struct worker {
    pthread_t thread;
    rr_session *session;
    int number;
    job out[N_ROUNDS];
    rr_status status;
    rr_diag diag;
} worker;

static void *run_worker(void *user) {
    worker *w = user;
    for (int r = 0; r < N_ROUNDS && w->status == RR_OK; r++) {
        const job *j = &jobs[w->number][r];
        w->status = rr_session_hold(w->session, j->n + N_ANSWER, &w->diag);
        w->status = w->status == RR_OK ? run_job(w->session, j, &w->out[r], &w->diag) : w->status;
        rr_session_release(w->session);
    }
    return NULL;
}

static void test_together(void) {
    rr_engine *engine = open_engine(N_PAGES * P);
    rr_session *sessions[N_THREADS];
    static worker workers[N_THREADS];
    open_sessions(engine, sessions);
    CHECK_INT(rr_engine_plan(engine)->kv_tokens, N_PAGES * P);
    for (int t = 0; t < N_THREADS; t++) {
        workers[t] = (worker){.session = sessions[t], .number = t};
        CHECK(pthread_create(&workers[t].thread, NULL, run_worker, &workers[t]) == 0);
    }
    for (int t = 0; t < N_THREADS; t++) {
        pthread_join(workers[t].thread, NULL);
        CHECK_OK(workers[t].status, workers[t].diag);
        for (int r = 0; r < N_ROUNDS; r++) {
            check_job(&jobs[t][r], &workers[t].out[r], "together");
        }
    }
    rr_engine_stats stats;
    rr_engine_stats_get(engine, &stats);
    printf("%s: %llu pages lost, %llu tokens shared\n", graph, (unsigned long long)stats.evictions,
        (unsigned long long)stats.shared_tokens);
    CHECK(stats.evictions > 0);
    close_all(engine, sessions);
}

/* Without a hold nothing goes; a timeline outlives its hold until its pages are needed, the oldest
 * first. */
static void test_one_after_another(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(N_PAGES * P);
    rr_session *sessions[N_THREADS];
    const float *logits;
    /* with answers 3, 2 and 4 pages */
    const job *a = &jobs[0][1], *b = &jobs[1][1], *c = &jobs[2][0];
    rr_tokens none = {0};
    open_sessions(engine, sessions);
    CHECK_INT(rr_session_sync(sessions[0], a->prompt, a->n, &diag), RR_E_USAGE);
    CHECK(strstr(diag.text, "rr_session_hold") != NULL);
    CHECK_INT(rr_session_logits(sessions[0], &logits, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_generate(
                  sessions[0], &(rr_generate_params){.max_tokens = 1}, &none, NULL, &diag),
        RR_E_USAGE);
    CHECK_INT(rr_engine_decode(engine, &sessions[0], a->prompt, 1, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_hold(sessions[0], 0, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_hold(sessions[0], N_CONTEXT + 1, &diag), RR_E_USAGE);

    run_held(sessions[0], a, "first");
    run_held(sessions[1], b, "second");
    hold(sessions[0], a->n);
    CHECK_OK(rr_session_sync(sessions[0], a->prompt, a->n, &diag), diag);
    CHECK_INT(rr_session_n_reused(sessions[0]), a->n - 1); /* nobody needed its pages */
    /* beyond the hold */
    CHECK_INT(rr_session_sync(sessions[0], a->prompt, a->n + 1, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_fork(sessions[2], sessions[0], a->n, &diag), RR_E_USAGE);
    /* may be lost at any time */
    CHECK_INT(rr_session_fork(sessions[0], sessions[1], b->n, &diag), RR_E_USAGE);
    rr_session_release(sessions[0]);
    CHECK_INT(engine->n_evicted, 0);
    /* one page is free: the second, which let go first, loses both of its, the first one of two */
    run_held(sessions[2], c, "third");
    CHECK_INT(engine->n_evicted, 3);
    hold(sessions[0], a->n);
    /* of what is left of its timeline */
    CHECK_INT(rr_session_logits(sessions[0], &logits, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_generate(
                  sessions[0], &(rr_generate_params){.max_tokens = 1}, &none, NULL, &diag),
        RR_E_USAGE);
    CHECK(strstr(diag.text, "sync first") != NULL);
    CHECK_OK(rr_session_sync(sessions[0], a->prompt, a->n, &diag), diag);
    CHECK_INT(rr_session_n_reused(sessions[0]), P);
    CHECK_OK(rr_session_logits(sessions[0], &logits, &diag), diag);
    rr_session_release(sessions[0]);
    run_held(sessions[1], b, "second again");
    CHECK_INT(rr_session_n_reused(sessions[1]), 0);
    close_all(engine, sessions);
}

/* Pages that others list without a hold: shared while they are there, written without a copy when
 * there is no other page. */
static void test_shared(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(N_PAGES * P);
    rr_session *sessions[N_THREADS];
    rr_engine_stats stats;
    job long_one = {.n = N_CONTEXT - N_ANSWER}, of_long = {0}, out = {0};
    memcpy(long_one.prompt, jobs[2][0].prompt, sizeof long_one.prompt);
    for (size_t i = jobs[2][0].n; i < long_one.n; i++) {
        long_one.prompt[i] = (int32_t)(i * 5 % N_VOCAB);
    }
    open_sessions(engine, sessions);
    hold(sessions[0], N_CONTEXT);
    CHECK_OK(run_job(sessions[0], &long_one, &of_long, &diag), diag); /* four pages */
    rr_session_release(sessions[0]);
    hold(sessions[1], N_CONTEXT);
    CHECK_OK(run_job(sessions[1], &long_one, &out, &diag), diag);
    rr_engine_stats_get(engine, &stats);
    CHECK_INT(rr_session_n_shared(sessions[1]), long_one.n - 1);
    CHECK(memcmp(&out, &of_long, sizeof out) == 0);
    CHECK_INT(stats.evictions, 0); /* one page was free for what is written */
    rr_session_release(sessions[1]);
    hold(sessions[2], P); /* takes it */
    CHECK_OK(rr_session_sync(sessions[2], jobs[1][2].prompt, jobs[1][2].n, &diag), diag);
    hold(sessions[0], N_CONTEXT);
    CHECK_OK(run_job(sessions[0], &long_one, &out, &diag), diag);
    CHECK(memcmp(&out, &of_long, sizeof out) == 0);
    rr_engine_stats_get(engine, &stats);
    printf("%s: %llu evictions about shared pages\n", graph, (unsigned long long)stats.evictions);
    CHECK(stats.evictions > 0 && stats.pages_used == N_PAGES);
    rr_session_release(sessions[0]);
    rr_session_release(sessions[2]);
    close_all(engine, sessions);
}

typedef struct waiter {
    pthread_t thread;
    rr_session *session;
    size_t n;
    rr_status status;
    atomic_bool done;
} waiter;

static void *run_waiter(void *user) {
    waiter *w = user;
    rr_diag diag;
    w->status = rr_session_hold(w->session, w->n, &diag);
    atomic_store(&w->done, true);
    return NULL;
}

static int n_waiting(rr_engine *engine) {
    int n = 0;
    rr_mutex_lock(&engine->lock);
    for (const rr_hold *hold = engine->admission.first; hold != NULL; hold = hold->next) {
        n++;
    }
    rr_mutex_unlock(&engine->lock);
    return n;
}

static void start_waiting(rr_engine *engine, waiter *w) {
    const int n = n_waiting(engine) + 1;
    CHECK(pthread_create(&w->thread, NULL, run_waiter, w) == 0);
    while (n_waiting(engine) < n && !atomic_load(&w->done)) {
        rr_sleep_ns(100000);
    }
}

/* Who waits is served in turn, also when it needs little; a cancel or a deadline ends the waiting,
 * and frees the way. */
static void test_waiting(void) {
    rr_engine *engine = open_engine(N_PAGES * P);
    rr_session *sessions[N_THREADS];
    open_sessions(engine, sessions);
    waiter large = {.session = sessions[1], .n = N_CONTEXT},
           little = {.session = sessions[2], .n = 3};
    waiter late = {.session = sessions[3], .n = 2 * P};
    hold(sessions[0], 3 * P);
    start_waiting(engine, &large);
    start_waiting(engine, &little);
    rr_session_deadline(late.session, rr_time_ns() + 500000000);
    start_waiting(engine, &late);
    pthread_join(late.thread, NULL);
    CHECK_INT(late.status, RR_E_DEADLINE);
    /* though there is room for the little one */
    CHECK(!atomic_load(&large.done) && !atomic_load(&little.done));
    rr_session_cancel(large.session);
    pthread_join(large.thread, NULL);
    pthread_join(little.thread, NULL);
    CHECK_INT(large.status, RR_E_CANCELLED);
    CHECK_INT(little.status, RR_OK);

    large = (waiter){.session = sessions[1], .n = N_CONTEXT};
    start_waiting(engine, &large);
    CHECK(!atomic_load(&large.done));
    rr_session_release(sessions[0]);
    pthread_join(large.thread, NULL);
    CHECK_INT(large.status, RR_OK);
    hold(large.session, 2 * P); /* ends the one before */
    hold(sessions[0], 2 * P);
    rr_session_release(sessions[0]);
    rr_session_release(sessions[0]); /* nothing to let go of */
    CHECK_INT(engine->admission.n_promised, 2 + 1);
    rr_diag diag;
    CHECK_INT(rr_session_hold(large.session, 0, &diag), RR_E_USAGE); /* and ends its hold */
    CHECK_INT(engine->admission.n_promised, 1);
    rr_session_cancel(large.session);
    CHECK_INT(rr_session_hold(large.session, 1, &diag), RR_E_CANCELLED); /* though there is room */
    CHECK_INT(engine->admission.n_promised, 1);
    close_all(engine, sessions); /* ends the holds that are left */
}

static void test_plan(void) {
    rr_diag diag = {0};
    rr_engine *engine = NULL;
    rr_engine_params params = {.compute.model_path = model_path,
        .compute.n_context = N_CONTEXT,
        .n_sessions = N_THREADS,
        .kv_tokens = N_CONTEXT - 1};
    CHECK_INT(rr_engine_open(&params, &engine, &diag), RR_E_USAGE);
    rr_model *model = NULL;
    CHECK_OK(rr_model_open(model_path, &model, &diag), diag);
    rr_device_info info = {.type = RR_DEVICE_DISCRETE,
        .max_allocation_bytes = UINT64_C(1) << 30,
        .budget_bytes = UINT64_C(1) << 40};
    rr_memory_plan plan, less;
    params.kv_tokens = RR_KV_FIT;
    CHECK_OK(rr_memory_plan_make(model, &info, &params, &plan, &diag), diag);
    CHECK_INT(plan.kv_tokens, N_THREADS * N_CONTEXT);
    info.budget_bytes = plan.total_bytes - 1;
    CHECK_OK(rr_memory_plan_make(model, &info, &params, &less, &diag), diag);
    CHECK(less.fits && less.kv_tokens < plan.kv_tokens && less.kv_tokens >= N_CONTEXT &&
        less.total_bytes <= info.budget_bytes);
    info.budget_bytes = plan.total_bytes - plan.kv_bytes; /* room for none */
    CHECK_INT(rr_memory_plan_make(model, &info, &params, &less, &diag), RR_E_MEMORY);
    CHECK_INT(less.kv_tokens, N_CONTEXT);
    params.kv_tokens = 0;
    info.budget_bytes = plan.total_bytes - 1;
    CHECK_INT(rr_memory_plan_make(model, &info, &params, &less, &diag), RR_E_MEMORY);
    rr_model_close(&model);
}

static void test_graph(void) {
    run_alone();
    test_together();
    test_one_after_another();
    test_shared();
    test_waiting();
}

int main(void) {
    rr_synth_file(&small_model, model_path, sizeof model_path);
    make_jobs();
    test_plan();
    small_on_graphs(model_path, &graph, test_graph);
    unlink(model_path);
    return CHECK_END();
}
