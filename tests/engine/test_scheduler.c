/* Threads that share passes: the same bits as alone, whoever is cancelled, is late or fails; passes
 * are shared, by prompts and generating sessions too, tokens of common prompts are computed
 * once. */
#include <pthread.h>
#include <unistd.h>

#include "runtime/base/thread.h"
#include "runtime/engine/scheduler.h"
#include "tests/engine/small.h"

static char model_path[256];
static uint32_t n_vocab;
static const char *graph; /* under test */
static int n_rounds;      /* up to N_ROUNDS */

enum {
    N_THREADS = 8,
    N_ROUNDS = 3,
    N_PROMPT = 120,
    N_ANSWER = 20,
    N_CONTEXT = 256,
    CHUNK = 16,
    N_LONG = 224
};
enum { PATIENCE_NS = 1000000000 };

static rr_engine *open_engine(uint32_t n_sessions) {
    const rr_engine_params params = {.compute.model_path = model_path,
        .compute.n_context = N_CONTEXT,
        .n_sessions = n_sessions,
        .compute.prompt_chunk = CHUNK,
        .compute.graph = graph};
    return small_open(&params);
}

/* What one thread does in one round. */
typedef struct job {
    int32_t prompt[N_PROMPT];
    size_t n_prompt;
    rr_generate_params params;
    /* as it comes out alone */
    float *prompt_logits, *last_logits;
    rr_tokens answer;
} job;

static job jobs[N_THREADS][N_ROUNDS];

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Half of the prompts begin alike for a while; a third of the answers are sampled. */
static void make_jobs(void) {
    uint64_t random = 7;
    for (int t = 0; t < N_THREADS; t++) {
        for (int r = 0; r < n_rounds; r++) {
            job *j = &jobs[t][r];
            j->n_prompt = 5 + next_random(&random) % (N_PROMPT - 5);
            size_t common = t % 2 == 0 ? 40 + next_random(&random) % 60 : 0;
            for (size_t i = 0; i < j->n_prompt; i++) {
                j->prompt[i] = (int32_t)(i < common ? (i * 31 + (size_t)r * 7) % 280
                                                    : next_random(&random) % 280);
            }
            j->params = (rr_generate_params){
                .max_tokens = N_ANSWER, .ignore_end = true, .seed = 100u + (uint64_t)t};
            if (t % 3 == 2) {
                j->params.temperature = 0.8f;
                j->params.top_p = 0.9f;
            }
        }
    }
}

/* What a thread found, looked at when it is over: the counts of checks are not shared by
 * threads. */
typedef struct outcome {
    rr_status status;
    rr_diag diag;
    bool prompt_same, answer_same, last_same;
} outcome;

static rr_status run_job(rr_session *session, const job *j, outcome *o) {
    const float *logits = NULL;
    rr_tokens found = {0};
    const size_t bytes = n_vocab * sizeof *logits;
    rr_status status = RR_OK;
    RR_TRY_GOTO(rr_session_sync(session, j->prompt, j->n_prompt, &o->diag));
    RR_TRY_GOTO(rr_session_logits(session, &logits, &o->diag));
    o->prompt_same = memcmp(logits, j->prompt_logits, bytes) == 0;
    RR_TRY_GOTO(rr_session_generate(session, &j->params, &found, NULL, &o->diag));
    RR_TRY_GOTO(rr_session_logits(session, &logits, &o->diag));
    o->last_same = memcmp(logits, j->last_logits, bytes) == 0;
fail:
    /* of one that was cut the beginning */
    o->answer_same = found.n == 0
        ? status != RR_OK
        : found.n <= j->answer.n && (status != RR_OK || found.n == j->answer.n) &&
            memcmp(found.ids, j->answer.ids, found.n * sizeof *found.ids) == 0;
    rr_tokens_destroy(&found);
    o->status = status;
    return status;
}

/* The same answer as a grammar would write it: some of its tokens at once, then the logits of a few
 * ids. */
