/* Pools over a small generated model: queries of several kinds side by side, and devices that are
 * lost at any submit. Rankings are those of one session that ranks one query after another. */
#include "tests/check.h"

#include "rerank/pool.h"
#include "rerank/report/run_out.h"
#include "rerank/responder.h"
#include "runtime/base/thread.h"
#include "tests/support/synth.h"

enum { N_PASSAGES = 9, N_QUERIES = 5, N_LOSSES = 50 };

static rr_passage passages[N_PASSAGES];
static char ids[N_PASSAGES][8], texts[N_PASSAGES][32];

/* Queries, each of its own kind, and what a single session makes of them. */
static struct kind {
    rr_query query;
    rr_rank_params rank;
    rr_answer_params answer;
    rr_buf expected, text; /* the ranking; all that was written, in order */
} kinds[N_QUERIES] = {
    {.query = {.qid = "q0", .text = {"which", 5}, .n = 9},
        .rank = {.window = 4, .step = 2},
        .answer = {.max_tokens = 6}},
    {.query = {.qid = "q1", .text = {"what", 4}, .n = 6},
        .rank = {.window = 4, .step = 2, .style = RR_PROMPT_RANKGPT},
        .answer = {.mode = RR_ANSWER_STRICT}},
    {.query = {.qid = "q2", .text = {"where", 5}, .n = 1}},
    {.query = {.qid = "q3", .text = {"when", 4}, .n = 8},
        .rank = {.window = 4, .schedule = RR_SCHEDULE_TOPDOWN},
        .answer = {.mode = RR_ANSWER_LOGITS}},
    {.query = {.qid = "q4", .text = {"who", 3}, .n = 7},
        .rank = {.window = 5, .step = 2, .depth = 6},
        .answer = {.mode = RR_ANSWER_STRICT, .think_budget = 8, .temperature = 1.0f, .seed = 3}},
};

/* Losing the device */

static struct {
    atomic_bool armed;
    atomic_size_t n;  /* submits since it was armed */
    atomic_size_t at; /* the submit that loses it, 0 = none */
} losing;

static bool lose(void *user) {
    (void)user;
    if (!atomic_load(&losing.armed)) {
        return false;
    }
    const size_t n = atomic_fetch_add(&losing.n, 1) + 1;
    return n == atomic_load(&losing.at);
}

static void arm(size_t at) {
    atomic_store(&losing.at, at);
    atomic_store(&losing.n, 0);
    atomic_store(&losing.armed, at != 0);
}

static atomic_size_t n_told;

static void on_loss(void *user, const char *text) {
    (void)user;
    if (strstr(text, "was lost") != NULL && strchr(text, '\n') == NULL) {
        atomic_fetch_add(&n_told, 1);
    }
}

/* Rankings as bytes, without measurements */

static void write_ranking(const rr_query *query, rr_ranking *ranking, rr_buf *out) {
    rr_run_out json = {.format = RR_RUN_JSONL, .many = true};
    rr_diag diag = {0};
    ranking->time_ns = 0;
    for (size_t i = 0; i < ranking->n_windows; i++) {
        rr_window_result *window = &ranking->windows[i];
        window->time_ns = window->prompt_ns = window->generate_ns = window->reused_tokens =
            window->shared_tokens = 0;
    }
    CHECK_OK(rr_run_record(query, ranking, out, &diag), diag);
    CHECK_OK(rr_run_query(&json, query, ranking, 0, out, &diag), diag);
}

static void check_bytes(const rr_buf *found, const rr_buf *expected, const char *what, size_t at) {
    CHECK_MSG(found->bytes == expected->bytes &&
            (found->bytes == 0 || memcmp(found->data, expected->data, found->bytes) == 0),
        "%s %zu: other bytes:\n%.*s\n%.*s", what, at, (int)found->bytes,
        found->data != NULL ? found->data : "", (int)expected->bytes,
        expected->data != NULL ? expected->data : "");
}

static bool hear(void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    (void)call;
    (void)n_tokens;
    rr_buf_append(user, text, bytes);
    return true;
}

/* In rank_alone: how many windows of the query were begun. */
static size_t n_begun;

static void note_begin(void *user, const rr_call *call) {
    CHECK(user != NULL && call->index == n_begun);
    n_begun++;
}

