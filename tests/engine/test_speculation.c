/* Drafted tokens: the output, the timeline and the logits are the bytes of plain greedy decoding,
 * whatever is drafted, alone and in company; right drafts save passes. */
#include <pthread.h>
#include <unistd.h>

#include "runtime/engine/draft_model.h"
#include "tests/engine/small.h"

static char model_path[256], other_path[256]; /* the same shape and vocabulary, other weights */
static uint32_t n_vocab;
static const char *graph; /* under test */

enum {
    N_WINDOWS = 200,
    N_FEW = 24,
    N_FAST = 8,
    N_THREADS = 8,
    N_PROMPT = 60,
    N_ANSWER = 40,
    N_CONTEXT = 96
};

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* One prompt, and what plain greedy decoding makes of it. */
typedef struct window {
    int32_t prompt[N_PROMPT];
    size_t n_prompt;
    uint32_t max_tokens; /* 0: until the context is full */
    size_t stop_after;   /* by on_token; 0 = never */
    rr_tokens answer;
    rr_stop stop;
    size_t n_timeline;
    float *last_logits;
} window;

static window windows[N_WINDOWS];
static size_t n_windows;

static void make_windows(size_t n) {
    uint64_t random = 5;
    n_windows = n;
    for (size_t w = 0; w < n; w++) {
        window *one = &windows[w];
        *one = (window){.n_prompt = 3 + next_random(&random) % (N_PROMPT - 3)};
        for (size_t i = 0; i < one->n_prompt; i++) {
            one->prompt[i] = (int32_t)(next_random(&random) % 280);
        }
        one->max_tokens = w % 5 == 4 ? 0 : 1 + next_random(&random) % N_ANSWER;
        one->stop_after = w % 7 == 6 ? 1 + next_random(&random) % N_ANSWER : 0;
        one->last_logits = malloc(n_vocab * sizeof *one->last_logits);
    }
}

static void forget_windows(void) {
    for (size_t w = 0; w < n_windows; w++) {
        rr_tokens_destroy(&windows[w].answer);
        free(windows[w].last_logits);
    }
}

/* Knows the answer, and is wrong at random; sometimes it drafts nonsense or ids that do not
 * exist. */
typedef struct oracle {
    const window *window;
    uint64_t random;
    uint32_t right_of_8; /* of eight tokens so many */
    size_t n_seen, stop_after;
} oracle;

static uint32_t draft_by_oracle(
    void *user, const int32_t *tokens, size_t n, int32_t *ids, uint32_t max) {
    oracle *o = user;
    (void)tokens;
    size_t known = n - o->window->n_prompt;
    /* also more than is allowed, though not written */
    uint32_t count = next_random(&o->random) % (max + 2);
    for (uint32_t i = 0; i < count && i < max; i++) {
        bool right = next_random(&o->random) % 8 < o->right_of_8 && known + i < o->window->answer.n;
        ids[i] = right ? o->window->answer.ids[known + i]
                       : (int32_t)(next_random(&o->random) % (n_vocab + 20)) - 10;
    }
    return count;
}

static bool count_tokens(void *user, int32_t id) {
    (void)id;
    oracle *o = user;
    return ++o->n_seen != o->stop_after;
}

/* Who drafts. */
typedef enum drafter { PLAIN, SUFFIX, ORACLE, FOOL, N_DRAFTERS, MODEL = N_DRAFTERS } drafter;
static rr_draft_model second; /* of MODEL */

typedef struct outcome {
    rr_status status;
    rr_diag diag;
    bool same_answer, same_stop, same_timeline, same_logits;
    rr_generate_result result;
} outcome;