static rr_status write_job(rr_session *session, const job *j, uint64_t random, outcome *o) {
    static const int32_t few[] = {60, 3, 31, 0};
    /* the last token is never fed back */
    enum { N_FEW = sizeof few / sizeof few[0], N_FED = N_ANSWER - 1 };
    int32_t tokens[N_PROMPT + N_ANSWER];
    float found[N_FEW];
    rr_status status = RR_OK;
    memcpy(tokens, j->prompt, j->n_prompt * sizeof *tokens);
    memcpy(tokens + j->n_prompt, j->answer.ids, N_FED * sizeof *tokens);
    o->prompt_same = o->answer_same = o->last_same = true;
    RR_TRY_GOTO(rr_session_sync(session, j->prompt, j->n_prompt, &o->diag));
    for (size_t n = 0; n < N_FED;) {
        n += 1 + next_random(&random) % 6;
        n = n < N_FED ? n : N_FED;
        RR_TRY_GOTO(
            rr_session_logits_of(session, tokens, j->n_prompt + n, few, N_FEW, found, &o->diag));
        o->answer_same = o->answer_same && rr_session_n_tokens(session) == j->n_prompt + n;
    }
    for (int i = 0; i < N_FEW; i++) {
        o->last_same =
            o->last_same && memcmp(&found[i], &j->last_logits[few[i]], sizeof *found) == 0;
    }
fail:
    o->status = status;
    return status;
}

/* One session after another, alone in its engine. */
static void run_alone(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1);
    rr_engine_stats stats;
    uint64_t n_rows = 0;
    for (int t = 0; t < N_THREADS; t++) {
        for (int r = 0; r < n_rounds; r++) {
            job *j = &jobs[t][r];
            rr_session *session = NULL;
            const float *logits = NULL;
            const size_t bytes = n_vocab * sizeof *logits;
            j->prompt_logits = malloc(bytes);
            j->last_logits = malloc(bytes);
            CHECK_OK(rr_session_create(engine, &session, &diag), diag);
            CHECK_OK(rr_session_sync(session, j->prompt, j->n_prompt, &diag), diag);
            CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
            memcpy(j->prompt_logits, logits, bytes);
            CHECK_OK(rr_session_generate(session, &j->params, &j->answer, NULL, &diag), diag);
            CHECK_INT(j->answer.n, N_ANSWER);
            CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
            memcpy(j->last_logits, logits, bytes);
            /* a greedy one's last logits are made anew */
            n_rows += N_ANSWER - 1 + (j->params.temperature > 0.0f ? 0 : 1);
            rr_session_destroy(&session);
        }
    }
    rr_engine_stats_get(engine, &stats);
    CHECK_INT(stats.n_decode_passes, n_rows);
    CHECK_INT(stats.decode_rows, n_rows);
    CHECK_INT(stats.shared_tokens, 0);
    CHECK_INT(stats.n_passes, stats.n_prompt_passes + stats.n_decode_passes);
    small_close(&engine);
}

static void forget_jobs(void) {
    for (int t = 0; t < N_THREADS; t++) {
        for (int r = 0; r < n_rounds; r++) {
            free(jobs[t][r].prompt_logits);
            free(jobs[t][r].last_logits);
            rr_tokens_destroy(&jobs[t][r].answer);
        }
    }
}

typedef struct worker {
    rr_session *session;
    pthread_t thread;
    int index;
    bool writes;
    uint64_t most_ns; /* each job is first begun with a deadline no later than this; 0 = none is */
    outcome outcomes[N_ROUNDS], hurried[N_ROUNDS];
} worker;

static atomic_int n_at_work;

static void *work(void *user) {
    worker *w = user;
    uint64_t random = 5u + (uint64_t)w->index;
    for (int r = 0; r < n_rounds; r++) {
        if (w->most_ns > 0) {
            /* one is late for sure */
            const uint64_t time_ns =
                w->index == 0 && r == 0 ? 1 : next_random(&random) % w->most_ns;
            rr_session_deadline(w->session, rr_time_ns() + time_ns);
            run_job(w->session, &jobs[w->index][r], &w->hurried[r]);
            rr_session_deadline(w->session, 0);
        }
        if (w->writes) {
            write_job(w->session, &jobs[w->index][r], (uint64_t)(w->index * N_ROUNDS + r),
                &w->outcomes[r]);
        } else {
            run_job(w->session, &jobs[w->index][r], &w->outcomes[r]);
        }
    }
    atomic_fetch_sub(&n_at_work, 1);
    return NULL;
}

