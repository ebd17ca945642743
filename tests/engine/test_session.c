/* Sessions on a synthetic model: the same bits whatever the chunking, the company and the reuse;
 * errors; cancel and deadline. */
#include <unistd.h>

#include "runtime/base/thread.h"
#include "runtime/compute/fused_layer.h"
#include "tests/engine/small.h"

static char model_path[256];
static uint32_t n_vocab;
static const char *graph; /* under test */

enum { N_PROMPT = 150, N_LONG = 2100, N_CONTEXT = 256 };
static int32_t prompt[N_LONG];

static rr_engine *open_engine_for(uint32_t n_context, uint32_t n_sessions, uint32_t chunk) {
    const rr_engine_params params = {.compute.model_path = model_path,
        .compute.n_context = n_context,
        .n_sessions = n_sessions,
        .compute.prompt_chunk = chunk,
        .compute.graph = graph};
    return small_open(&params);
}

static rr_engine *open_engine(uint32_t n_sessions, uint32_t chunk) {
    return open_engine_for(N_CONTEXT, n_sessions, chunk);
}

static rr_session *new_session(rr_engine *engine) {
    rr_diag diag = {0};
    rr_session *session = NULL;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    return session;
}

/* Copies the logits after a sync to prompt[0 … n). */
static void sync_logits(rr_session *session, size_t n, float *out) {
    rr_diag diag = {0};
    const float *logits = NULL;
    CHECK_OK(rr_session_sync(session, prompt, n, &diag), diag);
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    memcpy(out, logits, n_vocab * sizeof *out);
}

static void check_same(const char *what, const float *a, const float *b) {
    CHECK_MSG(memcmp(a, b, n_vocab * sizeof *a) == 0, "%s: logits differ", what);
}

/* The first n tokens cut in each of these ways end in the same logits, which are left in
 * `expected`. */
static void test_chunks(size_t n, const uint32_t *chunks, size_t n_chunks, float *expected) {
    float *found = malloc(n_vocab * sizeof *found);
    for (size_t i = 0; i < n_chunks; i++) {
        rr_engine *engine = open_engine_for(n > N_PROMPT ? N_LONG + 4 : N_CONTEXT, 1, chunks[i]);
        rr_session *session = new_session(engine);
        sync_logits(session, n, i == 0 ? expected : found);
        if (i > 0) {
            check_same("prompt cut into chunks", expected, found);
        }
        rr_session_destroy(&session);
        small_close(&engine);
    }
    free(found);
}

static void test_reuse(const float *expected) {
    rr_engine *engine = open_engine(1, 64);
    rr_session *session = new_session(engine);
    float *found = malloc(n_vocab * sizeof *found);
    sync_logits(session, 90, found);
    CHECK_INT(rr_session_n_reused(session), 0);
    sync_logits(session, N_PROMPT, found);
    CHECK_INT(rr_session_n_reused(session), 90);
    check_same("prefix reused", expected, found);
    sync_logits(session, N_PROMPT, found); /* nothing to do */
    CHECK_INT(rr_session_n_reused(session), N_PROMPT);
    check_same("same prompt again", expected, found);
    sync_logits(session, 20, found); /* shorter, then longer again over stale KV */
    CHECK_INT(rr_session_n_tokens(session), 20);
    sync_logits(session, N_PROMPT, found);
    CHECK_INT(rr_session_n_reused(session), 20);
    check_same("after a shorter prompt", expected, found);
    free(found);
    rr_session_destroy(&session);
    small_close(&engine);
}

