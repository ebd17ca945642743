/* Rerank requests: the shapes that clients send, what is refused with which words. */
#include "tests/rerank/serve/request_checks.h"

/* A request that must be refused so. */
static void refuses(const char *text, unsigned status, const char *words) {
    rr_serve_request request = {0};
    rr_fault fault = {0};
    const bool ok = check_read_copy(text, &request, &fault);
    CHECK_MSG(!ok && fault.status == status && strstr(fault.text, words) != NULL,
        "%s: found %u \"%s\", expected %u with \"%s\"", text, fault.status, fault.text, status,
        words);
    CHECK(request.json == NULL && request.n == 0);
    rr_serve_request_destroy(&request);
}

static bool is_text(rr_text text, const char *expected) {
    return text.bytes == strlen(expected) && memcmp(text.data, expected, text.bytes) == 0;
}

static void test_dialects(void) {
    rr_serve_request r =
        check_request("{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",\"b\",\"c\"],"
                      "\"top_n\":2,\"return_documents\":true,\"unknown\":[1]}");
    CHECK_INT(r.dialect, RR_DIALECT_DOCUMENTS);
    CHECK_INT(r.n, 3);
    CHECK_INT(r.query.n, 3);
    CHECK_INT(r.top_n, 2);
    CHECK(r.returns_documents && is_text(r.query.text, "q"));
    CHECK(is_text(r.query.passages[2].text, "c"));
    CHECK_TEXT(r.query.passages[2].id, "2");
    CHECK(!r.wish.given && r.wish.mode == RR_SERVE_MODE_DEFAULT && r.wish.schedule == -1);
    rr_serve_request_destroy(&r);
    r = check_request("{\"query\":\"q\",\"texts\":[\"a\",\"b\"],\"top_n\":1,\"return_text\":true,"
                      "\"raw_scores\":true,\"truncate\":false,\"truncation_direction\":\"Left\"}");
    CHECK(r.dialect == RR_DIALECT_TEI && r.top_n == 1 && r.returns_documents && r.keeps_end);
    rr_serve_request_destroy(&r);
    r = check_request("{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_k\":1}");
    CHECK(r.dialect == RR_DIALECT_VOYAGE && r.top_n == 1 && !r.returns_documents);
    rr_serve_request_destroy(&r);
    r = check_request("{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_k\":1,\"top_n\":2}");
    CHECK(r.dialect == RR_DIALECT_DOCUMENTS && r.top_n == 2);
    rr_serve_request_destroy(&r);
    r = check_request(
        "{\"query\":\"q\",\"input\":[\"a\",\"b\"],\"top_k\":9,\"return_input\":true}");
    CHECK(r.dialect == RR_DIALECT_MIXEDBREAD && r.top_n == 2 && r.returns_documents);
    rr_serve_request_destroy(&r);
}

/* null is absent, truth values may be texts, top_n may be 0 or too large. */
static void test_lenient(void) {
    rr_serve_request r = check_request(
        "{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":null,\"return_documents\":"
        "\"True\",\"max_tokens_per_doc\":null,\"max_chunks_per_doc\":null,\"rank_fields\":"
        "null,\"rearank\":null,\"model\":null,\"priority\":null}");
    CHECK(r.top_n == 2 && r.returns_documents && r.max_tokens_per_document == 0);
    rr_serve_request_destroy(&r);
    r = check_request("{\"query\":{\"text\":\"q\"},\"documents\":[\"a\",\"b\"],\"top_n\":0}");
    CHECK(r.top_n == 2 && is_text(r.query.text, "q"));
    rr_serve_request_destroy(&r);
    r = check_request("{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":3.0,\"priority\":-2,"
                      "\"max_tokens_per_doc\":4096}");
    CHECK(r.top_n == 2 && r.priority == -2 && r.max_tokens_per_document == 4096);
    rr_serve_request_destroy(&r);
}

static void test_objects(void) {
    rr_serve_request r = check_request(
        "{\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\",\"title\":\"t\",\"id\":17},"
        "{\"text\":\"c\",\"title\":5}]}");
    CHECK(is_text(r.query.passages[1].text, "b") && is_text(r.query.passages[1].title, "t"));
    CHECK(r.query.passages[2].title.bytes == 0 && r.documents[1].object != NULL);
    rr_serve_request_destroy(&r);
    r = check_request("{\"query\":\"q\",\"rank_fields\":[\"head\",\"year\"],\"documents\":["
                      "{\"head\":\"h\",\"year\":1999,\"text\":\"x\"},{\"year\":2000}]}");
    CHECK(is_text(r.query.passages[0].text, "head: h\nyear: 1999"));
    CHECK(is_text(r.query.passages[1].text, "year: 2000"));
    CHECK(is_text(r.documents[0].text, "x") && is_text(r.documents[1].text, "year: 2000"));
    rr_serve_request_destroy(&r);
    r = check_request(
        "{\"query\":\"q\",\"rank_fields\":[\"head\"],\"documents\":[{\"head\":\"h\"}]}");
    CHECK(is_text(r.query.passages[0].text, "h"));
    rr_serve_request_destroy(&r);
}

