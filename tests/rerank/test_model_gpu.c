/* The window loop over a real session, and the public interface: a small generated model that knows
 * nothing, so that what it writes is noise and every free answer has to be finished by force. */
#define _GNU_SOURCE
#include "tests/check.h"

#include <math.h>
#include <unistd.h>

#include "rerank/execute.h"
#include "rerank/rearank.h"
#include "rerank/responder.h"
#include "runtime/base/thread.h"
#include "tests/support/synth.h"

static const rr_passage passages[] = {{.id = "a", .text = {"one", 3}},
    {.id = "b", .text = {"two", 3}}, {.id = "c", .text = {"three", 5}}};
static const rr_query query = {.qid = "q", .text = {"which", 5}, .passages = passages, .n = 3};

/* What the listener heard. */
typedef struct heard {
    rr_buf text;
    size_t n_prompt, n_text, stop_after;
} heard_text;

static void on_prompt(void *user, const rr_call *call, size_t done, size_t total) {
    heard_text *heard = user;
    CHECK(done <= total && call->n >= 2);
    heard->n_prompt++;
}

static bool on_text(
    void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    (void)call;
    (void)n_tokens;
    heard_text *heard = user;
    rr_buf_append(&heard->text, text, bytes);
    heard->n_text++;
    return heard->stop_after == 0 || heard->n_text < heard->stop_after;
}

static void check_forced(rr_model_responder *model, heard_text *heard) {
    rr_responder responder;
    rr_rank_params params = {.window = 2, .step = 1};
    rr_ranking ranking;
    rr_diag diag = {0};
    CHECK_OK(rr_model_responder_make(model, &responder, &diag), diag);
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    CHECK_INT(ranking.n_windows, 2);
    size_t at = 0;
    for (size_t i = 0; i < ranking.n_windows; i++) {
        const rr_window_result *window = &ranking.windows[i];
        CHECK(window->truncated);
        CHECK(rr_answer_is_closed(window->response.data, window->response.bytes));
        CHECK(window->prompt_tokens > 500 && window->generated_tokens > 6 &&
            window->generated_tokens <= 6 + 2 * 6 + 24);
        /* the second window shares the instructions, the passages differ */
        CHECK(i == 0
                ? window->reused_tokens == 0
                : window->reused_tokens > 200 && window->reused_tokens < window->prompt_tokens);
        /* the listener heard exactly what was kept */
        CHECK(at + window->response.bytes <= heard->text.bytes &&
            memcmp(heard->text.data + at, window->response.data, window->response.bytes) == 0);
        at += window->response.bytes;
    }
    CHECK_INT(at, heard->text.bytes);
    CHECK(heard->n_prompt >= 2);

    /* the same again gives the same */
    rr_ranking again;
    CHECK_OK(rr_rank(&query, &params, &responder, &again, &diag), diag);
    CHECK_TEXT(again.windows[1].response.data, ranking.windows[1].response.data);
    rr_ranking_destroy(&again);
    rr_ranking_destroy(&ranking);
}

static void check_stops(rr_model_responder *model, heard_text *heard) {
    rr_responder responder;
    rr_rank_params params = {.style = RR_PROMPT_RANKGPT};
    rr_ranking ranking;
    rr_diag diag = {0};
    model->style = RR_PROMPT_RANKGPT;
    CHECK_OK(rr_model_responder_make(model, &responder, &diag), diag);
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    /* nothing is forced here */
    CHECK(ranking.windows[0].truncated && ranking.windows[0].generated_tokens <= 6);
    CHECK(memmem(ranking.windows[0].response.data, ranking.windows[0].response.bytes, "<answer>",
              8) == NULL);
    rr_ranking_destroy(&ranking);

    heard->n_text = 0;
    heard->stop_after = 3;
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_CANCELLED);
    CHECK_INT(heard->n_text, 3);
    heard->stop_after = 0;
    rr_session_cancel(model->session);
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_CANCELLED);
    /* and works on afterwards */
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    rr_ranking_destroy(&ranking);
}

/* Deadlines anywhere in a ranking: it is whole, what was ranked before is what it would be, and the
 * session works on. */
