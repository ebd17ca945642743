/* The readers of runs and judgements: each format, ties and orders, and what they say of malformed
 * files. */
#define _GNU_SOURCE
#include "tests/check.h"

#include <math.h>

#include "rerank/data/trec_read.h"

/* Copies to the exact size, so that the sanitizer sees a step past the end. */
static char *exact(const char *text, size_t bytes) {
    char *copy = malloc(bytes > 0 ? bytes : 1);
    if (copy == NULL) {
        exit(1);
    }
    memcpy(copy, text, bytes);
    return copy;
}

/* "qid docid docid …;" for all queries; scores or levels behind colons. */
static void shows(bool run, const char *text, size_t bytes, const char *expected) {
    rr_trec_table table = {0};
    rr_diag diag = {0};
    rr_buf out = {0};
    char *data = exact(text, bytes);
    CHECK_OK(run ? rr_eval_parse_run(data, bytes, "f", &table, &diag)
                 : rr_eval_parse_qrels(data, bytes, "f", &table, &diag),
        diag);
    for (size_t i = 0; i < table.n_queries; i++) {
        rr_buf_append(&out, table.queries[i].qid.data, table.queries[i].qid.bytes);
        for (size_t k = 0; k < table.queries[i].n; k++) {
            const rr_trec_row *row = &table.rows[table.queries[i].first + k];
            rr_buf_printf(
                &out, " %.*s:%g", (int)row->docid_bytes, row->docid, run ? row->score : row->level);
        }
        rr_buf_text(&out, ";");
    }
    CHECK_TEXT(out.data != NULL ? out.data : "", expected);
    rr_buf_destroy(&out);
    rr_trec_table_destroy(&table);
    free(data);
}
#define RUN(text, expected) shows(true, text, sizeof(text) - 1, expected)
#define QRELS(text, expected) shows(false, text, sizeof(text) - 1, expected)

static void fails(bool run, const char *text, size_t bytes, const char *message) {
    rr_trec_table table = {0};
    rr_diag diag = {0};
    char *data = exact(text, bytes);
    rr_status status = run ? rr_eval_parse_run(data, bytes, "f", &table, &diag)
                           : rr_eval_parse_qrels(data, bytes, "f", &table, &diag);
    CHECK_MSG(status == RR_E_INPUT, "%s: status %d", text, (int)status);
    CHECK_MSG(strstr(diag.text, message) != NULL, "%s: found \"%s\", expected \"%s\"", text,
        diag.text, message);
    rr_trec_table_destroy(&table);
    free(data);
}
#define BAD_RUN(text, message) fails(true, text, sizeof(text) - 1, message)
#define BAD_QRELS(text, message) fails(false, text, sizeof(text) - 1, message)

