/* The window loop over responders that need no model. */
#include "tests/check.h"

#include "rerank/rerank.h"

enum { MAX_PASSAGES = 300 };

static rr_passage passages[MAX_PASSAGES];
static char ids[MAX_PASSAGES][24];

static rr_query make_query(size_t n) {
    for (size_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof ids[i], "d%zu", i);
        passages[i] = (rr_passage){.id = ids[i], .text = {ids[i], strlen(ids[i])}};
    }
    return (rr_query){.qid = "q", .text = {"what", 4}, .passages = passages, .n = n};
}

static uint32_t random_next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* What a responder was asked. */
typedef struct call_notes {
    uint32_t random;
    size_t n_calls, n_shown;
    bool seen[MAX_PASSAGES];
} call_notes;

static void note_call(call_notes *asked, const rr_call *call) {
    CHECK_INT(call->index, asked->n_calls);
    CHECK(call->n == call->window.end - call->window.begin && call->n >= 2);
    CHECK_INT(call->prompt->n, 2 * call->n + 4);
    for (uint32_t i = 0; i < call->n; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "[%u] d%u", i + 1, call->order[i]);
        CHECK_TEXT(call->prompt->messages[3 + 2 * i].content, expected);
        asked->n_shown += !asked->seen[call->order[i]];
        asked->seen[call->order[i]] = true;
    }
    asked->n_calls++;
}

/* Any answer: whole permutations, parts, repeats, ids that do not exist, no ids at all. */
static rr_status answer_at_random(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)diag;
    call_notes *asked = user;
    note_call(asked, call);
    uint32_t n_written = random_next(&asked->random) % (2 * call->n);
    rr_buf_text(&reply->text, random_next(&asked->random) % 2 != 0 ? "<think>\xFF [1]</think><answer>" : "<answer>");
    for (uint32_t i = 0; i < n_written; i++) {
        rr_buf_printf(&reply->text, "%s[%u]", i > 0 ? " > " : "", random_next(&asked->random) % (call->n + 3));
    }
    rr_buf_text(&reply->text, random_next(&asked->random) % 2 != 0 ? "</answer>" : "");
    reply->prompt_tokens = 7;
    return RR_OK;
}

/* The best passage has the highest index: every window is put in that order. */
static rr_status answer_by_index(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)diag;
    note_call(user, call);
    rr_buf_text(&reply->text, "<answer>");
    for (uint32_t wanted = MAX_PASSAGES; wanted-- > 0;) {
        for (uint32_t i = 0; i < call->n; i++) {
            if (call->order[i] == wanted) {
                rr_buf_printf(&reply->text, " [%u] >", i + 1);
            }
        }
    }
    rr_buf_text(&reply->text, "</answer>");
    return RR_OK;
}

static void check_permutation(const rr_ranking *ranking, size_t n) {
    bool seen[MAX_PASSAGES] = {false};
    CHECK_INT(ranking->n, n);
    for (size_t i = 0; i < ranking->n; i++) {
        CHECK_MSG(ranking->order[i] < n && !seen[ranking->order[i]], "n %zu: place %zu holds %u", n, i, ranking->order[i]);
        seen[ranking->order[i]] = true;
    }
}

static void check_all_ranked(void) {
    const size_t sizes[] = {0, 1, 2, 3, 19, 20, 21, 25, 95, 100, 237};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (uint32_t seed = 0; seed < 20; seed++) {
            rr_query query = make_query(sizes[s]);
            call_notes asked = {.random = seed};
            rr_responder responder = {answer_at_random, &asked};
            rr_rank_params params = {0};
            rr_ranking ranking;
            rr_diag diag = {0};
            CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
            check_permutation(&ranking, query.n);
            CHECK_INT(ranking.n_windows, asked.n_calls);
            CHECK_INT(asked.n_shown, query.n < 2 ? 0 : query.n); /* every passage was seen */
            rr_ranking_destroy(&ranking);
        }
    }
}