/* Runs a window; PLAIN keeps what it finds, the others compare. */
static void run_window(rr_session *session, window *w, drafter who, bool always, outcome *o) {
    oracle knows = {.window = w,
        .random = w->n_prompt,
        .right_of_8 = who == FOOL ? 1 : 7,
        .stop_after = w->stop_after};
    rr_generate_params params = {
        .max_tokens = w->max_tokens, .on_token = count_tokens, .user = &knows};
    params.draft_always = always;
    params.draft = who == SUFFIX ? rr_draft : who == PLAIN ? NULL : draft_by_oracle;
    params.draft_user = who == SUFFIX ? NULL : &knows;
    if (who == MODEL) {
        params.draft = rr_draft_by_model;
        params.draft_user = &second;
    }
    params.draft_depth = who == MODEL ? 4 : always ? RR_DECODE_ROWS : 0;
    const float *logits = NULL;
    rr_tokens found = {0};
    rr_status status = RR_OK;
    *o = (outcome){0};
    RR_TRY_GOTO(rr_session_sync(session, w->prompt, w->n_prompt, &o->diag));
    RR_TRY_GOTO(rr_session_generate(session, &params, &found, &o->result, &o->diag));
    size_t n_timeline = rr_session_n_tokens(session);
    RR_TRY_GOTO(rr_session_logits(session, &logits, &o->diag));
    if (who == PLAIN) {
        w->stop = o->result.stop;
        w->n_timeline = n_timeline;
        memcpy(w->last_logits, logits, n_vocab * sizeof *logits);
        w->answer = found;
        return;
    }
    o->same_answer = found.n == w->answer.n &&
        (found.n == 0 || memcmp(found.ids, w->answer.ids, found.n * sizeof *found.ids) == 0);
    o->same_stop = o->result.stop == w->stop && o->result.n_tokens == found.n;
    o->same_timeline = n_timeline == w->n_timeline &&
        session->tokens[n_timeline - 1] ==
            (n_timeline > w->n_prompt ? found.ids[n_timeline - w->n_prompt - 1]
                                      : w->prompt[w->n_prompt - 1]);
    o->same_logits = memcmp(logits, w->last_logits, n_vocab * sizeof *logits) == 0;
fail:
    o->status = status;
    rr_tokens_destroy(&found);
}

static void check_outcome(size_t w, drafter who, const outcome *o) {
    CHECK_MSG(o->status == RR_OK, "window %zu, drafter %d: status %d: %s", w, (int)who,
        (int)o->status, o->diag.text);
    CHECK_MSG(o->same_answer, "window %zu, drafter %d: another answer", w, (int)who);
    CHECK_MSG(
        o->same_stop, "window %zu, drafter %d: stopped by %d", w, (int)who, (int)o->result.stop);
    CHECK_MSG(o->same_timeline, "window %zu, drafter %d: another timeline", w, (int)who);
    CHECK_MSG(o->same_logits, "window %zu, drafter %d: other logits", w, (int)who);
    CHECK(
        o->result.n_accepted <= o->result.n_drafted && o->result.n_accepted <= o->result.n_tokens);
}

static rr_engine *open_model(const char *path, uint32_t n_sessions) {
    const rr_engine_params params = {.compute.model_path = path,
        .compute.n_context = N_CONTEXT,
        .n_sessions = n_sessions,
        .compute.prompt_chunk = 64,
        .compute.graph = graph};
    return small_open(&params);
}

static rr_engine *open_engine(uint32_t n_sessions) {
    return open_model(model_path, n_sessions);
}

static void test_alone(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1);
    rr_session *session = NULL;
    outcome o;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    for (size_t w = 0; w < n_windows; w++) {
        run_window(session, &windows[w], PLAIN, false, &o);
        CHECK_OK(o.status, o.diag);
    }
    for (int who = SUFFIX; who < N_DRAFTERS; who++) {
        rr_engine_stats before, after;
        size_t n_tokens = 0, n_drafted = 0, n_accepted = 0;
        rr_engine_stats_get(engine, &before);
        for (size_t w = 0; w < n_windows; w++) {
            /* a fool is asked as the engine likes */
            run_window(session, &windows[w], (drafter)who, who != FOOL, &o);
            check_outcome(w, (drafter)who, &o);
            n_tokens += o.result.n_tokens;
            n_drafted += o.result.n_drafted;
            n_accepted += o.result.n_accepted;
        }
        rr_engine_stats_get(engine, &after);
        size_t n_passes = after.n_decode_passes - before.n_decode_passes;
        printf("%s: drafter %d: %zu tokens in %zu decode passes, %zu of %zu drafted tokens right\n",
            graph, who, n_tokens, n_passes, n_accepted, n_drafted);
        CHECK_INT(after.drafted_tokens - before.drafted_tokens, n_drafted);
        CHECK_INT(after.accepted_tokens - before.accepted_tokens, n_accepted);
        if (who == ORACLE) {
            CHECK_MSG(2 * n_passes < n_tokens, "%zu tokens took %zu passes", n_tokens, n_passes);
        }
    }
    rr_session_destroy(&session);
    rr_engine_close(&engine);
}

/* A second model that is the first one is always right; another one is not, and changes nothing
 * either. */