static void check_runs(void) {
    RUN("1 Q0 a 1 2.5 t\n1 Q0 b 2 3.5 t\n", "1 b:3.5 a:2.5;");
    RUN("\xEF\xBB\xBF\r\n1\tQ0\ta\t9\t-1e-1\tt more\r\n \t\r\n# note\n1  Q0   b 2 +.5 t",
        "1 b:0.5 a:-0.1;");
    /* scattered; byte order */
    RUN("2 Q0 x 1 1 t\n1 Q0 a 1 1 t\n2 Q0 y 1 2 t\n10 Q0 z 1 1 t\n", "1 a:1;10 z:1;2 y:2 x:1;");
    /* ties: docid falling */
    RUN("1 Q0 a 1 1 t\n1 Q0 c 1 1 t\n1 Q0 B 1 1 t\n1 Q0 ab 1 1 t\n", "1 c:1 ab:1 a:1 B:1;");
    /* equal as floats, not as doubles, as in trec_eval 10 */
    RUN("1 Q0 c 3 0.97523028 t\n1 Q0 a 1 0.9752302810058761 t\n1 Q0 b 2 0.9752302810058750 t\n",
        "1 a:0.97523 b:0.97523 c:0.97523;");
    RUN("1 Q0 a 1 100000002 t\n1 Q0 b 1 100000003 t\n", "1 b:1e+08 a:1e+08;");
    RUN("{\"qid\": 1, \"hits\": [{\"docid\": \"a\", \"score\": 100000002}, {\"docid\": \"b\", \"score\": 100000003}]}",
        "1 b:1e+08 a:1e+08;");
    RUN("1 Q0 a 1 12345678901234567890123456789 t\n1 Q0 b 1 inf t\n1 Q0 c 1 1e300 t\n",
        "1 b:inf c:1e+300 a:1.23457e+28;");
    /* '#': ids may start with it; comments are what has not the form of the other lines */
    RUN("#1 Q0 a 1 2 t\n2 Q0 #b 1 1 t\n#1 Q0 c 2 1 t\n", "#1 a:2 c:1;2 #b:1;");
    RUN("#qid Q0 docid rank score tag\n#by hand\n1 Q0 a 1 2 t\n# Q0 b 2 1 t\n #\n #2 Q0 c 1 1 t",
        "#2 c:1;1 a:2;");
    RUN("# 7 results\n7 D1 2\n# took 3\n", "7 D1:-2;");
    RUN("#1\td\t1\t0.5\n#\td\t1\t2\n", "# d:2;#1 d:0.5;");
    RUN("7\tD1\t2\n7\tD2\t1\n", "7 D2:-1 D1:-2;"); /* MS MARCO */
    RUN("7 D1 2\n7 D2 1\n", "7 D2:-1 D1:-2;");
    RUN("q 1\tan id\t1\t1\nq 1\tb\t2\t0.5\n", "q 1 an id:1 b:0.5;"); /* ours */
    RUN("q1\tQ0\tmy doc\t1\t9.5\tt\nq1 \tQ0\t two 7 \t2\t3\ta tag\nq1 Q0 x 3 1 t\n",
        "q1 my doc:9.5 two 7:3 x:1;");
    /* two tabs in a row are one gap */
    RUN("q1\tQ0\t\ta\t1\t9.5 t\nq 1\tQ0\tb\t1\t2\tt\n", "q 1 b:2;q1 a:9.5;");
    RUN("{\"qid\": 3, \"results\": [{\"id\": \"z\", \"rank\": 1}, {\"id\": 4}]}\n\n{\"qid\": \"x\", \"results\": []}",
        "3 z:2 4:1;");
    RUN("[{\"qid\": \"a\",\n \"results\": [{\"id\": \"z\"}]},\n{\"qid\": \"b\", \"results\": [{\"id\": \"y\"}]}]\n",
        "a z:1;b y:1;");
    RUN("{\"qid\": \"a\", \"hits\": [{\"docid\": \"z\", \"score\": 1}, {\"docid\": \"y\", \"score\": 2.5}]}",
        "a y:2.5 z:1;");
    RUN("{\"qid\": \"a\", \"hits\": [{\"docid\": \"z\", \"score\": 1}, {\"docid\": \"y\"}]}",
        "a z:2 y:1;");
    RUN("[{\"query\": \"q\", \"hits\": [{\"content\": \"x\", \"qid\": 3, \"docid\": \"a\", \"score\": 1}, {\"docid\": 7, \"score\": 2}]}]",
        "3 7:2 a:1;");
    RUN("{\"query\": {\"text\": \"q\", \"qid\": 3}, \"candidates\": [{\"docid\": \"a\", \"score\": 1, \"doc\": {}}]}\n",
        "3 a:1;");
    RUN("{\n\"qid\": \"a\",\n\"results\": [{\"id\": \"z\"}]\n}\n", "a z:1;");
}

