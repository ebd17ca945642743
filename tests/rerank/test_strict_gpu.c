/* Strict answers of a small model that knows nothing and writes noise: whole rankings whatever it
 * thinks, the same as a plain loop over masked logits would choose; and rankings from logits
 * against every id's own probability. */
#define _GNU_SOURCE
#include <math.h>
#include <unistd.h>

#include "rerank/execute.h"
#include "rerank/responder.h"
#include "tests/check.h"
#include "tests/support/synth.h"

enum { MOST = 100, N_CONTEXT = 12288 };
static rr_passage passages[MOST];
static char texts[MOST][8];
static rr_query query = {.qid = "q", .text = {"which", 5}, .passages = passages};

static rr_engine *engine;
static rr_session *session;
static const rr_tokenizer *tokenizer;
static size_t n_windows, n_whole, n_cut;

static bool validation(void) {
    return getenv("REARANK_TEST_VALIDATION") != NULL;
}

/* How many tokens were generated when the answer's tag stood there. */
typedef struct heard_text {
    rr_buf text;
    size_t n_thought;
    bool in_answer;
} heard_text;

static bool on_text(
    void *user, const rr_call *call, const char *text, size_t bytes, size_t n_tokens) {
    (void)call;
    heard_text *heard = user;
    rr_buf_append(&heard->text, text, bytes);
    if (!heard->in_answer) {
        heard->n_thought = n_tokens;
        rr_buf_append(&heard->text, "", 1);
        heard->in_answer = strstr(heard->text.data, "<answer>") != NULL;
        heard->text.bytes--;
    }
    return true;
}

static void rank_once(rr_model_responder *model, uint32_t n, rr_ranking *out) {
    rr_responder responder;
    rr_rank_params params = {.window = MOST, .style = model->style};
    rr_diag diag = {0};
    query.n = n;
    CHECK_OK(rr_model_responder_make(model, &responder, &diag), diag);
    CHECK_OK(rr_rank(&query, &params, &responder, out, &diag), diag);
}

/* One window: whole, flagged where the budget ran out, and the listener heard what was kept. */
static void check_window(rr_model_responder model, uint32_t n) {
    heard_text heard = {0};
    rr_ranking ranking;
    model.events = (rr_responder_events){.text = on_text, .user = &heard};
    rank_once(&model, n, &ranking);
    if (ranking.n_windows == 1) {
        const rr_window_result *window = &ranking.windows[0];
        const uint32_t wanted =
            model.how.answer_depth == 0 || model.how.answer_depth > n ? n : model.how.answer_depth;
        const size_t budget = model.how.think_budget < 0 ? 0 : (size_t)model.how.think_budget;
        const bool whole = window->n_listed == wanted && !window->repaired;
        CHECK_MSG(whole, "%u passages, budget %d, depth %u: %u listed, repaired %d: %.*s", n,
            model.how.think_budget, model.how.answer_depth, window->n_listed, window->repaired,
            (int)window->answer.bytes, window->answer.data);
        CHECK(model.style == RR_PROMPT_RANKGPT ||
            rr_answer_is_closed(window->response.data, window->response.bytes));
        CHECK_MSG(
            window->truncated == (model.style == RR_PROMPT_REARANK && heard.n_thought == budget),
            "budget %d, %zu thought: truncated %d", model.how.think_budget, heard.n_thought,
            window->truncated);
        CHECK(heard.text.bytes == window->response.bytes &&
            memcmp(heard.text.data, window->response.data, heard.text.bytes) == 0);
        bool seen[MOST + 1] = {false};
        for (uint32_t i = 0; i < n; i++) {
            CHECK(!seen[window->permutation[i]]);
            seen[window->permutation[i]] = true;
        }
        n_windows++;
        n_whole += whole;
        n_cut += window->truncated;
    } else {
        CHECK_INT(ranking.n_windows, 1);
    }
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&heard.text);
}