static void check_deadlines(rr_model_responder *model) {
    enum { N = 8 };
    static const rr_answer_mode modes[] = {RR_ANSWER_FREE, RR_ANSWER_STRICT, RR_ANSWER_LOGITS};
    size_t n_late = 0;
    model->style = RR_PROMPT_REARANK;
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        rr_responder responder;
        rr_rank_params params = {.window = 2, .step = 1};
        rr_ranking whole, ranking;
        rr_diag diag = {0};
        model->how.mode = modes[m];
        CHECK_OK(rr_model_responder_make(model, &responder, &diag), diag);
        CHECK_OK(rr_rank(&query, &params, &responder, &whole, &diag), diag);
        for (uint64_t i = 0; i <= N; i++) {
            const bool last = i == N;
            params.deadline_after_ns = last ? 0 : whole.time_ns * i / N + 1;
            uint64_t begin_ns = rr_time_ns();
            CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
            /* more than any pause of the machine */
            const uint64_t hangs_ns = UINT64_C(5000000000) + 20 * whole.time_ns;
            CHECK(last || rr_time_ns() - begin_ns < params.deadline_after_ns + hangs_ns);
            n_late += rr_ranking_n_late(&ranking);
            CHECK(ranking.n == 3 && ranking.n_windows == 2 &&
                (i > 0 || rr_ranking_n_late(&ranking) == 2));
            CHECK(ranking.windows[1].late || !ranking.windows[0].late);
            for (size_t w = 0; w < 2; w++) {
                const rr_window_result *found = &ranking.windows[w], *expected = &whole.windows[w];
                CHECK(found->late ? found->response.bytes == 0 && found->permutation[0] == 1
                                  : strcmp(found->response.data, expected->response.data) == 0);
            }
            CHECK(!last || rr_ranking_n_late(&ranking) == 0);
            rr_ranking_destroy(&ranking);
        }
        rr_ranking_destroy(&whole);
    }
    CHECK(n_late >= 6);
    model->how.mode = RR_ANSWER_FREE;
}

static void check_model(const char *path) {
    rr_diag diag = {0};
    rr_engine *engine = NULL;
    rr_session *session = NULL;
    heard_text heard = {0};
    rr_engine_params params = {.compute.model_path = path, .compute.n_context = 2048};
    CHECK_OK(rr_engine_open(&params, &engine, &diag), diag);
    if (engine != NULL) {
        CHECK_OK(rr_session_create(engine, &session, &diag), diag);
        rr_model_responder model = {.engine = engine,
            .session = session,
            .how.max_tokens = 6,
            .events = {.prompt = on_prompt, .text = on_text, .user = &heard}};
        check_forced(&model, &heard);
        check_stops(&model, &heard);
        check_deadlines(&model);
    }
    rr_session_destroy(&session);
    rr_engine_close(&engine);
    rr_buf_destroy(&heard.text);
}

static int on_api_text(
    void *user, size_t window_index, size_t n_windows, const char *text, size_t bytes) {
    size_t *n_bytes = user;
    CHECK(window_index == 0 && n_windows == 1 && text != NULL && bytes > 0);
    *n_bytes += bytes;
    return 1;
}

static void check_results(const rearank_ranking *ranking, size_t n_bytes) {
    size_t n, n_windows;
    const rearank_result *results = rearank_ranking_results(ranking, &n);
    const rearank_window *windows = rearank_ranking_windows(ranking, &n_windows);
    CHECK(n == 2 && n_windows == 1);
    for (size_t i = 0; i < 2; i++) {
        CHECK(results[i].rank == i + 1 && results[i].score == 1.0 - 0.5 * (double)i);
        CHECK(results[i].index == 1 ? results[i].id != NULL && strcmp(results[i].id, "second") == 0
                                    : results[i].id == NULL);
    }
    CHECK(results[0].index + results[1].index == 1);
    CHECK(windows[0].begin == 0 && windows[0].end == 2 && windows[0].n == 2 &&
        windows[0].truncated == 1);
    CHECK_INT(strlen(windows[0].response), n_bytes);
    CHECK(windows[0].passages[0] == 0 &&
        windows[0].passages[windows[0].permutation[0] - 1] == results[0].index);
    CHECK(strstr(windows[0].response, windows[0].answer) != NULL && windows[0].prompt_ns > 0);
}

/* Strict answers, by default for this model, and logits. */
static void check_api_modes(rearank_engine *engine, const rearank_passage two[2]) {
    const rearank_options all[] = {
        {.max_tokens = 4},
        {.strict = 1, .think_budget = -1},
        {.think_budget = 3, .answer_depth = 1},
        {.strict = 1, .no_think = 1},
        {.score_mode = REARANK_SCORE_LOGITS},
    };
    static const int truncated[] = {1, 1, 1, 0, 0};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        rearank_ranking *ranking = NULL;
        size_t n = 0;
        CHECK_INT(rearank_rank(engine, "q", two, 2, &all[i], &ranking), REARANK_OK);
        if (ranking == NULL) {
            continue;
        }
        const rearank_window *window = rearank_ranking_windows(ranking, &n);
        CHECK_INT(n, 1);
        CHECK_INT(window->repaired, 0);
        CHECK_MSG(
            window->truncated == truncated[i], "options %zu: truncated %d", i, window->truncated);
        char expected[16];
        snprintf(expected, sizeof expected, all[i].answer_depth == 1 ? "[%u]" : "[%u] > [%u]",
            window->permutation[0], window->permutation[1]);
        CHECK_TEXT(window->answer, expected);
        CHECK_INT(strncmp(window->response, "<think>\n</think>\n<answer>", 25) == 0, i == 1);
        rearank_ranking_free(ranking);
    }
}