static void make_expected(const char *path) {
    rr_diag diag = {0};
    rr_engine *engine = NULL;
    rr_session *session = NULL;
    rr_engine_params params = {.compute = {.model_path = path, .n_context = 2048}};
    CHECK_OK(rr_engine_open(&params, &engine, &diag), diag);
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    for (size_t i = 0; i < N_QUERIES; i++) {
        struct kind *kind = &kinds[i];
        rr_responder responder;
        rr_ranking ranking;
        rr_model_responder model = {.engine = engine,
            .session = session,
            .style = kind->rank.style,
            .how = kind->answer,
            .events = {.text = hear, .user = &kind->text}};
        CHECK_OK(rr_model_responder_make(&model, &responder, &diag), diag);
        CHECK_OK(rr_rank(&kind->query, &kind->rank, &responder, &ranking, &diag), diag);
        write_ranking(&kind->query, &ranking, &kind->expected);
        rr_ranking_destroy(&ranking);
    }
    rr_session_destroy(&session);
    rr_engine_close(&engine);
}

static rr_pool *open_pool(const char *path, uint32_t n_workers, uint32_t kv_tokens) {
    rr_pool *pool = NULL;
    rr_diag diag = {0};
    const rr_pool_params params = {
        .engine = {.compute = {.model_path = path, .n_context = 2048, .lose = lose},
            .kv_tokens = kv_tokens},
        .n_workers = n_workers,
        .may_be_fewer = kv_tokens == 0,
        .one_on_caller = n_workers == 1,
        .on_loss = on_loss,
    };
    CHECK_OK(rr_pool_open(&params, &pool, &diag), diag);
    return pool;
}

static void submit(rr_pool *pool, size_t index, rr_buf *text, rr_ticket **out) {
    const struct kind *kind = &kinds[index];
    rr_diag diag = {0};
    const rr_pool_query query = {
        .query = &kind->query,
        .rank = kind->rank,
        .answer = kind->answer,
        .events = {.text = text != NULL ? hear : NULL, .user = text},
        .submitter = index % 2,
    };
    CHECK_OK(rr_pool_submit(pool, &query, out, &diag), diag);
}

static rr_status take(rr_pool *pool, rr_ticket **ticket, size_t index, rr_diag *diag) {
    rr_ranking ranking;
    rr_buf found = {0};
    const rr_status status = rr_pool_take(pool, ticket, &ranking, diag);
    if (status == RR_OK) {
        write_ranking(&kinds[index].query, &ranking, &found);
        check_bytes(&found, &kinds[index].expected, "query", index);
    }
    rr_buf_destroy(&found);
    rr_ranking_destroy(&ranking);
    return status;
}

/* All kinds at once; gives how many submits that took. */
static size_t rank_all(rr_pool *pool, size_t n_rounds) {
    rr_ticket *tickets[2 * N_QUERIES] = {0};
    rr_diag diag = {0};
    for (size_t i = 0; i < n_rounds * N_QUERIES; i++) {
        submit(pool, i % N_QUERIES, NULL, &tickets[i]);
    }
    for (size_t i = 0; i < n_rounds * N_QUERIES; i++) {
        CHECK_OK(take(pool, &tickets[i], i % N_QUERIES, &diag), diag);
    }
    return atomic_load(&losing.n);
}

/* One after another on this thread, with all that is written. */
static size_t rank_alone(rr_pool *pool) {
    for (size_t i = 0; i < N_QUERIES; i++) {
        const struct kind *kind = &kinds[i];
        rr_buf found = {0}, text = {0};
        rr_ranking ranking;
        rr_diag diag = {0};
        const rr_pool_query query = {
            .query = &kind->query,
            .rank = kind->rank,
            .answer = kind->answer,
            .events = {.text = hear, .begin = note_begin, .user = &text},
        };
        n_begun = 0;
        CHECK_OK(rr_pool_rank(pool, &query, &ranking, &diag), diag);
        CHECK_INT(n_begun, ranking.n_windows);
        write_ranking(&kind->query, &ranking, &found);
        check_bytes(&found, &kind->expected, "query", i);
        check_bytes(&text, &kind->text, "what is written of query", i);
        rr_ranking_destroy(&ranking);
        rr_buf_destroy(&found);
        rr_buf_destroy(&text);
    }
    return atomic_load(&losing.n);
}

