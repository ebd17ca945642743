#define _GNU_SOURCE
#include "tests/check.h"

#include "rerank/data/candidates.h"
#include "tests/support/folder.h"

static void good(const char *text, rr_candidates *out) {
    rr_diag diag = {0};
    CHECK_OK(rr_candidates_parse(text, strlen(text), "c.jsonl", out, &diag), diag);
}

typedef enum input_kind { CANDIDATES, PASSAGES, TABLE, RECORDING } input_kind;

/* The message must hold `place` at its start and `says` somewhere. */
static void bad(input_kind kind, const char *text, const char *place, const char *says) {
    rr_diag diag = {0};
    rr_candidates candidates;
    rr_recording recording;
    rr_status status;
    if (kind == RECORDING) {
        status = rr_recording_parse(text, strlen(text), "f.jsonl", &recording, &diag);
        rr_recording_destroy(&recording);
    } else {
        const char *label = kind == TABLE ? "f.csv" : "f.jsonl";
        status = kind == CANDIDATES
            ? rr_candidates_parse(text, strlen(text), "f.jsonl", &candidates, &diag)
            : rr_passages_parse("1", "q", text, strlen(text), label, &candidates, &diag);
        rr_candidates_destroy(&candidates);
    }
    CHECK_MSG(status == RR_E_INPUT, "%s: status %d", text, (int)status);
    CHECK_MSG(strncmp(diag.text, place, strlen(place)) == 0 && strstr(diag.text, says) != NULL,
        "%s: found \"%s\", expected \"%s … %s\"", text, diag.text, place, says);
}

static void check_good(void) {
    rr_candidates c;
    good(
        "\xEF\xBB\xBF\r\n{\"qid\": 7, \"query\": \"who\", \"hits\": [{\"docid\": \"a b\", \"text\": \"x\\u0000y\", \"title\": null,"
        " \"score\": 2}, {\"docid\": -3, \"text\": \"\", \"title\": \"T\", \"score\": -1.5, \"other\": []}], \"more\": {}}\r\n \t\n"
        "{\"hits\": [], \"query\": \"\xC3\xBC\", \"qid\": \"q\\\"8\"}",
        &c);
    CHECK_INT(c.n, 2);
    const rr_query *q = &c.queries[0];
    CHECK_TEXT(q->qid, "7");
    CHECK_TEXT(q->text.data, "who");
    CHECK_INT(q->n, 2);
    CHECK_TEXT(q->passages[0].id, "a b");
    CHECK(q->passages[0].text.bytes == 3 && memcmp(q->passages[0].text.data, "x\0y", 3) == 0);
    CHECK_INT(q->passages[0].title.bytes, 0);
    CHECK(q->passages[0].score == 2.0);
    CHECK_TEXT(q->passages[1].id, "-3");
    CHECK_INT(q->passages[1].text.bytes, 0);
    CHECK_TEXT(q->passages[1].title.data, "T");
    CHECK(q->passages[1].score == -1.5);
    CHECK_TEXT(c.queries[1].qid, "q\"8");
    CHECK_INT(c.queries[1].n, 0);
    rr_candidates_destroy(&c);
}

#define HIT "{\"docid\": \"a\", \"text\": \"x\"}"
#define LINE(hits) "{\"qid\": \"1\", \"query\": \"q\", \"hits\": [" hits "]}\n"