static void test_second_model(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1);
    rr_session *session = NULL;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    for (int other = 0; other < 2; other++) {
        rr_engine *drafting = open_model(other ? other_path : model_path, 1);
        outcome o;
        size_t n_tokens = 0, n_drafted = 0, n_accepted = 0;
        second = (rr_draft_model){.sources.min_match = N_CONTEXT}; /* the model alone */
        CHECK_OK(rr_draft_model_check(drafting, engine, &diag), diag);
        CHECK_OK(rr_session_create(drafting, &second.session, &diag), diag);
        for (size_t w = 0; w < n_windows && w < N_FEW; w++) {
            run_window(session, &windows[w], MODEL, true, &o);
            check_outcome(w, MODEL, &o);
            n_tokens += o.result.n_tokens;
            n_drafted += o.result.n_drafted;
            n_accepted += o.result.n_accepted;
        }
        printf("%s: a second model%s: %zu of %zu drafted tokens right, %zu in all\n", graph,
            other ? ", another" : "", n_accepted, n_drafted, n_tokens);
        /* on_token may stop early */
        CHECK_MSG(other || 4 * n_accepted >= 3 * n_drafted, "%zu of %zu", n_accepted, n_drafted);
        rr_session_destroy(&second.session);
        rr_engine_close(&drafting);
    }
    rr_session_destroy(&session);
    rr_engine_close(&engine);
}

/* The same model, one token of which is written otherwise. */
static void write_foreign(const char *path) {
    static const char token[] = "<|im_start|>";
    rr_diag diag = {0};
    rr_buf bytes = {0};
    CHECK_OK(rr_synth_build(&small_model, &bytes, &diag), diag);
    for (size_t i = 0; i + sizeof token <= bytes.bytes; i++) {
        if (memcmp(bytes.data + i, token, sizeof token - 1) == 0) {
            bytes.data[i + 2] = 'X';
        }
    }
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes.data, 1, bytes.bytes, file) == bytes.bytes);
    CHECK(file != NULL && fclose(file) == 0);
    rr_buf_destroy(&bytes);
}

static void test_foreign_vocabulary(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1);
    write_foreign(other_path);
    rr_engine *foreign = open_model(other_path, 1);
    CHECK_INT(rr_draft_model_check(foreign, engine, &diag), RR_E_UNSUPPORTED);
    CHECK_MSG(strstr(diag.text, "token 281 ") != NULL, "%s", diag.text);
    rr_engine_close(&foreign);
    rr_engine_close(&engine);
}

typedef struct worker {
    pthread_t thread;
    rr_session *session;
    size_t index;
    outcome *outcomes; /* [n_windows] */
} worker;

static drafter drafter_of(size_t w) {
    return (drafter)(SUFFIX + w % 3);
}

static void *work(void *user) {
    worker *one = user;
    for (size_t w = one->index; w < n_windows; w += N_THREADS) {
        run_window(one->session, &windows[w], drafter_of(w), w % 2 == 0, &one->outcomes[w]);
    }
    return NULL;
}

static void test_together(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(N_THREADS);
    worker workers[N_THREADS];
    rr_engine_stats stats;
    outcome *outcomes = calloc(n_windows, sizeof *outcomes);
    for (size_t t = 0; t < N_THREADS; t++) {
        workers[t] = (worker){.index = t, .outcomes = outcomes};
        CHECK_OK(rr_session_create(engine, &workers[t].session, &diag), diag);
    }
    for (size_t t = 0; t < N_THREADS; t++) {
        CHECK(pthread_create(&workers[t].thread, NULL, work, &workers[t]) == 0);
    }
    for (size_t t = 0; t < N_THREADS; t++) {
        pthread_join(workers[t].thread, NULL);
        rr_session_destroy(&workers[t].session);
    }
    size_t n_tokens = 0;
    for (size_t w = 0; w < n_windows; w++) {
        check_outcome(w, drafter_of(w), &outcomes[w]);
        n_tokens += outcomes[w].result.n_tokens;
    }
    rr_engine_stats_get(engine, &stats);
    printf("%s: together: %zu tokens in %d decode passes of %d rows\n", graph, n_tokens,
        (int)stats.n_decode_passes, (int)stats.decode_rows);
    CHECK(2 * stats.n_decode_passes < n_tokens);
    free(outcomes);
    small_close(&engine);
}

static void test_graph(void) {
    static bool many; /* windows: once, with the graph that comes first */
    make_windows(check_is_fast() ? N_FAST : many ? N_FEW : N_WINDOWS);
    test_alone();
    if (!many) {
        test_second_model();
    }
    many = true;
    test_together();
    forget_windows();
}

int main(void) {
    rr_synth_file(&small_model, model_path, sizeof model_path);
    rr_synth other = small_model;
    other.seed = 9;
    rr_synth_file(&other, other_path, sizeof other_path);
    n_vocab = small_model.n_vocab;
    small_on_graphs(model_path, &graph, test_graph);
    test_foreign_vocabulary();
    unlink(model_path);
    unlink(other_path);
    return CHECK_END();
}