static size_t rank_in(rr_pool *pool) {
    return rr_pool_n_workers(pool) == 1 ? rank_alone(pool) : rank_all(pool, 1);
}

/* Several workers, room for all and too little. */
static void check_kinds(const char *path) {
    for (int i = 0; i < 2; i++) {
        rr_pool *pool = open_pool(path, 3, i == 0 ? 0 : 3000);
        if (pool == NULL) {
            return;
        }
        CHECK_TEXT(rr_pool_model_name(pool), "synthetic");
        CHECK(rr_pool_n_workers(pool) == 3 && rr_pool_plan(pool)->is_short == (i == 1));
        rank_all(pool, 2);
        rr_pool_stats stats;
        rr_pool_stats_get(pool, &stats);
        CHECK(stats.queries.n_ranked == 2 * N_QUERIES && stats.queries.n_begun == 0 &&
            stats.engine.n_passes > 0 && stats.n_losses == 0 && !stats.is_lost);
        rr_pool_close(&pool);
    }
}

/* Lost once, at any submit: nobody sees it but by the one line. */
static void check_losses(const char *path) {
    uint64_t random = 5;
    size_t n_submits[4] = {0}, n_lost = 0;
    const size_t n_wanted = check_is_fast() ? 8 : N_LOSSES;
    size_t i = 0;
    for (; n_lost < n_wanted && i < 2 * n_wanted; i++) { /* some runs need fewer submits */
        const uint32_t n_workers = 1 + (uint32_t)(i % 3);
        rr_pool *pool = open_pool(path, n_workers, 0);
        if (pool == NULL) {
            return;
        }
        if (n_submits[n_workers] == 0) {
            arm(SIZE_MAX);
            n_submits[n_workers] = rank_in(pool);
        }
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const size_t at = 1 + (size_t)(random >> 33) % n_submits[n_workers];
        atomic_store(&n_told, 0);
        arm(at);
        rank_in(pool);
        arm(0);
        rr_pool_stats stats;
        rr_pool_stats_get(pool, &stats);
        CHECK_MSG(stats.n_losses == atomic_load(&n_told) && stats.n_losses <= 1 && !stats.is_lost,
            "lost at submit %zu: %zu losses, told of %zu times", at, (size_t)stats.n_losses,
            atomic_load(&n_told));
        CHECK(stats.engine.n_passes > 0 && stats.queries.n_failed == 0);
        n_lost += stats.n_losses;
        rr_pool_close(&pool);
    }
    printf("%zu runs of %zu, %zu, %zu submits with 1, 2, 3 workers: lost in %zu\n", i, n_submits[1],
        n_submits[2], n_submits[3], n_lost);
    CHECK_INT(n_lost, n_wanted);
}

/* Lost twice, at first and after the first ranking: what is ranked stays ranked, the rest fails and
 * says why. */
static size_t n_ranked;

static rr_status on_ranking(void *user, size_t query, rr_ranking *ranking, rr_diag *diag) {
    (void)user;
    (void)diag;
    rr_buf found = {0};
    write_ranking(&kinds[0].query, ranking, &found);
    check_bytes(&found, &kinds[0].expected, "query", query);
    rr_buf_destroy(&found);
    n_ranked++;
    arm(1);
    return RR_OK;
}

static void check_gone(const char *path, uint32_t n_workers) {
    rr_pool *pool = open_pool(path, n_workers, 0);
    enum { N = 8 };
    rr_query queries[N];
    rr_diag diag = {0};
    if (pool == NULL) {
        return;
    }
    for (size_t i = 0; i < N; i++) {
        queries[i] = kinds[0].query;
    }
    const rr_execute_params list = {
        .queries = queries, .n_queries = N, .rank = kinds[0].rank, .on_ranking = on_ranking};
    const rr_pool_query how = {.answer = kinds[0].answer};
    atomic_store(&n_told, 0);
    n_ranked = 0;
    arm(1);
    CHECK_INT(rr_pool_execute(pool, &list, &how, &diag), RR_E_DEVICE);
    CHECK_MSG(strstr(diag.text, "was lost again, ") != NULL &&
            strstr(diag.text, "the last it said is: ") != NULL,
        "says: %s", diag.text);
    CHECK_INT(atomic_load(&n_told), 1);
    CHECK(n_ranked == 1 || (n_workers > 1 && n_ranked > 0 && n_ranked < N));
    arm(0);
    rr_ticket *ticket = NULL;
    const rr_pool_query query = {.query = &kinds[0].query};
    CHECK_INT(rr_pool_submit(pool, &query, &ticket, &diag), RR_E_DEVICE);
    CHECK(ticket == NULL);
    rr_pool_stats stats;
    rr_pool_stats_get(pool, &stats);
    CHECK(stats.is_lost && stats.n_losses == 2);
    rr_pool_close(&pool);
}

