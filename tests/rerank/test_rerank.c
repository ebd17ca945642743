/* The window loop over responders that need no model. */
#include "tests/check.h"

#include <math.h>

#include "rerank/execute.h"
#include "rerank/replay.h"

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
    rr_buf_text(&reply->text,
        random_next(&asked->random) % 2 != 0 ? "<think>\xFF [1]</think><answer>" : "<answer>");
    for (uint32_t i = 0; i < n_written; i++) {
        rr_buf_printf(&reply->text, "%s[%u]", i > 0 ? " > " : "",
            random_next(&asked->random) % (call->n + 3));
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
        CHECK_MSG(ranking->order[i] < n && !seen[ranking->order[i]], "n %zu: place %zu holds %u", n,
            i, ranking->order[i]);
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
    CHECK(last->window.begin == 0 && !last->repaired && !last->truncated &&
        last->n_listed == last->n);
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
    static const char answers[] =
        "{\"qid\": \"q\", \"responses\": [\"[2] > [1]\", \"<think>[3]\"]}";
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

/* Scores of what was read */

/* A window over some passages, with a probability for each; none: it was not read. */
static rr_window_result window_of(
    const uint32_t *of, uint32_t n, rr_passage_read *reads, const double *probabilities) {
    for (uint32_t i = 0; i < n && probabilities != NULL; i++) {
        reads[i] = (rr_passage_read){
            .score = 100.0 * probabilities[i] - 50.0, .probability = probabilities[i]};
    }
    return (rr_window_result){.passages = of,
        .n = n,
        .reads = probabilities != NULL ? reads : NULL,
        .late = probabilities == NULL};
}

/* Whether scores fall strictly, also as floats, and lie in (0, 1]. */
static bool falls(const rr_ranking *ranking) {
    bool ok = true;
    float above = 2.0f;
    for (size_t rank = 1; rank <= ranking->n; rank++) {
        const double score = rr_ranking_score(ranking, rank);
        ok = ok && (float)score < above && (double)(float)score == score && score > 0.0 &&
            score <= 1.0;
        above = (float)score;
    }
    return ok;
}

static bool is_near(double a, double b) {
    return fabs(a - b) <= 1e-6 * fabs(b);
}

/* Six passages, ranked as `order` says, by two windows: of passages 2 to 5, then of those that
 * `second` names. */
static void score_two(uint32_t *order, const double *first, const uint32_t *second,
    const double *then, double *scores) {
    static const uint32_t back[] = {2, 3, 4, 5};
    rr_passage_read reads[2][4];
    rr_window_result windows[] = {
        window_of(back, 4, reads[0], first), window_of(second, 4, reads[1], then)};
    rr_ranking ranking = {.order = order, .n = 6, .windows = windows, .n_windows = 2};
    rr_diag diag = {0};
    CHECK_OK(rr_ranking_score_all(&ranking, &diag), diag);
    CHECK((ranking.scores != NULL) == (first != NULL || then != NULL));
    CHECK(ranking.scores == NULL || falls(&ranking));
    for (size_t i = 0; i < 6; i++) {
        scores[i] = rr_ranking_score(&ranking, i + 1);
    }
    rr_arena_destroy(&ranking.arena);
}

static void check_read_scores(void) {
    const uint32_t top[] = {0, 1, 4, 5};
    double s[6];
    /* sliding: the window above has the last word on what it read */
    uint32_t slid[] = {4, 0, 5, 1, 2, 3};
    score_two(slid, (double[]){.1, .05, .7, .6}, top, (double[]){.5, .2, .9, .3}, s);
    CHECK(is_near(s[0], .9) && is_near(s[1], .5) && is_near(s[2], .3) && is_near(s[3], .2) &&
        is_near(s[4], .1) && is_near(s[5], .05));
    /* a passage below with more gets what the one above it has, a little less */
    score_two(slid, (double[]){.8, .05, .7, .6}, top, (double[]){.5, .2, .9, .3}, s);
    CHECK(is_near(s[3], .2) && is_near(s[4], .2) && is_near(s[5], .05) && s[4] < s[3]);
    /* the window of the top was late: what nobody read stands no lower than what was read below
     * it */
    uint32_t late_top[] = {0, 1, 4, 5, 2, 3};
    score_two(late_top, (double[]){.1, .05, .7, .6}, top, NULL, s);
    CHECK(is_near(s[0], .7) && is_near(s[1], .7) && is_near(s[2], .7) && is_near(s[3], .6) &&
        is_near(s[4], .1) && is_near(s[5], .05));
    /* the window below was late, the one above read two of its passages: unread ones end the
     * list */
    uint32_t late_back[] = {4, 0, 5, 1, 2, 3};
    score_two(late_back, NULL, top, (double[]){.5, .2, .9, .3}, s);
    CHECK(is_near(s[3], .2) && is_near(s[4], .2 * 2 / 3) && is_near(s[5], .2 / 3));
    /* late in the middle: read passages on both sides of one that nobody read */
    const uint32_t ends[] = {0, 1, 2, 5};
    uint32_t middle[] = {0, 1, 3, 4, 2, 5};
    score_two(middle, NULL, ends, (double[]){.9, .8, .4, .2}, s);
    CHECK(is_near(s[1], .8) && is_near(s[2], .4) && is_near(s[3], .4) && is_near(s[4], .4) &&
        is_near(s[5], .2));
    /* equal ones, certain ones, impossible ones */
    score_two(slid, (double[]){.5, .5, .5, .5}, top, (double[]){.5, .5, .5, .5}, s);
    CHECK(s[0] == .5 && is_near(s[5], .5));
    score_two(slid, (double[]){1, 1, 1, 1}, top, (double[]){1, 1, 1, 1}, s);
    CHECK(s[0] == 1.0 && is_near(s[5], 1.0));
    score_two(slid, (double[]){0, 0, 0, 0}, top, (double[]){0, 1e-300, 0, 5e-324}, s);
    CHECK(s[0] > 0.0 && s[0] < 1e-30);
    /* nothing was read */
    score_two(slid, NULL, top, NULL, s);
    CHECK(s[0] == 1.0 && is_near(s[5], 1.0 / 6));
}

/* Whatever the probabilities, the windows and the order are. */
static void check_read_falls(void) {
    uint32_t random = 11;
    for (size_t round = 0; round < 400; round++) {
        const size_t n = 2 + random_next(&random) % (MAX_PASSAGES - 2);
        const uint32_t width = 2 + random_next(&random) % (n < 20 ? (uint32_t)n - 1 : 19u),
                       kind = random_next(&random) % 3;
        uint32_t order[MAX_PASSAGES], shown[MAX_PASSAGES];
        static rr_passage_read reads[MAX_PASSAGES];
        static rr_window_result windows[MAX_PASSAGES];
        size_t n_windows = 0;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t at = random_next(&random) % (i + 1);
            order[i] = order[at];
            order[at] = shown[i] = i;
        }
        for (uint32_t begin = 0; begin + width <= n; begin += width) {
            double probabilities[20];
            for (uint32_t i = 0; i < width; i++) {
                const double p = random_next(&random) % 1000 / 999.0;
                probabilities[i] = kind == 0 ? p : kind == 1 ? floor(3 * p) / 3 : p * 1e-40;
            }
            windows[n_windows++] = window_of(shown + begin, width, reads + begin,
                random_next(&random) % 4 == 0 ? NULL : probabilities);
        }
        rr_ranking ranking = {.order = order, .n = n, .windows = windows, .n_windows = n_windows};
        rr_diag diag = {0};
        CHECK_OK(rr_ranking_score_all(&ranking, &diag), diag);
        CHECK_MSG(ranking.scores == NULL || falls(&ranking), "round %zu: %zu passages, kind %u",
            round, n, kind);
        rr_arena_destroy(&ranking.arena);
    }
}

