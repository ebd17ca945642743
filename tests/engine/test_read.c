/* What is read of a prompt: the same bits alone, in company, in any chunks, with a beginning that
 * was reused or shared; right against the reference; and a timeline that a reading left is good for
 * what it says and no more. */
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "runtime/engine/read.h"
#include "runtime/ref/ref.h"
#include "tests/engine/small.h"

static char model_path[256];
static const char *graph; /* under test */

enum {
    N = 300,
    N_CONTEXT = 384,
    N_SPANS = 5,
    N_ROWS = 19,
    N_STATES = 4,
    LAYERS = 2,
    HEADS = 4,
    D_MODEL = 256
};
static int32_t prompt[N];
static const rr_token_span spans[N_SPANS] = {{0, 300}, {5, 60}, {60, 60}, {60, 133}, {200, 300}};
static const uint32_t states[N_STATES] = {130, 131, 190, 299}, state_layers[LAYERS] = {1, 2};
/* the last 18 before the end and one further back: two slices, several chunks */
static uint32_t rows[N_ROWS];
static float factors[LAYERS * N_ROWS * HEADS];

typedef struct result {
    float mass[LAYERS * N_ROWS * HEADS * N_SPANS], drawn[N], hidden[LAYERS * N_STATES * D_MODEL];
} result;

static rr_reading reading_of(result *out) {
    return (rr_reading){.rows = rows,
        .n_rows = N_ROWS,
        .spans = spans,
        .n_spans = N_SPANS,
        .end_layer = LAYERS,
        .mass = out->mass,
        .factors = factors,
        .drawn = out->drawn,
        .states = states,
        .n_states = N_STATES,
        .state_layers = state_layers,
        .n_state_layers = LAYERS,
        .hidden = out->hidden};
}

static rr_engine *open_engine(uint32_t chunk, uint32_t n_sessions) {
    const rr_engine_params params = {.compute.model_path = model_path,
        .compute.n_context = N_CONTEXT,
        .n_sessions = n_sessions,
        .compute.prompt_chunk = chunk,
        .compute.graph = graph,
        .compute.readings = true};
    return small_open(&params);
}

static rr_session *new_session(rr_engine *engine) {
    rr_diag diag = {0};
    rr_session *session = NULL;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    return session;
}

static void read_all(rr_session *session, result *out) {
    rr_diag diag = {0};
    const rr_reading reading = reading_of(out);
    memset(out, 0xFF, sizeof *out);
    CHECK_OK(rr_session_read(session, prompt, N, &reading, &diag), diag);
}

static void check_same(const char *what, const result *a, const result *b) {
    CHECK_MSG(memcmp(a->mass, b->mass, sizeof a->mass) == 0, "%s: masses differ", what);
    CHECK_MSG(
        memcmp(a->drawn, b->drawn, sizeof a->drawn) == 0, "%s: what tokens drew differs", what);
    CHECK_MSG(
        memcmp(a->hidden, b->hidden, sizeof a->hidden) == 0, "%s: hidden states differ", what);
}

static float mass_at(const result *r, uint32_t layer, uint32_t row, uint32_t head, uint32_t span) {
    return r->mass[((layer * N_ROWS + row) * HEADS + head) * N_SPANS + span];
}

/* A row's weights over all it sees add up to 1, over nothing to 0; what tokens draw adds up to what
 * spans have. */
static void check_sums(const result *r) {
    double drawn = 0, expected = 0;
    for (uint32_t l = 0; l < LAYERS; l++) {
        for (uint32_t i = 0; i < N_ROWS; i++) {
            for (uint32_t h = 0; h < HEADS; h++) {
                CHECK_MSG(fabs((double)mass_at(r, l, i, h, 0) - 1) < 1e-5,
                    "layer %u row %u head %u: %.7f", l, i, h, (double)mass_at(r, l, i, h, 0));
                CHECK(mass_at(r, l, i, h, 2) == 0);
                expected +=
                    (double)factors[(l * N_ROWS + i) * HEADS + h] * (double)mass_at(r, l, i, h, 3);
            }
        }
    }
    for (uint32_t j = spans[3].begin; j < spans[3].end; j++) {
        drawn += (double)r->drawn[j];
    }
    CHECK_MSG(
        fabs(drawn - expected) < 1e-4 * expected, "tokens drew %g, spans have %g", drawn, expected);
}

