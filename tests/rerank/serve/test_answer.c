/* Answers of each dialect, their scores, error bodies. */
#include "rerank/serve/answer.h"
#include "tests/rerank/serve/request_checks.h"

/* A ranking of two passages that one window read or answered. */
typedef struct made {
    uint32_t order[2], shown[2], permutation[2];
    double scores[2];
    rr_passage_read reads[2];
    rr_window_result window;
    rr_ranking ranking;
} made;

static void make(made *m, bool is_read, bool is_late) {
    *m = (made){.order = {1, 0},
        .shown = {0, 1},
        .permutation = {2, 1},
        .scores = {0.75, 0.5},
        .reads = {{.probability = 0.5}, {.probability = 0.75}}};
    m->window = (rr_window_result){.window = {0, 2},
        .passages = m->shown,
        .permutation = m->permutation,
        .n = 2,
        .late = is_late,
        .reads = is_read ? m->reads : NULL,
        .reasoning = {"so [2] is \"it\".", 15},
        .answer = {"[2] > [1]", 9},
        .prompt_tokens = 60,
        .reused_tokens = 10,
        .generated_tokens = 4};
    m->ranking = (rr_ranking){.order = m->order,
        .n = 2,
        .scores = is_read ? m->scores : NULL,
        .windows = &m->window,
        .n_windows = 1};
}

static const rr_serve_made_by made_by = {
    .id = "i", .model = "m", .device = "d", .mode = "read", .form = {RR_PROMPT_REARANK, 0}};

static void answers(const char *request_text, bool is_read, bool is_late, const char *expected) {
    rr_serve_request request = check_request(request_text);
    made m;
    make(&m, is_read, is_late);
    rr_buf out = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_serve_answer(&request, &m.ranking, &made_by, &out, &diag), diag);
    CHECK_TEXT(out.data, expected);
    yyjson_doc *doc = yyjson_read(out.data, out.bytes, 0);
    CHECK_MSG(doc != NULL, "no JSON: %s", out.data);
    yyjson_doc_free(doc);
    rr_buf_destroy(&out);
    rr_serve_request_destroy(&request);
}

#define USAGE ",\"usage\":{\"prompt_tokens\":60,\"total_tokens\":64}"
#define META                                                                                \
    ",\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":{\"search_units\":1}," \
    "\"tokens\":{\"input_tokens\":60,\"output_tokens\":4}}"

static void test_shapes(void) {
    answers("{\"query\":\"q\",\"documents\":[\"a\",\"b\"]}", true, false,
        "{\"id\":\"i\",\"model\":\"m\",\"results\":[{\"index\":1,\"relevance_score\":0.75},"
        "{\"index\":0,\"relevance_score\":0.5}]" USAGE META "}");
    answers("{\"query\":\"q\",\"documents\":[{\"text\":\"a\",\"id\":7},\"b\\\"\\n\"],"
            "\"return_documents\":true}",
        true, false,
        "{\"id\":\"i\",\"model\":\"m\",\"results\":[{\"index\":1,\"relevance_score\":0.75,"
        "\"document\":{\"text\":\"b\\\"\\u000a\"}},{\"index\":0,\"relevance_score\":0.5,"
        "\"document\":{\"text\":\"a\",\"id\":7}}]" USAGE META "}");
    answers("{\"query\":\"q\",\"rank_fields\":[\"x\"],\"documents\":[{\"x\":\"a\"},\"b\"],"
            "\"return_documents\":true,\"top_n\":1}",
        false, false,
        "{\"id\":\"i\",\"model\":\"m\",\"results\":[{\"index\":1,\"relevance_score\":1,"
        "\"document\":{\"text\":\"b\"}}]" USAGE META "}");
    answers("{\"query\":\"q\",\"texts\":[\"a\",\"b\"],\"return_text\":true}", true, false,
        "[{\"index\":1,\"score\":0.75,\"text\":\"b\"},{\"index\":0,\"score\":0.5,\"text\":\"a\"}]");
    answers("{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_k\":1,\"return_documents\":true}",
        true, false,
        "{\"object\":\"list\",\"model\":\"m\",\"data\":[{\"index\":1,\"relevance_score\":0.75,"
        "\"document\":\"b\"}]" USAGE "}");
    answers("{\"query\":\"q\",\"input\":[\"a\",\"b\"],\"top_k\":1,\"return_input\":true}", true,
        false,
        "{\"object\":\"list\",\"model\":\"m\",\"data\":[{\"index\":1,\"score\":0.75,\"input\":\"b\","
        "\"object\":\"rank_result\"}]" USAGE ",\"top_k\":1,\"return_input\":true}");
}

/* The answer says so when a deadline came, and tells how it came about where that is asked. */
static void test_detail(void) {
    answers("{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":1}", true, true,
        "{\"id\":\"i\",\"model\":\"m\",\"results\":[{\"index\":1,\"relevance_score\":0.75}]" USAGE
            META
        ",\"rearank\":{\"mode\":\"read\",\"calibrated\":true,\"late\":true,\"device\":\"d\","
        "\"time_ms\":0.000}}");
    /* document 0 is blank, so that the passages are documents 1 and 2 */
    answers("{\"query\":\"q\",\"documents\":[\"\",\"a\",\"b\"],\"top_n\":1,"
            "\"rearank\":{\"explain\":true}}",
        false, false,
        "{\"id\":\"i\",\"model\":\"m\",\"results\":[{\"index\":2,\"relevance_score\":1}]" USAGE META
        ",\"rearank\":{\"mode\":\"read\",\"calibrated\":false,\"late\":false,\"device\":\"d\","
        "\"time_ms\":0.000,\"windows\":[{\"begin\":0,\"end\":2,\"documents\":[1,2],\"permutation\":"
        "[2,1],\"reasoning\":\"so [2] is \\\"it\\\".\",\"answer\":\"[2] > [1]\",\"repaired\":false,"
        "\"truncated\":false,\"late\":false,\"prompt_tokens\":60,\"reused_tokens\":10,"
        "\"shared_tokens\":0,\"generated_tokens\":4,\"prompt_ms\":0.000,\"generate_ms\":0.000,"
        "\"time_ms\":0.000}],\"explanations\":[{\"index\":2,\"window\":0,\"label\":2,\"text\":"
        "\"so [2] is \\\"it\\\".\",\"named\":1}]}}");
}