/* Rows alone and in company: 32 sessions of different lengths decode the same steps together. */
static void test_company(void) {
    enum { N = RR_DECODE_ROWS, STEPS = 3 };
    rr_diag diag = {0};
    rr_engine *engine = open_engine(N, 64);
    rr_session *sessions[N];
    int32_t tokens[N];
    float *alone = malloc((size_t)N * STEPS * n_vocab * sizeof *alone);
    float *scratch = malloc(n_vocab * sizeof *scratch);
    for (int i = 0; i < N; i++) {
        sessions[i] = new_session(engine);
        sync_logits(sessions[i], (size_t)(5 + i * 4), scratch);
        for (int s = 0; s < STEPS; s++) {
            int32_t token = prompt[(i * 7 + s) % N_PROMPT];
            const float *logits = NULL;
            CHECK_OK(rr_engine_decode(engine, &sessions[i], &token, 1, &diag), diag);
            CHECK_OK(rr_session_logits(sessions[i], &logits, &diag), diag);
            memcpy(alone + ((size_t)i * STEPS + (size_t)s) * n_vocab, logits,
                n_vocab * sizeof *logits);
        }
    }
    static const int counts[] = {2, 3, 5, 8, 9, 17, 31, 32};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (int i = 0; i < counts[c]; i++) {
            sync_logits(sessions[i], (size_t)(5 + i * 4), scratch);
        }
        for (int s = 0; s < STEPS; s++) {
            for (int i = 0; i < counts[c]; i++) {
                tokens[i] = prompt[(i * 7 + s) % N_PROMPT];
            }
            CHECK_OK(rr_engine_decode(engine, sessions, tokens, (size_t)counts[c], &diag), diag);
            for (int i = 0; i < counts[c]; i++) {
                const float *logits = NULL;
                CHECK_OK(rr_session_logits(sessions[i], &logits, &diag), diag);
                check_same(
                    "row in company", alone + ((size_t)i * STEPS + (size_t)s) * n_vocab, logits);
            }
        }
    }
    tokens[1] = tokens[0];
    rr_session *twice[2] = {sessions[0], sessions[0]};
    CHECK_INT(rr_engine_decode(engine, twice, tokens, 2, &diag), RR_E_USAGE);
    CHECK_INT(rr_engine_decode(engine, sessions, tokens, 0, &diag), RR_E_USAGE);
    rr_session *extra = NULL;
    CHECK_INT(rr_session_create(engine, &extra, &diag), RR_E_MEMORY);
    for (int i = 0; i < N; i++) {
        rr_session_destroy(&sessions[i]);
    }
    free(alone);
    free(scratch);
    small_close(&engine);
}

/* A token alone takes a layer in one dispatch where workgroups meet. When they suddenly do not, the
 * pass is done again without; its bits, and those of later passes, are the same. */
static void test_meeting(void) {
    enum { STEPS = 3, MOST = 64 };
    rr_diag diag = {0};
    const uint32_t n_cpus = rr_cpu_count(), too_many = 2 * n_cpus < MOST ? 2 * n_cpus + 1 : MOST;
    rr_engine *engine = open_engine(1, 64);
    rr_session *session = new_session(engine);
    float *before = malloc((size_t)STEPS * n_vocab * sizeof *before),
          *found = malloc(n_vocab * sizeof *found);
    bool met = rr_fused_layer_is_on(engine->compute);
    if (!met) {
        puts("workgroups do not meet here: nothing to lose");
    }
    for (int run = 0; met && run < 2; run++) {
        sync_logits(session, 40, found);
        if (run == 1) {
            rr_fused_layer_set_groups(engine->compute, too_many);
        }
        for (int s = 0; s < STEPS; s++) {
            const float *logits = NULL;
            CHECK_OK(rr_engine_decode(engine, &session, &prompt[s], 1, &diag), diag);
            CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
            if (run == 0) {
                memcpy(before + (size_t)s * n_vocab, logits, n_vocab * sizeof *logits);
            } else {
                check_same("after workgroups did not meet", before + (size_t)s * n_vocab, logits);
            }
        }
        CHECK(run == 0 || !rr_fused_layer_is_on(engine->compute) || n_cpus >= MOST);
    }
    free(before);
    free(found);
    rr_session_destroy(&session);
    small_close(&engine);
}

/* All logits in one call equal those of growing prompts to rounding: the head runs in another
 * kernel family there. */
typedef struct seen {
    size_t n;
    double worst;
    const float *last;
} seen;

static rr_status see_row(void *user, size_t position, const float *logits, rr_diag *diag) {
    (void)diag;
    seen *s = user;
    CHECK_INT(position, s->n);
    s->n++;
    for (uint32_t i = 0; position == N_PROMPT - 1 && i < n_vocab; i++) {
        double d = (double)logits[i] - (double)s->last[i];
        s->worst = d > s->worst ? d : -d > s->worst ? -d : s->worst;
    }
    return RR_OK;
}

