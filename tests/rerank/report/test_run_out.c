#include "tests/check.h"

#include <yyjson.h>

#include "rerank/data/clean.h"
#include "rerank/execute.h"
#include "rerank/replay.h"
#include "rerank/report/run_out.h"
#include "tests/rerank/made_reads.h"

static const rr_passage passages[] = {
    {.id = "a", .text = {"first \x1B[2J text", 15}},
    {.id = "b b", .title = {"Title", 5}, .text = {"two\nlines \xFF", 11}},
    {.id = "\xC3\xA9", .text = {"third", 5}},
};
static const rr_query query = {
    .qid = "q1", .text = {"what \"is\" \xFF", 11}, .passages = passages, .n = 3};

static rr_status answer(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)call;
    (void)diag;
    rr_buf_text(&reply->text, user);
    reply->truncated = true;
    reply->prompt_tokens = 11;
    reply->reused_tokens = 5;
    reply->shared_tokens = 4;
    reply->generated_tokens = 3;
    reply->prompt_ns = 1500000;
    return RR_OK;
}

static void rank(const rr_query *what, const char *text, rr_ranking *out) {
    rr_responder responder = {answer, (void *)(uintptr_t)text};
    rr_rank_params params = {.window = 100, .step = 50};
    rr_diag diag = {0};
    CHECK_OK(rr_rank(what, &params, &responder, out, &diag), diag);
}

static void write(const rr_run_out *run, const rr_ranking *ranking, size_t n_times, rr_buf *out) {
    rr_diag diag = {0};
    rr_buf_clear(out);
    CHECK_OK(rr_run_begin(run, out, &diag), diag);
    for (size_t i = 0; i < n_times; i++) {
        CHECK_OK(rr_run_query(run, &query, ranking, i, out, &diag), diag);
    }
    CHECK_OK(rr_run_end(run, out, &diag), diag);
}

static void check_object(yyjson_val *root, bool many, bool explain) {
    CHECK(yyjson_equals_str(yyjson_obj_get(root, "query"), "what \"is\" \xEF\xBF\xBD"));
    CHECK(many ? yyjson_equals_str(yyjson_obj_get(root, "qid"), "q1")
               : yyjson_obj_get(root, "qid") == NULL);
    CHECK(yyjson_equals_str(yyjson_obj_get(root, "model"), "m"));
    CHECK(yyjson_is_null(yyjson_obj_get(root, "device")));
    yyjson_val *results = yyjson_obj_get(root, "results");
    const char *const ids[] = {"\xC3\xA9", "a", "b b"};
    const int indices[] = {2, 0, 1};
    double above = 2.0;
    CHECK_INT(yyjson_arr_size(results), 3);
    for (size_t i = 0; i < 3; i++) {
        yyjson_val *item = yyjson_arr_get(results, i);
        double score = yyjson_get_real(yyjson_obj_get(item, "relevance_score"));
        CHECK(yyjson_equals_str(yyjson_obj_get(item, "id"), ids[i]));
        CHECK_INT(yyjson_get_uint(yyjson_obj_get(item, "index")), indices[i]);
        CHECK_INT(yyjson_get_uint(yyjson_obj_get(item, "rank")), i + 1);
        CHECK(score < above && score > 0.0 && score <= 1.0);
        CHECK((yyjson_obj_get(item, "text") != NULL) == explain);
        CHECK((yyjson_obj_get(item, "title") != NULL) == (explain && i == 2)); /* "b b" has one */
        yyjson_val *said = yyjson_obj_get(item, "explanations");
        CHECK_INT(yyjson_arr_size(said), explain && i == 1); /* "a" is [1] */
        CHECK((said != NULL) == explain);
        CHECK(!explain || i != 1 ||
            yyjson_equals_str(yyjson_obj_get(yyjson_arr_get_first(said), "text"), "[1]"));
        above = score;
    }
    yyjson_val *window = yyjson_arr_get_first(yyjson_obj_get(root, "windows"));
    CHECK_INT(yyjson_arr_size(yyjson_obj_get(root, "windows")), 1);
    CHECK(yyjson_equals_str(yyjson_obj_get(window, "reasoning"), "why\n[1]"));
    CHECK(yyjson_equals_str(yyjson_obj_get(window, "answer"), "[3] > [1]"));
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(window, "begin")), 0);
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(window, "end")), 3);
    CHECK_INT(yyjson_arr_size(yyjson_obj_get(window, "permutation")), 3);
    CHECK_INT(yyjson_get_uint(yyjson_arr_get_first(yyjson_obj_get(window, "permutation"))), 3);
    CHECK(yyjson_get_bool(yyjson_obj_get(window, "repaired")) &&
        yyjson_get_bool(yyjson_obj_get(window, "truncated")));
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(window, "listed")), 2);
    CHECK(yyjson_is_false(yyjson_obj_get(window, "late")) &&
        yyjson_is_false(yyjson_obj_get(root, "late")));
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(window, "prompt_tokens")), 11);
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(window, "reused_tokens")), 5);
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(window, "shared_tokens")), 4);
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(window, "generated_tokens")), 3);
    CHECK(yyjson_get_real(yyjson_obj_get(window, "prompt_ms")) == 1.5);
}