static void check_bad_runs(void) {
    BAD_RUN("", "f: found no results");
    BAD_RUN("\n# only this\n", "f: found no results");
    BAD_RUN(
        "1 Q0 a 1 2.5\n", "f:1: found \"1 Q0 a 1 2.5\", expected \"qid Q0 docid rank score tag\"");
    BAD_RUN("1 Q0 a 1 2.5 t\n\n1 Q0 b 1\n", "f:3: found \"1 Q0 b 1\"");
    BAD_RUN("1 Q0 a 1 2.5 t\n1 Q0 b 1 2.5x t\n", "f:2: ");
    BAD_RUN("1 Q0 a 1 nan t\n",
        "f:1: found the score \"nan\" in \"1 Q0 a 1 nan t\", expected a number: NaN has no place in an order");
    BAD_RUN("1 Q0 a 1 1,5 t\n",
        "f:1: found the score \"1,5\" in \"1 Q0 a 1 1,5 t\", expected a number with a point before its decimals");
    BAD_RUN("1\tQ0\ta\t1\t1,5\tt\n", "f:1: found the score \"1,5\"");
    BAD_RUN("1\ta\t1\t1\n1\tb\t2\t0,5\n", "f:2: found the score \"0,5\"");
    BAD_RUN("1\ta\t1\n1\tb\tnan\n", "f:2: found the rank \"nan\"");
    BAD_RUN("qid,docid,rank,score\n1,a,1,2\n",
        "f:1: found the head of a table, \"qid,docid,rank,score\", expected \"qid Q0 docid");
    BAD_RUN("qid\tdocid\trank\tscore\n1\ta\t1\t2\n", "f:1: found the head of a table");
    BAD_RUN("{\"qid\": 1, \"hits\": [{\"docid\": \"a\", \"score\": NaN}]}\n",
        "found NaN or Infinity, which JSON has not");
    BAD_RUN("{\"qid\": 1, \"hits\": [{\"docid\": \"a\", \"score\": -Infinity}]}\n{}\n",
        "found NaN or Infinity, which JSON has not");
    BAD_RUN("{\"qid\": 1, \"hits\": [{\"docid\": \"a\", \"score\": \"1,5\"}]}\n",
        "\"score\": found a JSON string, expected a number");
    BAD_RUN("q1 Q0 my doc 1 9.5 t\n",
        "f:1: found \"q1 Q0 my doc 1 9.5 t\", expected \"qid Q0 docid rank score tag\" in six words");
    BAD_RUN("q1 Q0 d 1 9.5 t\nq 1 Q0 d 2 7 t\n",
        "f:2: found \"q 1 Q0 d 2 7 t\", expected \"qid Q0 docid rank score tag\" in six words");
    BAD_RUN("1 Q0 a 1 1 t\n1 Q0 b 1 1 t\n1 Q0 a 1 1 t\n",
        "f:3: query \"1\" has the passage \"a\" twice (first in line 1)");
    BAD_RUN("1 Q0 a 1 1 t\n2 Q0 a 1 1 t\n1 Q0 a 1 2 t\n", "twice");
    BAD_RUN("1 Q0 a\0b 1 1 t\n", "f:1: found \"1 Q0 a\\x00b 1 1 t\"");
    BAD_RUN("1\ta\t1\n1\t\t2\n", "f:2: ");
    BAD_RUN("1\ta\t1\n1\tb\t2\t3\n",
        "f:2: found \"1\tb\t2\t3\", expected \"qid docid rank\" as in the lines before");
    BAD_RUN("{\"qid\": 1}", "f:1: \"results\" is missing");
    BAD_RUN("{\"qid\": 1, \"results\": [3]}", "\"results\"[0]: found a JSON ");
    BAD_RUN("{\"qid\": 1, \"results\": [{\"id\": \"a\"}]}\n{\"qid\": 2, \"res", "f:2: not JSON");
    BAD_RUN("[{\"qid\": 1, \"results\": [{\"id\": \"a\"}]}, 4]", "query 2 of the array");
    BAD_RUN("[{\"qid\": 1, \"resu", "not JSON");
    BAD_RUN("{\"qid\": 1, \"results\": [{\"id\": \"a\"}, {\"id\": \"a\"}]}", "twice");
    BAD_RUN("{", "not JSON");
}