static void check_bad(void) {
    bad(CANDIDATES, "", "f.jsonl: no queries, expected {\"qid\"", "hits");
    bad(CANDIDATES, "\n \n", "f.jsonl: no queries", "hits");
    bad(CANDIDATES, LINE(HIT) "\n{\"qid\": \"2\", ", "f.jsonl:3: not JSON at column",
        "expected {\"qid\", \"query\"");
    bad(CANDIDATES, "[1]", "query 1 of the array: f.jsonl:1: found a JSON uint, expected {\"qid\"",
        "an array of them");
    bad(CANDIDATES, "[]", "f.jsonl: no queries", "");
    bad(CANDIDATES, "[{\"qid\": 1,\n\"query\": ", "f.jsonl: not JSON at byte", "");
    bad(CANDIDATES, "[" LINE(HIT) "," LINE("{\"docid\": 1}") "]",
        "query 2 of the array: f.jsonl:1: hits[0].\"text\" is missing", "");
    bad(CANDIDATES, "[" LINE(HIT) "," LINE(HIT) "]",
        "f.jsonl: qid \"1\" stands in the queries 1 and 2 of the array", "");
    bad(CANDIDATES, "{\"query\": {\"text\": \"q\"}, \"candidates\": []}",
        "f.jsonl:1: query.\"qid\" is missing", "");
    bad(CANDIDATES, "{\"query\": {\"qid\": 1}, \"candidates\": []}",
        "f.jsonl:1: query.\"text\" is missing", "");
    bad(CANDIDATES,
        "{\"query\": {\"qid\": 1, \"text\": \"q\"}, \"candidates\": [{\"docid\": 1, \"doc\": {}}]}",
        "f.jsonl:1: candidates[0].doc.\"text\" is missing", "");
    bad(CANDIDATES, "{\"query\": \"q\", \"hits\": []}", "f.jsonl:1: \"qid\" is missing", "");
    bad(CANDIDATES, "{\"qid\": 1.5, \"query\": \"q\", \"hits\": []}",
        "f.jsonl:1: \"qid\": found a JSON real", "integer");
    bad(CANDIDATES, "{\"qid\": \"\", \"query\": \"q\", \"hits\": []}",
        "f.jsonl:1: \"qid\" is empty", "");
    bad(CANDIDATES, "{\"qid\": \"a\\tb\", \"query\": \"q\", \"hits\": []}",
        "f.jsonl:1: \"qid\": found the control character 0x09", "");
    bad(CANDIDATES, "{\"qid\": \"a\\u0000b\", \"query\": \"q\", \"hits\": []}",
        "f.jsonl:1: \"qid\": found the control", "0x00");
    bad(CANDIDATES, "{\"qid\": \"1\", \"query\": null, \"hits\": []}",
        "f.jsonl:1: \"query\": found a JSON null", "a text");
    bad(CANDIDATES, "{\"qid\": \"1\", \"query\": \" \\n\", \"hits\": []}",
        "f.jsonl:1: \"query\" is blank", "");
    bad(CANDIDATES, "{\"qid\": \"1\", \"query\": \"q\"}", "f.jsonl:1: \"hits\" is missing", "");
    bad(CANDIDATES, "{\"qid\": \"1\", \"query\": \"q\", \"hits\": {}}",
        "f.jsonl:1: \"hits\": found a JSON object", "an array");
    bad(CANDIDATES, LINE("7"), "f.jsonl:1: hits[0]: found a JSON uint", "docid");
    bad(CANDIDATES, LINE(HIT ", {\"text\": \"x\"}"), "f.jsonl:1: hits[1].\"docid\" is missing", "");
    bad(CANDIDATES, LINE(HIT ", {\"docid\": \"b\", \"text\": null}"),
        "f.jsonl:1: hits[1].\"docid\" \"b\": its text is null", "expected a text");
    bad(CANDIDATES, LINE(HIT ", {\"docid\": \"b\"}"), "f.jsonl:1: hits[1].\"text\" is missing", "");
    bad(CANDIDATES, LINE("{\"docid\": \"b\", \"text\": \"x\", \"score\": \"1\"}"),
        "f.jsonl:1: hits[0].\"score\": found", "a number");
    bad(CANDIDATES, LINE("{\"docid\": \"b\", \"text\": \"x\", \"title\": 1}"),
        "f.jsonl:1: hits[0].\"title\": found", "a text");
    bad(CANDIDATES, LINE(HIT ", {\"docid\": \"b\", \"text\": \"\"}, " HIT),
        "f.jsonl:1: docid \"a\" stands in hits[0] and hits[2]", "once");
    bad(CANDIDATES, LINE(HIT) LINE(HIT), "f.jsonl:2: qid \"1\" stands in line 1 already", "");
    bad(CANDIDATES, "{\"qid\": \"1\", \"query\": \"\xFF\", \"hits\": []}",
        "f.jsonl:1: not JSON at column", "");

    bad(RECORDING, "{\"qid\": \"1\"}", "f.jsonl:1: \"responses\" is missing", "");
    bad(RECORDING, "{\"qid\": \"1\", \"responses\": [\"a\", 2]}",
        "f.jsonl:1: responses[1]: found a JSON uint", "a text");
    bad(RECORDING, "{\"qid\": \"1\", \"responses\": []}\n\n{\"qid\": 1, \"responses\": []}",
        "f.jsonl:3: qid \"1\" stands in line 1", "");

    bad(PASSAGES, "plain", "f.jsonl:1: not JSON", "expected {\"text\"");
    bad(TABLE, "Id,\"Text\"\n1,one\n", "f.csv:1: found the head of a table, \"Id,\"Text\"\"",
        "expected a passage a line or {\"text\"");
    bad(TABLE, "id\ttext\n1\tone\n", "f.csv:1: found the head of a table", "");
    bad(CANDIDATES, LINE("{\"docid\": \"b\", \"text\": \"x\", \"score\": NaN}"),
        "f.jsonl:1: not JSON at column", "found NaN or Infinity");
    bad(CANDIDATES, LINE("{\"docid\": \"b\", \"text\": \"x\", \"score\": \"1,5\"}"),
        "f.jsonl:1: hits[0].\"score\": found a JSON string", "a number");
    bad(PASSAGES, "{\"text\": \"a\", \"id\": \"x\"}\n{\"text\": \"b\", \"id\": \"x\"}\n",
        "f.jsonl:2: id \"x\" stands in line 1", "");
    bad(PASSAGES, "{\"text\": \"a\"}\n{\"title\": \"b\"}\n", "f.jsonl:2: \"text\" is missing", "");
    bad(PASSAGES, "{\"text\": \"a\", \"id\": \"2\"}\n{\"text\": \"b\"}\n",
        "f.jsonl:2: id \"2\" stands in line 1", "");
}

