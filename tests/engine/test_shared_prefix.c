/* Prompts that begin alike and forks: shared KV gives the bits of computed KV; what was generated
 * is never taken for a prompt. */
#include <unistd.h>

#include "tests/engine/small.h"

static char model_path[256];
static uint32_t n_vocab;
static const char *graph; /* under test */

enum { N_PROMPT = 150, N_ANSWER = 24, N_CONTEXT = 256, CHUNK = 32 };
static int32_t prompt[N_PROMPT];

static rr_engine *open_engine(void) {
    const rr_engine_params params = {.compute.model_path = model_path,
        .compute.n_context = N_CONTEXT,
        .n_sessions = 3,
        .compute.prompt_chunk = CHUNK,
        .compute.graph = graph};
    return small_open(&params);
}

static rr_session *new_session(rr_engine *engine) {
    rr_diag diag = {0};
    rr_session *session = NULL;
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    return session;
}

static void sync_to(
    rr_session *session, const int32_t *tokens, size_t n, size_t n_shared, float *out) {
    rr_diag diag = {0};
    const float *logits = NULL;
    CHECK_OK(rr_session_sync(session, tokens, n, &diag), diag);
    CHECK_INT(rr_session_n_shared(session), n_shared);
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    memcpy(out, logits, n_vocab * sizeof *out);
}

static void check_same(const char *what, const float *a, const float *b) {
    CHECK_MSG(memcmp(a, b, n_vocab * sizeof *a) == 0, "%s: logits differ", what);
}

/* `tokens` [n] computed by the prompt's kernels alone, no other session being there. */
static void alone(rr_engine *engine, const int32_t *tokens, size_t n, float *out) {
    rr_session *session = new_session(engine);
    sync_to(session, tokens, n, 0, out);
    rr_session_destroy(&session);
}

static void test_common_prompts(rr_engine *engine) {
    float *expected = malloc(n_vocab * sizeof *expected), *found = malloc(n_vocab * sizeof *found);
    alone(engine, prompt, N_PROMPT, expected);
    rr_session *a = new_session(engine), *b = new_session(engine), *c = new_session(engine);
    sync_to(a, prompt, 70, 0, found);
    sync_to(b, prompt, N_PROMPT, 70, found);
    check_same("the first 70 tokens shared", expected, found);
    /* the longer of two; the last token's logits are computed */
    sync_to(c, prompt, N_PROMPT, N_PROMPT - 1, found);
    check_same("all but the last token shared", expected, found);
    sync_to(a, prompt, N_PROMPT, N_PROMPT - 1 - 70, found);
    check_same("shared behind what the session had", expected, found);
    CHECK_INT(rr_session_n_reused(a), 70);
    /* b and c hold this; 39 of it a has itself, one token is not worth sharing */
    sync_to(a, prompt, 40, 0, found);
    sync_to(b, prompt + 1, 40, 0, found);
    sync_to(c, prompt + 2, 40, 0, found);
    sync_to(c, prompt, N_PROMPT, 40, found); /* a had more once; what it let go is not taken */
    check_same("after a shorter prompt", expected, found);
    rr_session_destroy(&a);
    rr_session_destroy(&b);
    rr_session_destroy(&c);
    free(expected);
    free(found);
}

/* A donor's generated tokens went through other kernels: another session whose prompt holds them
 * computes them. */
static void test_generated_is_no_prompt(rr_engine *engine) {
    rr_diag diag = {0};
    float *expected = malloc(n_vocab * sizeof *expected), *found = malloc(n_vocab * sizeof *found);
    rr_session *a = new_session(engine);
    rr_tokens all = {0};
    rr_tokens_append(&all, prompt, 50);
    sync_to(a, prompt, 50, 0, found);
    const rr_generate_params params = {.max_tokens = N_ANSWER, .ignore_end = true};
    CHECK_OK(rr_session_generate(a, &params, &all, NULL, &diag), diag);
    CHECK_INT(all.n, 50 + N_ANSWER);
    rr_tokens_append(&all, prompt, 60);
    sync_to(a, all.ids, all.n, 0, expected); /* with generated tokens inside */
    CHECK_INT(rr_session_n_reused(a), 50 + N_ANSWER - 1);
    rr_session *b = new_session(engine);
    sync_to(b, all.ids, all.n, 50, found);
    rr_session_destroy(&a);
    rr_session_destroy(&b);
    alone(engine, all.ids, all.n, expected);
    check_same("behind tokens that another session generated", expected, found);
    rr_tokens_destroy(&all);
    free(expected);
    free(found);
}