static void check_qrels(void) {
    /* BEIR's header: ids may hold spaces */
    QRELS("query-id\tcorpus-id\tscore\nq 1\ta b\t2\nq 1\tc\t0\n", "q 1 a b:2 c:0;");
    QRELS("7\t0\td1\t1\n", "7 d1:1;");                                      /* MS MARCO */
    QRELS("{\"id\": \"7\", \"gold_ids\": [\"b\", \"a\"]}\n", "7 a:1 b:1;"); /* BRIGHT */
    QRELS("1 0 b 2\n1 0 a -1\r\n2\t0\tc\t0", "1 a:-1 b:2;2 c:0;");
    QRELS("query-id\tcorpus-id\tscore\n1\td\t1\n1\tc\t3\n", "1 c:3 d:1;");
    QRELS("1 d 1\n", "1 d:1;");
    QRELS("q1\t0\tmy doc\t1\nq1 0 b 2\n", "q1 b:2 my doc:1;"); /* between tabs without a header */
    QRELS("q1\tmy doc\t1\nq 2\tb\t2\n", "q 2 b:2;q1 my doc:1;");
    QRELS("q1 0\tdoc\t1\nq2\tQ0 b\t2\n", "q1 doc:1;q2 b:2;");
    QRELS("# by hand in 2024\n#1 0 d 1\n#2 0 d\n3 0 d 1\n", "#1 d:1;3 d:1;");
    QRELS("query-id\tcorpus-id\tscore\n#1\td2\t1\n2\td2\t1\n", "#1 d2:1;2 d2:1;");
    QRELS("#query-id\tcorpus-id\tscore\n2\td2\t1\n", "2 d2:1;");
    BAD_QRELS("#only\n#this\n", "f: found no judgements");
    BAD_QRELS("", "f: found no judgements");
    BAD_QRELS("query-id\tcorpus-id\tscore\n", "f: found no judgements");
    BAD_QRELS("1 0 a\n", "f:1: found \"1 0 a\"");
    BAD_QRELS("1 0 a 1\n1 0 b 1.5\n", "f:2: found \"1 0 b 1.5\"");
    BAD_QRELS("1 0 a 1 more\n", "f:1: ");
    BAD_QRELS("1 0 a 1000001\n", "f:1: ");
    BAD_QRELS(
        "1 0 a 1\n1 0 a 1\n", "f:2: query \"1\" has the passage \"a\" twice (first in line 1)");
    BAD_QRELS("1 0 a 1\n1 0 b", "f:2: ");
    BAD_QRELS("1\n", "f:1: ");
    BAD_QRELS("query_id,doc_id,relevance\n1,d,1\n", "f:1: found the head of a table");
    BAD_QRELS("\"qid\"\t\"docid\"\t\"Label\"\n1\td\t1\n", "f:1: found the head of a table");
}

static void check_files(void) {
    rr_trec_table table = {0};
    rr_diag diag = {0};
    CHECK_INT(rr_trec_read_run("/no/such/file", &table, &diag), RR_E_IO);
    CHECK(strstr(diag.text, "/no/such/file") != NULL);
    rr_trec_table_destroy(&table);
    CHECK_INT(rr_trec_read_run("/", &table, &diag), RR_E_INPUT);
    rr_trec_table_destroy(&table);
    CHECK_INT(rr_trec_read_qrels("/dev/null", &table, &diag), RR_E_INPUT);
    rr_trec_table_destroy(&table);
}

/* Many queries, scattered and growing: the hash table and the grouping. */
static void check_many(void) {
    rr_buf text = {0};
    for (int round = 0; round < 3; round++) {
        for (int q = 0; q < 5000; q++) {
            rr_buf_printf(&text, "q%d Q0 d%d 1 %d t\n", q, round, round);
        }
    }
    rr_trec_table table = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_eval_parse_run(text.data, text.bytes, "f", &table, &diag), diag);
    CHECK_INT(table.n_queries, 5000);
    CHECK_INT(table.n_rows, 15000);
    for (int q = 0; q < 5000; q++) {
        char qid[16];
        snprintf(qid, sizeof qid, "q%d", q);
        const rr_trec_query *query = rr_trec_table_find(&table, (rr_text){qid, strlen(qid)});
        CHECK(query != NULL && query->n == 3 && table.rows[query->first].score == 2.0f);
    }
    CHECK(rr_trec_table_find(&table, (rr_text){"x", 1}) == NULL);
    rr_trec_table_destroy(&table);
    rr_buf_destroy(&text);
}

int main(void) {
    check_runs();
    check_bad_runs();
    check_qrels();
    check_files();
    check_many();
    return CHECK_END();
}