/* `n_writers`: so many of the threads write their answers; `n_hurried`: so many of them, at most
 * `most_ns` a time. */
static void start_all(
    rr_engine *engine, worker *workers, int n_writers, int n_hurried, uint64_t most_ns) {
    rr_diag diag = {0};
    atomic_store(&n_at_work, N_THREADS);
    for (int t = 0; t < N_THREADS; t++) {
        workers[t] =
            (worker){.index = t, .writes = t < n_writers, .most_ns = t < n_hurried ? most_ns : 0};
        CHECK_OK(rr_session_create(engine, &workers[t].session, &diag), diag);
    }
    for (int t = 0; t < N_THREADS; t++) {
        CHECK(pthread_create(&workers[t].thread, NULL, work, &workers[t]) == 0);
    }
}

static void start_with(rr_engine *engine, worker *workers, int n_writers) {
    start_all(engine, workers, n_writers, 0, 0);
}

static void start(rr_engine *engine, worker *workers) {
    start_with(engine, workers, 0);
}

static void finish(worker *workers) {
    for (int t = 0; t < N_THREADS; t++) {
        pthread_join(workers[t].thread, NULL);
        rr_session_destroy(&workers[t].session);
    }
}

static void check_outcome(int t, int r, const outcome *o) {
    CHECK_MSG(o->status == RR_OK, "thread %d round %d: status %d: %s", t, r, (int)o->status,
        o->diag.text);
    CHECK_MSG(
        o->prompt_same, "thread %d round %d: the prompt's logits are not those of alone", t, r);
    CHECK_MSG(o->answer_same, "thread %d round %d: the answer is not that of alone", t, r);
    CHECK_MSG(o->last_same, "thread %d round %d: the last logits are not those of alone", t, r);
}

/* Passes with rows of a prompt and of decode. */
static int n_of_both(rr_engine *engine) {
    rr_engine_stats stats;
    rr_engine_stats_get(engine, &stats);
    return (int)(stats.n_prompt_passes + stats.n_decode_passes - stats.n_passes);
}

static void test_together(void) {
    rr_engine *engine = open_engine(N_THREADS);
    worker workers[N_THREADS];
    rr_engine_stats stats;
    start(engine, workers);
    finish(workers);
    for (int t = 0; t < N_THREADS; t++) {
        for (int r = 0; r < n_rounds; r++) {
            check_outcome(t, r, &workers[t].outcomes[r]);
        }
    }
    rr_engine_stats_get(engine, &stats);
    size_t n_prompt = 0;
    for (int t = 0; t < N_THREADS; t++) {
        for (int r = 0; r < n_rounds; r++) {
            n_prompt += jobs[t][r].n_prompt;
        }
    }
    printf(
        "%s: %d rows in %d decode passes, %d prompt tokens computed in %d, %d shared; %d passes were both\n",
        graph, (int)stats.decode_rows, (int)stats.n_decode_passes, (int)stats.prompt_tokens,
        (int)stats.n_prompt_passes, (int)stats.shared_tokens, n_of_both(engine));
    CHECK(n_of_both(engine) > 0);
    CHECK_MSG(stats.decode_rows >= 2 * stats.n_decode_passes,
        "%d rows in %d passes: few passes are shared", (int)stats.decode_rows,
        (int)stats.n_decode_passes);
    CHECK(stats.shared_tokens > 0);
    CHECK(stats.prompt_tokens + stats.shared_tokens <= n_prompt);
    small_close(&engine);
}

/* Half of the threads write what the others generate: nobody sees anything of it, and all writers
 * together want a part of the head. */
static void test_writers(void) {
    rr_engine *engine = open_engine(N_THREADS);
    worker workers[N_THREADS];
    for (int n_writers = N_THREADS; n_writers > 0; n_writers /= 2) {
        start_with(engine, workers, n_writers);
        finish(workers);
        for (int t = 0; t < N_THREADS; t++) {
            for (int r = 0; r < n_rounds; r++) {
                check_outcome(t, r, &workers[t].outcomes[r]);
            }
        }
    }
    small_close(&engine);
}

/* Whether the job was ended by `status`: it has then the beginning of what it would have had, else
 * all of it. */