static void test_logits_all(const float *expected) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1, 48);
    rr_session *session = new_session(engine);
    seen s = {.last = expected};
    CHECK_OK(rr_session_logits_all(session, prompt, N_PROMPT, see_row, &s, &diag), diag);
    CHECK_INT(s.n, N_PROMPT);
    CHECK_MSG(s.worst < 1e-3, "the two families differ by %g", s.worst);
    rr_session_destroy(&session);
    small_close(&engine);
}

/* Tokens that a grammar wrote, in one pass with part of the head, against the same ones decoded
 * token by token. */
static void test_written(void) {
    enum { START = 60, MOST = 45 };
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1, 64);
    rr_session *session = new_session(engine);
    float *alone = malloc((size_t)MOST * n_vocab * sizeof *alone),
          *scratch = malloc(n_vocab * sizeof *scratch);
    sync_logits(session, START, scratch);
    for (size_t i = 0; i < MOST; i++) {
        const float *logits = NULL;
        CHECK_OK(rr_engine_decode(engine, &session, &prompt[START + i], 1, &diag), diag);
        CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
        memcpy(alone + i * n_vocab, logits, n_vocab * sizeof *logits);
    }
    const int32_t few[] = {15, 24, 60, 0}, most[] = {(int32_t)n_vocab - 1, 3},
                  bad[] = {1, (int32_t)n_vocab}, worse[] = {-1};
    static const size_t counts[] = {1, 2, 4, 9, 32, 33, MOST};
    float found[4];
    sync_logits(session, START, scratch);
    /* a prompt's own, as they are */
    CHECK_OK(rr_session_logits_of(session, prompt, START, few, 4, found, &diag), diag);
    for (size_t i = 0; i < 4; i++) {
        CHECK(memcmp(&found[i], &scratch[few[i]], sizeof *found) == 0);
    }
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const float *expected = alone + (counts[c] - 1) * n_vocab;
        sync_logits(session, START, scratch);
        CHECK_OK(
            rr_session_logits_of(session, prompt, START + counts[c], few, 4, found, &diag), diag);
        for (size_t i = 0; i < 4; i++) {
            CHECK_MSG(memcmp(&found[i], &expected[few[i]], sizeof *found) == 0,
                "%zu written: logit of %d is %a, expected %a", counts[c], few[i], (double)found[i],
                (double)expected[few[i]]);
        }
        /* already there */
        CHECK_OK(
            rr_session_logits_of(session, prompt, START + counts[c], most, 2, found, &diag), diag);
        CHECK(memcmp(&found[0], &expected[most[0]], sizeof *found) == 0 &&
            memcmp(&found[1], &expected[3], sizeof *found) == 0);
        CHECK_INT(rr_session_n_tokens(session), START + counts[c]);
    }
    /* on from there as after decoded tokens, and the whole logits are to be had */
    const float *logits = NULL;
    CHECK_OK(rr_session_logits_of(session, prompt, START + 5, few, 4, found, &diag), diag);
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    check_same("whole logits after a part", alone + 4 * n_vocab, logits);
    CHECK_OK(rr_engine_decode(engine, &session, &prompt[START + 5], 1, &diag), diag);
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    check_same("a token after written ones", alone + 5 * n_vocab, logits);

    CHECK_INT(rr_session_logits_of(session, prompt, START, bad, 2, found, &diag), RR_E_USAGE);
    CHECK(strstr(diag.text, "choice 1") != NULL);
    CHECK_INT(rr_session_logits_of(session, prompt, START, worse, 1, found, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_logits_of(session, prompt, START, few, 0, found, &diag), RR_E_USAGE);
    CHECK_INT(
        rr_session_logits_of(session, prompt, N_CONTEXT + 1, few, 4, found, &diag), RR_E_USAGE);
    rr_session_cancel(session);
    CHECK_INT(rr_session_logits_of(session, prompt, START, few, 4, found, &diag), RR_E_CANCELLED);
    /* usable again */
    CHECK_OK(rr_session_logits_of(session, prompt, START, few, 4, found, &diag), diag);
    free(alone);
    free(scratch);
    rr_session_destroy(&session);
    small_close(&engine);
}