static void take_hidden(void *user, uint32_t layer, size_t position, const float *hidden) {
    float *out = user; /* [LAYERS][N_STATES][D_MODEL] */
    for (uint32_t i = 0; i < N_STATES && layer > 0; i++) {
        if (states[i] == position) {
            memcpy(out + ((layer - 1) * N_STATES + i) * D_MODEL, hidden, D_MODEL * sizeof *hidden);
        }
    }
}

/* Hidden states against the reference; the graphs' roundings are test_truth's business. */
static void check_truth(rr_engine *engine, const result *r) {
    rr_diag diag = {0};
    rr_ref_model *ref = NULL;
    static float expected[LAYERS * N_STATES * D_MODEL];
    const rr_ref_model_params params = {.n_context = N, .kv_f16 = true};
    CHECK_OK(rr_ref_model_create(rr_engine_model(engine), &params, &ref, &diag), diag);
    const rr_ref_observer observer = {.hidden = take_hidden, .user = expected};
    CHECK_OK(rr_ref_forward(ref, prompt, N, &observer, &diag), diag);
    double error = 0, all = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        error += pow((double)r->hidden[i] - (double)expected[i], 2);
        all += pow((double)expected[i], 2);
    }
    const double limit = strcmp(graph, "plain") == 0 ? 1e-8
        : strcmp(graph, "lanes") == 0                ? 2e-6
                                                     : 5e-4;
    CHECK_MSG(error <= limit * all, "hidden states: error %g of %g", error, all);
    rr_ref_model_destroy(&ref);
}

static void test_chunks(const result *expected) {
    static const uint32_t chunks[] = {7, 64, 100, 2048};
    for (size_t i = check_is_fast() ? 2 : 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        static result found;
        rr_engine *engine = open_engine(chunks[i], 1);
        rr_session *session = new_session(engine);
        char what[32];
        read_all(session, &found);
        snprintf(what, sizeof what, "chunks of %u", chunks[i]);
        check_same(what, expected, &found);
        rr_session_destroy(&session);
        small_close(&engine);
    }
}

/* Again in the same session; behind a sync, a shorter prompt, an answer; with a beginning that
 * another session has. */
static void test_reuse(const result *expected) {
    rr_diag diag = {0};
    static result found;
    rr_engine *engine = open_engine(64, 3);
    rr_session *a = new_session(engine), *b = new_session(engine), *c = new_session(engine);
    read_all(a, &found);
    check_same("first", expected, &found);
    read_all(a, &found);
    check_same("again", expected, &found);
    CHECK_INT(rr_session_n_reused(a), 130); /* up to the first token that is looked at */
    CHECK_OK(rr_session_sync(b, prompt, N, &diag), diag);
    CHECK_INT(rr_session_n_shared(b), N - 1); /* all layers were read, so all of it is there */
    read_all(b, &found);
    check_same("behind a sync", expected, &found);
    read_all(c, &found);
    CHECK_INT(rr_session_n_shared(c), 130);
    check_same("shared", expected, &found);
    CHECK_OK(rr_session_sync(c, prompt, 100, &diag), diag);
    rr_tokens out = {0};
    rr_generate_result generated;
    CHECK_OK(rr_session_generate(c, &(rr_generate_params){.max_tokens = 5, .ignore_end = true},
                 &out, &generated, &diag),
        diag);
    int32_t longer[N];
    memcpy(longer, prompt, sizeof longer);
    memcpy(longer + 100, out.ids, 4 * sizeof *longer);
    static result with_answer, apart;
    rr_reading reading = reading_of(&with_answer);
    CHECK_OK(rr_session_read(c, longer, N, &reading, &diag), diag);
    CHECK_INT(rr_session_n_reused(c), 100); /* what was generated is no prompt */
    rr_session_destroy(&a);
    rr_session_destroy(&b);
    rr_session *d = new_session(engine);
    reading = reading_of(&apart);
    CHECK_OK(rr_session_sync(d, prompt + 1, 20, &diag), diag);
    CHECK_OK(rr_session_read(d, longer, N, &reading, &diag), diag);
    check_same("behind an answer", &apart, &with_answer);
    rr_session_destroy(&c);
    rr_session_destroy(&d);
    rr_tokens_destroy(&out);
    small_close(&engine);
}

