/* The public view of rankings that were read and of those that were not: what is copied, what is
 * absent. */
#include "tests/check.h"

#include "rerank/api_view.h"
#include "rerank/execute.h"
#include "rerank/replay.h"
#include "tests/rerank/made_reads.h"

#define T(text) \
    { (text), sizeof(text) - 1 }
static const rr_passage texts[] = {
    {.id = "", .text = T("Roads of stone.")},
    {.id = "",
        .title = T("Fresh \xE8\xB7\xB3"),
        .text = T("Dear  reader.\nTo keep flowers fresh, rinse the vase \xFF often.")},
    {.id = "", .text = T("Flowers are flown in.")},
    {.id = "", .text = T("The tail.")},
};
static const rearank_passage given[] = {{"Roads of stone.", NULL, "rome"}, {"\xFF", NULL, "water"},
    {"Flowers", NULL, NULL}, {"The tail.", NULL, "tail"}};
static const rr_query query = {
    .qid = "", .text = T("keep fresh flowers"), .passages = texts, .n = 4};

static rr_status answer(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    if (call->index == 0) {
        return rr_made_reads(user, call, reply, diag);
    }
    rr_buf_text(&reply->text, "<think>[1] it is.</think><answer>[2] > [1]</answer>");
    return RR_OK;
}

static const rr_prompt_form form = {.style = RR_PROMPT_REARANK, .passage_chars = 62};

static void view(rr_responder responder, rr_ranking *ranking, rearank_result **results,
    rearank_window **windows) {
    const rr_rank_params params = {
        .window = 2, .step = 1, .depth = 3, .passage_chars = form.passage_chars};
    const rr_api_view_params what = {&query, &form, given};
    rr_diag diag = {0};
    CHECK_OK(rr_rank(&query, &params, &responder, ranking, &diag), diag);
    CHECK_OK(rr_api_view(&what, ranking, results, windows, &diag), diag);
    CHECK_INT(ranking->n_windows, 2);
}

static void check_read(void) {
    rr_ranking ranking;
    rearank_result *results;
    rearank_window *windows;
    view((rr_responder){rr_made_reads, (void *)(uintptr_t)&form}, &ranking, &results, &windows);
    CHECK_TEXT(results[0].id, "water");
    /* nobody looked at the tail */
    CHECK(results[0].calibrated == 1 && results[2].calibrated == 1 && results[3].calibrated == 0);
    CHECK(results[2].id == NULL && results[2].index == 2 && results[3].rank == 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK(results[i].score == rr_ranking_score(&ranking, i + 1));
    }
    const rearank_window *window = &windows[1]; /* of passages 0 and 1 */
    CHECK(window->n == 2 && window->passages[1] == 1 &&
        window->scores[1] == ranking.windows[1].reads[1].score);
    CHECK(window->probabilities[0] == ranking.windows[1].reads[0].probability &&
        window->probabilities[1] > window->probabilities[0]);
    CHECK(window->attention[0].n_words == 0);
    CHECK_TEXT(window->attention[0].sentence, "Roads of stone.");
    const rearank_attention *water = &window->attention[1];
    CHECK_TEXT(water->sentence, "To keep flowers fresh, ri"); /* what was shown of it */
    CHECK_INT(water->n_words, 4);
    CHECK_TEXT(water->words[0].text, "Fresh");
    CHECK_TEXT(water->words[2].text, "flowers");
    CHECK(water->words[2].share > water->words[0].share && water->share > water->words[2].share &&
        water->share < 1.0);
    rr_ranking_destroy(&ranking);
}

/* The top window was answered: the view says which windows were read. */
static void check_mixed(void) {
    rr_ranking ranking;
    rearank_result *results;
    rearank_window *windows;
    view((rr_responder){answer, (void *)(uintptr_t)&form}, &ranking, &results, &windows);
    CHECK(windows[0].scores != NULL && windows[0].probabilities != NULL &&
        windows[0].attention != NULL);
    CHECK(windows[1].scores == NULL && windows[1].probabilities == NULL &&
        windows[1].attention == NULL);
    CHECK_TEXT(windows[1].reasoning, "[1] it is.");
    CHECK_TEXT(windows[1].answer, "[2] > [1]");
    CHECK(results[0].index == 1 && results[0].calibrated == 1 && results[1].index == 0 &&
        results[1].calibrated == 0);
    rr_ranking_destroy(&ranking);
}

/* Nothing was read. */
static void check_answered(void) {
    static const char answers[] = "{\"qid\": \"q\", \"responses\": [\"[2] > [1]\", \"[1] > [2]\"]}";
    rr_ranking ranking;
    rearank_result *results;
    rearank_window *windows;
    rr_recording recording;
    rr_diag diag = {0};
    rr_query named = query;
    named.qid = "q";
    CHECK_OK(rr_recording_parse(answers, sizeof answers - 1, "a", &recording, &diag), diag);
    rr_replay replay = {&recording, "a"};
    const rr_responder responder = rr_replay_responder(&replay);
    const rr_rank_params params = {.window = 3, .step = 1};
    const rr_api_view_params what = {&named, &form, given};
    CHECK_OK(rr_rank(&named, &params, &responder, &ranking, &diag), diag);
    CHECK_OK(rr_api_view(&what, &ranking, &results, &windows, &diag), diag);
    CHECK(results[0].calibrated == 0 && results[0].score == 1.0 && windows[0].attention == NULL &&
        windows[0].scores == NULL);
    CHECK_TEXT(windows[0].response, "[2] > [1]");
    rr_ranking_destroy(&ranking);
    rr_recording_destroy(&recording);
}

int main(void) {
    check_read();
    check_mixed();
    check_answered();
    return CHECK_END();
}
