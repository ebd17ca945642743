/* An executor that takes queries while it runs: from several threads, each with parameters of its
 * own, some cancelled; the others' rankings are those of rr_rank. Turns of submitters, the bounded
 * queue, deadlines of queries that wait, stopping and draining. */
#define _POSIX_C_SOURCE 200809L
#include "tests/check.h"

#include <time.h>

#include "rerank/execute.h"
#include "runtime/base/thread.h"

enum { MAX_PASSAGES = 40, N_WORKERS = 3, N_SUBMITTERS = 4, N_EACH = 24, MAX_ORDER = 16 };

static rr_passage passages[MAX_PASSAGES];
static char ids[MAX_PASSAGES][8];

static uint32_t random_next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* CHECK from one thread at a time. */
static rr_mutex check_lock;
#define CHECK_THERE(condition)        \
    do {                              \
        rr_mutex_lock(&check_lock);   \
        CHECK(condition);             \
        rr_mutex_unlock(&check_lock); \
    } while (0)

static void pause_ns(long ns) {
    nanosleep(&(struct timespec){0, ns}, NULL);
}

/* A model that answers in pieces, the same for the same passages; while `closed`, calls wait until
 * they are told to end. */
typedef struct actor_state {
    atomic_bool cancelled;
    atomic_bool *closed;
    uint32_t random;
} actor_state;

/* Queries in the order in which they were first asked about. */
static rr_mutex order_lock;
static const rr_query *order[MAX_ORDER];
static size_t n_order;

static void note_order(const rr_query *query) {
    rr_mutex_lock(&order_lock);
    if (n_order < MAX_ORDER) {
        order[n_order++] = query;
    }
    rr_mutex_unlock(&order_lock);
}

static rr_status respond(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    actor_state *actor = user;
    uint32_t state = (uint32_t)call->query->n;
    if (call->index == 0) {
        note_order(call->query);
    }
    for (uint32_t i = 0; i < call->n; i++) {
        state = (state ^ call->order[i]) * 16777619u;
    }
    const uint32_t turn = random_next(&state) % call->n;
    rr_buf_text(&reply->text, "<answer>");
    for (uint32_t i = 0; i < call->n; i++) {
        while (actor->closed != NULL && atomic_load(actor->closed) &&
            !atomic_load(&actor->cancelled) &&
            (call->on_text == NULL ||
                call->on_text(call->listener, reply->text.data, reply->text.bytes))) {
            pause_ns(100000);
        }
        rr_buf_printf(&reply->text, i == 0 ? "[%u]" : " > [%u]", (i + turn) % call->n + 1);
        const bool wanted = call->on_text == NULL ||
            call->on_text(call->listener, reply->text.data, reply->text.bytes);
        if (atomic_exchange(&actor->cancelled, false) || !wanted) {
            return rr_fail(diag, RR_E_CANCELLED, "cancelled");
        }
        if (call->deadline_ns != 0 && rr_time_ns() >= call->deadline_ns) {
            return rr_fail(diag, RR_E_DEADLINE, "late");
        }
        if (actor->random != 0 && random_next(&actor->random) % 16 == 0) {
            pause_ns(20000);
        }
    }
    rr_buf_text(&reply->text, "</answer>");
    return RR_OK;
}

static rr_status prepare(void *user, const rr_call *call, uint64_t *n_computed, rr_diag *diag) {
    (void)user;
    (void)diag;
    CHECK_THERE(call->asker == NULL); /* no_prepare, where there is one */
    *n_computed = call->prompt->n;
    return RR_OK;
}

static void cancel(void *user) {
    atomic_store(&((actor_state *)user)->cancelled, true);
}

static rr_executor *make_executor(
    actor_state *actors, rr_worker *workers, size_t n_workers, size_t most_waiting) {
    rr_executor *executor = NULL;
    rr_diag diag = {0};
    for (size_t i = 0; i < n_workers; i++) {
        workers[i] = (rr_worker){{respond, &actors[i]}, prepare, cancel};
    }
    const rr_executor_params params = {
        .workers = workers, .n_workers = n_workers, .most_waiting = most_waiting};
    CHECK_OK(rr_executor_create(&params, &executor, &diag), diag);
    return executor;
}

/* Several threads hand in queries as they like. */

typedef struct submitter_state {
    rr_executor *executor;
    rr_thread thread;
    uint32_t seed;
    atomic_size_t n_told;
    size_t n_cancelled, n_ranked;
} submitter_state;

typedef struct asked_state {
    rr_query query;
    rr_rank_params rank;
    rr_job *job;
    submitter_state *submitter;
    uint32_t last[MAX_PASSAGES]; /* the order after the last window that was told of */
    size_t n_windows;
} asked_state;

