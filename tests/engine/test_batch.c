/* A prompt is stopped while decode rows share its pass, and the pass that then runs these rows alone
 * fails: each call gets its own error. */
#include <unistd.h>

#include "runtime/compute/graph.h"
#include "runtime/engine/scheduler.h"
#include "runtime/engine/session_call.h"
#include "tests/engine/small.h"

static rr_session *sessions[2]; /* the prompt's, the rows' */
static rr_graph failing;        /* the own graph, but for its passes' beginnings */
static int n_begun;

/* The first pass meets a cancelled prompt. The second finds its commands still in flight, which no
 * pass can use. */
static void begin_pass(rr_compute *compute, const rr_pass *pass) {
    rr_diag diag = {0};
    (void)pass;
    n_begun++;
    if (n_begun == 1) {
        rr_session_cancel(sessions[0]);
    } else {
        CHECK_OK(rr_vk_begin(compute->commands, &diag), diag);
        CHECK_OK(rr_vk_submit(compute->commands, &diag), diag);
    }
}

/* The call returns the end of its first request that failed, with that one's text. */
static void check_ends(rr_engine *engine, bool prompt_first) {
    static const int32_t prompt[] = {5, 6, 7, 8}, next = 9;
    rr_diag diag = {0};
    CHECK_OK(rr_session_sync(sessions[1], prompt, 2, &diag), diag);
    rr_request of_prompt = {.session = sessions[0], .family = RR_PREFILL, .tokens = prompt, .n = 4};
    rr_request of_rows = {.session = sessions[1], .family = RR_DECODE, .tokens = &next, .n = 1};
    rr_request requests[2] = {
        prompt_first ? of_prompt : of_rows, prompt_first ? of_rows : of_prompt};
    const rr_graph *own = engine->compute->graph;
    failing = *own;
    failing.begin_pass = begin_pass;
    failing.end_pass = NULL;
    failing.must_repeat = NULL;
    n_begun = 0;
    engine->compute->graph = &failing;
    rr_status status = rr_scheduler_run(engine, requests, 2, &diag);
    engine->compute->graph = own;
    CHECK_INT(n_begun, 2);
    CHECK_INT(status, prompt_first ? RR_E_CANCELLED : RR_E_INTERNAL);
    CHECK_MSG(
        strstr(diag.text, prompt_first ? "cancelled" : "not waited for") != NULL, "%s", diag.text);
    CHECK_OK(rr_vk_wait(engine->compute->commands, 0, &diag), diag);
    CHECK(rr_session_take_cancel(sessions[0]));
    CHECK_INT(sessions[0]->n_tokens, 0);
    CHECK_INT(sessions[1]->n_tokens, 2);
}

int main(void) {
    char path[256];
    rr_diag diag = {0};
    rr_synth_file(&small_model, path, sizeof path);
    rr_engine *engine = small_open(&(rr_engine_params){.compute.model_path = path,
        .compute.n_context = 64,
        .n_sessions = 2,
        .compute.graph = "plain"});
    CHECK_OK(rr_session_create(engine, &sessions[0], &diag), diag);
    CHECK_OK(rr_session_create(engine, &sessions[1], &diag), diag);
    check_ends(engine, true);
    check_ends(engine, false);
    rr_session_destroy(&sessions[0]);
    rr_session_destroy(&sessions[1]);
    small_close(&engine);
    unlink(path);
    return CHECK_END();
}