static const char response[] = "<think>why\n[1]</think><answer>[3] > [1]</answer>";

static void check_json(void) {
    rr_ranking ranking;
    rr_buf text = {0};
    rank(&query, response, &ranking);
    for (int many = 0; many < 2; many++) {
        rr_run_out run = {
            .format = RR_RUN_JSON, .model = "m", .many = many != 0, .explain = many == 0};
        write(&run, &ranking, 1 + (size_t)many, &text);
        yyjson_doc *doc = yyjson_read(text.data, text.bytes, 0);
        yyjson_val *root = yyjson_doc_get_root(doc);
        CHECK_MSG(doc != NULL, "no JSON:\n%s", text.data);
        if (many != 0) {
            CHECK_INT(yyjson_arr_size(root), 2);
            check_object(yyjson_arr_get(root, 1), true, false);
            root = yyjson_arr_get_first(root);
        }
        check_object(root, run.many, run.explain);
        CHECK(text.data[text.bytes - 1] == '\n');
        yyjson_doc_free(doc);

        run.format = RR_RUN_JSONL;
        write(&run, &ranking, 1, &text);
        CHECK(strchr(text.data, '\n') == text.data + text.bytes - 1);
        doc = yyjson_read(text.data, text.bytes, 0);
        check_object(yyjson_doc_get_root(doc), run.many, run.explain);
        yyjson_doc_free(doc);
    }
    rr_run_out run = {.format = RR_RUN_JSON, .many = true};
    write(&run, &ranking, 0, &text);
    yyjson_doc *doc = yyjson_read(text.data, text.bytes, 0);
    CHECK(
        yyjson_is_arr(yyjson_doc_get_root(doc)) && yyjson_arr_size(yyjson_doc_get_root(doc)) == 0);
    yyjson_doc_free(doc);
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
}

static void check_runs(void) {
    rr_ranking ranking;
    rr_buf text = {0};
    rr_diag diag = {0};
    rank(&query, response, &ranking);
    rr_run_out run = {.format = RR_RUN_TREC};
    write(&run, &ranking, 1, &text);
    CHECK_TEXT(
        text.data, "q1 Q0 \xC3\xA9 1 3 rearank\nq1 Q0 a 2 2 rearank\nq1 Q0 b b 3 1 rearank\n");
    CHECK_INT(rr_run_check(&run, &query, &diag), RR_E_INPUT); /* which is why this is asked first */
    CHECK(strstr(diag.text, "\"b b\"") != NULL);
    run.format = RR_RUN_TSV;
    CHECK_OK(rr_run_check(&run, &query, &diag), diag);
    write(&run, &ranking, 1, &text);
    CHECK_TEXT(text.data, "q1\t\xC3\xA9\t1\t1\nq1\ta\t2\t0.666666667\nq1\tb b\t3\t0.333333333\n");
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
}