static void on_window(void *user, const rr_call *call, const rr_window_result *result) {
    asked_state *asked = user;
    CHECK_THERE(
        call->query == &asked->query && call->index == asked->n_windows && result->n == call->n);
    memcpy(asked->last, call->standing, call->n_standing * sizeof *asked->last);
    asked->n_windows++;
}

static void on_over(void *user, rr_job *job) {
    asked_state *asked = user;
    CHECK_THERE(job != NULL);
    atomic_fetch_add(&asked->submitter->n_told, 1);
}

static void check_ranking(asked_state *asked, const rr_ranking *ranking) {
    actor_state actor = {.closed = NULL};
    const rr_responder responder = {respond, &actor};
    rr_rank_params rank = asked->rank;
    rr_ranking expected;
    rr_diag diag = {0};
    rank.on_window = NULL;
    CHECK_OK(rr_rank(&asked->query, &rank, &responder, &expected, &diag), diag);
    CHECK(ranking->n == expected.n && ranking->n_windows == expected.n_windows &&
        memcmp(ranking->order, expected.order, expected.n * sizeof *expected.order) == 0);
    CHECK(asked->n_windows == expected.n_windows);
    for (size_t i = 0; i < expected.n_windows; i++) {
        CHECK_TEXT(ranking->windows[i].response.data, expected.windows[i].response.data);
    }
    const size_t n = rr_rank_n(&asked->query, &rank);
    CHECK(expected.n_windows == 0 ||
        memcmp(asked->last, expected.order, n * sizeof *expected.order) == 0);
    rr_ranking_destroy(&expected);
}

static void submit_all(void *user) {
    submitter_state *self = user;
    uint32_t random = self->seed;
    asked_state *all = calloc(N_EACH, sizeof *all);
    for (size_t i = 0; i < N_EACH; i++) {
        asked_state *asked = &all[i];
        rr_diag diag = {0};
        asked->submitter = self;
        asked->query = (rr_query){.qid = "q",
            .text = {"what", 4},
            .passages = passages,
            .n = random_next(&random) % MAX_PASSAGES};
        asked->rank = (rr_rank_params){.window = 2 + random_next(&random) % 12,
            .schedule = (rr_schedule_kind)(random_next(&random) % RR_SCHEDULE_COUNT),
            .depth = random_next(&random) % 3 == 0 ? random_next(&random) % MAX_PASSAGES : 0,
            .style = random_next(&random) % 4 == 0 ? RR_PROMPT_RANKGPT : RR_PROMPT_REARANK,
            .on_window = on_window,
            .user = asked};
        asked->rank.step = (asked->rank.window + 1) / 2;
        const bool no_prepare = random_next(&random) % 4 == 0;
        const rr_job_params params = {.query = &asked->query,
            .rank = asked->rank,
            .submitter = self->seed,
            .no_prepare = no_prepare,
            .asker = no_prepare ? asked : NULL,
            .on_over = on_over,
            .user = asked};
        const rr_status status = rr_executor_add(self->executor, &params, &asked->job, &diag);
        CHECK_THERE(status == RR_OK);
        if (random_next(&random) % 5 == 0) {
            pause_ns((long)(random_next(&random) % 300000));
            rr_executor_cancel(self->executor, asked->job);
        }
        if (random_next(&random) % 3 == 0) {
            pause_ns((long)(random_next(&random) % 500000));
        }
    }
    for (size_t i = 0; i < N_EACH; i++) {
        rr_ranking ranking;
        rr_diag diag = {0};
        const rr_status status = rr_executor_take(self->executor, &all[i].job, &ranking, &diag);
        rr_mutex_lock(&check_lock);
        CHECK(status == RR_OK || status == RR_E_CANCELLED);
        if (status == RR_OK) {
            check_ranking(&all[i], &ranking);
            rr_ranking_destroy(&ranking);
        }
        rr_mutex_unlock(&check_lock);
        self->n_ranked += status == RR_OK;
        self->n_cancelled += status == RR_E_CANCELLED;
    }
    while (atomic_load(&self->n_told) < N_EACH) {
        pause_ns(100000); /* an on_over may still run */
    }
    free(all);
}