/* The higher the index the better; words that a device got wrong where `user` says so. The second
 * window comes too late. */
static rr_status read_window(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    if (call->index == 1) {
        return rr_fail(diag, RR_E_DEADLINE, "late");
    }
    reply->reads = calloc(call->n, sizeof *reply->reads);
    for (uint32_t i = 0; i < call->n; i++) {
        reply->reads[i] = (rr_passage_read){.score = call->order[i],
            .probability = call->order[i] / 10.0,
            .sentence = {0, 2, 1.0000001f}};
        rr_buf_printf(&reply->text, "%s[%u]", i > 0 ? " > " : "", call->n - i);
    }
    if (user != NULL) {
        reply->reads[call->n - 1] = *(const rr_passage_read *)user;
    }
    return RR_OK;
}

static void check_reads(void) {
    const rr_query query = make_query(6);
    rr_responder responder = {read_window, NULL};
    const rr_rank_params params = {.window = 4, .step = 2, .deadline_after_ns = UINT64_MAX};
    rr_ranking ranking;
    rr_diag diag = {0};
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    const rr_window_result *window = &ranking.windows[0];
    CHECK(ranking.n_windows == 2 && window->reads != NULL && ranking.windows[1].reads == NULL &&
        ranking.windows[1].late);
    CHECK(window->reads[3].score == 5.0 && window->reads[3].probability == .5 &&
        window->reads[0].sentence.share == 1.0f);
    CHECK(ranking.order[0] == 0 && ranking.order[2] == 5 &&
        is_near(rr_ranking_score(&ranking, 1), .5) && falls(&ranking));
    rr_ranking_destroy(&ranking);
    const rr_passage_read wrong[] = {
        {.score = NAN},
        {.probability = NAN},
        {.probability = 1.5},
        {.sentence = {3, 2, .5f}},
        {.sentence = {0, 2, 1.5f}},
        {.words = {{0, 2, -.5f}}, .n_words = 1},
        {.words = {{0, 2, NAN}}, .n_words = 1},
        {.words = {{2, 2, .5f}}, .n_words = 1},
        {.words = {{2, 4, .5f}, {3, 5, .5f}}, .n_words = 2},
        {.n_words = RR_READ_WORDS + 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        responder.user = (void *)(uintptr_t)&wrong[i];
        CHECK_MSG(rr_rank(&query, &params, &responder, &ranking, &diag) == RR_E_INTERNAL,
            "case %zu is accepted", i);
        CHECK(strstr(diag.text, "what was read of passage [4] makes no sense") != NULL);
        rr_ranking_destroy(&ranking);
    }
}

int main(void) {
    check_all_ranked();
    check_climb();
    check_failures();
    check_replay();
    check_read_scores();
    check_read_falls();
    check_reads();
    return CHECK_END();
}
