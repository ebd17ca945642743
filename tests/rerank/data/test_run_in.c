/* Candidates from runs, corpora and lists of queries: each format, what is kept, BRIGHT's
 * exclusions, and what is said of missing texts and malformed files. */
#define _GNU_SOURCE
#include "runtime/base/file_out.h"
#include "tests/check.h"
#include "tests/support/folder.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "rerank/data/bright.h"
#include "rerank/data/docs.h"
#include "rerank/data/run_in.h"
#include "rerank/data/trec_read.h"

static char folder[200];

static const char *put(const char *name, const char *text) {
    static char paths[32][300];
    static int turn;
    char *path = paths[turn++ % 32];
    rr_diag diag = {0};
    snprintf(path, 300, "%s/%s", folder, name);
    CHECK_OK(rr_file_write_atomic(path, text, strlen(text), &diag), diag);
    return path;
}

static rr_text text_of(const char *text) {
    return (rr_text){text, strlen(text)};
}

/* "id=title|text;" of what was asked for and found. */
static void docs_show(rr_docs_kind kind, const char *data, const char *expected) {
    static const char *const wanted[] = {"a", "b", "7", "x y", "\xC3\xA9", "gone"};
    rr_docs docs = {0};
    rr_diag diag = {0};
    rr_buf out = {0};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        CHECK_OK(rr_docs_want(&docs, text_of(wanted[i]), &diag), diag);
        CHECK_OK(rr_docs_want(&docs, text_of(wanted[i]), &diag), diag);
    }
    CHECK_INT(docs.n, 6);
    char *exact = malloc(strlen(data) + 1);
    memcpy(exact, data, strlen(data));
    CHECK_OK(rr_docs_parse(&docs, kind, exact, strlen(data), "f", &diag), diag);
    free(exact);
    for (size_t i = 0; i < docs.n; i++) {
        const rr_doc *doc = rr_docs_find(&docs, docs.items[i].id);
        CHECK(doc == &docs.items[i]);
        if (doc->label != NULL) {
            rr_buf_printf(&out, "%s=%.*s|%.*s@%zu;", wanted[i], (int)doc->title.bytes,
                doc->title.data, (int)doc->text.bytes, doc->text.data, doc->line);
        }
    }
    CHECK(rr_docs_find(&docs, text_of("other")) == NULL);
    CHECK_TEXT(out.data != NULL ? out.data : "", expected);
    rr_buf_destroy(&out);
    rr_docs_destroy(&docs);
}

static void docs_fail(rr_docs_kind kind, const char *data, const char *message) {
    rr_docs docs = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_docs_want(&docs, text_of("a"), &diag), diag);
    CHECK_INT(rr_docs_parse(&docs, kind, data, strlen(data), "f", &diag), RR_E_INPUT);
    CHECK_MSG(
        strstr(diag.text, message) != NULL, "found \"%s\", expected \"%s\"", diag.text, message);
    rr_docs_destroy(&docs);
}