/* Refusals, cancelling, stopping. */

static bool refuse(
    void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    (void)call;
    (void)text;
    (void)bytes;
    (void)n_tokens;
    atomic_fetch_add((atomic_size_t *)user, 1);
    return false;
}

static void check_ends(const char *path) {
    rr_pool *pool = open_pool(path, 2, 0);
    rr_diag diag = {0};
    rr_ticket *tickets[N_QUERIES] = {0};
    rr_ranking ranking;
    if (pool == NULL) {
        return;
    }
    rr_pool_query query = {.query = &kinds[0].query, .answer = {.mode = RR_ANSWER_READ}};
    CHECK_INT(rr_pool_submit(pool, &query, &tickets[0], &diag), RR_E_USAGE);
    query.answer.mode = RR_ANSWER_FREE;
    query.rank = (rr_rank_params){.window = 2, .step = 3};
    CHECK_INT(rr_pool_submit(pool, &query, &tickets[0], &diag), RR_E_USAGE);
    for (int round = 0; round < 3; round++) {
        atomic_size_t n_refused = 0;
        query.rank = (rr_rank_params){0};
        query.events = (rr_responder_events){.text = refuse, .user = &n_refused};
        CHECK_INT(rr_pool_rank(pool, &query, &ranking, &diag), RR_E_CANCELLED);
        CHECK_INT(atomic_load(&n_refused), 1);
        for (size_t i = 0; i < N_QUERIES; i++) {
            submit(pool, i, NULL, &tickets[i]);
        }
        rr_pool_cancel(pool, tickets[1]);
        if (round == 1) {
            rr_pool_stop(pool);
        }
        for (size_t i = 0; i < N_QUERIES; i++) {
            const rr_status status = take(pool, &tickets[i], i, &diag);
            CHECK(status == RR_OK || (status == RR_E_CANCELLED && (i == 1 || round == 1)));
        }
        CHECK_INT(rr_pool_submit(pool, &query, &tickets[0], &diag) == RR_OK, round != 1);
        if (round == 1) {
            rr_pool_resume(pool);
        } else {
            CHECK_INT(rr_pool_take(pool, &tickets[0], &ranking, &diag), RR_E_CANCELLED);
        }
    }
    /* a deadline that is over before anything is asked */
    query = (rr_pool_query){.query = &kinds[0].query, .rank = kinds[0].rank, .deadline_ns = 1};
    CHECK_OK(rr_pool_rank(pool, &query, &ranking, &diag), diag);
    CHECK(ranking.n_windows > 1 && rr_ranking_n_late(&ranking) == ranking.n_windows);
    rr_ranking_destroy(&ranking);
    CHECK(rr_pool_drain(pool, 0));
    CHECK_INT(rr_pool_submit(pool, &query, &tickets[0], &diag), RR_E_CANCELLED);
    rr_pool_close(&pool);
    rr_pool_close(&pool);
}

int main(void) {
    char path[256];
    rr_synth synth = {.n_context = 4096, .with_vocabulary = true, .seed = 3};
    rr_synth_file(&synth, path, sizeof path);
    for (size_t i = 0; i < N_PASSAGES; i++) {
        snprintf(ids[i], sizeof ids[i], "d%zu", i);
        snprintf(texts[i], sizeof texts[i], "text number %zu", i * i);
        passages[i] = (rr_passage){.id = ids[i], .text = {texts[i], strlen(texts[i])}};
    }
    for (size_t i = 0; i < N_QUERIES; i++) {
        kinds[i].query.passages = passages;
    }
    make_expected(path);
    check_kinds(path);
    check_ends(path);
    check_gone(path, 1);
    check_gone(path, 2);
    check_losses(path);
    for (size_t i = 0; i < N_QUERIES; i++) {
        rr_buf_destroy(&kinds[i].expected);
        rr_buf_destroy(&kinds[i].text);
    }
    remove(path);
    return CHECK_END();
}