static void check_climb(void) {
    rr_query query = make_query(237);
    call_notes asked = {0};
    rr_responder responder = {answer_by_index, &asked};
    rr_rank_params params = {0};
    rr_ranking ranking;
    rr_diag diag = {0};
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    for (uint32_t i = 0; i < 10; i++) {
        CHECK_INT(ranking.order[i], 236 - i); /* the best ten climbed all the way */
    }
    const rr_window_result *last = &ranking.windows[ranking.n_windows - 1];
    CHECK(last->window.begin == 0 && !last->repaired && !last->truncated && last->n_listed == last->n);
    rr_ranking_destroy(&ranking);

    /* only the top is ranked, the rest stays behind it in its order */
    memset(&asked, 0, sizeof asked);
    params = (rr_rank_params){.window = 4, .step = 2, .depth = 6};
    query = make_query(9);
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    const uint32_t expected[] = {5, 4, 1, 0, 3, 2, 6, 7, 8};
    CHECK_INT(ranking.n_windows, 2);
    for (uint32_t i = 0; i < 9; i++) {
        CHECK_INT(ranking.order[i], expected[i]);
    }
    rr_ranking_destroy(&ranking);
    for (size_t depth = 0; depth <= 12; depth++) {
        memset(&asked, 0, sizeof asked);
        params.depth = depth;
        CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
        check_permutation(&ranking, 9);
        CHECK_INT(asked.n_shown, depth == 0 || depth > 9 ? 9 : depth == 1 ? 0 : depth);
        rr_ranking_destroy(&ranking);
    }
}

static rr_status fail_at_second(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)user;
    rr_buf_text(&reply->text, "[1]");
    return call->index == 1 ? rr_fail(diag, RR_E_DEVICE, "gone") : RR_OK;
}

static void check_failures(void) {
    rr_query query = make_query(30);
    rr_responder responder = {fail_at_second, NULL};
    rr_rank_params params = {0};
    rr_ranking ranking;
    rr_diag diag = {0};
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_DEVICE);
    CHECK_TEXT(diag.text, "gone");
    CHECK(ranking.n == 0 && ranking.order == NULL);
    rr_ranking_destroy(&ranking);
    params.window = 1;
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_USAGE);
    params = (rr_rank_params){.window = 4, .step = 5};
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_USAGE);
    params = (rr_rank_params){.window = 4}; /* the usual step would be too long */
    CHECK_OK(rr_rank_params_check(&params, &params, &diag), diag);
    CHECK_INT(params.step, 4);
}

static void check_replay(void) {
    static const char answers[] = "{\"qid\": \"q\", \"responses\": [\"[2] > [1]\", \"<think>[3]\"]}";
    rr_recording recording;
    rr_diag diag = {0};
    CHECK_OK(rr_recording_parse(answers, sizeof answers - 1, "a", &recording, &diag), diag);
    rr_replay replay = {&recording, "a"};
    rr_responder responder = rr_replay_responder(&replay);
    rr_query query = make_query(4);
    rr_candidates candidates = {.queries = &query, .n = 1};
    rr_rank_params params = {.window = 3, .step = 1};
    rr_ranking ranking;
    CHECK_OK(rr_replay_check(&replay, &candidates, &params, &diag), diag);
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    const uint32_t expected[] = {0, 2, 1, 3};
    CHECK(memcmp(ranking.order, expected, sizeof expected) == 0);
    CHECK(ranking.windows[0].repaired && !ranking.windows[0].truncated);
    CHECK(ranking.windows[1].repaired && ranking.windows[1].truncated);
    rr_ranking_destroy(&ranking);

    params = (rr_rank_params){.window = 2, .step = 1}; /* three calls: one answer is missing */
    CHECK_OK(rr_replay_check(&replay, &candidates, &params, &diag), diag);
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "a:1: qid \"q\" has 2 answers, expected 3") != NULL);
    params = (rr_rank_params){0}; /* one call: one answer is left over */
    CHECK_INT(rr_replay_check(&replay, &candidates, &params, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "a:1: qid \"q\" has 2 answers, expected 1") != NULL);
    query.qid = "other";
    CHECK_INT(rr_replay_check(&replay, &candidates, &params, &diag), RR_E_INPUT);
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_INPUT);
    CHECK(strstr(diag.text, "no answers for qid \"other\"") != NULL);
    rr_recording_destroy(&recording);
}

int main(void) {
    check_all_ranked();
    check_climb();
    check_failures();
    check_replay();
    return CHECK_END();
}
