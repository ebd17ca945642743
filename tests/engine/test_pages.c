/* Pages of the KV cache: timelines that begin alike hold the same ones, a session that writes gets
 * its own, and no session's bits change; timelines that end before, at and behind a page's end. */
#include <unistd.h>

#include "runtime/engine/session_hold.h"
#include "tests/engine/small.h"

enum {
    P = RR_KV_PAGE,
    N_BASE = 2 * P + 44,
    N_ANSWER = 12,
    N_CONTEXT = 4 * P,
    N_SESSIONS = 3,
    CHUNK = 48,
    N_VOCAB = 400
};

static char model_path[256];
static const char *graph; /* under test */
static int32_t base[N_CONTEXT];

static rr_session *new_session(rr_engine *engine) {
    rr_diag diag = {0};
    rr_session *session = NULL;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    return session;
}

static void check_pages(const char *what, rr_engine *engine, uint32_t n_used, uint32_t n_shared) {
    rr_engine_stats stats;
    rr_engine_stats_get(engine, &stats);
    CHECK_MSG(stats.pages_used == n_used && stats.pages_shared == n_shared,
        "%s: %u pages, %u shared; expected %u and %u", what, stats.pages_used, stats.pages_shared,
        n_used, n_shared);
}

/* What a session says to a prompt. */
typedef struct answer {
    float prompt[N_VOCAB], end[N_VOCAB]; /* logits behind the prompt, behind all */
    int32_t ids[N_ANSWER];
} answer;

static void take_logits(rr_session *session, float *out) {
    rr_diag diag = {0};
    const float *logits = NULL;
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    if (logits != NULL) {
        memcpy(out, logits, N_VOCAB * sizeof *out);
    }
}

static void sync_to(
    rr_session *session, const int32_t *tokens, size_t n, size_t n_shared, answer *out) {
    rr_diag diag = {0};
    CHECK_OK(rr_session_sync(session, tokens, n, &diag), diag);
    CHECK_INT(rr_session_n_shared(session), n_shared);
    take_logits(session, out->prompt);
}

/* Guesses from `user`, an answer that is right but for every fifth token. */
typedef struct guesses {
    const int32_t *ids;
    size_t n_prompt;
} guesses;

static uint32_t guess(void *user, const int32_t *tokens, size_t n, int32_t *ids, uint32_t max) {
    (void)tokens;
    const guesses *g = user;
    uint32_t k = 0;
    for (size_t i = n - g->n_prompt; i < N_ANSWER && k < max; i++, k++) {
        ids[k] = i % 5 == 4 ? (g->ids[i] + 1) % N_VOCAB : g->ids[i];
    }
    return k;
}

static void generate(rr_session *session, guesses *g, answer *out) {
    rr_diag diag = {0};
    rr_tokens found = {0};
    const rr_generate_params params = {.max_tokens = N_ANSWER,
        .ignore_end = true,
        .draft = g != NULL ? guess : NULL,
        .draft_user = g,
        .draft_always = true};
    CHECK_OK(rr_session_generate(session, &params, &found, NULL, &diag), diag);
    CHECK_INT(found.n, N_ANSWER);
    if (found.n == N_ANSWER) {
        memcpy(out->ids, found.ids, sizeof out->ids);
    }
    take_logits(session, out->end);
    rr_tokens_destroy(&found);
}

static void alone(rr_engine *engine, const int32_t *tokens, size_t n, answer *out) {
    rr_session *session = new_session(engine);
    sync_to(session, tokens, n, 0, out);
    generate(session, NULL, out);
    rr_session_destroy(&session);
}

static void check_prompt(const char *what, const answer *a, const answer *b) {
    CHECK_MSG(memcmp(a->prompt, b->prompt, sizeof a->prompt) == 0,
        "%s: logits behind the prompt differ", what);
}

static void check_same(const char *what, const answer *a, const answer *b) {
    check_prompt(what, a, b);
    CHECK_MSG(memcmp(a->ids, b->ids, sizeof a->ids) == 0, "%s: answers differ", what);
    CHECK_MSG(
        memcmp(a->end, b->end, sizeof a->end) == 0, "%s: logits behind the answer differ", what);
}

/* Three prompts: one goes on behind the first's last page, one leaves it in the middle of a
 * page. */