/* "qid query: docid|title|text|score …;" */
static void reads(const char *text, const char *expected) {
    rr_candidates c;
    rr_buf out = {0};
    good(text, &c);
    for (size_t i = 0; i < c.n; i++) {
        const rr_query *query = &c.queries[i];
        rr_buf_printf(&out, "%s %s:", query->qid, query->text.data);
        for (size_t k = 0; k < query->n; k++) {
            const rr_passage *passage = &query->passages[k];
            rr_buf_printf(&out, " %s|%s|%s|%g", passage->id, passage->title.data,
                passage->text.data, passage->score);
        }
        rr_buf_text(&out, ";");
    }
    CHECK_TEXT(out.data, expected);
    rr_buf_destroy(&out);
    rr_candidates_destroy(&c);
}

/* The files of other rerankers. */
static void check_others(void) {
    reads(
        "[{\"query\": \"who\", \"hits\": [{\"content\": \"Title: T Content: x\", \"qid\": 3, \"docid\": \"a\", \"rank\": 1, \"score\": 9.5},"
        " {\"content\": \"Title: Content: y\", \"qid\": 3, \"docid\": 7, \"rank\": 2, \"score\": 9}]},\n"
        " {\"query\": \"what\", \"hits\": [{\"content\": \"z\", \"qid\": \"4\", \"docid\": \"a\", \"rank\": 1, \"score\": 1}]}]",
        "3 who: a||Title: T Content: x|9.5 7||y|9;4 what: a||z|1;"); /* RankGPT's */
    reads(
        "{\"query\": {\"text\": \"who\", \"qid\": 264014}, \"candidates\": [{\"docid\": \"a\", \"score\": 1.5, \"doc\": {\"contents\": \"x\"}},"
        " {\"docid\": 5, \"score\": 1, \"doc\": {\"title\": \"T\", \"contents\": null, \"segment\": \"y\"}}]}\n"
        "{\"query\": {\"text\": \"what\", \"qid\": \"q\"}, \"candidates\": []}\n",
        "264014 who: a||x|1.5 5|T|y|1;q what:;"); /* rank_llm's */
    reads(
        "\n[\n  {\n    \"query\": {\n      \"text\": \"who\",\n      \"qid\": 1\n    },\n    \"candidates\": [\n      {\n"
        "        \"docid\": \"a\",\n        \"score\": 2,\n        \"doc\": {\n          \"text\": \"x\"\n        }\n      }\n    ]\n  }\n]\n",
        "1 who: a||x|2;");
    reads(
        "{\"qid\": 1, \"query\": \"q\", \"hits\": [{\"docid\": \"a\", \"contents\": \"x\", \"title\": \"T\"}]}",
        "1 q: a|T|x|0;");
}