static void check_arrivals(uint32_t seed) {
    actor_state actors[N_WORKERS] = {{.random = 1}, {.random = seed + 2}, {.random = seed + 3}};
    rr_worker workers[N_WORKERS];
    rr_executor *executor = make_executor(actors, workers, N_WORKERS, 0);
    static submitter_state submitters[N_SUBMITTERS];
    memset(submitters, 0, sizeof submitters);
    size_t n_ranked = 0, n_cancelled = 0;
    for (uint32_t i = 0; i < N_SUBMITTERS; i++) {
        submitters[i].executor = executor;
        submitters[i].seed = seed * N_SUBMITTERS + i + 1;
        const bool started = rr_thread_start(&submitters[i].thread, submit_all, &submitters[i]);
        CHECK_THERE(started);
    }
    for (uint32_t i = 0; i < N_SUBMITTERS; i++) {
        rr_thread_join(&submitters[i].thread);
        n_ranked += submitters[i].n_ranked;
        n_cancelled += submitters[i].n_cancelled;
    }
    rr_executor_stats stats;
    rr_executor_stats_get(executor, &stats);
    CHECK(stats.n_waiting + stats.n_begun == 0 && stats.n_ranked == n_ranked &&
        stats.n_cancelled == n_cancelled && stats.n_failed == 0);
    CHECK(n_ranked > N_SUBMITTERS * N_EACH / 2);
    CHECK(rr_executor_drain(executor, 0));
    rr_executor_destroy(&executor);
}

/* One worker that waits at a gate */

typedef struct gate_state {
    atomic_bool closed;
    actor_state actor;
    rr_worker worker;
    rr_executor *executor;
    rr_query queries[MAX_ORDER];
    rr_job *jobs[MAX_ORDER];
} gate_state;

static void open_gate(gate_state *g, size_t most_waiting) {
    memset(g, 0, sizeof *g);
    atomic_store(&g->closed, true);
    g->actor.closed = &g->closed;
    g->executor = make_executor(&g->actor, &g->worker, 1, most_waiting);
    n_order = 0;
    for (size_t i = 0; i < MAX_ORDER; i++) {
        g->queries[i] = (rr_query){.qid = "q", .text = {"what", 4}, .passages = passages, .n = 3};
    }
}

static rr_status add(gate_state *g, size_t index, uint64_t submitter, uint64_t deadline_ns) {
    rr_diag diag = {0};
    const rr_job_params params = {
        .query = &g->queries[index], .submitter = submitter, .deadline_ns = deadline_ns};
    return rr_executor_add(g->executor, &params, &g->jobs[index], &diag);
}

static void wait_begun(size_t n) {
    for (;;) {
        rr_mutex_lock(&order_lock);
        const bool there = n_order >= n;
        rr_mutex_unlock(&order_lock);
        if (there) {
            return;
        }
        pause_ns(100000);
    }
}

static rr_status take(gate_state *g, size_t index, size_t *n_late) {
    rr_ranking ranking;
    rr_diag diag = {0};
    const rr_status status = rr_executor_take(g->executor, &g->jobs[index], &ranking, &diag);
    if (n_late != NULL) {
        *n_late = rr_ranking_n_late(&ranking);
    }
    rr_ranking_destroy(&ranking);
    return status;
}

/* Of several submitters each has its turn, whoever came with how many. */
static void check_turns(void) {
    static gate_state g;
    static const uint64_t submitters[] = {1, 1, 1, 1, 2, 2, 3};
    static const size_t expected[] = {0, 4, 6, 1, 5, 2, 3};
    enum { N = sizeof submitters / sizeof submitters[0] };
    open_gate(&g, 0);
    for (size_t i = 0; i < N; i++) {
        CHECK_INT(add(&g, i, submitters[i], 0), RR_OK);
        wait_begun(1);
    }
    atomic_store(&g.closed, false);
    for (size_t i = 0; i < N; i++) {
        CHECK_INT(take(&g, i, NULL), RR_OK);
        CHECK_MSG(order[i] == &g.queries[expected[i]], "number %zu: query %zu, expected %zu", i,
            (size_t)(order[i] - g.queries), expected[i]);
    }
    rr_executor_destroy(&g.executor);
}

static void check_bound(void) {
    static gate_state g;
    rr_diag diag = {0};
    open_gate(&g, 2);
    CHECK_INT(add(&g, 0, 1, 0), RR_OK);
    wait_begun(1);
    CHECK_INT(add(&g, 1, 1, 0), RR_OK);
    CHECK_INT(add(&g, 2, 2, 0), RR_OK);
    CHECK_INT(add(&g, 3, 2, 0), RR_E_BUSY);
    CHECK(g.jobs[3] == NULL);
    const rr_job_params bad = {.query = &g.queries[3], .rank = {.window = 3, .step = 4}};
    CHECK_INT(rr_executor_add(g.executor, &bad, &g.jobs[3], &diag), RR_E_USAGE);
    rr_executor_cancel(g.executor, g.jobs[1]);
    CHECK(rr_executor_is_over(g.executor, g.jobs[1]));
    CHECK_INT(take(&g, 1, NULL), RR_E_CANCELLED);
    CHECK_INT(add(&g, 3, 2, 0), RR_OK);
    /* one that runs ends soon, and the next one is not hurt */
    CHECK(!rr_executor_is_over(g.executor, g.jobs[0]));
    rr_executor_cancel(g.executor, g.jobs[0]);
    CHECK_INT(take(&g, 0, NULL), RR_E_CANCELLED);
    wait_begun(2);
    atomic_store(&g.closed, false);
    CHECK_INT(take(&g, 2, NULL), RR_OK);
    CHECK_INT(take(&g, 3, NULL), RR_OK);
    rr_executor_destroy(&g.executor);
}