static bool check_ended(int t, int r, const outcome *o, rr_status status) {
    if (o->status == RR_OK) {
        check_outcome(t, r, o);
        return false;
    }
    CHECK_INT(o->status, status);
    CHECK_MSG(o->answer_same,
        "thread %d round %d: an answer that was ended is not the beginning of the whole", t, r);
    return true;
}

/* Threads 0 … 3 are cancelled at any moment: what they have is the beginning of what they would
 * have had, and the others see nothing of it. */
static void test_cancels(void) {
    enum { N_VICTIMS = N_THREADS / 2 };
    rr_engine *engine = open_engine(N_THREADS);
    worker workers[N_THREADS];
    uint64_t random = 99;
    int n_cancelled = 0;
    for (int run = 0; run < n_rounds; run++) {
        start(engine, workers);
        rr_session_cancel(workers[0].session); /* so that one is, however fast all goes */
        while (atomic_load(&n_at_work) > 0) {
            rr_sleep_ns((1000 + next_random(&random) % 60000) * UINT64_C(1000));
            rr_session_cancel(workers[next_random(&random) % N_VICTIMS].session);
        }
        finish(workers);
        for (int t = 0; t < N_THREADS; t++) {
            for (int r = 0; r < n_rounds; r++) {
                const outcome *o = &workers[t].outcomes[r];
                if (t >= N_VICTIMS) {
                    check_outcome(t, r, o);
                } else {
                    n_cancelled += check_ended(t, r, o, RR_E_CANCELLED);
                }
            }
        }
    }
    printf("%s: %d calls were cancelled\n", graph, n_cancelled);
    CHECK(n_cancelled > 0);
    small_close(&engine);
}

/* Threads 0 … 3 meet deadlines at any moment: what they have is the beginning of what they would
 * have had, soon after they have all of it with the same bits, and the others see nothing of it. */
static void test_deadlines(void) {
    enum { N_VICTIMS = N_THREADS / 2 };
    rr_engine *engine = open_engine(N_THREADS);
    worker workers[N_THREADS];
    int n_late = 0;
    uint64_t begin_ns = rr_time_ns();
    start(engine, workers);
    finish(workers);
    start_all(engine, workers, 0, N_VICTIMS, (rr_time_ns() - begin_ns) / (uint64_t)n_rounds);
    finish(workers);
    for (int t = 0; t < N_THREADS; t++) {
        for (int r = 0; r < n_rounds; r++) {
            check_outcome(t, r, &workers[t].outcomes[r]);
            n_late += t < N_VICTIMS && check_ended(t, r, &workers[t].hurried[r], RR_E_DEADLINE);
        }
    }
    printf("%s: %d calls were late\n", graph, n_late);
    CHECK(n_late > 0);
    small_close(&engine);
}

/* Holds a pass up. */
typedef struct holder {
    rr_session *session;
    const int32_t *tokens;
    atomic_bool holds, let_go;
    rr_status status;
} holder;

static rr_status hold(void *user, size_t position, const float *logits, rr_diag *diag) {
    (void)logits;
    (void)diag;
    holder *h = user;
    atomic_store(&h->holds, true);
    while (position == 0 && !atomic_load(&h->let_go)) {
        rr_sleep_ns(1000000);
    }
    return RR_OK;
}

static void *run_holder(void *user) {
    holder *h = user;
    rr_diag diag;
    h->status = rr_session_logits_all(h->session, h->tokens, CHUNK, hold, h, &diag);
    return NULL;
}

static void *run_late(void *user) {
    worker *w = user;
    w->outcomes[0].status =
        rr_session_sync(w->session, jobs[0][0].prompt, jobs[0][0].n_prompt, &w->outcomes[0].diag);
    return NULL;
}