static void check_windows(bool fast) {
    static const uint32_t sizes[] = {
        2, 12, 3, 9, 20, 21, 4, 5, 7, 10, 11, 15, 19, 25, 30, 40, 50, 64, 99, 100};
    const rr_model_responder models[] = {
        {.how.think_budget = -1},
        {.how.think_budget = 1},
        {.how.think_budget = 16},
        {.how.think_budget = -1, .how.temperature = 1.0f, .how.seed = 1},
        {.how.think_budget = -1, .how.temperature = 3.0f, .how.seed = 2},
        {.how.think_budget = 1, .how.temperature = 1.0f, .how.top_p = 0.9f, .how.seed = 3},
        {.how.think_budget = 16, .how.temperature = 1.5f, .how.seed = 4},
        {.how.think_budget = 16, .how.temperature = 1.0f, .how.answer_depth = 10, .how.seed = 5},
        {.how.think_budget = 1, .how.answer_depth = 3},
        {.style = RR_PROMPT_RANKGPT, .how.temperature = 1.0f, .how.seed = 6},
    };
    const size_t n_sizes = fast ? 2 : sizeof sizes / sizeof sizes[0];
    for (size_t s = 0; s < n_sizes; s++) {
        for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
            rr_model_responder model = models[m];
            model.engine = engine;
            model.session = session;
            model.how.mode = RR_ANSWER_STRICT;
            check_window(model, sizes[s]);
        }
    }
    printf("strict: %zu windows of 2 to %u passages, %zu whole, %zu flagged\n", n_windows,
        sizes[n_sizes - 1], n_whole, n_cut);
}

/* The tokens of a window's prompt. */
static void put_prompt(rr_prompt_style style, uint32_t n, rr_tokens *out) {
    rr_prompt prompt;
    rr_diag diag = {0};
    query.n = n;
    CHECK_OK(
        rr_prompt_build(&(rr_prompt_form){.style = style}, &query, NULL, n, &prompt, &diag), diag);
    CHECK_OK(rr_chat_encode(tokenizer, prompt.messages, prompt.n, true, out, &diag), diag);
    rr_prompt_destroy(&prompt);
}

/* Decodes `n` tokens one by one behind what the session holds. */
static const float *decode(const int32_t *ids, size_t n) {
    rr_diag diag = {0};
    const float *logits = NULL;
    for (size_t i = 0; i < n; i++) {
        CHECK_OK(rr_engine_decode(engine, &session, &ids[i], 1, &diag), diag);
    }
    CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
    return logits;
}

static void put_encoded(const char *text, rr_tokens *out) {
    rr_diag diag = {0};
    CHECK_OK(rr_tokenizer_encode(tokenizer, text, strlen(text), out, &diag), diag);
}

/* The answer without thinking, token by token with the whole head. */
static void check_plain_loop(uint32_t n) {
    rr_model_responder model = {
        .engine = engine, .session = session, .how.mode = RR_ANSWER_STRICT, .how.think_budget = -1};
    rr_ranking ranking;
    rr_tokens timeline = {0}, whole = {0};
    rr_diag diag = {0};
    static rr_grammar grammar;
    int32_t choices[RR_GRAMMAR_CHOICES];
    uint32_t n_choices, n_chosen = 0;
    rank_once(&model, n, &ranking);
    const rr_window_result *window = &ranking.windows[0];

    /* what the session holds is how the tokenizer writes prompt and response, but for a few tokens
     * that nobody had to compute */
    const size_t held = rr_session_n_tokens(session);
    put_prompt(RR_PROMPT_REARANK, n, &whole);
    CHECK_INT(whole.n, window->prompt_tokens);
    put_encoded(window->response.data, &whole);
    CHECK(held > window->prompt_tokens && held < whole.n);
    CHECK_OK(rr_session_sync(session, whole.ids, whole.n, &diag), diag);
    CHECK_INT(rr_session_n_reused(session), held);

    put_prompt(RR_PROMPT_REARANK, n, &timeline);
    CHECK_OK(rr_session_sync(session, timeline.ids, timeline.n, &diag), diag);
    size_t done = timeline.n;
    put_encoded("<think>\n</think>\n<answer> [", &timeline);
    rr_grammar_begin(&grammar, &model.answer, n, 0);
    while ((n_choices = rr_grammar_next(&grammar, choices)) > 0) {
        const float *logits = decode(timeline.ids + done, timeline.n - done);
        uint32_t best = 0;
        done = timeline.n;
        for (uint32_t i = 1; i < n_choices; i++) {
            best = logits[choices[i]] > logits[choices[best]] ? i : best;
        }
        n_chosen += n_choices > 1;
        CHECK(rr_grammar_take(&grammar, choices[best]));
        rr_tokens_push(&timeline, choices[best]);
    }
    CHECK_INT(window->generated_tokens, n_chosen);
    CHECK(memcmp(window->permutation, grammar.order, n * sizeof *grammar.order) == 0);
    CHECK(
        timeline.n == whole.n && memcmp(timeline.ids, whole.ids, whole.n * sizeof *whole.ids) == 0);
    rr_tokens_destroy(&timeline);
    rr_tokens_destroy(&whole);
    rr_ranking_destroy(&ranking);
}