/* What is printed still decreases for runs of thousands. */
static void check_scores(void) {
    enum { N = 5000 };
    rr_passage *many = calloc(N, sizeof *many);
    for (size_t i = 0; i < N; i++) {
        many[i] = (rr_passage){.id = "d", .text = {"", 0}};
    }
    rr_query long_query = {.qid = "q", .text = {"x", 1}, .passages = many, .n = N};
    rr_ranking ranking;
    rr_responder responder = {answer, (void *)(uintptr_t) "[1]"};
    rr_rank_params params = {.depth = 2};
    rr_diag diag = {0};
    CHECK_OK(rr_rank(&long_query, &params, &responder, &ranking, &diag), diag);
    for (int format = RR_RUN_TREC; format <= RR_RUN_TSV; format++) {
        rr_run_out run = {.format = (rr_run_format)format};
        rr_buf text = {0};
        CHECK_OK(rr_run_query(&run, &long_query, &ranking, 0, &text, &diag), diag);
        float above = 1e9f; /* trec_eval keeps scores as float */
        size_t n_lines = 0, n_wrong = 0;
        for (char *line = strtok(text.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            float score = 0.0f;
            int n = format == RR_RUN_TREC ? sscanf(line, "%*s %*s %*s %*s %f", &score)
                                          : sscanf(line, "%*s %*s %*s %f", &score);
            n_wrong += n != 1 || !(score < above) || !(score > 0.0f);
            above = score;
            n_lines++;
        }
        CHECK_INT(n_lines, N);
        CHECK_INT(n_wrong, 0);
        rr_buf_destroy(&text);
    }
    const rr_ranking permuted = {.n = N};
    CHECK(rr_ranking_score(&permuted, 1) == 1.0 && rr_ranking_score(&permuted, N) > 0.0);
    rr_ranking_destroy(&ranking);
    free(many);
}

static void check_table(void) {
    rr_ranking ranking;
    rr_buf text = {0};
    rank(&query, "<think>why\n\x1B[1m</think><answer>[3] > [1]</answer>", &ranking);
    rr_run_out run = {.format = RR_RUN_TABLE, .columns = 40};
    write(&run, &ranking, 1, &text);
    CHECK_TEXT(text.data,
        "rank  was  id   passage\n"
        "   1    3  \xC3\xA9    third\n"
        "   2    1  a    first \\x1b[2J text\n"
        "   3    2  b b  Title \xC2\xB7 two lines \xEF\xBF\xBD\n");
    run.many = run.explain = true;
    run.columns = 1; /* never less than 40 */
    write(&run, &ranking, 1, &text);
    CHECK(strstr(text.data, "Query q1: what \"is\" \xEF\xBF\xBD\n") == text.data);
    CHECK(
        strstr(text.data,
            "\nWindow 1 of 1: ranks 1 to 3, answer cut, answer repaired\n  Reasoning\n    why\n    \\x1b[1m\n"
            "  Answer\n    [3] > [1]\n") != NULL);
    CHECK(strchr(text.data, '\x1B') == NULL);
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
}

static rr_status answer_second(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)user;
    if (call->index == 1) {
        rr_buf_text(&reply->text, "<think>[2] then"); /* is not kept */
        reply->generated_tokens = 7;
        return rr_fail(diag, RR_E_DEADLINE, "late");
    }
    rr_buf_text(&reply->text, "<answer>[2] > [1]</answer>");
    return RR_OK;
}

/* A ranking that met its deadline says so, wherever it is written. */
static void check_late(void) {
    rr_responder responder = {answer_second, NULL};
    rr_rank_params params = {.window = 2, .step = 1, .deadline_after_ns = UINT64_MAX};
    rr_ranking ranking;
    rr_diag diag = {0};
    rr_buf text = {0};
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    CHECK(rr_ranking_n_late(&ranking) == 1 && !ranking.windows[0].late && ranking.windows[1].late);
    CHECK(
        ranking.order[0] == 0 && ranking.order[1] == 2 && ranking.order[2] == 1 && ranking.n == 3);
    rr_run_out run = {.format = RR_RUN_JSONL};
    write(&run, &ranking, 1, &text);
    CHECK(
        strstr(text.data,
            "\"permutation\":[2,1],\"repaired\":false,\"truncated\":false,\"listed\":2,\"late\":false,") !=
        NULL);
    CHECK(
        strstr(text.data,
            "\"reasoning\":\"\",\"answer\":\"\",\"passages\":[0,2],\"permutation\":[1,2],\"repaired\":false,"
            "\"truncated\":false,\"listed\":0,\"late\":true,") != NULL);
    CHECK(strstr(text.data, "],\"late\":true,\"time_ms\":") != NULL);
    run = (rr_run_out){.format = RR_RUN_TABLE, .columns = 40};
    write(&run, &ranking, 1, &text);
    CHECK(strstr(text.data, "\n\nThe deadline came first: of 2 windows 1 are as they were.\n") !=
        NULL);
    run.explain = true;
    write(&run, &ranking, 1, &text);
    CHECK(strstr(text.data, "\nWindow 2 of 2: ranks 1 to 2, late: as it was\n") != NULL);
    rr_buf_clear(&text);
    CHECK_OK(rr_run_record(&query, &ranking, &text, &diag), diag);
    CHECK_TEXT(text.data, "{\"qid\":\"q1\",\"responses\":[\"<answer>[2] > [1]</answer>\",\"\"]}\n");
    rr_ranking_destroy(&ranking);

    /* without a deadline it is a failure as any other */
    params.deadline_after_ns = 0;
    CHECK_INT(rr_rank(&query, &params, &responder, &ranking, &diag), RR_E_DEADLINE);
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
    CHECK(rr_rank_deadline(0) == 0 && rr_rank_deadline(1e-12) == 1 &&
        rr_rank_deadline(1.5) == 1500000000 && rr_rank_deadline(1e300) == UINT64_MAX);
}