/* Waiting for a pass counts: whoever is late, or cancelled, by then is not computed. */
static void test_ended_in_queue(bool by_cancel) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(2);
    rr_engine_stats stats;
    static const int32_t any[CHUNK] = {1, 2, 3};
    holder h = {.tokens = any};
    worker w = {0};
    pthread_t thread;
    CHECK_OK(rr_session_create(engine, &h.session, &diag), diag);
    CHECK_OK(rr_session_create(engine, &w.session, &diag), diag);
    CHECK(pthread_create(&thread, NULL, run_holder, &h) == 0);
    while (!atomic_load(&h.holds)) {
        rr_sleep_ns(100000);
    }
    if (!by_cancel) {
        rr_session_deadline(w.session, rr_time_ns() + 20000000);
    }
    CHECK(pthread_create(&w.thread, NULL, run_late, &w) == 0);
    rr_sleep_ns(60000000);
    if (by_cancel) {
        rr_session_cancel(w.session);
    }
    atomic_store(&h.let_go, true);
    pthread_join(thread, NULL);
    pthread_join(w.thread, NULL);
    CHECK_OK(h.status, diag);
    CHECK_INT(w.outcomes[0].status, by_cancel ? RR_E_CANCELLED : RR_E_DEADLINE);
    CHECK_INT(rr_session_n_tokens(w.session), 0);
    rr_engine_stats_get(engine, &stats);
    CHECK_INT(stats.prompt_tokens, CHUNK);
    rr_session_destroy(&h.session);
    rr_session_destroy(&w.session);
    small_close(&engine);
}

enum { N_READERS = 3 };

/* A prompt in progress: its number stands in `order` for each chunk. */
typedef struct queued {
    rr_session *session;
    pthread_t thread;
    int number;
    int32_t tokens[N_LONG];
    size_t n;
    rr_status status;
    rr_diag diag;
} queued;

static int order[N_READERS * N_LONG];
static atomic_int n_ordered;

static void on_chunk(void *user, size_t done, size_t total) {
    (void)done;
    (void)total;
    order[atomic_fetch_add(&n_ordered, 1)] = ((queued *)user)->number;
}

static void *run_reader(void *user) {
    queued *r = user;
    rr_session_on_sync_progress(r->session, on_chunk, r);
    r->status = rr_session_sync(r->session, r->tokens, r->n, &r->diag);
    return NULL;
}

static int last_chunk_of(int number) {
    int last = -1;
    for (int i = 0; i < atomic_load(&n_ordered); i++) {
        last = order[i] == number ? i : last;
    }
    return last;
}

/* Prompts that wait together: a short one overtakes long ones, of equal ones the first to go on
 * ends before the other has come far. */
static void test_order_of_prompts(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(1 + N_READERS);
    /* a thread that is slow to come back loses no turn */
    rr_scheduler_set_patience(engine, PATIENCE_NS);
    static const int32_t any[CHUNK] = {1, 2, 3};
    holder h = {.tokens = any};
    pthread_t thread;
    static queued readers[N_READERS];
    atomic_store(&n_ordered, 0);
    CHECK_OK(rr_session_create(engine, &h.session, &diag), diag);
    CHECK(pthread_create(&thread, NULL, run_holder, &h) == 0);
    while (!atomic_load(&h.holds)) {
        rr_sleep_ns(100000);
    }
    for (int i = 0; i < N_READERS; i++) {
        queued *r = &readers[i];
        r->number = i;
        r->n = i == 2 ? CHUNK : N_LONG;
        for (size_t k = 0; k < r->n; k++) {
            r->tokens[k] = (int32_t)((k * 17 + (size_t)i * 5 + 3) % 280);
        }
        CHECK_OK(rr_session_create(engine, &r->session, &diag), diag);
        CHECK(pthread_create(&r->thread, NULL, run_reader, r) == 0);
        rr_sleep_ns(20000000);
    }
    atomic_store(&h.let_go, true);
    pthread_join(thread, NULL);
    for (int i = 0; i < N_READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        CHECK_OK(readers[i].status, readers[i].diag);
        rr_session_destroy(&readers[i].session);
    }
    const int a = last_chunk_of(0), b = last_chunk_of(1), first = a < b ? a : b;
    int of_other = 0;
    for (int i = 0; i < first; i++) {
        of_other += order[i] == (a < b ? 1 : 0);
    }
    CHECK_MSG(last_chunk_of(2) < first, "the short prompt ended at %d, the first long one at %d",
        last_chunk_of(2), first);
    CHECK_MSG(of_other < N_LONG / CHUNK / 2,
        "%d chunks of the other when one of two equal prompts ended", of_other);
    CHECK_OK(h.status, diag);
    rr_session_destroy(&h.session);
    small_close(&engine);
}