/* The log of the probability of choice `at` of n. */
static double log_share(const float *logits, const int32_t *choices, uint32_t n, uint32_t at) {
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        sum += exp((double)logits[choices[i]] - (double)logits[choices[at]]);
    }
    return -log(sum);
}

/* Every id written out on its own, with the whole head at each step. */
static void check_scores(rr_prompt_style style, uint32_t n) {
    rr_model_responder model = {
        .engine = engine, .session = session, .how.mode = RR_ANSWER_LOGITS, .style = style};
    rr_ranking ranking;
    rr_tokens prompt = {0};
    rr_diag diag = {0};
    double scores[MOST + 1], sum = 0.0;
    static rr_grammar grammar;
    rank_once(&model, n, &ranking);
    const rr_window_result *window = &ranking.windows[0];
    CHECK(window->generated_tokens == 0 && !window->truncated && !window->repaired &&
        window->n_listed == n);
    put_prompt(style, n, &prompt);
    CHECK_INT(window->prompt_tokens, prompt.n);
    put_encoded(style == RR_PROMPT_REARANK ? "<answer> [" : "[", &prompt);
    for (uint32_t id = 1; id <= n; id++) {
        char digits[16];
        int32_t choices[RR_GRAMMAR_CHOICES];
        const float *logits = NULL;
        CHECK_OK(rr_session_sync(session, prompt.ids, prompt.n, &diag), diag);
        CHECK_OK(rr_session_logits(session, &logits, &diag), diag);
        rr_grammar_begin(&grammar, &model.answer, n, 1);
        scores[id] = 0.0;
        snprintf(digits, sizeof digits, "%u", id);
        for (size_t d = 0; grammar.n_listed == 0; d++) {
            uint32_t n_choices = rr_grammar_next(&grammar, choices), at = 0;
            int32_t wanted =
                digits[d] != '\0' ? model.answer.digits[digits[d] - '0'] : model.answer.close[0];
            while (choices[at] != wanted && at + 1 < n_choices) {
                at++;
            }
            scores[id] += log_share(logits, choices, n_choices, at);
            CHECK(rr_grammar_take(&grammar, wanted));
            logits = grammar.n_listed == 0 ? decode(&wanted, 1) : logits;
        }
        sum += exp(scores[id]);
    }
    CHECK_MSG(fabs(sum - 1.0) < 1e-9, "probabilities add up to %.12f", sum);
    for (uint32_t i = 1; i < n; i++) {
        uint32_t a = window->permutation[i - 1], b = window->permutation[i];
        CHECK_MSG(scores[a] >= scores[b] - 1e-12, "[%u] with %g before [%u] with %g", a, scores[a],
            b, scores[b]);
    }
    rr_tokens_destroy(&prompt);
    rr_ranking_destroy(&ranking);
}