/* What the reasoning says, at 60 columns: the most telling sentences, folded, and what was left
 * out. */
static void check_explain(void) {
    rr_ranking ranking;
    rr_buf text = {0};
    rank(&query,
        "<think>[1], [2] and [3] are all here. Passage 3 is the one that this reasoning goes on about, longer than one line "
        "of a narrow terminal. [3] it is. [3] wins\x1B[0m.</think><answer>[3] > [2] > [1]</answer>",
        &ranking);
    rr_run_out run = {.format = RR_RUN_TABLE, .columns = 60, .explain = true};
    write(&run, &ranking, 1, &text);
    const char *found = strstr(text.data, "\nWhat the reasoning says\n");
    CHECK_TEXT(found != NULL ? found : text.data,
        "\nWhat the reasoning says\n"
        "   1  \xC3\xA9\n"
        "      [3]: Passage 3 is the one that this reasoning goes on\n"
        "        about, longer than one line of a narrow terminal.\n"
        "      [3]: [3] it is.\n"
        "   2  b b\n"
        "      [2]: [1], [2] and [3] are all here.\n"
        "   3  a\n"
        "      [1]: [1], [2] and [3] are all here.\n"
        "\nWindow 1 of 1: ranks 1 to 3, answer cut\n"
        "  Reasoning\n"
        "    [1], [2] and [3] are all here. Passage 3 is the one that\n"
        "    this reasoning goes on about, longer than one line of a\n"
        "    narrow terminal. [3] it is. [3] wins\\x1b[0m.\n"
        "  Answer\n"
        "    [3] > [2] > [1]\n"
        "\n2 more sentences, and the whole reasoning: --explain-all\n");
    run.explain_all = true;
    write(&run, &ranking, 1, &text);
    CHECK(strstr(text.data, "      [3]: [3] wins\\x1b[0m.\n") != NULL &&
        strstr(text.data, "--explain-all") == NULL);
    rr_ranking_destroy(&ranking);

    rr_buf thought = {0};
    rr_buf_text(&thought, "<think>");
    for (int i = 0; i < 40; i++) {
        rr_buf_printf(&thought, "Line %d says nothing.\n", i);
    }
    rr_buf_text(&thought, "</think><answer>[1] > [2] > [3]</answer>");
    rank(&query, thought.data, &ranking);
    run.explain_all = false;
    write(&run, &ranking, 1, &text);
    CHECK(strstr(text.data, "\nThe reasoning names no passage.\n") != NULL);
    CHECK(strstr(text.data, "Line 11 says") != NULL && strstr(text.data, "Line 12 says") == NULL);
    CHECK(strstr(text.data, "\nThe whole reasoning: --explain-all\n") != NULL);
    run.explain_all = true;
    write(&run, &ranking, 1, &text);
    CHECK(strstr(text.data, "Line 39 says") != NULL && strstr(text.data, "--explain-all") == NULL);
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&thought);
    rr_buf_destroy(&text);
}

/* No line is wider than the table, however narrow it is and whatever the words are. */
static void check_width(void) {
    rr_ranking ranking;
    rr_buf text = {0};
    rank(&query,
        "<think>[1] wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww x. "
        "[2] \xE8\xB7\xB3\xE8\xB7\xB3\xE8\xB7\xB3 a   b.</think><answer>[1] > [2] > [3]</answer>",
        &ranking);
    for (size_t columns = 40; columns < 90; columns += 7) {
        rr_run_out run = {.format = RR_RUN_TABLE,
            .columns = columns,
            .explain = true,
            .explain_all = columns % 2 == 0};
        write(&run, &ranking, 1, &text);
        for (const char *line = text.data; *line != '\0';) {
            const char *end = strchr(line, '\n');
            CHECK_MSG(rr_clean_count(line, (size_t)(end - line)) <= columns ||
                    strstr(line, "--explain-all") != NULL,
                "%.*s", (int)(end - line), line);
            line = end + 1;
        }
    }
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
}