/* A device that takes no work fails every call, none hangs; then all goes on. */
static void test_failure(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(N_THREADS);
    worker workers[N_THREADS];
    CHECK_OK(rr_vk_begin(engine->compute->commands, &diag), diag);
    CHECK_OK(rr_vk_submit(engine->compute->commands, &diag),
        diag); /* a list in flight cannot be begun */
    start(engine, workers);
    finish(workers);
    for (int t = 0; t < N_THREADS; t++) {
        CHECK_INT(workers[t].outcomes[0].status, RR_E_INTERNAL);
        CHECK(strstr(workers[t].outcomes[0].diag.text, "not waited for") != NULL);
    }
    CHECK_OK(rr_vk_wait(engine->compute->commands, 0, &diag), diag);
    start(engine, workers);
    finish(workers);
    for (int t = 0; t < N_THREADS; t++) {
        check_outcome(t, 0, &workers[t].outcomes[0]);
    }
    small_close(&engine);
}

/* Generates until told to stop. */
typedef struct talker {
    rr_session *session;
    atomic_bool stop;
    atomic_int n;
    rr_status status;
} talker;

static bool on_token(void *user, int32_t id) {
    (void)id;
    talker *t = user;
    atomic_fetch_add(&t->n, 1);
    return !atomic_load(&t->stop);
}

static void *talk(void *user) {
    talker *t = user;
    rr_diag diag;
    rr_tokens out = {0};
    const rr_generate_params params = {.ignore_end = true, .on_token = on_token, .user = t};
    t->status = rr_session_generate(t->session, &params, &out, NULL, &diag);
    rr_tokens_destroy(&out);
    return NULL;
}

/* While a long prompt is computed a generating session goes on, about a token a chunk and in its
 * pass, and the prompt ends before it does. */
static void test_turns(void) {
    rr_diag diag = {0};
    rr_engine *engine = open_engine(2);
    rr_scheduler_set_patience(engine, PATIENCE_NS);
    talker t = {0};
    rr_session *reader = NULL;
    pthread_t thread;
    int32_t prompt[N_LONG];
    for (int i = 0; i < N_LONG; i++) {
        prompt[i] = (i * 17 + 3) % 280;
    }
    CHECK_OK(rr_session_create(engine, &t.session, &diag), diag);
    CHECK_OK(rr_session_create(engine, &reader, &diag), diag);
    CHECK_OK(rr_session_sync(t.session, prompt + 1, 5, &diag), diag);
    CHECK(pthread_create(&thread, NULL, talk, &t) == 0);
    while (atomic_load(&t.n) < 2) {
        rr_sleep_ns(100000);
    }
    int before = atomic_load(&t.n);
    CHECK_OK(rr_session_sync(reader, prompt, N_LONG, &diag), diag);
    int during = atomic_load(&t.n) - before;
    atomic_store(&t.stop, true);
    pthread_join(thread, NULL);
    CHECK_OK(t.status, diag);
    printf("%s: %d tokens generated beside %d chunks, %d in their passes\n", graph, during,
        N_LONG / CHUNK, n_of_both(engine));
    CHECK(n_of_both(engine) >= N_LONG / CHUNK / 2);
    CHECK_MSG(during >= N_LONG / CHUNK / 2 && before + during < N_CONTEXT - 5,
        "%d tokens beside %d chunks", during, N_LONG / CHUNK);
    rr_session_destroy(&t.session);
    rr_session_destroy(&reader);
    small_close(&engine);
}

static void test_graph(void) {
    run_alone();
    test_together();
    test_writers();
    test_cancels();
    test_deadlines();
    test_ended_in_queue(false);
    test_ended_in_queue(true);
    test_order_of_prompts();
    test_failure();
    test_turns();
    forget_jobs();
}

int main(void) {
    rr_synth_file(&small_model, model_path, sizeof model_path);
    n_vocab = small_model.n_vocab;
    n_rounds = check_is_fast() ? 1 : N_ROUNDS;
    make_jobs();
    small_on_graphs(model_path, &graph, test_graph);
    unlink(model_path);
    return CHECK_END();
}