static void test_blank(void) {
    rr_serve_request r = check_request(
        "{\"query\":\"q\",\"documents\":[\"\",\"a\",\" \\n\\u00a0\",\"b\",{\"text\":\"\"}]}");
    CHECK(r.n == 5 && r.query.n == 2 && r.top_n == 5);
    CHECK(r.index[0] == 1 && r.index[1] == 3);
    CHECK(r.blank[0] == 0 && r.blank[1] == 2 && r.blank[2] == 4);
    CHECK_TEXT(r.query.passages[1].id, "3");
    rr_serve_request_destroy(&r);
    r = check_request("{\"query\":\"q\",\"documents\":[\"\"]}");
    CHECK(r.n == 1 && r.query.n == 0);
    rr_serve_request_destroy(&r);
}

/* What is left of a pair of surrogates, whole pairs, escaped backslashes, NUL. */
static void test_surrogates(void) {
    rr_serve_request r =
        check_request("{\"query\":\"q\",\"documents\":[\"a\\ud800\",\"\\ud83d\\ude00\","
                      "\"\\udc00b\",\"\\\\ud800\",\"\\ud800\\ud83d\\ude00\",\"x\\u0000y\"]}");
    CHECK(is_text(r.query.passages[0].text, "a\xEF\xBF\xBD"));
    CHECK(is_text(r.query.passages[1].text, "\xF0\x9F\x98\x80"));
    CHECK(is_text(r.query.passages[2].text,
        "\xEF\xBF\xBD"
        "b"));
    CHECK(is_text(r.query.passages[3].text, "\\ud800"));
    CHECK(is_text(r.query.passages[4].text, "\xEF\xBF\xBD\xF0\x9F\x98\x80"));
    CHECK(r.query.passages[5].text.bytes == 3 &&
        memcmp(r.query.passages[5].text.data, "x\0y", 3) == 0);
    rr_serve_request_destroy(&r);
}

static void test_wish(void) {
    rr_serve_request r = check_request(
        "{\"query\":\"q\",\"documents\":[\"a\"],\"rearank\":{\"explain\":true,\"mode\":\"strict\","
        "\"window\":10,\"step\":5,\"depth\":50,\"passes\":2,\"orders\":3,\"schedule\":\"topdown\","
        "\"deadline\":1.5,\"other\":1}}");
    CHECK(r.wish.given && r.wish.explain && r.wish.mode == RR_SERVE_MODE_STRICT);
    CHECK(r.wish.window == 10 && r.wish.step == 5 && r.wish.depth == 50 && r.wish.passes == 2);
    CHECK(r.wish.orders == 3 && r.wish.schedule == RR_SCHEDULE_TOPDOWN && r.wish.deadline_s > 1.4);
    rr_serve_request_destroy(&r);
    refuses("{\"query\":\"q\",\"documents\":[\"a\"],\"rearank\":1}", 400, "\"rearank\"");
    refuses("{\"query\":\"q\",\"documents\":[\"a\"],\"rearank\":{\"mode\":\"guess\"}}", 400,
        "\"rearank.mode\": found a string, expected one of \"reason\", \"strict\", \"logits\", "
        "\"read\"");
    refuses("{\"query\":\"q\",\"documents\":[\"a\"],\"rearank\":{\"window\":1}}", 400,
        "\"rearank.window\": found 1");
    refuses(
        "{\"query\":\"q\",\"documents\":[\"a\"],\"rearank\":{\"deadline\":-1}}", 400, "seconds");
}