static void check_api(const char *path) {
    rearank_engine *engine = NULL;
    rearank_ranking *ranking = NULL;
    rearank_open_options open = {.model_path = "/nonexistent/model.gguf"};
    CHECK_TEXT(rearank_version(), REARANK_VERSION);
    CHECK_INT(rearank_open(&open, &engine), REARANK_E_IO);
    CHECK(engine == NULL && strstr(rearank_last_error(), "/nonexistent/model.gguf") != NULL);
    CHECK_INT(rearank_open(NULL, &engine), REARANK_E_USAGE);
    open = (rearank_open_options){.model_path = path, .n_context = 1200};
    CHECK_INT(rearank_open(&open, &engine), REARANK_OK);
    if (engine == NULL) {
        CHECK_MSG(false, "%s", rearank_last_error());
        return;
    }
    CHECK_TEXT(rearank_last_error(), "");
    CHECK_TEXT(rearank_model_name(engine), "synthetic");
    CHECK(rearank_device_name(engine)[0] != '\0');

    size_t n_bytes = 0, n;
    rearank_passage two[] = {{.text = "x"}, {.text = "y", .title = "T", .id = "second"}};
    rearank_options options = {
        .max_tokens = 4, .no_think = 1, .on_text = on_api_text, .user = &n_bytes, .strict = -1};
    CHECK_INT(rearank_rank(engine, "q", two, 2, &options, &ranking), REARANK_OK);
    if (ranking != NULL) {
        check_results(ranking, n_bytes);
    }
    rearank_ranking_free(ranking);
    ranking = NULL;

    check_api_modes(engine, two);

    CHECK_INT(rearank_rank(engine, "q", two, 1, NULL, &ranking), REARANK_OK);
    CHECK(rearank_ranking_results(ranking, &n)[0].index == 0 && n == 1);
    CHECK(rearank_ranking_windows(ranking, &n) != NULL && n == 0);
    rearank_ranking_free(ranking);
    ranking = NULL;
    CHECK_INT(rearank_rank(engine, "q", NULL, 0, NULL, &ranking), REARANK_OK);
    rearank_ranking_free(ranking);
    ranking = NULL;

    /* what cannot be done says why and leaves the result alone */
    char long_text[400 + 1];
    memset(long_text, 'z', 400);
    long_text[400] = '\0';
    rearank_passage many[] = {{.text = long_text}, {.text = long_text}, {.text = long_text}};
    CHECK_INT(rearank_rank(engine, "q", many, 3, NULL, &ranking), REARANK_E_INPUT);
    CHECK(ranking == NULL && strstr(rearank_last_error(), "the context holds 1200") != NULL);
    CHECK_INT(rearank_rank(engine, "q", NULL, 2, NULL, &ranking), REARANK_E_USAGE);
    options.step = 30;
    CHECK_INT(rearank_rank(engine, "q", two, 2, &options, &ranking), REARANK_E_USAGE);
    options.step = 0;
    options.schedule = (rearank_schedule)3;
    CHECK_INT(rearank_rank(engine, "q", two, 2, &options, &ranking), REARANK_E_USAGE);
    CHECK_TEXT(rearank_last_error(), "schedule: found 3, expected 0 to 2");
    options.schedule = REARANK_SINGLE;
    options.passes = 2;
    options.on_text = NULL;
    CHECK_INT(rearank_rank(engine, "q", two, 2, &options, &ranking), REARANK_OK);
    CHECK(rearank_ranking_windows(ranking, &n) != NULL && n == 2); /* the same window once more */
    rearank_ranking_free(ranking);
    ranking = NULL;
    static const double no_times[] = {-1.0, -INFINITY, NAN};
    for (size_t i = 0; i < 3; i++) {
        options.deadline_s = no_times[i];
        CHECK_INT(rearank_rank(engine, "q", two, 2, &options, &ranking), REARANK_E_USAGE);
        CHECK(strstr(rearank_last_error(), "expected 0 or more seconds") != NULL);
    }
    static const double times[] = {1e-12, 1e6, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        options.deadline_s = times[i];
        CHECK_INT(rearank_rank(engine, "q", two, 2, &options, &ranking), REARANK_OK);
        const rearank_window *windows = rearank_ranking_windows(ranking, &n);
        CHECK(n == 2 && windows[0].late == (i == 0) && windows[1].late == (i == 0));
        CHECK(i > 0 ||
            (rearank_ranking_results(ranking, &n)[0].index == 0 && windows[1].response[0] == '\0'));
        rearank_ranking_free(ranking);
        ranking = NULL;
    }
    options.deadline_s = 0.0;
    rearank_passage none[] = {{.text = "x"}, {.text = NULL}};
    CHECK_INT(rearank_rank(engine, "q", none, 2, NULL, &ranking), REARANK_E_USAGE);
    CHECK_TEXT(rearank_last_error(), "passage 1: found no text");
    options.step = 0;
    rearank_cancel(engine);
    CHECK_INT(rearank_rank(engine, "q", two, 2, &options, &ranking), REARANK_E_CANCELLED);
    CHECK(ranking == NULL);
    rearank_close(engine);
    rearank_close(NULL);
    rearank_ranking_free(NULL);
}

int main(void) {
    char path[256];
    rr_synth synth = {.n_context = 4096, .with_vocabulary = true, .seed = 3};
    rr_synth_file(&synth, path, sizeof path);
    check_model(path);
    check_api(path);
    remove(path);
    return CHECK_END();
}