static void passages(const char *text, const char *label, rr_candidates *out) {
    rr_diag diag = {0};
    CHECK_OK(rr_passages_parse("1", "q", text, strlen(text), label, out, &diag), diag);
    CHECK_INT(out->n, 1);
}

static void check_passages(void) {
    rr_candidates c;
    passages("one\r\n\n two \n", "p.txt", &c);
    CHECK_INT(c.queries[0].n, 2);
    CHECK_TEXT(c.queries[0].passages[0].text.data, "one");
    CHECK_TEXT(c.queries[0].passages[0].id, "1");
    CHECK_TEXT(c.queries[0].passages[1].text.data, " two ");
    CHECK_TEXT(c.queries[0].passages[1].id, "3");
    rr_candidates_destroy(&c);

    passages(
        "{\"text\": \"one\", \"title\": \"T\", \"id\": 9}\n{\"text\": \"two\"}\n", "p.txt", &c);
    CHECK_INT(c.queries[0].n, 2);
    CHECK_TEXT(c.queries[0].passages[0].text.data, "one");
    CHECK_TEXT(c.queries[0].passages[0].title.data, "T");
    CHECK_TEXT(c.queries[0].passages[0].id, "9");
    CHECK_TEXT(c.queries[0].passages[1].id, "2");
    rr_candidates_destroy(&c);

    /* as in corpora */
    passages("{\"contents\": \"one\", \"_id\": \"a\"}\n{\"docid\": 7, \"content\": \"two\"}\n",
        "p.txt", &c);
    CHECK_INT(c.queries[0].n, 2);
    CHECK_TEXT(c.queries[0].passages[0].text.data, "one");
    CHECK_TEXT(c.queries[0].passages[0].id, "a");
    CHECK_TEXT(c.queries[0].passages[1].text.data, "two");
    CHECK_TEXT(c.queries[0].passages[1].id, "7");
    rr_candidates_destroy(&c);

    passages("{\"no\": 1}\n{ brace\n", "p.txt", &c); /* no "text" in the first line: plain lines */
    CHECK_INT(c.queries[0].n, 2);
    CHECK_TEXT(c.queries[0].passages[1].text.data, "{ brace");
    rr_candidates_destroy(&c);

    passages("one\nid,text\n", "p.txt", &c); /* only the first line can be a head */
    CHECK_INT(c.queries[0].n, 2);
    rr_candidates_destroy(&c);

    rr_diag diag = {0};
    CHECK_INT(rr_passages_parse("1", " \t", "a", 1, "p", &c, &diag), RR_E_USAGE);
    rr_candidates_destroy(&c);
}

static void bad_passages(const char *text, const char *label, const char *message) {
    rr_candidates c;
    rr_diag diag = {0};
    CHECK_INT(rr_passages_parse("1", "q", text, strlen(text), label, &c, &diag), RR_E_INPUT);
    CHECK_MSG(
        strstr(diag.text, message) != NULL, "found \"%s\", expected \"%s\"", diag.text, message);
    rr_candidates_destroy(&c);
}