static void check_docs(void) {
    docs_show(RR_DOCS_CORPUS,
        "{\"_id\": \"a\", \"title\": \"T\", \"text\": \"one\", \"metadata\": {}}\n\n{\"_id\":7,\"text\":\"two\"}\n",
        "a=T|one@1;7=|two@3;");
    docs_show(RR_DOCS_CORPUS,
        "\xEF\xBB\xBF{\"id\": \"\\u0061\", \"contents\": \"esc\\\"aped\"}\r\n{ \"docid\" : \"x y\" , \"content\":\"q\"}",
        "a=|esc\"aped@1;x y=|q@2;");
    docs_show(RR_DOCS_CORPUS, "{\"content\": \"late id\", \"id\": \"\xC3\xA9\", \"title\": null}\n",
        "\xC3\xA9=|late id@1;");
    docs_fail(RR_DOCS_CORPUS, "{\"_id\": 07, \"text\": \"\"}", "f:1: not JSON");
    docs_show(RR_DOCS_CORPUS, "a\tone\ttwo\r\n7\t\nx y\tthree\nb\xC3\tno\n",
        "a=|one\ttwo@1;7=|@2;x y=|three@3;");
    docs_show(RR_DOCS_QUERIES,
        "{\"qid\": \"a\", \"query\": \"what\"}\n{\"_id\": \"b\", \"text\": \"who\"}\n",
        "a=|what@1;b=|who@2;");
    docs_show(RR_DOCS_QUERIES,
        "{\"query\": \"q\", \"reasoning\": \"r\", \"id\": \"7\", \"excluded_ids\": [\"N/A\"]}",
        "7=|q@1;");
    docs_show(RR_DOCS_CORPUS, "a\tsame\na\tsame\n", "a=|same@1;");
    /* not asked for, not parsed */
    docs_show(
        RR_DOCS_CORPUS, "{\"_id\": \"zz\", broken\n{\"_id\": \"a\", \"text\": \"t\"}", "a=|t@2;");
    /* the last counts */
    docs_show(RR_DOCS_CORPUS, "a\tone\nb\tx\na\tlonger\na\ttwo\n", "a=|two@4;b=|x@2;");
    docs_show(RR_DOCS_CORPUS,
        "{\"_id\": \"a\", \"title\": \"T\", \"text\": \"x\"}\n{\"_id\": \"a\", \"text\": \"Tx\"}\n",
        "a=|Tx@2;");
    docs_fail(RR_DOCS_CORPUS, "", "f: is empty");
    docs_fail(RR_DOCS_CORPUS, "b\tx\nno tab here\n",
        "f:2: found no tab in \"no tab here\", expected \"id<tab>text\"");
    docs_fail(RR_DOCS_CORPUS, "docid,title,text\na,T,x\n",
        "f:1: found the head of a table of commas in \"docid,title,text\"");
    docs_fail(RR_DOCS_CORPUS, "\tx\n", "f:1: found nothing before the tab");
    docs_fail(RR_DOCS_CORPUS, "{\"_id\": \"a\", \"text\": 5}", "f:1: \"text\": found a JSON");
    docs_fail(RR_DOCS_CORPUS, "{\"_id\": \"a\"}", "f:1: \"text\" is missing");
    docs_show(RR_DOCS_CORPUS,
        "{\"_id\": \"a\", \"text\": null}\n{\"_id\": \"b\", \"text\": null, \"contents\": \"two\"}\n",
        "b=|two@2;");
    docs_show(RR_DOCS_QUERIES,
        "{\"_id\": \"a\", \"query\": null}\n{\"_id\": \"a\", \"text\": \"who\"}\n", "a=|who@2;");
    docs_fail(RR_DOCS_CORPUS, "{\"text\": \"x\"}", "f:1: \"_id\" is missing");
    docs_fail(RR_DOCS_CORPUS, "{\"_id\": \"a\", \"text\": \"x", "f:1: not JSON");
    docs_fail(
        RR_DOCS_CORPUS, "{\"_id\": \"a\", \"text\": \"x\"}\n[1]\n", "f:2: found a JSON array");
    docs_fail(RR_DOCS_QUERIES, "{\"id\": \"a\"}", "f:1: \"query\" is missing");
}

/* "qid: id(text) …;" */
static void joins(const rr_run_in *params, const char *expected) {
    rr_candidates out;
    rr_run_in_counts counts;
    rr_diag diag = {0};
    rr_buf shown = {0};
    CHECK_OK(rr_run_in_read(params, &out, &counts, &diag), diag);
    for (size_t i = 0; i < out.n; i++) {
        const rr_query *query = &out.queries[i];
        rr_buf_printf(&shown, "%s %.*s:", query->qid, (int)query->text.bytes, query->text.data);
        for (size_t k = 0; k < query->n; k++) {
            rr_buf_printf(&shown, " %s(%.*s)", query->passages[k].id,
                (int)query->passages[k].text.bytes, query->passages[k].text.data);
        }
        rr_buf_text(&shown, ";");
    }
    CHECK_TEXT(shown.data != NULL ? shown.data : "", expected);
    rr_buf_destroy(&shown);
    rr_candidates_destroy(&out);
}

static void does_not_join(const rr_run_in *params, const char *message) {
    rr_candidates out;
    rr_run_in_counts counts;
    rr_diag diag = {0};
    CHECK_INT(rr_run_in_read(params, &out, &counts, &diag), RR_E_INPUT);
    CHECK_MSG(
        strstr(diag.text, message) != NULL, "found \"%s\", expected \"%s\"", diag.text, message);
    rr_candidates_destroy(&out);
}