static void test_prompts(rr_engine *engine) {
    static answer expected[N_SESSIONS], found[N_SESSIONS];
    static int32_t text[N_SESSIONS][N_CONTEXT];
    static const size_t n[N_SESSIONS] = {N_BASE, N_BASE + 40, P + 132},
                        n_shared[N_SESSIONS] = {0, N_BASE, P + 72};
    static const uint32_t n_used[N_SESSIONS] = {3, 4, 6}, n_both[N_SESSIONS] = {0, 2, 2};
    rr_session *sessions[N_SESSIONS];
    for (int i = 0; i < N_SESSIONS; i++) {
        memcpy(text[i], base, n[i] * sizeof *base);
        if (i == 2) {
            for (size_t t = n_shared[i]; t < n[i]; t++) {
                text[i][t] = (base[t] + 1) % N_VOCAB;
            }
        }
        alone(engine, text[i], n[i], &expected[i]);
    }
    check_pages("nobody", engine, 0, 0);
    for (int i = 0; i < N_SESSIONS; i++) {
        sessions[i] = new_session(engine);
        sync_to(sessions[i], text[i], n[i], n_shared[i], &found[i]);
        check_pages("one prompt more", engine, n_used[i], n_both[i]);
        check_prompt("one prompt more", &expected[i], &found[i]);
    }
    for (int i = 0; i < N_SESSIONS; i++) {
        generate(sessions[i], NULL, &found[i]);
        check_same("beside others", &expected[i], &found[i]);
    }
    check_pages("with answers", engine, 6, 2);
    rr_session_destroy(&sessions[0]);
    check_pages("without the first", engine, 5, 1);
    for (int i = 1; i < N_SESSIONS; i++) { /* from the middle of what they hold */
        sync_to(sessions[i], text[i], P + 20, 0, &found[i]);
        sync_to(sessions[i], text[i], n[i], i == 1 ? n_shared[2] - (P + 20) : 0, &found[i]);
        generate(sessions[i], NULL, &found[i]);
        check_same("without the first", &expected[i], &found[i]);
        rr_session_destroy(&sessions[i]);
    }
    check_pages("nobody any more", engine, 0, 0);
}

/* Forks that all write into their one common page in the same pass. */
static void test_forks(rr_engine *engine) {
    static answer expected[N_SESSIONS], found;
    static const int32_t next[N_SESSIONS] = {7, 201, 99};
    rr_diag diag = {0};
    rr_session *sessions[N_SESSIONS] = {new_session(engine)};
    for (int i = 0; i < N_SESSIONS; i++) {
        sync_to(sessions[0], base, N_BASE, 0, &expected[i]);
        CHECK_OK(rr_engine_decode(engine, sessions, &next[i], 1, &diag), diag);
        take_logits(sessions[0], expected[i].end);
    }
    sync_to(sessions[0], base, N_BASE, 0, &found);
    for (int i = 1; i < N_SESSIONS; i++) {
        sessions[i] = new_session(engine);
        CHECK_OK(rr_session_fork(sessions[i], sessions[0], N_BASE, &diag), diag);
    }
    check_pages("forks", engine, 3, 3);
    CHECK_OK(rr_engine_decode(engine, sessions, next, N_SESSIONS, &diag), diag);
    check_pages("forks that wrote", engine, 5, 2);
    for (int i = 0; i < N_SESSIONS; i++) {
        take_logits(sessions[i], found.end);
        CHECK_MSG(
            memcmp(found.end, expected[i].end, sizeof found.end) == 0, "fork %d: logits differ", i);
    }
    for (int i = 0; i < N_SESSIONS; i++) {
        rr_session_destroy(&sessions[i]);
    }
}

/* The page outlives the session that filled it. */
static void test_donor_first(rr_engine *engine) {
    static answer expected, found;
    rr_diag diag = {0};
    alone(engine, base, N_BASE, &expected);
    rr_session *a = new_session(engine), *b = new_session(engine);
    sync_to(a, base, N_BASE, 0, &found);
    CHECK_OK(rr_session_fork(b, a, N_BASE, &diag), diag);
    rr_session_destroy(&a);
    check_pages("the donor is gone", engine, 3, 0);
    a = new_session(engine); /* takes free pages */
    sync_to(a, base + 9, N_BASE, 0, &found);
    take_logits(b, found.prompt);
    generate(b, NULL, &found);
    check_same("the donor is gone", &expected, &found);
    rr_session_destroy(&a);
    rr_session_destroy(&b);
}