/* A query that waits ends with its time, while the only worker is at another. */
static void check_late(void) {
    static gate_state g;
    size_t n_late;
    open_gate(&g, 0);
    CHECK_INT(add(&g, 0, 1, 0), RR_OK);
    wait_begun(1);
    CHECK_INT(add(&g, 1, 1, rr_time_ns() + 20000000), RR_OK);
    CHECK_INT(add(&g, 2, 1, rr_time_ns() + UINT64_C(1000000000000)), RR_OK);
    CHECK_INT(add(&g, 3, 1, 1), RR_OK);
    CHECK_INT(take(&g, 3, &n_late), RR_OK);
    CHECK_INT(n_late, 1);
    CHECK_INT(take(&g, 1, &n_late), RR_OK);
    CHECK_INT(n_late, 1);
    CHECK(!rr_executor_is_over(g.executor, g.jobs[0]));
    atomic_store(&g.closed, false);
    CHECK_INT(take(&g, 0, &n_late), RR_OK);
    CHECK_INT(n_late, 0);
    CHECK_INT(take(&g, 2, &n_late), RR_OK);
    CHECK_INT(n_late, 0);
    rr_executor_destroy(&g.executor);
}

static void check_stop(void) {
    static gate_state g;
    open_gate(&g, 0);
    for (size_t round = 0; round < 2; round++) {
        atomic_store(&g.closed, true);
        CHECK_INT(add(&g, 0, 1, 0), RR_OK);
        wait_begun(2 * round + 1);
        CHECK_INT(add(&g, 1, 1, 0), RR_OK);
        rr_executor_stop(g.executor);
        CHECK_INT(take(&g, 0, NULL), RR_E_CANCELLED);
        CHECK_INT(take(&g, 1, NULL), RR_E_CANCELLED);
        CHECK_INT(add(&g, 2, 1, 0), RR_E_CANCELLED);
        rr_executor_resume(g.executor);
        atomic_store(&g.closed, false);
        CHECK_INT(add(&g, 2, 1, 0), RR_OK); /* what is left of the stop ends nothing */
        CHECK_INT(take(&g, 2, NULL), RR_OK);
        n_order = 2 * round + 2;
    }
    atomic_store(&g.closed, true);
    CHECK_INT(add(&g, 0, 1, 0), RR_OK);
    CHECK(!rr_executor_drain(g.executor, rr_time_ns() + 1000000));
    CHECK_INT(add(&g, 1, 1, 0), RR_E_CANCELLED);
    atomic_store(&g.closed, false);
    CHECK(rr_executor_drain(g.executor, 0));
    CHECK_INT(take(&g, 0, NULL), RR_OK);
    rr_executor_destroy(&g.executor);
}

/* What is not over when the executor goes is cancelled, and taken by its on_over. */
static void take_back(void *user, rr_job *job) {
    gate_state *g = user;
    rr_ranking ranking;
    rr_diag diag = {0};
    rr_job *taken = job;
    CHECK_INT(rr_executor_take(g->executor, &taken, &ranking, &diag), RR_E_CANCELLED);
    CHECK(taken == NULL && ranking.order == NULL);
    n_order++;
}

static void check_destroy(void) {
    static gate_state g;
    rr_diag diag = {0};
    open_gate(&g, 0);
    for (size_t i = 0; i < 3; i++) {
        const rr_job_params params = {.query = &g.queries[i], .on_over = take_back, .user = &g};
        CHECK_OK(rr_executor_add(g.executor, &params, &g.jobs[i], &diag), diag);
        wait_begun(1);
    }
    rr_executor_destroy(&g.executor);
    CHECK_INT(n_order, 1 + 3);
}

int main(void) {
    for (size_t i = 0; i < MAX_PASSAGES; i++) {
        snprintf(ids[i], sizeof ids[i], "d%zu", i);
        passages[i] = (rr_passage){.id = ids[i], .text = {ids[i], strlen(ids[i])}};
    }
    CHECK(rr_mutex_create(&order_lock) && rr_mutex_create(&check_lock));
    for (uint32_t seed = 0; seed < (check_is_fast() ? 4u : 20u); seed++) {
        check_arrivals(seed);
    }
    check_turns();
    check_bound();
    check_late();
    check_stop();
    check_destroy();
    rr_mutex_destroy(&check_lock);
    rr_mutex_destroy(&order_lock);
    return CHECK_END();
}