/* What is recorded replays to the same ranking. */
static void check_record(void) {
    rr_ranking ranking, again;
    rr_buf text = {0};
    rr_diag diag = {0};
    rank(&query, response, &ranking);
    CHECK_OK(rr_run_record(&query, &ranking, &text, &diag), diag);
    rr_recording recording;
    CHECK_OK(rr_recording_parse(text.data, text.bytes, "r", &recording, &diag), diag);
    rr_replay replay = {&recording, "r"};
    rr_responder responder = rr_replay_responder(&replay);
    rr_rank_params params = {0};
    CHECK_OK(rr_rank(&query, &params, &responder, &again, &diag), diag);
    CHECK(memcmp(ranking.order, again.order, 3 * sizeof *ranking.order) == 0);
    CHECK_TEXT(again.windows[0].response.data, response);
    rr_ranking_destroy(&ranking);
    rr_ranking_destroy(&again);
    rr_recording_destroy(&recording);
    rr_buf_destroy(&text);
}

/* Rankings that were read */

#define T(text) \
    { (text), sizeof(text) - 1 }
static const rr_passage flowers[] = {
    {.id = "rome", .text = T("Roads of \x1B[2J stone.")},
    {.id = "water",
        .title = T("Fresh \xE8\xB7\xB3 water"),
        .text = T("Change it.\n\n  To keep cut flowers fresh, rinse the vase\x07 often.")},
    {.id = "trade", .text = T("Flowers are sold at dawn, and flowers are flown in.")},
    {.id = "tail", .text = T("Fresh flowers that nobody looks at.")},
};
static const rr_query asked = {
    .qid = "f", .text = T("keep fresh flowers"), .passages = flowers, .n = 4};
static rr_rank_params read_params = {.window = 2,
    .step = 1,
    .depth = 3,
    .style = RR_PROMPT_REARANK,
    .passage_chars = 77,
    .passes = 1};

static void rank_read(rr_ranking *out) {
    rr_prompt_form form = rr_rank_form(&read_params);
    rr_responder responder = {rr_made_reads, &form};
    rr_diag diag = {0};
    CHECK_OK(rr_rank(&asked, &read_params, &responder, out, &diag), diag);
    /* one pass of bubbles */
    CHECK(out->order[0] == 1 && out->order[1] == 0 && out->order[2] == 2 && out->order[3] == 3);
}

static void write_asked(const rr_run_out *run, const rr_ranking *ranking, rr_buf *out) {
    rr_diag diag = {0};
    rr_buf_clear(out);
    CHECK_OK(rr_run_query(run, &asked, ranking, 0, out, &diag), diag);
}

/* A part of the shown text by its characters. */
static void check_json_part(yyjson_val *part, const char *shown, const char *text) {
    size_t begin = yyjson_get_uint(yyjson_obj_get(part, "begin")),
           end = yyjson_get_uint(yyjson_obj_get(part, "end"));
    double share = yyjson_get_real(yyjson_obj_get(part, "share"));
    CHECK_TEXT(yyjson_get_str(yyjson_obj_get(part, "text")), text);
    size_t from = rr_clean_cut(shown, strlen(shown), begin),
           to = rr_clean_cut(shown, strlen(shown), end);
    CHECK_MSG(to - from == strlen(text) && memcmp(shown + from, text, to - from) == 0,
        "%zu to %zu is not \"%s\"", begin, end, text);
    CHECK(share > 0.0 && share < 1.0);
}

