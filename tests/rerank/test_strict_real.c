/* The real model on short windows of real queries: the share of whole rankings when it answers
 * freely and under the grammar, and that the strict response is written in the tokenizer's own
 * tokens. REARANK_TEST_WINDOWS says how many windows (4). */
#include "rerank/execute.h"
#include "rerank/responder.h"
#include "tests/check.h"
#include "tests/support/real_model.h"

enum { N_SIZES = 4, MOST = 20, N_CHARS = 80, N_TOKENS = 64 };
static const size_t sizes[N_SIZES] = {5, MOST, 12, 3};

static rr_engine *engine;
static rr_session *session;

typedef struct tally {
    size_t n, n_whole, n_cut, n_generated;
    size_t n_broken[N_SIZES]; /* not whole, by size */
    double generate_ms;
} tally;

static void rank_window(
    rr_answer_mode mode, const rr_query *query, size_t size, tally *out, rr_ranking *ranking) {
    rr_model_responder model = {
        .engine = engine, .session = session, .how.mode = mode, .how.max_tokens = N_TOKENS};
    rr_responder responder;
    rr_rank_params params = {.window = MOST};
    rr_diag diag = {0};
    CHECK_OK(rr_model_responder_make(&model, &responder, &diag), diag);
    CHECK_OK(rr_rank(query, &params, &responder, ranking, &diag), diag);
    const rr_window_result *window = &ranking->windows[0];
    const bool whole = window->n_listed == window->n && !window->repaired;
    out->n_whole += whole;
    out->n_broken[size] += !whole;
    out->n++;
    out->n_cut += window->truncated;
    out->n_generated += window->generated_tokens;
    out->generate_ms += (double)window->generate_ns / 1e6;
}

/* What the session holds is a beginning of what the tokenizer makes of prompt and response; `held`
 * counts it. */
static bool is_canonical(const rr_query *query, const rr_window_result *window, size_t held) {
    const rr_tokenizer *tokenizer = NULL;
    rr_prompt prompt;
    rr_tokens whole = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_engine_tokenizer(engine, &tokenizer, &diag), diag);
    CHECK_OK(rr_prompt_build(&(rr_prompt_form){.style = RR_PROMPT_REARANK}, query, NULL, query->n,
                 &prompt, &diag),
        diag);
    CHECK_OK(rr_chat_encode(tokenizer, prompt.messages, prompt.n, true, &whole, &diag), diag);
    CHECK_OK(rr_tokenizer_encode(
                 tokenizer, window->response.data, window->response.bytes, &whole, &diag),
        diag);
    CHECK(held > window->prompt_tokens && held <= whole.n);
    CHECK_OK(rr_session_sync(session, whole.ids, held, &diag), diag);
    /* the last is computed again for its logits */
    bool same = rr_session_n_reused(session) + 1 >= held;
    rr_tokens_destroy(&whole);
    rr_prompt_destroy(&prompt);
    return same;
}

/* Five windows of one size, so that most of the prompt's head is computed once. */
static void check_query(const rr_query *all, size_t size, size_t n_left, tally *free_answers,
    tally *strict, size_t *n_canonical) {
    for (size_t first = 0; first + MOST <= all->n && n_left > 0; first += all->n / 5, n_left--) {
        rr_passage passages[MOST];
        rr_query query = {
            .qid = all->qid, .text = all->text, .passages = passages, .n = sizes[size]};
        for (size_t i = 0; i < query.n; i++) {
            passages[i] = all->passages[first + i];
            passages[i].text.bytes =
                passages[i].text.bytes < N_CHARS ? passages[i].text.bytes : N_CHARS;
        }
        rr_ranking ranking;
        rank_window(RR_ANSWER_FREE, &query, size, free_answers, &ranking);
        if (ranking.windows[0].repaired) {
            printf("not whole: %.*s\n", (int)ranking.windows[0].response.bytes,
                ranking.windows[0].response.data);
        }
        rr_ranking_destroy(&ranking);
        rank_window(RR_ANSWER_STRICT, &query, size, strict, &ranking);
        *n_canonical += is_canonical(&query, &ranking.windows[0], rr_session_n_tokens(session));
        rr_ranking_destroy(&ranking);
    }
}

static void tell(const char *name, const tally *t) {
    printf(
        "%s: %zu of %zu windows whole (broken of %zu, %zu, %zu, %zu passages: %zu, %zu, %zu, %zu), %zu flagged, "
        "%.1f tokens and %.0f ms a window behind the prompt\n",
        name, t->n_whole, t->n, sizes[0], sizes[1], sizes[2], sizes[3], t->n_broken[0],
        t->n_broken[1], t->n_broken[2], t->n_broken[3], t->n_cut,
        (double)t->n_generated / (double)t->n, t->generate_ms / (double)t->n);
}

int main(void) {
    rr_diag diag = {0};
    rr_buf model = {0};
    rr_candidates candidates = {0};
    const char *count = getenv("REARANK_TEST_WINDOWS"), *shared = check_shared();
    if (!rr_real_model_path(&model)) {
        CHECK_SKIP("no model: set REARANK_TEST_MODEL");
    }
    if (shared == NULL) {
        CHECK_SKIP("no shared test data: set REARANK_SHARED");
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/data/dl19.bm25.jsonl", shared);
    CHECK_OK(rr_candidates_read(path, &candidates, &diag), diag);
    rr_engine_params params = {.compute.model_path = model.data, .compute.n_context = 2048};
    rr_status status = rr_engine_open(&params, &engine, &diag);
    if (status == RR_E_DEVICE) {
        CHECK_SKIP("%s", diag.text);
    }
    CHECK_OK(status, diag);
    CHECK_OK(rr_session_create(engine, &session, &diag), diag);
    const size_t n_windows = count != NULL ? strtoul(count, NULL, 10) : 4;
    tally free_answers = {0}, strict = {0};
    size_t n_canonical = 0;
    for (size_t i = 0; i < candidates.n && strict.n < n_windows; i++) {
        check_query(&candidates.queries[i], i % N_SIZES, n_windows - strict.n, &free_answers,
            &strict, &n_canonical);
        if (count != NULL) { /* it will take a while */
            tell("free so far", &free_answers);
            tell("strict so far", &strict);
            fflush(stdout);
        }
    }
    tell("free", &free_answers);
    tell("strict", &strict);
    printf("strict: %zu of %zu responses in the tokenizer's own tokens\n", n_canonical, strict.n);
    CHECK_INT(strict.n, n_windows);
    CHECK_INT(strict.n_whole, strict.n);
    /* a model's free text may be written in other tokens */
    CHECK(n_canonical * 10 >= strict.n * 9);
    rr_session_destroy(&session);
    rr_engine_close(&engine);
    rr_candidates_destroy(&candidates);
    rr_buf_destroy(&model);
    return CHECK_END();
}