static void check_joins(void) {
    const char *run =
        put("run", "q2 Q0 b 1 1 t\nq2 Q0 c 2 2 t\nq1 Q0 a 1 9 t\nq2 Q0 a 3 1 t\nq1 Q0 b 2 8 t\n");
    const char *corpus[] = {put("one.tsv", "a\tA\nzz\tZ\n"),
        put("two.jsonl", "{\"_id\":\"b\",\"text\":\"B\"}\n{\"_id\":\"c\",\"text\":\"C\"}\n")};
    rr_run_in params = {.run = run,
        .corpora = corpus,
        .n_corpora = 2,
        .queries = put("queries.tsv", "q1\tone\nq2\ttw\xFFo\n")};
    joins(&params, "q2 tw\xEF\xBF\xBDo: c(C) b(B) a(A);q1 one: a(A) b(B);"); /* the run's order */
    params.depth = 2;
    joins(&params, "q2 tw\xEF\xBF\xBDo: c(C) b(B) a();q1 one: a(A) b(B);");
    params.max_queries = 1;
    joins(&params, "q2 tw\xEF\xBF\xBDo: c(C) b(B) a();");
    params.max_queries = 0;
    rr_candidates out;
    rr_run_in_counts counts;
    rr_diag diag = {0};
    const char *repeats[] = {
        put("repeats.tsv", "a\told\nb\tB\nc\tC\na\tnew\na\tA\n"), put("other.tsv", "b\tanother\n")};
    params.corpora = repeats;
    params.n_corpora = 1;
    CHECK_OK(rr_run_in_read(&params, &out, &counts, &diag), diag);
    CHECK_INT(counts.n_replaced, 2);
    CHECK_MSG(counts.first_replaced != NULL &&
            strstr(counts.first_replaced, "repeats.tsv:4, before in line 1") != NULL,
        "%s", counts.first_replaced);
    rr_candidates_destroy(&out);
    joins(&params, "q2 tw\xEF\xBF\xBDo: c(C) b(B) a();q1 one: a(A) b(B);");
    params.n_corpora = 2;
    does_not_join(&params, "other.tsv:1: id \"b\" stands in ");
    params.corpora = corpus;
    /* Ties keep the order of the file, also in JSON, where many hits stand on one line; scores that
     * only doubles tell apart are no ties. */
    params.depth = 1;
    params.run =
        put("ties", "q1 Q0 a 1 0.7 t\nq1 Q0 c 2 0.7 t\nq1 Q0 b 3 0.7 t\nq1 Q0 zz 4 0.8 t\n");
    joins(&params, "q1 one: zz(Z) a() c() b();");
    params.run = put("ties.jsonl",
        "{\"qid\":\"q1\",\"hits\":[{\"docid\":\"a\",\"score\":1},{\"docid\":\"c\",\"score\":1},{\"docid\":\"b\",\"score\":1}]}\n");
    joins(&params, "q1 one: a(A) c() b();");
    params.run =
        put("close", "q1 Q0 a 1 100000003 t\nq1 Q0 b 2 100000002 t\nq1 Q0 c 3 100000001 t\n");
    joins(&params, "q1 one: a(A) b() c();");
    params.run = run;
    params.depth = 2;
    params.n_corpora = 1;
    does_not_join(&params, "run:2: passage \"c\" is not in ");
    does_not_join(&params, "one.tsv; missing: 2 of 3 passages. --skip-missing goes on");
    params.skip_missing = true;
    joins(&params, "q2 tw\xEF\xBF\xBDo: a();q1 one: a(A);");
    params.skip_missing = false;
    const char *nulls[] = {put("nulls.jsonl",
        "{\"_id\":\"a\",\"text\":\"A\"}\n{\"_id\":\"b\",\"text\":null}\n"
        "{\"_id\":\"c\",\"title\":\"T\",\"text\":null}\n")};
    params.corpora = nulls;
    does_not_join(&params, "run:2: passage \"c\" has null for its text in ");
    does_not_join(
        &params, "nulls.jsonl:3; missing: 2 of 3 passages. --skip-missing goes on without them");
    params.skip_missing = true;
    params.queries =
        put("null.jsonl", "{\"_id\":\"q1\",\"text\":\"one\"}\n{\"_id\":\"q2\",\"text\":null}\n");
    joins(&params, "q1 one: a(A);");
    params.skip_missing = false;
    does_not_join(&params, "run:2: query \"q2\" has null for its text in ");
    params.corpora = corpus;
    params.n_corpora = 2;
    params.queries = put("few.tsv", "q1\tone\n");
    does_not_join(&params, "run:2: query \"q2\" is not in ");
    does_not_join(&params, "missing: 1 of 2 queries");
    params.skip_missing = true;
    joins(&params, "q1 one: a(A) b(B);");
    params.queries = put("none.tsv", "q9\tone\n");
    does_not_join(&params, "none of its queries is in");
    params.queries = put("blank.tsv", "q1\t  \n");
    does_not_join(&params, "blank.tsv:1: the query is blank");
    params.queries = put("fine.tsv", "q1\tone\n");
    const char *odd[] = {put("odd.tsv", "a\x01\tx\na\xFF\ty\n")};
    params.corpora = odd;
    params.n_corpora = 1;
    params.run = put("odd", "q1 Q0 a\x01 1 1 t\n");
    does_not_join(&params, "odd:1: found an id that is no valid UTF-8");
    params.run = put("odd2", "q1 Q0 a\xFF 1 1 t\n");
    does_not_join(&params, "odd2:1: found an id that is no valid UTF-8");
    params.run = put("odd3", "q1\ta b\xC3\xA9\t1\t2\n");
    const char *accents[] = {put("accents.tsv", "a b\xC3\xA9\tyes\n")};
    params.corpora = accents;
    joins(&params, "q1 one: a b\xC3\xA9(yes);");
}