static void check_read_json(void) {
    rr_ranking ranking;
    rr_buf text = {0}, shown = {0};
    rank_read(&ranking);
    rr_run_out run = {
        .format = RR_RUN_JSONL, .explain = true, .params = &read_params, .way = "read"};
    write_asked(&run, &ranking, &text);
    yyjson_doc *doc = yyjson_read(text.data, text.bytes, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *options = yyjson_obj_get(root, "options");
    CHECK(yyjson_equals_str(yyjson_obj_get(options, "way"), "read"));
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(options, "passage_chars")), 77);
    yyjson_val *result = yyjson_arr_get_first(yyjson_obj_get(root, "results"));
    yyjson_val *windows = yyjson_obj_get(root, "windows"), *window = yyjson_arr_get(windows, 1);
    for (size_t i = 0; i < 2; i++) { /* of passages 0 and 1, by label */
        CHECK(yyjson_get_real(yyjson_arr_get(yyjson_obj_get(window, "scores"), i)) ==
            ranking.windows[1].reads[i].score);
        CHECK(yyjson_get_real(yyjson_arr_get(yyjson_obj_get(window, "probabilities"), i)) ==
            ranking.windows[1].reads[i].probability);
    }
    CHECK_INT(yyjson_arr_size(yyjson_obj_get(window, "scores")), 2);
    CHECK_INT(yyjson_arr_size(yyjson_obj_get(window, "probabilities")), 2);
    CHECK(yyjson_get_real(yyjson_obj_get(result, "relevance_score")) ==
        rr_ranking_score(&ranking, 1));
    yyjson_val *explanations = yyjson_obj_get(result, "explanations"),
               *read = yyjson_arr_get_first(explanations);
    CHECK_INT(yyjson_arr_size(explanations), 1);
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(read, "window")), 1); /* the last that read it */
    CHECK_INT(yyjson_get_uint(yyjson_obj_get(read, "label")), 2);
    rr_prompt_form form = rr_rank_form(&read_params);
    rr_prompt_passage(&form, &flowers[1], &shown);
    CHECK_TEXT(shown.data,
        "Title: Fresh \xE8\xB7\xB3 water Content: Change it. To keep cut flowers fresh, rinse the");
    check_json_part(read, shown.data, "To keep cut flowers fresh, rinse the");
    yyjson_val *words = yyjson_obj_get(read, "words");
    CHECK_INT(yyjson_arr_size(words), 4);
    check_json_part(yyjson_arr_get(words, 0), shown.data, "Fresh");
    check_json_part(yyjson_arr_get(words, 1), shown.data, "keep");
    check_json_part(yyjson_arr_get(words, 2), shown.data, "flowers");
    check_json_part(yyjson_arr_get(words, 3), shown.data, "fresh");
    CHECK_INT(yyjson_arr_size(yyjson_obj_get(
                  yyjson_arr_get(yyjson_obj_get(root, "results"), 3), "explanations")),
        0);
    yyjson_doc_free(doc);

    /* a window that was not read has none; nor has one that was ranked in another way */
    rr_passage_read kept[2];
    memcpy(kept, ranking.windows[1].reads, sizeof kept);
    ranking.windows[1].reads = NULL;
    write_asked(&run, &ranking, &text);
    doc = yyjson_read(text.data, text.bytes, 0);
    windows = yyjson_obj_get(yyjson_doc_get_root(doc), "windows");
    CHECK(yyjson_obj_get(yyjson_arr_get_first(windows), "scores") != NULL &&
        yyjson_obj_get(yyjson_arr_get(windows, 1), "scores") == NULL);
    yyjson_doc_free(doc);

    /* places that do not fit the text are left out, whatever kept them */
    kept[1].words[0] = (rr_read_part){8, 15, .5f};   /* ends inside of a character */
    kept[1].words[3] = (rr_read_part){60, 400, .5f}; /* ends behind the text */
    kept[1].sentence.end = UINT32_MAX;
    ranking.windows[1].reads = kept;
    write_asked(&run, &ranking, &text);
    CHECK(strstr(text.data,
              "{\"window\":1,\"label\":2,\"text\":\"\",\"begin\":0,\"end\":0,\"share\":") != NULL);
    CHECK(strstr(text.data, "\"words\":[{\"text\":\"keep\",\"begin\":44,\"end\":48,") != NULL);
    run.format = RR_RUN_TABLE;
    write_asked(&run, &ranking, &text);
    CHECK(strstr(text.data, "   1  water  ") != NULL &&
        strstr(text.data, "      also: *keep*, *flowers*\n") != NULL);
    run = (rr_run_out){.format = RR_RUN_JSONL, .params = &(rr_rank_params){.window = 2, .step = 1}};
    write_asked(&run, &ranking, &text);
    CHECK(strstr(text.data, "passage_chars") == NULL && strstr(text.data, "\"way\"") == NULL &&
        strstr(text.data, "explanations") == NULL);
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
    rr_buf_destroy(&shown);
}