static bool stop_at_three(void *user, int32_t id) {
    (void)id;
    return ++*(int *)user < 3;
}

static bool cancel_self(void *user, int32_t id) {
    (void)id;
    rr_session_cancel(user);
    return true;
}

static void test_generate(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1, 64);
    rr_session *session = new_session(engine);
    rr_generate_params params = {.max_tokens = 12};
    rr_generate_result result;
    rr_tokens first = {0}, second = {0}, third = {0};
    CHECK_INT(rr_session_generate(session, &params, &first, &result, &diag), RR_E_USAGE);
    CHECK_OK(rr_session_sync(session, prompt, 40, &diag), diag);
    CHECK_OK(rr_session_generate(session, &params, &first, &result, &diag), diag);
    CHECK_INT(result.n_tokens, first.n);
    CHECK(first.n == 12 || result.stop == RR_STOP_END);
    CHECK_OK(rr_session_sync(session, prompt, 40, &diag), diag);
    CHECK_OK(rr_session_generate(session, &params, &second, &result, &diag), diag);
    CHECK(first.n == second.n && memcmp(first.ids, second.ids, first.n * sizeof *first.ids) == 0);

    params =
        (rr_generate_params){.max_tokens = 20, .temperature = 1.0f, .top_p = 0.95f, .seed = 11};
    rr_tokens_destroy(&first);
    rr_tokens_destroy(&second);
    CHECK_OK(rr_session_sync(session, prompt, 40, &diag), diag);
    CHECK_OK(rr_session_generate(session, &params, &first, &result, &diag), diag);
    CHECK_OK(rr_session_sync(session, prompt, 40, &diag), diag);
    CHECK_OK(rr_session_generate(session, &params, &second, &result, &diag), diag);
    CHECK(first.n == second.n && memcmp(first.ids, second.ids, first.n * sizeof *first.ids) == 0);
    params.seed = 12;
    CHECK_OK(rr_session_sync(session, prompt, 40, &diag), diag);
    CHECK_OK(rr_session_generate(session, &params, &third, &result, &diag), diag);
    CHECK(third.n != first.n || memcmp(first.ids, third.ids, first.n * sizeof *first.ids) != 0);

    int n_seen = 0;
    rr_tokens stopped = {0};
    params = (rr_generate_params){.max_tokens = 20, .on_token = stop_at_three, .user = &n_seen};
    CHECK_OK(rr_session_sync(session, prompt, 40, &diag), diag);
    CHECK_OK(rr_session_generate(session, &params, &stopped, &result, &diag), diag);
    CHECK(result.stop == RR_STOP_CALLER || result.stop == RR_STOP_END);
    CHECK(stopped.n <= 3);

    rr_tokens cut = {0};
    params = (rr_generate_params){.max_tokens = 20, .on_token = cancel_self, .user = session};
    CHECK_OK(rr_session_sync(session, prompt, 40, &diag), diag);
    CHECK_INT(rr_session_generate(session, &params, &cut, &result, &diag), RR_E_CANCELLED);
    CHECK_INT(cut.n, 1);
    CHECK_OK(rr_session_sync(session, prompt, 40, &diag), diag); /* usable again */

    rr_tokens full = {0};
    params = (rr_generate_params){.max_tokens = 0};
    CHECK_OK(rr_session_sync(session, prompt, N_PROMPT, &diag), diag);
    CHECK_OK(rr_session_generate(session, &params, &full, &result, &diag), diag);
    CHECK(result.stop == RR_STOP_END ||
        (result.stop == RR_STOP_CONTEXT && full.n == 256 - N_PROMPT + 1));
    rr_tokens_destroy(&first);
    rr_tokens_destroy(&second);
    rr_tokens_destroy(&third);
    rr_tokens_destroy(&stopped);
    rr_tokens_destroy(&cut);
    rr_tokens_destroy(&full);
    rr_session_destroy(&session);
    small_close(&engine);
}