/* Forks of a session that has generated go on as it does. */
static void test_fork(rr_engine *engine) {
    rr_diag diag = {0};
    float *expected = malloc(n_vocab * sizeof *expected), *found = malloc(n_vocab * sizeof *found);
    rr_session *a = new_session(engine), *b = new_session(engine);
    rr_tokens all = {0};
    rr_tokens_append(&all, prompt, 50);
    const rr_generate_params params = {.max_tokens = N_ANSWER, .ignore_end = true};
    static const size_t lengths[] = {50 + N_ANSWER - 1, 60, 50, 49, 7, 1};
    sync_to(a, prompt, 50, 0, found);
    CHECK_OK(rr_session_generate(a, &params, &all, NULL, &diag), diag);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t n = lengths[i];
        const float *logits = NULL;
        CHECK_OK(rr_session_fork(b, a, n, &diag), diag);
        CHECK_INT(rr_session_n_tokens(b), n);
        CHECK_OK(rr_session_logits(b, &logits, &diag), diag);
        memcpy(found, logits, n_vocab * sizeof *found);
        /* what the fork's last token gave where it was first computed: cut back, then the same role
         * again */
        if (n > 50) {
            sync_to(a, prompt, 50, 0, expected);
            for (size_t t = 50; t < n; t++) {
                CHECK_OK(rr_engine_decode(engine, &a, &all.ids[t], 1, &diag), diag);
            }
            CHECK_OK(rr_session_logits(a, &logits, &diag), diag);
            memcpy(expected, logits, n_vocab * sizeof *expected);
        } else {
            sync_to(a, prompt, n, 0, expected);
        }
        check_same("a fork's last token", expected, found);
        rr_tokens longer = {0};
        rr_tokens_append(&longer, all.ids, n);
        rr_tokens_append(&longer, prompt + 60, 60);
        sync_to(a, longer.ids, longer.n, 0, expected);
        rr_session_destroy(&a); /* or b would share its tokens */
        sync_to(b, longer.ids, longer.n, 0, found);
        CHECK_INT(rr_session_n_reused(b), n);
        check_same("a fork that goes on", expected, found);
        rr_tokens_destroy(&longer);
        a = new_session(engine);
        sync_to(b, prompt + 3, 20, 0, found);
        sync_to(a, prompt, 50, 0, found);
        for (size_t t = 50; t + 1 < all.n; t++) {
            CHECK_OK(rr_engine_decode(engine, &a, &all.ids[t], 1, &diag), diag);
        }
    }
    CHECK_INT(rr_session_fork(b, b, 1, &diag), RR_E_USAGE);
    CHECK_INT(rr_session_fork(b, a, rr_session_n_tokens(a) + 1, &diag), RR_E_USAGE);
    CHECK_OK(rr_session_fork(b, a, 0, &diag), diag);
    CHECK_INT(rr_session_n_tokens(b), 0);
    rr_session_destroy(&a);
    rr_session_destroy(&b);
    rr_tokens_destroy(&all);
    free(expected);
    free(found);
}

static void test_graph(void) {
    rr_engine *engine = open_engine();
    test_common_prompts(engine);
    test_generated_is_no_prompt(engine);
    test_fork(engine);
    small_close(&engine);
}

int main(void) {
    rr_synth_file(&small_model, model_path, sizeof model_path);
    n_vocab = small_model.n_vocab;
    for (int i = 0; i < N_PROMPT; i++) {
        prompt[i] = (i * 37 + i * i * 11 + 5) % 280;
    }
    small_on_graphs(model_path, &graph, test_graph);
    unlink(model_path);
    return CHECK_END();
}
