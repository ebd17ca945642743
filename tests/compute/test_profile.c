/* The profile: counts the dispatches that ran, changes no result, costs nothing when off. */
#include <math.h>
#include <unistd.h>

#include "runtime/engine/engine.h"
#include "tests/check.h"
#include "tests/support/synth.h"

static double total(const rr_engine *engine, uint64_t *n_dispatches, size_t *n_rows) {
    double sum = 0.0;
    const rr_profile_row *rows = rr_engine_profile_rows(engine, n_rows);
    *n_dispatches = 0;
    for (size_t i = 0; i < *n_rows; i++) {
        CHECK_MSG(rows[i].bytes > 0.0 && rows[i].flops > 0.0, "%s: its work is not known to work.c",
            rows[i].op);
        CHECK_MSG(rows[i].time_ns >= 0.0 && rows[i].n_dispatches > 0,
            "%s/%s: %g ns of %llu dispatches", rows[i].op, rows[i].variant, rows[i].time_ns,
            (unsigned long long)rows[i].n_dispatches);
        sum += rows[i].time_ns;
        *n_dispatches += rows[i].n_dispatches;
    }
    return sum;
}

/* `caps` chooses the graph. */
static void check_graph(const char *caps) {
    const rr_synth shape = {.with_vocabulary = true,
        .embedding = RR_Q_Q8_0,
        .qkv = RR_Q_Q4_0,
        .o = RR_Q_Q5_0,
        .gate_up = RR_Q_Q4_1,
        .down = RR_Q_Q8_0,
        .output = RR_Q_Q8_0};
    const int32_t tokens[] = {5, 9, 2, 77, 31};
    char path[256];
    rr_diag diag = {0};
    rr_synth_file(&shape, path, sizeof path);
    rr_engine *engine = NULL;
    rr_status status =
        rr_engine_open(&(rr_engine_params){.compute.model_path = path,
                           .compute.caps = caps,
                           .n_sessions = 2,
                           .compute.validation = getenv("REARANK_TEST_VALIDATION") != NULL},
            &engine, &diag);
    remove(path);
    if (status == RR_E_DEVICE) {
        CHECK_SKIP("%s", diag.text);
    }
    CHECK_OK(status, diag);
    rr_session *sessions[2] = {NULL, NULL};
    CHECK_OK(rr_session_create(engine, &sessions[0], &diag), diag);
    CHECK_OK(rr_session_create(engine, &sessions[1], &diag), diag);
    const float *plain = NULL, *profiled = NULL;
    size_t n_rows, n_rows_twice;
    uint64_t once, twice;
    CHECK_OK(rr_session_sync(sessions[0], tokens, 5, &diag), diag);
    CHECK_OK(rr_session_logits(sessions[0], &plain, &diag), diag);
    (void)total(engine, &once, &n_rows);
    CHECK_INT(n_rows, 0);

    status = rr_engine_profile(engine, true, &diag);
    if (status == RR_E_UNSUPPORTED) {
        CHECK_SKIP("%s", diag.text);
    }
    CHECK_OK(status, diag);
    CHECK_OK(rr_session_sync(sessions[1], tokens, 5, &diag), diag);
    CHECK_OK(rr_session_logits(sessions[1], &profiled, &diag), diag);
    CHECK_MSG(memcmp(plain, profiled, 320 * sizeof *plain) == 0, "a profile changes the logits");
    double first = total(engine, &once, &n_rows);
    CHECK(first > 0.0 && isfinite(first));
    CHECK(n_rows >= 5 && once >= 10);
    /* the same again: the same rows, twice the dispatches */
    const int32_t others[] = {6, 9, 2, 77, 31};
    CHECK_OK(rr_session_sync(sessions[1], others, 5, &diag), diag);
    CHECK(total(engine, &twice, &n_rows_twice) > first);
    CHECK_INT(n_rows_twice, n_rows);
    CHECK_INT(twice, 2 * once);
    rr_tokens out = {0};
    CHECK_OK(rr_session_generate(sessions[1],
                 &(rr_generate_params){.max_tokens = 3, .ignore_end = true}, &out, NULL, &diag),
        diag);
    CHECK_INT(out.n, 3);
    (void)total(engine, &twice, &n_rows_twice);
    CHECK(n_rows_twice > n_rows);
    rr_tokens_destroy(&out);

    CHECK_OK(rr_engine_profile(engine, false, &diag), diag);
    (void)total(engine, &once, &n_rows);
    CHECK_INT(n_rows, 0);
    CHECK_OK(rr_session_sync(sessions[1], tokens, 5, &diag), diag);
    rr_session_destroy(&sessions[0]);
    rr_session_destroy(&sessions[1]);
    CHECK_INT(rr_engine_n_validation_messages(engine), 0);
    rr_engine_close(&engine);
}

int main(void) {
    check_graph(NULL);
    check_graph("-cpu");
    return CHECK_END();
}