/* Prompts, forks and drafted rows that end before, at and behind a page's end. */
static void test_ends(rr_engine *engine) {
    static answer expected, found;
    static const size_t lengths[] = {
        P - N_ANSWER, P - 5, P - 1, P, P + 1, 2 * P - 1, 2 * P, 2 * P + 1};
    rr_diag diag = {0};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t n = lengths[i];
        guesses right = {expected.ids, n};
        alone(engine, base, n, &expected);
        rr_session *a = new_session(engine), *b = new_session(engine), *c = new_session(engine);
        sync_to(a, base, n, 0, &found);
        generate(a, &right, &found);
        check_same("with drafts", &expected, &found);
        sync_to(a, base, n + 30, 0, &found); /* over what it generated */
        sync_to(b, base, n, n - 1, &found);
        CHECK_OK(rr_session_fork(c, a, n, &diag), diag);
        generate(b, &right, &found);
        check_same("shared", &expected, &found);
        take_logits(c, found.prompt);
        generate(c, &right, &found);
        check_same("forked", &expected, &found);
        sync_to(a, base, n, 0, &found);
        generate(a, NULL, &found);
        check_same("that gave to others", &expected, &found);
        rr_session_destroy(&a);
        rr_session_destroy(&b);
        rr_session_destroy(&c);
    }
    check_pages("after all ends", engine, 0, 0);
}

static void cancel(void *user, size_t done, size_t total) {
    (void)done;
    (void)total;
    rr_session_cancel(user);
}

/* A sync that is cancelled behind shared pages leaves all sessions right. */
static void test_cancelled(rr_engine *engine) {
    static answer expected, longer, found;
    rr_diag diag = {0};
    alone(engine, base, N_BASE, &expected);
    alone(engine, base, N_BASE + 3 * CHUNK, &longer);
    rr_session *a = new_session(engine), *b = new_session(engine);
    sync_to(a, base, N_BASE, 0, &found);
    CHECK_OK(rr_session_fork(b, a, P + 30, &diag), diag);
    int32_t other[N_CONTEXT];
    memcpy(other, base, sizeof other);
    other[P + 50]++;
    rr_session_on_sync_progress(b, cancel, b);
    CHECK_INT(rr_session_sync(b, other, N_CONTEXT, &diag), RR_E_CANCELLED);
    rr_session_on_sync_progress(b, NULL, NULL);
    generate(a, NULL, &found);
    check_same("beside one that was cancelled", &expected, &found);
    CHECK_OK(rr_session_sync(b, base, N_BASE + 3 * CHUNK, &diag), diag);
    take_logits(b, found.prompt);
    generate(b, NULL, &found);
    check_same("after it was cancelled", &longer, &found);
    rr_session_destroy(&a);
    rr_session_destroy(&b);
}

/* As where a device allocates two pages at once and no more. */
static void deal_over_buffers(rr_engine *engine) {
    rr_diag diag = {0};
    const rr_pages_size size = {
        .n_context = N_CONTEXT, .n_lists = N_SESSIONS, .n_tokens = engine->limits.kv_tokens};
    rr_pages_plan plan =
        rr_pages_plan_make(&rr_engine_model(engine)->config, &size, rr_engine_device(engine));
    CHECK_INT(plan.n_pages, N_SESSIONS * N_CONTEXT / P);
    CHECK_INT(plan.n_each, plan.n_pages);
    plan.n_each = 2;
    rr_pages_destroy(&engine->pages);
    const rr_pages_params params = {.plan = plan,
        .compute = engine->compute,
        .lock = &engine->lock,
        .evict = rr_session_evict_one,
        .user = engine};
    CHECK_OK(rr_pages_create(&params, &engine->pages, &diag), diag);
}

static void test_graph(void) {
    const rr_engine_params params = {.compute.model_path = model_path,
        .compute.n_context = N_CONTEXT,
        .n_sessions = N_SESSIONS,
        .compute.prompt_chunk = CHUNK,
        .compute.graph = graph};
    rr_engine *engine = small_open(&params);
    deal_over_buffers(engine);
    test_prompts(engine);
    test_forks(engine);
    test_donor_first(engine);
    test_ends(engine);
    test_cancelled(engine);
    small_close(&engine);
}

int main(void) {
    CHECK_INT(small_model.n_vocab, N_VOCAB);
    rr_synth_file(&small_model, model_path, sizeof model_path);
    for (int i = 0; i < N_CONTEXT; i++) {
        base[i] = (i * 37 + i * i * 11 + 5) % 280;
    }
    small_on_graphs(model_path, &graph, test_graph);
    unlink(model_path);
    return CHECK_END();
}