/* One of two layers: less is computed, nobody takes the timeline for a whole one. */
static void test_few_layers(const result *expected) {
    rr_diag diag = {0};
    static result found;
    const float *logits = NULL;
    rr_engine *engine = open_engine(64, 2);
    const uint32_t n_vocab = rr_engine_model(engine)->config.n_vocab;
    float *whole = malloc(n_vocab * sizeof *whole);
    rr_session *a = new_session(engine), *b = new_session(engine);
    CHECK_OK(rr_session_sync(a, prompt, N, &diag), diag);
    CHECK_OK(rr_session_logits(a, &logits, &diag), diag);
    memcpy(whole, logits, n_vocab * sizeof *whole);
    rr_session_destroy(&a);
    a = new_session(engine);
    rr_reading reading = reading_of(&found);
    reading.end_layer = 1;
    reading.n_state_layers = 1;
    CHECK_INT(rr_reading_n_layers(&reading), 1);
    CHECK_OK(rr_session_read(a, prompt, N, &reading, &diag), diag);
    CHECK(memcmp(found.mass, expected->mass, sizeof found.mass / LAYERS) == 0);
    CHECK(memcmp(found.hidden, expected->hidden, sizeof found.hidden / LAYERS) == 0);
    rr_session *const sessions[] = {a};
    CHECK_INT(rr_engine_decode(engine, sessions, prompt, 1, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_logits(a, &logits, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_fork(b, a, 50, &diag), RR_E_USAGE);
    CHECK_OK(rr_session_sync(b, prompt, N, &diag), diag);
    CHECK_INT(rr_session_n_shared(b), 0);
    CHECK_OK(rr_session_logits(b, &logits, &diag), diag);
    CHECK(memcmp(whole, logits, n_vocab * sizeof *whole) == 0);
    rr_session_destroy(&b);
    CHECK_OK(rr_session_sync(a, prompt, N, &diag), diag);
    CHECK_INT(rr_session_n_reused(a), 0);
    CHECK_OK(rr_session_logits(a, &logits, &diag), diag);
    CHECK(memcmp(whole, logits, n_vocab * sizeof *whole) == 0);
    free(whole);
    rr_session_destroy(&a);
    small_close(&engine);
}

typedef struct companion {
    rr_session *session;
    const int32_t *tokens;
    result found;
    bool writes;
    int32_t written[12];
} companion;

static void *run_companion(void *user) {
    companion *c = user;
    rr_diag diag = {0};
    rr_tokens out = {0};
    rr_generate_result generated;
    if (c->writes) {
        CHECK_OK(rr_session_sync(c->session, c->tokens, 90, &diag), diag);
        CHECK_OK(rr_session_generate(c->session,
                     &(rr_generate_params){.max_tokens = 12, .ignore_end = true}, &out, &generated,
                     &diag),
            diag);
        memcpy(c->written, out.ids, sizeof c->written);
    } else {
        const rr_reading reading = reading_of(&c->found);
        CHECK_OK(rr_session_read(c->session, c->tokens, N, &reading, &diag), diag);
    }
    rr_tokens_destroy(&out);
    return NULL;
}

/* Two readers and two writers at once, each with the bits it has alone. */
static void test_company(const result *expected) {
    enum { N_THREADS = 4 };
    static companion c[N_THREADS];
    static int32_t other[N];
    int32_t alone[12];
    pthread_t threads[N_THREADS];
    rr_engine *engine = open_engine(64, N_THREADS);
    for (int i = 0; i < N; i++) {
        other[i] = (prompt[i] + 3) % 300;
    }
    for (int i = 0; i < N_THREADS; i++) {
        c[i] = (companion){
            .session = new_session(engine), .tokens = i == 1 ? other : prompt, .writes = i > 1};
    }
    run_companion(&c[2]);
    memcpy(alone, c[2].written, sizeof alone);
    for (int round = 0; round < (check_is_fast() ? 1 : 3); round++) {
        for (int i = 0; i < N_THREADS; i++) {
            CHECK(pthread_create(&threads[i], NULL, run_companion, &c[i]) == 0);
        }
        for (int i = 0; i < N_THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        check_same("in company", expected, &c[0].found);
        CHECK(memcmp(alone, c[2].written, sizeof alone) == 0 &&
            memcmp(alone, c[3].written, sizeof alone) == 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        rr_session_destroy(&c[i].session);
    }
    small_close(&engine);
}

static void refuse(rr_session *session, rr_reading reading, const char *what) {
    rr_diag diag = {0};
    CHECK_MSG(rr_session_read(session, prompt, N, &reading, &diag) == RR_E_USAGE, "%s: not refused",
        what);
}

static void test_refused(void) {
    static result r;
    static const uint32_t down[] = {9, 8}, beyond[] = {N}, layer0[] = {0}, layer3[] = {3};
    static const rr_token_span turned[] = {{9, 8}}, outside[] = {{0, N + 1}};
    rr_engine *engine = open_engine(64, 1);
    rr_session *session = new_session(engine);
    rr_reading reading = reading_of(&r);
    refuse(session, (rr_reading){0}, "nothing");
    reading.rows = down, reading.n_rows = 2;
    refuse(session, reading, "rows that fall");
    reading.rows = beyond, reading.n_rows = 1;
    refuse(session, reading, "a row behind the prompt");
    reading = reading_of(&r);
    reading.spans = turned, reading.n_spans = 1;
    refuse(session, reading, "a span that is turned round");
    reading.spans = outside;
    refuse(session, reading, "a span behind the prompt");
    reading = reading_of(&r);
    reading.end_layer = LAYERS + 1;
    refuse(session, reading, "a layer too many");
    reading = reading_of(&r);
    reading.n_rows = RR_READ_ROWS + 1;
    refuse(session, reading, "too many rows");
    reading = reading_of(&r);
    reading.state_layers = layer0, reading.n_state_layers = 1;
    refuse(session, reading, "states before the first layer");
    reading.state_layers = layer3;
    refuse(session, reading, "states behind the last layer");
    rr_session_cancel(session);
    rr_diag diag = {0};
    reading = reading_of(&r);
    CHECK_INT(rr_session_read(session, prompt, N, &reading, &diag), RR_E_CANCELLED);
    rr_session_deadline(session, 1);
    CHECK_INT(rr_session_read(session, prompt, N, &reading, &diag), RR_E_DEADLINE);
    rr_session_deadline(session, 0);
    CHECK_OK(rr_session_read(session, prompt, N, &reading, &diag), diag);
    rr_session_destroy(&session);
    small_close(&engine);
    engine = small_open(&(rr_engine_params){
        .compute.model_path = model_path, .compute.n_context = N_CONTEXT, .compute.graph = graph});
    session = new_session(engine);
    refuse(session, reading_of(&r), "an engine without readings");
    rr_session_destroy(&session);
    small_close(&engine);
}

static void test(void) {
    static result expected;
    rr_engine *engine = open_engine(128, 1);
    rr_session *session = new_session(engine);
    read_all(session, &expected);
    check_sums(&expected);
    check_truth(engine, &expected);
    rr_session_destroy(&session);
    small_close(&engine);
    test_chunks(&expected);
    test_reuse(&expected);
    test_few_layers(&expected);
    test_company(&expected);
    test_refused();
}

int main(void) {
    rr_synth_file(&small_model, model_path, sizeof model_path);
    for (int i = 0; i < N; i++) {
        prompt[i] = (i * i * 7 + i * 13) % 300;
    }
    for (uint32_t i = 0; i < N_ROWS; i++) {
        rows[i] = i == 0 ? 150 : N - N_ROWS + i;
    }
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        factors[i] = (float)(i % 7) / 8;
    }
    small_on_graphs(model_path, &graph, test);
    unlink(model_path);
    return CHECK_END();
}