static void end_time(void *user, size_t done, size_t total) {
    (void)done;
    (void)total;
    rr_session_deadline(user, 1);
}

static bool end_time_at_token(void *user, int32_t id) {
    (void)id;
    rr_session_deadline(user, 1);
    return true;
}

/* Deadlines before and within every call; afterwards the session gives the bits that it would have
 * given. */
static void test_deadlines(const float *expected) {
    enum { CHUNK = 16, START = 40 };
    static const int32_t few[] = {60, 3};
    rr_diag diag = {0};
    rr_engine *engine = open_engine(2, CHUNK);
    rr_session *session = new_session(engine), *other = new_session(engine);
    rr_session *const both[] = {session, other};
    float *found = malloc(n_vocab * sizeof *found), two[2];
    rr_engine_stats stats;
    rr_session_deadline(session, 1);
    CHECK_INT(rr_session_sync(session, prompt, N_PROMPT, &diag), RR_E_DEADLINE);
    CHECK_INT(rr_session_logits_of(session, prompt, START, few, 2, two, &diag), RR_E_DEADLINE);
    rr_engine_stats_get(engine, &stats);
    CHECK(stats.n_passes == 0 && rr_session_n_tokens(session) == 0);
    rr_session_deadline(session, 0);
    rr_session_on_sync_progress(session, end_time, session);
    for (size_t chunk = 1; chunk <= 3; chunk++) {
        CHECK_INT(rr_session_sync(session, prompt, N_PROMPT, &diag), RR_E_DEADLINE);
        CHECK_INT(rr_session_n_tokens(session), chunk * CHUNK);
        rr_session_deadline(session, 0);
    }
    rr_session_on_sync_progress(session, NULL, NULL);
    rr_session_deadline(session, rr_time_ns() + (uint64_t)3600 * 1000000000); /* far */
    sync_logits(session, N_PROMPT, found);
    CHECK_INT(rr_session_n_reused(session), 3 * CHUNK);
    check_same("after deadlines in the prompt", expected, found);

    rr_generate_params params = {.max_tokens = 12, .ignore_end = true};
    rr_generate_result result;
    rr_tokens whole = {0}, cut = {0};
    sync_logits(session, START, found);
    CHECK_OK(rr_session_generate(session, &params, &whole, &result, &diag), diag);
    sync_logits(session, START, found);
    params.on_token = end_time_at_token;
    params.user = session;
    CHECK_INT(rr_session_generate(session, &params, &cut, &result, &diag), RR_E_DEADLINE);
    CHECK(cut.n == 1 && result.n_tokens == 1 && cut.ids[0] == whole.ids[0]);
    CHECK_INT(rr_session_n_tokens(session), START);
    params.on_token = NULL;
    CHECK_INT(rr_session_generate(session, &params, &cut, &result, &diag), RR_E_DEADLINE);
    CHECK_INT(cut.n, 1);

    /* the other row of the same call is not held up */
    rr_session_deadline(session, 0);
    sync_logits(session, START, found);
    sync_logits(other, START, found);
    rr_session_deadline(session, 1);
    CHECK_INT(rr_engine_decode(engine, both, prompt + START, 2, &diag), RR_E_DEADLINE);
    CHECK(rr_session_n_tokens(session) == START && rr_session_n_tokens(other) == START + 1);
    rr_session_deadline(session, 0);
    rr_tokens_destroy(&cut);
    sync_logits(session, START, found);
    CHECK_OK(rr_session_generate(session, &params, &cut, &result, &diag), diag);
    CHECK(cut.n == whole.n && memcmp(cut.ids, whole.ids, cut.n * sizeof *cut.ids) == 0);
    sync_logits(session, N_PROMPT, found);
    check_same("after a deadline in what was generated", expected, found);
    rr_tokens_destroy(&whole);
    rr_tokens_destroy(&cut);
    free(found);
    rr_session_destroy(&session);
    rr_session_destroy(&other);
    small_close(&engine);
}