/* A model that is cancelled, or has no room, says so. */
static void check_refusals(void) {
    rr_model_responder model = {
        .engine = engine, .session = session, .how.mode = RR_ANSWER_STRICT, .how.think_budget = 4};
    rr_responder responder;
    rr_rank_params params = {.window = MOST};
    rr_ranking ranking;
    rr_diag diag = {0};
    CHECK_OK(rr_model_responder_make(&model, &responder, &diag), diag);
    query.n = 3;
    rr_session_cancel(session);
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_CANCELLED);
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    rr_ranking_destroy(&ranking);
    CHECK(rr_way_written("Qwen2.5 Coder 0.5B Instruct").mode == RR_ANSWER_STRICT &&
        rr_way_written("").mode == RR_ANSWER_STRICT);
    CHECK(rr_way_written("Rearank 7B").mode == RR_ANSWER_FREE &&
        rr_way_written("le723z_REARANK-7B").mode == RR_ANSWER_FREE);
    CHECK(rr_way_default("Rearank 7B", true).mode == RR_ANSWER_FREE &&
        rr_way_default("Qwen", true).mode == RR_ANSWER_READ &&
        rr_way_default("Qwen", false).mode == RR_ANSWER_STRICT);
}

static void check_room(const char *path) {
    rr_diag diag = {0};
    rr_engine *small = NULL;
    rr_session *tight = NULL;
    rr_ranking ranking;
    rr_tokens prompt = {0};
    rr_rank_params params = {.window = MOST};
    put_prompt(RR_PROMPT_REARANK, 2, &prompt);
    /* the answer, its tags and 10 tokens of thinking fit */
    rr_engine_params engine_params = {.compute.model_path = path,
        .compute.n_context = (uint32_t)prompt.n + 75,
        .compute.validation = validation()};
    CHECK_OK(rr_engine_open(&engine_params, &small, &diag), diag);
    CHECK_OK(rr_session_create(small, &tight, &diag), diag);
    rr_model_responder model = {.engine = small, .session = tight, .how.mode = RR_ANSWER_STRICT};
    rr_responder responder;
    CHECK_OK(rr_model_responder_make(&model, &responder, &diag), diag);
    query.n = 2;
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    CHECK(ranking.windows[0].truncated && !ranking.windows[0].repaired &&
        ranking.windows[0].n_listed == 2);
    CHECK(ranking.windows[0].generated_tokens >= 5 && ranking.windows[0].generated_tokens < 40);
    rr_ranking_destroy(&ranking);
    query.n = 4;
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "make the window smaller") != NULL);
    rr_tokens_destroy(&prompt);
    rr_session_destroy(&tight);
    rr_engine_close(&small);
}

int main(void) {
    char path[256];
    rr_diag diag = {0};
    rr_synth synth = {.n_context = N_CONTEXT, .with_vocabulary = true, .seed = 3};
    rr_synth_file(&synth, path, sizeof path);
    for (uint32_t i = 0; i < MOST; i++) {
        snprintf(texts[i], sizeof texts[i], "t%u", i * 37 % 100);
        passages[i] = (rr_passage){.id = "", .text = {texts[i], strlen(texts[i])}};
    }
    rr_engine_params params = {.compute.model_path = path,
        .compute.n_context = N_CONTEXT,
        .compute.validation = validation()};
    rr_status status = rr_engine_open(&params, &engine, &diag);
    if (status == RR_E_DEVICE) {
        unlink(path);
        CHECK_SKIP("%s", diag.text);
    }
    CHECK_OK(status, diag);
    if (engine != NULL) {
        CHECK_OK(rr_session_create(engine, &session, &diag), diag);
        CHECK_OK(rr_engine_tokenizer(engine, &tokenizer, &diag), diag);
        check_windows(check_is_fast());
        check_plain_loop(12);
        check_scores(RR_PROMPT_RANKGPT, 12);
        if (!check_is_fast()) {
            check_plain_loop(3);
            check_plain_loop(23);
            check_scores(RR_PROMPT_REARANK, 2);
            check_scores(RR_PROMPT_REARANK, 9);
            check_scores(RR_PROMPT_REARANK, 23);
        }
        check_refusals();
        check_room(path);
    }
    CHECK(engine == NULL || rr_engine_n_validation_messages(engine) == 0);
    rr_session_destroy(&session);
    rr_engine_close(&engine);
    unlink(path);
    return CHECK_END();
}