/* One JSON value over the whole file. */
static void check_passage_arrays(void) {
    static const char *const arrays[] = {
        "[\n{\"id\": \"a\", \"text\": \"roses\"},\n{\"text\": \"tulips\", \"title\": \"May\"}\n]\n",
        "\xEF\xBB\xBF [{\"id\": \"a\", \"text\": \"roses\"}, {\"text\": \"tulips\", \"title\": \"May\"}]",
    };
    rr_candidates c;
    for (size_t i = 0; i < 2; i++) {
        passages(arrays[i], i == 0 ? "p.json" : "p.jsonl", &c);
        CHECK_INT(c.queries[0].n, 2);
        CHECK_TEXT(c.queries[0].passages[0].id, "a");
        CHECK_TEXT(c.queries[0].passages[0].text.data, "roses");
        CHECK_TEXT(c.queries[0].passages[1].id, "2");
        CHECK_TEXT(c.queries[0].passages[1].title.data, "May");
        rr_candidates_destroy(&c);
    }
    passages("[\"one\", \"two\"]", "p.json", &c);
    CHECK_INT(c.queries[0].n, 2);
    CHECK_TEXT(c.queries[0].passages[1].text.data, "two");
    rr_candidates_destroy(&c);
    passages("[1] a footnote\n[2] another\n", "p.txt", &c); /* brackets alone make no JSON */
    CHECK_INT(c.queries[0].n, 2);
    CHECK_TEXT(c.queries[0].passages[0].text.data, "[1] a footnote");
    rr_candidates_destroy(&c);
    bad_passages("[{\"text\": \"a\"},\n{\"text\": \"b\"\n", "p.json",
        "p.json: begins as a JSON array but is none at byte ");
    bad_passages("[1, 2]", "p.json",
        "item 1 of the array: p.json:1: found a JSON uint in a JSON array, expected {\"text\"");
    bad_passages("[{\"text\": \"a\"}, {\"title\": \"b\"}]", "p.json",
        "item 2 of the array: p.json:1: \"text\" is missing");
    bad_passages("[{\"text\": \"a\", \"id\": 7}, {\"text\": \"b\", \"id\": 7}]", "p.json",
        "p.json: id \"7\" stands in the items 1 and 2 of the array");
    bad_passages("{\n\"text\": \"a\"\n}\n", "p.json",
        "p.json: found one JSON object over many lines, expected {\"text\"");
    bad_passages("[]", "p.json", "p.json: holds no passages, expected one a line");
    bad_passages("", "p.jsonl", "p.jsonl: holds no passages, expected one a line");
    bad_passages("\n \n", "p.txt", "p.txt: holds no passages");
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void check_files(void) {
    char folder[256], a[300], b[300], missing[300];
    rr_test_folder(folder, sizeof folder);
    snprintf(a, sizeof a, "%s/a.txt", folder);
    snprintf(b, sizeof b, "%s/b.txt", folder);
    snprintf(missing, sizeof missing, "%s/c.txt", folder);
    write_file(a, "first\nfile\n");
    write_file(b, "");
    rr_candidates c;
    rr_diag diag = {0};
    const char *two[] = {a, b}, *same[] = {a, a}, *absent[] = {a, missing}, *dash[] = {a, "-"};
    CHECK_OK(rr_passages_read("1", "q", two, 2, &c, &diag), diag);
    CHECK_INT(c.queries[0].n, 2);
    CHECK_TEXT(c.queries[0].passages[0].id, a);
    CHECK_TEXT(c.queries[0].passages[0].text.data, "first\nfile\n");
    CHECK_INT(c.queries[0].passages[1].text.bytes, 0);
    rr_candidates_destroy(&c);
    CHECK_OK(rr_passages_read("1", "q", two, 1, &c, &diag), diag);
    CHECK_INT(c.queries[0].n, 2);
    rr_candidates_destroy(&c);
    CHECK_INT(rr_passages_read("1", "q", same, 2, &c, &diag), RR_E_USAGE);
    rr_candidates_destroy(&c);
    CHECK_INT(rr_passages_read("1", "q", absent, 2, &c, &diag), RR_E_IO);
    CHECK(strstr(diag.text, missing) != NULL);
    rr_candidates_destroy(&c);
    CHECK_INT(rr_passages_read("1", "q", dash, 2, &c, &diag), RR_E_USAGE);
    rr_candidates_destroy(&c);
    CHECK_INT(rr_candidates_read(missing, &c, &diag), RR_E_IO);
    rr_candidates_destroy(&c);
    remove(a);
    remove(b);
    remove(folder);
}

static void check_recording(void) {
    static const char text[] =
        "{\"qid\": \"b\", \"responses\": [\"[2] > [1]\", \"\"]}\n{\"qid\": \"a\", \"responses\": [], \"final\": []}\n";
    rr_recording recording;
    rr_diag diag = {0};
    CHECK_OK(rr_recording_parse(text, sizeof text - 1, "r", &recording, &diag), diag);
    const rr_recorded *b = rr_recording_find(&recording, "b");
    CHECK(b != NULL && b->n == 2 && b->line == 1 && b->responses[0].bytes == 9 &&
        b->responses[1].bytes == 0);
    CHECK(rr_recording_find(&recording, "a") != NULL && rr_recording_find(&recording, "c") == NULL);
    rr_recording_destroy(&recording);
    CHECK_OK(rr_recording_parse("", 0, "r", &recording, &diag), diag);
    CHECK(rr_recording_find(&recording, "a") == NULL);
    rr_recording_destroy(&recording);
}

int main(void) {
    check_good();
    check_others();
    check_bad();
    check_passages();
    check_passage_arrays();
    check_files();
    check_recording();
    return CHECK_END();
}