static void check_read_table(void) {
    rr_ranking ranking;
    rr_buf text = {0};
    rank_read(&ranking);
    rr_run_out run = {
        .format = RR_RUN_TABLE, .columns = 60, .explain = true, .params = &read_params};
    write_asked(&run, &ranking, &text);
    CHECK_TEXT(text.data,
        "rank  was  score  id     passage\n"
        "   1    2  0.905  water  Fresh \xE8\xB7\xB3 water \xC2\xB7 Change it. To keep\xE2\x80\xA6\n"
        "   2    1  0.047  rome   Roads of \\x1b[2J stone.\n"
        "   3    3  0.047  trade  Flowers are sold at dawn, and flow\xE2\x80\xA6\n"
        "   4    4      \xE2\x80\x93  tail   Fresh flowers that nobody looks at.\n"
        "\nWhat drew the attention\n"
        "   1  water  0.905\n"
        "      To *keep* cut *flowers* *fresh*, rinse the\n"
        "      also: *Fresh*\n"
        "   2  rome  0.047\n"
        "      Roads of \\x1b[2J stone.\n"
        "   3  trade  0.047\n"
        "      *Flowers* are sold at dawn, and *flowers* are flown\n"
        "      in.\n");
    for (size_t columns = 40; columns < 90; columns += 7) { /* nothing wider than the table */
        run.columns = columns;
        write_asked(&run, &ranking, &text);
        for (const char *line = text.data; *line != '\0'; line = strchr(line, '\n') + 1) {
            CHECK(rr_clean_count(line, strcspn(line, "\n")) <= columns);
        }
    }
    run = (rr_run_out){.format = RR_RUN_TSV};
    write_asked(&run, &ranking, &text);
    char *at = text.data;
    for (size_t rank = 1; rank <= 4; rank++) { /* every digit that counts */
        char *tab = strchr(strchr(strchr(at, '\t') + 1, '\t') + 1, '\t');
        CHECK((float)strtod(tab, &at) == (float)rr_ranking_score(&ranking, rank));
    }
    run.format = RR_RUN_TREC;
    write_asked(&run, &ranking, &text);
    CHECK_TEXT(text.data,
        "f Q0 water 1 4 rearank\nf Q0 rome 2 3 rearank\nf Q0 trade 3 2 rearank\nf Q0 tail 4 1 rearank\n");
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
}

/* A crowd: the first twenty, all of them when asked for. */
static void check_read_crowd(void) {
    enum { N = 30 };
    rr_passage crowd[N];
    char ids[N][8];
    for (size_t i = 0; i < N; i++) {
        snprintf(ids[i], sizeof ids[i], "p%zu", i);
        crowd[i] = (rr_passage){.id = ids[i], .text = T("Fresh flowers.")};
    }
    const rr_query many = {.qid = "m", .text = T("fresh flowers"), .passages = crowd, .n = N};
    rr_prompt_form form = {0};
    rr_responder responder = {rr_made_reads, &form};
    rr_ranking ranking;
    rr_diag diag = {0};
    rr_buf text = {0};
    CHECK_OK(rr_rank(&many, &(rr_rank_params){0}, &responder, &ranking, &diag), diag);
    rr_run_out run = {.format = RR_RUN_TABLE, .explain = true};
    CHECK_OK(rr_run_query(&run, &many, &ranking, 0, &text, &diag), diag);
    CHECK(strstr(text.data, "\n  20  p19  0.5") != NULL &&
        strstr(text.data, "\n  21  p20  0.5") == NULL);
    CHECK(strstr(text.data, "\n10 more passages: --explain-all\n") != NULL);
    CHECK(strstr(text.data, "Answer") == NULL && strstr(text.data, "Window") == NULL &&
        strstr(text.data, "reasoning") == NULL);
    rr_buf_clear(&text);
    run.explain_all = true;
    CHECK_OK(rr_run_query(&run, &many, &ranking, 0, &text, &diag), diag);
    CHECK(strstr(text.data, "\n  30  p29  0.5") != NULL &&
        strstr(text.data, "--explain-all") == NULL);
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
}

int main(void) {
    check_json();
    check_runs();
    check_scores();
    check_table();
    check_late();
    check_explain();
    check_width();
    check_record();
    check_read_json();
    check_read_table();
    check_read_crowd();
    return CHECK_END();
}