/* Within a chunk: a pass ends between two of its submits, wherever the deadline falls. */
static void test_deadline_in_a_pass(const float *expected) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1, 256);
    rr_session *session = new_session(engine);
    float *found = malloc(n_vocab * sizeof *found);
    sync_logits(session, N_PROMPT, found); /* unknown costs: a layer a submit; then several */
    uint64_t begin_ns = rr_time_ns();
    CHECK_OK(rr_session_sync(session, prompt + 1, N_PROMPT, &diag), diag);
    const uint64_t took_ns = rr_time_ns() - begin_ns;
    engine->compute->times.layer_row_ns[RR_PREFILL] = 1e9; /* a layer a submit again */
    for (uint64_t i = 1; i < 8; i++) {
        rr_session_deadline(session, rr_time_ns() + took_ns * i / 8);
        rr_status status = rr_session_sync(session, prompt + i % 2, N_PROMPT, &diag);
        CHECK(status == RR_OK ||
            (status == RR_E_DEADLINE && rr_session_n_tokens(session) % N_PROMPT == 0));
        engine->compute->times.layer_row_ns[RR_PREFILL] = 1e9;
    }
    rr_session_deadline(session, 0);
    sync_logits(session, 1, found);
    sync_logits(session, N_PROMPT, found);
    check_same("after a deadline in a pass", expected, found);
    free(found);
    rr_session_destroy(&session);
    small_close(&engine);
}

static void test_errors(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1, 64);
    rr_session *session = new_session(engine);
    int32_t bad[3] = {1, 2, (int32_t)n_vocab};
    CHECK_INT(rr_session_sync(session, prompt, 0, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_sync(session, bad, 3, &diag), RR_E_USAGE);
    CHECK(strstr(diag.text, "token 2") != NULL);
    bad[2] = -1;
    CHECK_INT(rr_session_sync(session, bad, 3, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_sync(session, prompt, 257, &diag), RR_E_USAGE);
    rr_session_cancel(session);
    CHECK_INT(rr_session_sync(session, prompt, N_PROMPT, &diag), RR_E_CANCELLED);
    CHECK_OK(rr_session_sync(session, prompt, N_PROMPT, &diag), diag);
    rr_session_destroy(&session);
    CHECK(session == NULL);
    small_close(&engine);

    rr_engine_params params = {.compute.model_path = "/nonexistent/model.gguf"};
    CHECK_INT(rr_engine_open(&params, &engine, &diag), RR_E_IO);
    params.compute.model_path = model_path;
    params.compute.n_context = 1 << 20;
    CHECK_INT(rr_engine_open(&params, &engine, &diag), RR_E_USAGE);
    params.compute.n_context = 256;
    params.compute.device = "no such device";
    CHECK_INT(rr_engine_open(&params, &engine, &diag), RR_E_USAGE);
    params.compute.device = NULL;
    params.compute.caps = "-warp-drive";
    CHECK_INT(rr_engine_open(&params, &engine, &diag), RR_E_USAGE);
}

static void test_graph(void) {
    static const uint32_t chunks[] = {256, 64, 33, 7, 1}, long_chunks[] = {N_LONG, 2048, 512, 64};
    float *expected = malloc(n_vocab * sizeof *expected);
    if (!check_is_fast()) {
        test_chunks(N_LONG, long_chunks, sizeof long_chunks / sizeof long_chunks[0], expected);
    }
    test_chunks(N_PROMPT, chunks, sizeof chunks / sizeof chunks[0], expected);
    test_reuse(expected);
    test_company();
    test_written();
    test_meeting();
    test_logits_all(expected);
    test_generate();
    test_deadlines(expected);
    test_deadline_in_a_pass(expected);
    free(expected);
}

int main(void) {
    rr_synth synth = small_model;
    synth.n_context = N_LONG + 4;
    rr_synth_file(&synth, model_path, sizeof model_path);
    n_vocab = synth.n_vocab;
    for (int i = 0; i < N_LONG; i++) {
        prompt[i] = (i * 37 + i * i * 11 + 5) % 280;
    }
    small_on_graphs(model_path, &graph, test_graph);
    test_errors();
    unlink(model_path);
    return CHECK_END();
}