static void check_falls(const rr_serve_result *results, size_t n) {
    for (size_t i = 0; i < n; i++) {
        CHECK_MSG(results[i].score > 0.0 && results[i].score <= 1.0 &&
                (i == 0 || (float)results[i].score < (float)results[i - 1].score),
            "result %zu of %zu: score %.9g", i, n, results[i].score);
    }
}

/* Every document once, blank ones last, scores that fall, whatever they were. */
static void test_scores(void) {
    rr_serve_request request =
        check_request("{\"query\":\"q\",\"documents\":[\"\",\"a\",\" \",\"b\",\"\"]}");
    rr_serve_result results[5];
    made m;
    for (int i = 0; i < 3; i++) {
        make(&m, i > 0, false);
        if (i == 2) { /* as small as a float can be */
            m.scores[0] = m.scores[1] = 1e-45;
        }
        rr_serve_results(&request, &m.ranking, results);
        check_falls(results, 5);
        CHECK(results[0].index == 3 && results[1].index == 1 && results[2].index == 0);
        CHECK(results[3].index == 2 && results[4].index == 4);
    }
    rr_serve_request_destroy(&request);
    request = check_request("{\"query\":\"q\",\"documents\":[\"\",\" \"]}");
    rr_serve_results(&request, &(rr_ranking){0}, results);
    check_falls(results, 2);
    CHECK(results[0].index == 0 && results[1].index == 1);
    rr_serve_request_destroy(&request);
}

static void test_faults(void) {
    rr_fault fault = {0};
    rr_buf out = {0};
    CHECK(!rr_fault_set(&fault, 400, "\"%s\"", "top_n"));
    CHECK(!rr_fault_set(&fault, 500, "the first one counts"));
    rr_fault_body(&fault, &out);
    CHECK_TEXT(out.data,
        "{\"error\":{\"code\":400,\"message\":\"\\\"top_n\\\"\",\"type\":\"invalid_request_error\"},"
        "\"message\":\"\\\"top_n\\\"\",\"detail\":\"\\\"top_n\\\"\"}");
    rr_buf_clear(&out);
    fault.is_tei = fault.is_empty = true;
    rr_fault_body(&fault, &out);
    CHECK_TEXT(out.data, "{\"error\":\"\\\"top_n\\\"\",\"error_type\":\"Empty\"}");
    rr_buf_destroy(&out);
    fault = (rr_fault){0};
    rr_diag diag = {"no room"};
    CHECK(!rr_fault_set_status(&fault, RR_E_MEMORY, &diag) && fault.status == 503);
    CHECK(fault.retry_after_s > 0);
    CHECK_TEXT(fault.text, "no room");
    fault = (rr_fault){0};
    rr_fault_set_status(&fault, RR_E_INPUT, &diag);
    CHECK_INT(fault.status, 400);
    fault = (rr_fault){0};
    rr_fault_set_status(&fault, RR_E_DEVICE, &diag);
    CHECK_INT(fault.status, 500);
    CHECK_TEXT(rr_fault_type(401), "authentication_error");
    CHECK_TEXT(rr_fault_type(429), "rate_limit_error");
}

int main(void) {
    test_shapes();
    test_detail();
    test_scores();
    test_faults();
    return CHECK_END();
}
