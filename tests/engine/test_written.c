/* Threads whose sessions have written tokens and ask for the logits of a few ids, among others that
 * generate: the same bits as alone, whoever shares a pass. */
#include <pthread.h>
#include <unistd.h>

#include "tests/engine/small.h"

enum { N_THREADS = 6, N_PROMPT = 24, N_STEPS = 8, N_IDS = 5, N_CONTEXT = 160, N_GENERATED = 24 };
static const int32_t choices[N_IDS] = {15, 16, 24, 60, 33};

typedef struct job {
    rr_session *session;
    int32_t tokens[N_CONTEXT];
    float alone[N_STEPS][N_IDS], found[N_STEPS][N_IDS];
    rr_tokens generated_alone, generated;
    bool writes;
    rr_status status;
    rr_diag diag;
} job;

static job jobs[N_THREADS];
static char model_path[256];
static const char *graph; /* under test */

/* Steps of 1 to 5 written tokens, the last of 40. */
static rr_status write_steps(job *j, float out[N_STEPS][N_IDS]) {
    size_t n = N_PROMPT;
    RR_TRY(rr_session_sync(j->session, j->tokens, n, &j->diag));
    for (size_t s = 0; s < N_STEPS; s++) {
        n += s + 1 == N_STEPS ? 40 : 1 + s % 5;
        RR_TRY(rr_session_logits_of(j->session, j->tokens, n, choices, N_IDS, out[s], &j->diag));
    }
    return RR_OK;
}

static rr_status generate(job *j, rr_tokens *out) {
    const rr_generate_params params = {.max_tokens = N_GENERATED, .ignore_end = true};
    RR_TRY(rr_session_sync(j->session, j->tokens, N_PROMPT, &j->diag));
    return rr_session_generate(j->session, &params, out, NULL, &j->diag);
}

static void *run(void *user) {
    job *j = user;
    for (int round = 0; round < 4 && j->status == RR_OK; round++) {
        j->generated.n = 0;
        j->status = j->writes ? write_steps(j, j->found) : generate(j, &j->generated);
    }
    return NULL;
}

static void test_graph(void) {
    rr_diag diag = {0};
    pthread_t threads[N_THREADS];
    const rr_engine_params params = {.compute.model_path = model_path,
        .compute.n_context = N_CONTEXT,
        .n_sessions = N_THREADS,
        .compute.graph = graph};
    rr_engine *engine = small_open(&params);
    memset(jobs, 0, sizeof jobs);
    for (int i = 0; i < N_THREADS; i++) {
        job *j = &jobs[i];
        j->writes = i % 3 != 0;
        for (int t = 0; t < N_CONTEXT; t++) {
            j->tokens[t] = (t * 37 + i * 101 + t * t * 3) % 280;
        }
        CHECK_OK(rr_session_create(engine, &j->session, &diag), diag);
        CHECK_OK(j->writes ? write_steps(j, j->alone) : generate(j, &j->generated_alone), j->diag);
    }
    for (int i = 0; i < N_THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, run, &jobs[i]) == 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        job *j = &jobs[i];
        pthread_join(threads[i], NULL);
        CHECK_OK(j->status, j->diag);
        CHECK_MSG(memcmp(j->alone, j->found, sizeof j->alone) == 0,
            "%s: session %d: other logits in company", graph, i);
        CHECK(j->generated.n == j->generated_alone.n &&
            (j->writes ||
                memcmp(j->generated.ids, j->generated_alone.ids,
                    N_GENERATED * sizeof *j->generated.ids) == 0));
        rr_tokens_destroy(&j->generated);
        rr_tokens_destroy(&j->generated_alone);
        rr_session_destroy(&j->session);
    }
    small_close(&engine);
}

int main(void) {
    rr_synth_file(&small_model, model_path, sizeof model_path);
    small_on_graphs(model_path, &graph, test_graph);
    unlink(model_path);
    return CHECK_END();
}