static void check_bright(void) {
    static const char examples[] =
        "{\"query\": \"why\", \"id\": \"0\", \"excluded_ids\": [\"d1\", \"d99\", \"d1\"], \"gold_ids\": [\"d3\", \"d2\", \"d3\"]}\n"
        "{\"query\": \"how\", \"id\": \"1\", \"excluded_ids\": [\"N/A\"], \"gold_ids\": [\"d1\"]}\n";
    rr_buf run = {0}, corpus = {0};
    for (int i = 0; i < 120; i++) {
        rr_buf_printf(&run, "0 Q0 d%d %d %d t\n", i, i + 1, 1000 - i);
        rr_buf_printf(&corpus, "{\"id\": \"d%d\", \"content\": \"text %d\"}\n", i, i);
    }
    rr_buf_text(&run, "1 Q0 d1 1 1 t\n");
    const char *corpora[] = {put("documents.jsonl", corpus.data)};
    rr_run_in params = {.run = put("bm25.trec", run.data),
        .corpora = corpora,
        .n_corpora = 1,
        .queries = put("examples.jsonl", examples),
        .depth = 20};
    rr_candidates out;
    rr_run_in_counts counts;
    rr_diag diag = {0};
    CHECK_OK(rr_run_in_read(&params, &out, &counts, &diag), diag);
    CHECK_INT(counts.n_excluded, 2);
    CHECK_INT(out.n, 2);
    CHECK_INT(out.queries[0].n, 98); /* cut to 100, then without d1 and d99 */
    CHECK_TEXT(out.queries[0].passages[1].id, "d2");
    CHECK_TEXT(out.queries[0].passages[97].id, "d98");
    CHECK(
        out.queries[0].passages[19].text.bytes > 0 && out.queries[0].passages[20].text.bytes == 0);
    CHECK_INT(out.queries[1].n, 1);
    rr_candidates_destroy(&out);
    params.depth = 0;
    CHECK_OK(rr_run_in_read(&params, &out, &counts, &diag), diag);
    CHECK_INT(out.queries[0].n, 118);
    rr_candidates_destroy(&out);

    rr_trec_table gold = {0}, excluded = {0}, table = {0};
    CHECK_OK(rr_trec_read_judgements(params.queries, &gold, &excluded, &diag), diag);
    CHECK_INT(gold.n_rows, 3);
    CHECK_INT(gold.rows[0].level, 1);
    CHECK_INT(excluded.n_rows, 2);
    CHECK_OK(rr_trec_read_run(params.run, &table, &diag), diag);
    CHECK_INT(rr_bright_exclude(&table, &excluded, RR_BRIGHT_CUT), 2);
    CHECK_INT(rr_trec_table_find(&table, text_of("0"))->n, 98);
    rr_trec_table_destroy(&table);
    rr_trec_table_destroy(&excluded);
    rr_trec_table_destroy(&gold);
    static const char *const bad[][2] = {
        {"{\"id\": \"0\", \"gold_ids\": [1]}", "f:1: \"gold_ids\"[0]: found a JSON"},
        {"{\"id\": \"0\", \"gold_ids\": []}", "f: found no gold_ids"},
        {"{\"gold_ids\": [\"a\"]}", "f:1: \"id\" is missing"},
        {"{\"id\": \"0\", \"gold_ids\": [\"a\"]}\n{\"id\": \"0\", \"gold_ids\": [\"a\"]}", "twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rr_trec_table broken = {0};
        CHECK_INT(
            rr_eval_parse_qrels(bad[i][0], strlen(bad[i][0]), "f", &broken, &diag), RR_E_INPUT);
        CHECK_MSG(strstr(diag.text, bad[i][1]) != NULL, "found \"%s\", expected \"%s\"", diag.text,
            bad[i][1]);
        rr_trec_table_destroy(&broken);
    }
    rr_buf_destroy(&run);
    rr_buf_destroy(&corpus);
}

static const char *pack(const char *name, const char *text) {
    const char *path = put(name, "");
    gzFile file = gzopen(path, "wb");
    CHECK(file != NULL && (text[0] == '\0' || gzwrite(file, text, (unsigned)strlen(text)) > 0) &&
        gzclose(file) == Z_OK);
    return path;
}

/* Run, corpora and queries that are packed give the same as they stand; a line may be longer than a
 * piece of the file. */
static void check_packed(void) {
    enum { LONG = 3 << 20 };
    rr_buf corpus = {0};
    rr_buf_text(&corpus, "a\tfirst\nlong\t");
    for (int i = 0; i < LONG / 8; i++) {
        rr_buf_text(&corpus, "8 bytes.");
    }
    rr_buf_text(&corpus, "\nunasked\tno\nlast\tthe end");
    const char *corpora[] = {pack("c.tsv.gz", corpus.data),
        pack("d.jsonl.gz", "{\"_id\": \"d\", \"text\": \"other file\"}\n")};
    const rr_run_in params = {
        .run = pack("r.trec.gz", "1 Q0 a 1 4 t\n1 Q0 long 2 3 t\n1 Q0 last 3 2 t\n1 Q0 d 4 1 t\n"),
        .corpora = corpora,
        .n_corpora = 2,
        .queries = pack("q.tsv.gz", "1\thow long\n")};
    rr_candidates c;
    rr_run_in_counts counts;
    rr_diag diag = {0};
    CHECK_OK(rr_run_in_read(&params, &c, &counts, &diag), diag);
    CHECK(c.n == 1 && c.queries[0].n == 4);
    CHECK_TEXT(c.queries[0].text.data, "how long");
    CHECK_INT(c.queries[0].passages[1].text.bytes, LONG);
    CHECK_TEXT(c.queries[0].passages[2].text.data, "the end");
    CHECK_TEXT(c.queries[0].passages[3].text.data, "other file");
    rr_candidates_destroy(&c);
    rr_buf_destroy(&corpus);
    static const char *const bad[][2] = {
        {"", "is empty, expected lines of"},
        {"a\tfirst\nlong\tx\nlast\ty\nno tab\n", "c.tsv.gz:4: found no tab in"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pack("c.tsv.gz", bad[i][0]);
        CHECK_INT(rr_run_in_read(&params, &c, &counts, &diag), RR_E_INPUT);
        CHECK_MSG(strstr(diag.text, bad[i][1]) != NULL, "found \"%s\", expected \"%s\"", diag.text,
            bad[i][1]);
        rr_candidates_destroy(&c);
    }
}

int main(void) {
    rr_test_folder(folder, sizeof folder);
    check_docs();
    check_joins();
    check_bright();
    check_packed();
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK(system(command) == 0);
    return CHECK_END();
}