static void test_refusals(void) {
    refuses("", 400, "not JSON");
    refuses("{\"query\":\"a\",\"documents\":[\"b\",\"c\"", 400, "not JSON");
    refuses("{\"query\":\"a\",\"documents\":[NaN]}", 400, "not JSON");
    refuses("[]", 400, "expected an object");
    refuses("{\"query\":\"\xE9\",\"documents\":[\"b\"]}", 400, "UTF-8");
    refuses("{\"documents\":[\"b\"]}", 400, "\"query\": found nothing");
    refuses("{\"query\":5,\"documents\":[\"b\"]}", 400, "\"query\": found a number");
    refuses("{\"query\":5,\"texts\":[\"b\"]}", 422, "\"query\": found a number");
    refuses("{\"query\":\" \\t\",\"documents\":[\"b\"]}", 400, "\"query\"");
    refuses("{\"query\":\"q\"}", 400, "\"documents\"");
    refuses("{\"query\":\"q\",\"documents\":null}", 400, "found null for \"documents\"");
    refuses("{\"query\":\"q\",\"documents\":123}", 400, "expected a list");
    refuses("{\"query\":\"q\",\"documents\":[]}", 400, "empty list");
    refuses("{\"query\":\"q\",\"documents\":[1,2,3]}", 400, "document 0: found a number");
    refuses("{\"query\":\"q\",\"documents\":[\"a\",{\"title\":\"x\"}]}", 400, "document 1");
    refuses("{\"query\":\"q\",\"rank_fields\":[\"x\"],\"documents\":[{\"x\":1},{\"y\":1}]}", 400,
        "document 1");
    refuses("{\"query\":\"q\",\"rank_fields\":\"x\",\"documents\":[\"a\"]}", 400, "rank_fields");
    refuses("{\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":-1}", 400, "\"top_n\": found -1");
    refuses("{\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":1.5}", 400, "\"top_n\"");
    refuses("{\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":\"2\"}", 400, "\"top_n\"");
    refuses("{\"query\":\"q\",\"documents\":[\"a\"],\"return_documents\":1}", 400,
        "\"return_documents\"");
    refuses("{\"query\":\"q\",\"documents\":[\"a\"],\"max_tokens_per_doc\":0}", 400,
        "\"max_tokens_per_doc\"");
    refuses("{\"query\":\"q\",\"texts\":[]}", 400, "empty list");
    refuses("{\"query\":\"q\",\"texts\":[{\"text\":\"a\"}]}", 422, "found an object");
    refuses("{\"query\":\"q\",\"texts\":null}", 422, "\"texts\"");
}

static void test_too_many(void) {
    static char body[16384];
    for (int tei = 0; tei < 2; tei++) {
        size_t used = (size_t)snprintf(
            body, sizeof body, "{\"query\":\"q\",\"%s\":[\"a\"", tei ? "texts" : "documents");
        for (int i = 0; i < 1000; i++) {
            used += (size_t)snprintf(body + used, sizeof body - used, ",\"b\"");
        }
        snprintf(body + used, sizeof body - used, "]}");
        refuses(body, tei ? 422 : 413, "found 1001");
    }
}

/* Hundreds of thousands of open brackets take no stack. */
static void test_deep(void) {
    enum { DEPTH = 200000 };
    char *body = malloc(DEPTH * 2 + 64);
    size_t used = (size_t)sprintf(body, "{\"query\":\"q\",\"documents\":[\"a\"],\"x\":");
    memset(body + used, '[', DEPTH);
    rr_serve_request request = {0};
    rr_fault fault = {0};
    CHECK(!rr_serve_request_read(body, used + DEPTH, &(rr_serve_limits){1000}, &request, &fault));
    CHECK_INT(fault.status, 400);
    free(body);
}

static void test_same(void) {
    rr_serve_request a = check_request("{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"top_n\":1}");
    rr_serve_request b = check_request("{\"documents\":[\"a\",{\"text\":\"b\"}],\"query\":\"q\"}");
    rr_serve_request c = check_request("{\"query\":\"q\",\"documents\":[\"b\",\"a\"]}");
    rr_serve_request d = check_request(
        "{\"query\":\"q\",\"documents\":[\"a\",\"b\"],\"rearank\":{\"mode\":\"read\"}}");
    CHECK(
        rr_serve_request_is_same(&a, &b) && rr_serve_request_hash(&a) == rr_serve_request_hash(&b));
    CHECK(!rr_serve_request_is_same(&a, &c) && !rr_serve_request_is_same(&a, &d));
    CHECK(rr_serve_request_bytes(&a) > 0);
    rr_serve_request_destroy(&a);
    rr_serve_request_destroy(&b);
    rr_serve_request_destroy(&c);
    rr_serve_request_destroy(&d);
}

int main(void) {
    test_dialects();
    test_lenient();
    test_objects();
    test_blank();
    test_surrogates();
    test_wish();
    test_refusals();
    test_too_many();
    test_deep();
    test_same();
    return CHECK_END();
}
