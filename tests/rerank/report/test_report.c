/* The report: its template and escaping, what it accepts as a run, and whole pages, whose tags and
 * links are checked. */
#include "tests/check.h"

#include "rerank/data/trec_read.h"
#include "rerank/execute.h"
#include "rerank/replay.h"
#include "rerank/report/page_query.h"
#include "rerank/report/report.h"
#include "rerank/report/run_out.h"
#include "tests/rerank/made_reads.h"

#define DATA "tests/data/report/"

/* Template */

static void check_escape(const char *text, size_t bytes, const char *expected) {
    rr_buf out = {0};
    rr_html_append(text, bytes, &out);
    CHECK_TEXT(out.data != NULL ? out.data : "", expected);
    rr_buf_destroy(&out);
}

static void check_parts(void) {
    static const char template[] =
        "a comment\n<!--part one-->\n<a href=\"{{x}}\">{{ {y} {{y}}</a>\n<!--part two-->\n{}\n\n<!--part three-->\n";
    rr_parts parts;
    rr_diag diag = {0};
    rr_values v = {0};
    rr_buf out = {0};
    check_escape("<a b=\"c\" d='e'>&amp;", 20, "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;amp;");
    check_escape("a\n\tb\r\0\x1b", 7, "a\n\tb\\x0d\\x00\\x1b");
    check_escape("\xC2\x85|\xE2\x80\xAE|\xE2\x81\xA6|\xFF|\xE8\xB7\xB3", 16,
        "\\x85|\\u202e|\\u2066|\xEF\xBF\xBD|\xE8\xB7\xB3");
    CHECK_OK(rr_parts_read(
                 "<!--part a-->\n{{x}}, {{x}}{y}\n<!--part b-->\n\n<!--part c-->\n", &parts, &diag),
        diag);
    CHECK_INT(parts.n, 3);
    rr_values_text(&v, "x", "{{x}}<", 6);
    rr_parts_write(&parts, "a", &v, &out);
    rr_parts_write(&parts, "b", NULL, &out);
    rr_parts_write(&parts, "c", NULL, &out);
    CHECK_TEXT(out.data, "{{x}}&lt;, {{x}}&lt;{y}"); /* what is filled in is not looked at again */
    rr_buf_destroy(&out);
    CHECK_INT(rr_parts_read("<!--part a-->\nx\n<!--part a-->\ny", &parts, &diag), RR_E_INTERNAL);
    CHECK_INT(rr_parts_read("<!--part a", &parts, &diag), RR_E_INTERNAL);
    CHECK_OK(rr_parts_read(template, &parts, &diag), diag);
    CHECK(rr_text_is(parts.items[1].text, "{}\n") && parts.items[2].text.bytes == 0);
}

static void check_words(void) {
    char out[32];
    CHECK_TEXT(rr_report_count(0, out), "0");
    CHECK_TEXT(rr_report_count(999, out), "999");
    CHECK_TEXT(rr_report_count(1234567, out), "1,234,567");
    CHECK_TEXT(rr_report_count(UINT64_MAX, out), "18,446,744,073,709,551,615");
    CHECK_TEXT(rr_report_time(850000000, out), "850 ms");
    CHECK_TEXT(rr_report_time(12340000000, out), "12.3 s");
    CHECK_TEXT(rr_report_time(185000000000, out), "3 min 5 s");
    CHECK_TEXT(rr_report_time(7260000000000, out), "2 h 1 min");
}

/* Pages */

/* Counts the places where a text stands in another. */
static size_t count(const char *page, const char *what) {
    size_t n = 0;
    for (const char *at = strstr(page, what); at != NULL; at = strstr(at + 1, what)) {
        n++;
    }
    return n;
}

/* Elements that need no end. */
static bool is_void(const char *name) {
    static const char *const names[] = {"meta", "input", NULL};
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Walks over a page as a browser would: every tag that opens closes in order, attributes are quoted
 * and of known names, ids occur once, and links lead to them. */
static void check_page(const char *page) {
    static const char *const known[] = {"lang", "charset", "name", "content", "http-equiv", "nonce",
        "class", "id", "dir", "data-p", "data-gain", "href", "aria-hidden", "aria-label",
        "aria-live", "viewBox", "preserveAspectRatio", "d", "width", "height", "x", "title",
        "tabindex", "hidden", "type", "placeholder", "autocomplete", "spellcheck", "value", "for",
        NULL};
    enum { DEPTH = 64 };
    char open[DEPTH][16], name[16], attribute[32];
    size_t depth = 0, n_tags = 0, n_unknown = 0, n_lost = 0;
    for (const char *at = strchr(page, '<'); at != NULL && check_n_failed == 0;
         at = strchr(at, '<')) {
        bool closes = at[1] == '/';
        at += closes ? 2 : 1;
        if (*at == '!') { /* the document's type */
            continue;
        }
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789");
        CHECK_MSG(length > 0 && length < sizeof name, "not a tag: %.60s", at);
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        at += length;
        while (*at == ' ') {
            at++;
            size_t n = strcspn(at, "= >/");
            snprintf(attribute, sizeof attribute, "%.*s", (int)n, at);
            bool found = false;
            for (size_t i = 0; known[i] != NULL; i++) {
                found = found || strcmp(known[i], attribute) == 0;
            }
            n_unknown += !found;
            CHECK_MSG(found, "attribute \"%s\" of <%s>", attribute, name);
            at += n;
            if (*at == '=') {
                const char *end = at[1] == '"' ? strchr(at + 2, '"') : NULL;
                CHECK_MSG(end != NULL, "value of \"%s\" without quotes: %.60s", attribute, at);
                if (end == NULL) {
                    return;
                }
                if (strcmp(attribute, "href") == 0) {
                    char id[64];
                    snprintf(id, sizeof id, " id=\"%.*s\"", (int)(end - at - 3), at + 3);
                    n_lost += at[2] != '#' || count(page, id) != 1;
                }
                at = end + 1;
            }
        }
        bool ends = *at == '/';
        at += ends;
        CHECK_MSG(*at == '>', "<%s> does not end: %.60s", name, at);
        n_tags++;
        if (closes) {
            CHECK_MSG(depth > 0 && strcmp(open[depth - 1], name) == 0, "</%s> closes <%s>: %.60s",
                name, depth > 0 ? open[depth - 1] : "", at);
            depth -= depth > 0;
        } else if (!ends && !is_void(name) && depth < DEPTH) {
            snprintf(open[depth++], sizeof open[0], "%s", name);
            if (strcmp(name, "script") == 0 || strcmp(name, "style") == 0) {
                at = strstr(at, strcmp(name, "script") == 0 ? "</script>" : "</style>");
            }
        }
    }
    CHECK_INT(depth, 0);
    CHECK_INT(n_unknown, 0);
    CHECK_INT(n_lost, 0);
    CHECK(n_tags > 20);
    CHECK_INT(count(page, "<script"), 1);
    CHECK_INT(count(page, "<style"), 1);
    for (const char *at = page; *at != '\0'; at++) {
        if (((unsigned char)*at < 0x20 && *at != '\n' && *at != '\t') || *at == 0x7F) {
            CHECK_MSG(false, "control character 0x%02x", (unsigned char)*at);
        }
    }
}

/* Ranks the recorded answers of tests/data/report and writes them as a run. */
static void make_run(rr_run_format format, bool explain, size_t n_queries, rr_buf *out) {
    rr_candidates candidates;
    rr_recording recording;
    rr_diag diag = {0};
    CHECK_OK(rr_candidates_read(DATA "candidates.jsonl", &candidates, &diag), diag);
    CHECK_OK(rr_recording_read(DATA "answers.jsonl", &recording, &diag), diag);
    rr_replay replay = {&recording, "answers"};
    rr_responder responder = rr_replay_responder(&replay);
    rr_rank_params params = {.window = 8, .step = 4, .depth = 100};
    rr_run_out run = {.format = format,
        .many = true,
        .explain = explain,
        .model = "a model <m>",
        .params = &params};
    rr_buf_clear(out);
    CHECK_OK(rr_run_begin(&run, out, &diag), diag);
    for (size_t i = 0; i < candidates.n && i < n_queries; i++) {
        rr_ranking ranking;
        CHECK_OK(rr_rank(&candidates.queries[i], &params, &responder, &ranking, &diag), diag);
        if (ranking.n_windows > 0) {
            ranking.windows[0].prompt_tokens = 1234;
            ranking.windows[0].generated_tokens = 56;
            ranking.windows[0].prompt_ns = 1500000000;
            ranking.windows[0].generate_ns = 500000000;
            ranking.windows[0].time_ns = 2000000000;
        }
        ranking.time_ns = 2000000000;
        CHECK_OK(rr_run_query(&run, &candidates.queries[i], &ranking, i, out, &diag), diag);
        rr_ranking_destroy(&ranking);
    }
    CHECK_OK(rr_run_end(&run, out, &diag), diag);
    rr_recording_destroy(&recording);
    rr_candidates_destroy(&candidates);
}

static void make_page(const rr_buf *run, const rr_report_params *params, rr_buf *page) {
    rr_report report;
    rr_diag diag = {0};
    rr_buf_clear(page);
    CHECK_OK(rr_report_begin(&report, params, &diag), diag);
    CHECK_OK(rr_run_items_parse(run->data, run->bytes, "run", rr_report_add, &report, &diag), diag);
    CHECK_OK(rr_report_end(&report, page, &diag), diag);
    rr_report_destroy(&report);
}

static void check_many(void) {
    rr_buf run = {0}, lines = {0}, page = {0}, again = {0};
    rr_trec_table qrels = {0};
    rr_diag diag = {0};
    CHECK_OK(rr_trec_read_qrels(DATA "qrels.txt", &qrels, &diag), diag);
    rr_report_params params = {.many = true, .qrels = &qrels, .source = "a <file>"};
    make_run(RR_RUN_JSON, true, 4, &run);
    make_page(&run, &params, &page);
    check_page(page.data);
    CHECK_INT(count(page.data, "<details class=\"query\""), 4);
    CHECK_INT(count(page.data, "<article class=\"card\""), 12 + 4 + 3 + 1);
    CHECK_INT(count(page.data, "<path data-p="), 20);
    CHECK_INT(count(page.data, "<article class=\"window\""), 2 + 1 + 1);
    /* as `rearank eval` has it */
    CHECK(strstr(page.data, "0.5213 → 1.0000 <span class=\"up\">+0.4787</span>") != NULL);
    CHECK(strstr(page.data, "<dt>Mean nDCG@10</dt><dd>0.5761 → 1.0000</dd>") != NULL);
    CHECK(strstr(page.data, "<h1 dir=\"auto\">4 queries</h1>") != NULL &&
        strstr(page.data, " · a &lt;file&gt;") != NULL);
    CHECK(strstr(page.data,
              "1,234 prompt tokens, 56 written · 2.0 s: 1.5 s reading, 500 ms writing") != NULL);
    CHECK(strstr(page.data, "<dt>Model</dt><dd>a model &lt;m&gt;</dd>") != NULL &&
        strstr(page.data, "<dt>Device</dt>") == NULL);
    CHECK(strstr(page.data, "<dt>Faulty answers</dt><dd>2 repaired</dd>") != NULL);
    CHECK(strstr(page.data, "<dt>Options</dt><dd>8 passages a window, step 4</dd>") != NULL);
    /* a range links its first passage and names all; labels are those of the window */
    CHECK(
        strstr(page.data, "<a class=\"m\" href=\"#q1p4\" data-p=\"4 7 11 9\">[5]-[8]</a>") != NULL);
    CHECK(strstr(page.data,
              "<a class=\"m\" href=\"#q1p4\" data-p=\"4\">[1]</a> says to trim the stems") != NULL);
    CHECK(
        strstr(page.data,
            "<a href=\"#q1w1\">Window 1, [4]</a> <q dir=\"auto\">[4] describes flower food, e.g. sugar") !=
        NULL);
    CHECK(strstr(page.data, "2,600 more characters") != NULL);
    CHECK_INT(count(page.data, "class=\"note\""), 0);
    make_run(RR_RUN_JSONL, true, 4, &lines);
    make_page(&lines, &params, &again);
    CHECK(again.bytes == page.bytes && memcmp(again.data, page.data, page.bytes) == 0);
    rr_trec_table_destroy(&qrels);
    rr_buf_destroy(&run);
    rr_buf_destroy(&lines);
    rr_buf_destroy(&page);
    rr_buf_destroy(&again);
}

/* A window that met its deadline: read back from the run and shown. */
static void check_late(void) {
    rr_buf run = {0}, page = {0};
    rr_report_params params = {.many = true};
    make_run(RR_RUN_JSONL, true, 2, &run);
    make_page(&run, &params, &page);
    CHECK(
        strstr(page.data, "Late windows") == NULL && strstr(page.data, "late: as it was") == NULL);
    char *at = strstr(run.data, "\"late\":false");
    CHECK(at != NULL);
    if (at != NULL) {
        memcpy(at, "\"late\": true", strlen("\"late\": true"));
    }
    make_page(&run, &params, &page);
    check_page(page.data);
    CHECK(strstr(page.data,
              "<dt>Late windows</dt><dd>1, as they were when the deadline came</dd>") != NULL);
    CHECK_INT(count(page.data, ">late: as it was<"), 1);
    CHECK_INT(count(page.data, ">1 late<"), 1);
    rr_buf_destroy(&run);
    rr_buf_destroy(&page);
}

static void check_one(void) {
    rr_buf run = {0}, page = {0};
    rr_report_params params = {0};
    make_run(RR_RUN_JSONL, false, 1, &run);
    make_page(&run, &params, &page);
    check_page(page.data);
    CHECK(strstr(page.data, "<h1 dir=\"auto\">how to keep cut flowers fresh longer</h1>") != NULL);
    CHECK(strstr(page.data, "This run holds no texts of passages") != NULL);
    CHECK_INT(count(page.data, "<details"), 0);
    CHECK_INT(count(page.data, "class=\"find\""), 0);
    CHECK_INT(count(page.data, "class=\"level"), 0);
    /* the id, for want of more */
    CHECK(strstr(page.data, "<span class=\"name\" dir=\"auto\">water</span>") != NULL);
    params.title = "\"A\" & <b>";
    make_page(&run, &params, &page);
    CHECK(strstr(page.data, "<title>&quot;A&quot; &amp; &lt;b&gt;</title>") != NULL);
    rr_buf_destroy(&run);
    rr_buf_destroy(&page);
}

/* Reads the windows of tests/data/report instead of answering them: the run as JSON, and the page
 * made at once. */
static void make_read_run(bool explain, rr_buf *run, rr_buf *page) {
    rr_candidates candidates;
    rr_report report;
    rr_diag diag = {0};
    rr_rank_params params = {.window = 8, .step = 4, .depth = 100, .passage_chars = 90};
    rr_prompt_form form = rr_rank_form(&params);
    rr_responder responder = {rr_made_reads, &form};
    const rr_run_out output = {
        .format = RR_RUN_JSONL, .many = true, .explain = explain, .params = &params, .way = "read"};
    rr_buf_clear(run);
    rr_buf_clear(page);
    CHECK_OK(rr_candidates_read(DATA "candidates.jsonl", &candidates, &diag), diag);
    CHECK_OK(rr_report_begin(&report, &(rr_report_params){.many = true}, &diag), diag);
    for (size_t i = 0; i < candidates.n; i++) {
        rr_ranking ranking;
        CHECK_OK(rr_rank(&candidates.queries[i], &params, &responder, &ranking, &diag), diag);
        ranking.time_ns = 0;
        for (size_t w = 0; w < ranking.n_windows; w++) {
            ranking.windows[w].time_ns = 2000000000;
        }
        CHECK_OK(rr_run_query(&output, &candidates.queries[i], &ranking, i, run, &diag), diag);
        rr_run_item item = {.qid = candidates.queries[i].qid,
            .has_params = true,
            .params = params,
            .way = "read",
            .has_texts = true,
            .query = candidates.queries[i],
            .ranking = ranking};
        CHECK_OK(rr_report_add(&report, &item, &diag), diag);
        rr_ranking_destroy(&ranking);
    }
    CHECK_OK(rr_report_end(&report, page, &diag), diag);
    rr_report_destroy(&report);
    rr_candidates_destroy(&candidates);
}

static void check_read(void) {
    rr_buf run = {0}, direct = {0}, page = {0};
    make_read_run(true, &run, &direct);
    check_page(direct.data);
    make_page(&run, &(rr_report_params){.many = true}, &page);
    /* scores, sentences, words and all */
    CHECK(page.bytes == direct.bytes && memcmp(page.data, direct.data, page.bytes) == 0);
    CHECK(
        strstr(page.data,
            "<dt>Options</dt><dd>8 passages a window, step 4, 90 characters of each, read in one pass</dd>") !=
        NULL);
    CHECK_INT(
        count(page.data,
            ">The order was read from the model in one pass over the prompt; nothing was written.<"),
        4);
    CHECK(count(page.data, "<b>Order</b>") == 4 && count(page.data, "<b>Answer</b>") == 0);
    CHECK(strstr(page.data, "800 prompt tokens · 2.0 s</p>") != NULL);
    CHECK_INT(count(page.data, "<b>0.996</b>"), 1);
    /* the lone passage of the last query was not read */
    CHECK_INT(count(page.data, "class=\"score\""), 12 + 4 + 3);
    /* no word of the others is the query's */
    CHECK_INT(count(page.data, "class=\"legend\">Words that drew"), 2);
    /* title and text apart, the sentence over both, words in shades */
    const char *water = strstr(
        page.data, "<h3 dir=\"auto\"><span class=\"drew\" title=\"the sentence that drew most: ");
    CHECK(water != NULL &&
        strstr(water, "of the attention to this passage\"><mark class=\"w3\" title=\"") != NULL);
    CHECK(
        strstr(page.data,
            ">flowers</mark></span></h3><p class=\"content\" dir=\"auto\"><span class=\"drew\" title=\"") !=
        NULL);
    CHECK(strstr(page.data, ">fresh</mark> <mark class=\"w4\" title=\"") != NULL);
    CHECK(strstr(page.data, " more characters, not shown to the model</summary>") != NULL);
    CHECK(strstr(page.data, "Title: ") == NULL && strstr(page.data, "Content: ") == NULL);
    CHECK(
        strstr(page.data, "&lt;/<mark class=\"w4\" title=\"") != NULL); /* <script> is but a word */
    /* without --explain there are scores and no words */
    make_read_run(false, &run, &direct);
    make_page(&run, &(rr_report_params){.many = true}, &page);
    check_page(page.data);
    CHECK(count(page.data, "<b>0.996</b>") == 1 && count(page.data, "<mark") == 0 &&
        count(page.data, "class=\"drew\"") == 0);
    rr_buf_destroy(&run);
    rr_buf_destroy(&direct);
    rr_buf_destroy(&page);
}

/* Parts that touch, that cross the end of a sentence or of what was shown, and shares of 0. */
static void check_marks(void) {
    rr_buf run = {0}, page = {0};
    rr_report_params params = {0};
    rr_buf_text(&run,
        "{\"query\": \"q\", \"options\": {\"passage_chars\": 30, \"think\": true}, \"results\": [{\"index\": 0, \"id\": \"a\", "
        "\"title\": \"A  B\", \"text\": \"c\xC3\xA9 d. e\", \"explanations\": [{\"window\": 0, \"label\": 1, \"named\": 1, \"begin\": 0, "
        "\"end\": 3, \"text\": \"[1]\"}, {\"window\": 0, \"label\": 1, \"text\": \"\", \"begin\": 9, \"end\": 25, \"share\": 0.5, "
        "\"words\": [{\"begin\": 7, \"end\": 10, \"share\": 0.25}, {\"begin\": 20, \"end\": 22, \"share\": 1}, {\"begin\": 22, \"end\": "
        "22, \"share\": 0}]}]}, {\"index\": 1, \"id\": \"b\", \"text\": \"t\"}], \"windows\": [{\"begin\": 0, \"end\": 2, \"passages\": "
        "[0, 1], \"permutation\": [1, 2], \"scores\": [2, -1e300], \"probabilities\": [0.75, 1]}]}");
    /* a word without a letter is none */
    char *empty = strstr(run.data, "\"end\": 22, \"share\": 0}");
    rr_diag diag = {0};
    rr_report report;
    CHECK(empty != NULL);
    CHECK_OK(rr_report_begin(&report, &params, &diag), diag);
    CHECK_INT(
        rr_run_items_parse(run.data, run.bytes, "run", rr_report_add, &report, &diag), RR_E_INPUT);
    CHECK_MSG(
        strstr(diag.text,
            "run:1: results[0].explanations[1].\"words\": expected words apart and in order") !=
            NULL,
        "%s", diag.text);
    rr_report_destroy(&report);
    memcpy(empty, "\"end\": 23", strlen("\"end\": 23"));
    make_page(&run, &params, &page);
    check_page(page.data);
#define WORD(shade, share, text)                                                              \
    "<mark class=\"w" shade "\" title=\"" share " % of the attention to this passage\">" text \
    "</mark>"
#define DREW \
    "<span class=\"drew\" title=\"the sentence that drew most: 50.0 % of the attention to this passage\">"
    CHECK(strstr(page.data,
              "<h3 dir=\"auto\">" WORD("2", "25.0", "A ")
                  DREW WORD("2", "25.0", "B") "</span></h3>") != NULL);
    CHECK(strstr(page.data,
              "<p class=\"content\" dir=\"auto\">" DREW WORD("4", "100.0", "\xC3\xA9 ")
                  WORD("1", "0.0", "d")) == NULL);
    CHECK(strstr(page.data, "<p class=\"content\" dir=\"auto\">" DREW) != NULL);
    CHECK(strstr(page.data,
              WORD("4", "100.0", "c\xC3\xA9") WORD("1", "0.0", " ") "d.</span> e</p>") != NULL);
    /* the second is lowered */
    CHECK(strstr(page.data, "relevance <b>0.750</b>") != NULL &&
        count(page.data, "relevance <b>0.750</b>") == 2);
    rr_buf_destroy(&run);
    rr_buf_destroy(&page);
}

/* Cards quote a few sentences and count the others. */
static void check_quotes(void) {
    rr_buf run = {0}, page = {0};
    rr_report_params params = {0};
    rr_buf_text(&run,
        "{\"query\": \"q\", \"results\": [{\"index\": 0, \"id\": \"a\", \"text\": \"t\"}, {\"index\": 1, \"id\": \"b\"}], "
        "\"windows\": [{\"begin\": 0, \"end\": 2, \"passages\": [1, 0], \"permutation\": [2, 1], \"reasoning\": \"");
    for (int i = 0; i < 12; i++) {
        rr_buf_printf(&run, "[2] is good, %d. ", i);
    }
    rr_buf_text(&run, "\"}]}");
    make_page(&run, &params, &page);
    check_page(page.data);
    CHECK_INT(count(page.data, "<q dir="), 8);
    CHECK(strstr(page.data, "<li class=\"rest\">4 more in the windows</li>") != NULL);
    CHECK_INT(count(page.data, "data-p=\"0\">[2]</a>"), 12);
    rr_buf_destroy(&run);
    rr_buf_destroy(&page);
}

/* Runs */

static rr_status take(void *user, rr_run_item *item, rr_diag *diag) {
    (void)diag;
    *(size_t *)user += item->query.n;
    return RR_OK;
}

static void check_refused(const char *run, const char *message) {
    rr_diag diag = {0};
    size_t n = 0;
    CHECK_MSG(rr_run_items_parse(run, strlen(run), "run", take, &n, &diag) == RR_E_INPUT,
        "accepted: %s", run);
    CHECK_MSG(
        strstr(diag.text, message) != NULL, "found \"%s\", expected \"%s\"", diag.text, message);
}

static void check_runs(void) {
    rr_diag diag = {0};
    size_t n = 0;
    static const char good[] =
        "{\"query\": \"q\", \"results\": [{\"index\": 1, \"id\": 7}, {\"index\": 0, \"id\": \"a\"}], \"windows\": "
        "[{\"begin\": 0, \"end\": 2, \"passages\": [0, 1], \"permutation\": [2, 1]}], \"more\": 1}";
    CHECK_OK(rr_run_items_parse(good, sizeof good - 1, "run", take, &n, &diag), diag);
    static const char marked[] =
        "\xEF\xBB\xBF[{\"query\": \"\", \"results\": [], \"windows\": []}\n]";
    CHECK_OK(rr_run_items_parse(marked, sizeof marked - 1, "run", take, &n, &diag), diag);
    CHECK_INT(n, 2);
    check_refused("", "run: found nothing");
    check_refused("[]", "found no query");
    check_refused("{", "not JSON");
    check_refused("[1]", "query 1 of the array: run:1: found a JSON uint");
    check_refused("[{\"query\": \"q\"}]", "\"results\" is missing");
    check_refused("{\"results\": [], \"windows\": []}", "\"query\" is missing");
    check_refused("{\"query\": \"q\", \"results\": []}", "\"windows\" is missing");
    check_refused(
        "{\"query\": \"q\", \"results\": [{\"index\": 1, \"id\": \"a\"}], \"windows\": []}",
        "results[0].\"index\": expected each number from 0 to 0 once");
    check_refused(
        "{\"query\": \"q\", \"results\": [{\"index\": 0, \"id\": \"a\"}, {\"index\": 0, \"id\": \"b\"}], \"windows\": []}",
        "results[1].\"index\"");
    check_refused("{\"query\": \"q\", \"results\": [{\"index\": 0}], \"windows\": []}",
        "results[0].\"id\" is missing");
#define WINDOW(members)                                                                                                       \
    "{\"query\": \"q\", \"results\": [{\"index\": 0, \"id\": \"a\"}, {\"index\": 1, \"id\": \"b\"}], \"windows\": [{" members \
    "}]}"
    check_refused(WINDOW("\"begin\": 0, \"end\": 3"),
        "windows[0].\"end\": expected a whole number from 0 to 2");
    check_refused(WINDOW("\"begin\": 0, \"end\": 1"), "windows[0].\"passages\" is missing");
    check_refused(
        WINDOW("\"begin\": 0, \"end\": 1, \"passages\": []"), "windows[0]: expected \"end\" above");
    check_refused(WINDOW("\"begin\": 1, \"end\": 1, \"passages\": [0]"),
        "windows[0]: expected \"end\" above \"begin\"");
    check_refused(WINDOW("\"begin\": 0, \"end\": 2, \"passages\": [0, 2], \"permutation\": [1, 2]"),
        "\"passages\": expected 2 different numbers from 0 to 1");
    check_refused(WINDOW("\"begin\": 0, \"end\": 2, \"passages\": [0, 0], \"permutation\": [1, 2]"),
        "\"passages\"");
    check_refused(WINDOW("\"begin\": 0, \"end\": 2, \"passages\": [0, 1], \"permutation\": [0, 1]"),
        "\"permutation\": expected 2 different numbers from 1 to 2");
    check_refused(WINDOW("\"begin\": 0, \"end\": 2, \"passages\": [0, 1], \"permutation\": [1, 1]"),
        "\"permutation\"");
    check_refused(
        WINDOW(
            "\"begin\": 0, \"end\": 2, \"passages\": [0, 1], \"permutation\": [1, 2], \"prompt_ms\": -1"),
        "\"prompt_ms\": expected milliseconds");
    check_refused(
        WINDOW(
            "\"begin\": 0, \"end\": 2, \"passages\": [0, 1], \"permutation\": [1, 2], \"prompt_tokens\": 1.5"),
        "\"prompt_tokens\"");
    check_refused(
        WINDOW(
            "\"begin\": 0, \"end\": 2, \"passages\": [0, 1], \"permutation\": [1, 2], \"reasoning\": 1"),
        "windows[0].\"reasoning\"");
}

/* Runs that say what was read, and are wrong. */
static void check_read_runs(void) {
    const char *scores = "\"scores\": [1, 2], \"probabilities\": [0.5, 0.5]",
               *read = "\"begin\": 0, \"end\": 4, \"share\": 0.5, \"words\": []";
    static const struct {
        const char *scores, *explanations, *message; /* NULL = right ones */
    } cases[] = {
        {"\"scores\": [1, 2]", NULL, "windows[0].\"probabilities\" is missing"},
        {"\"probabilities\": [0.5, 0.5]", NULL, "windows[0].\"scores\" is missing"},
        {"\"scores\": [1], \"probabilities\": [0.5, 0.5]", NULL,
            "windows[0].\"scores\": expected 2 numbers from"},
        {"\"scores\": [1, null], \"probabilities\": [0.5, 0.5]", NULL,
            "windows[0].\"scores\": expected 2 numbers from"},
        {"\"scores\": 1, \"probabilities\": [0.5, 0.5]", NULL, "windows[0].\"scores\""},
        {"\"scores\": [1, 2], \"probabilities\": [0.5, 1.5]", NULL,
            "windows[0].\"probabilities\": expected 2 numbers from 0 to 1"},
        {"\"scores\": [1, 2], \"probabilities\": [0.5, -0.5]", NULL,
            "windows[0].\"probabilities\": expected 2 numbers from 0 to 1"},
        {"\"more\": 1", NULL,
            "results[0].explanations[0].\"window\": expected one with scores, the passage's \"label\" there and at most 8 \"words\""},
        {NULL, "{\"window\": 1, \"label\": 1, READ}",
            "explanations[0].\"window\": expected one with scores"},
        {NULL, "{\"window\": 0, \"label\": 2, READ}",
            "explanations[0].\"window\": expected one with scores, the passage's \"label\""},
        {NULL, "{\"window\": 0, \"label\": 0, READ}",
            "explanations[0].\"window\": expected one with scores, the passage's \"label\""},
        {NULL, "{\"window\": 0, \"label\": 3, READ}",
            "explanations[0].\"window\": expected one with scores, the passage's \"label\""},
        {NULL, "{\"window\": 0, \"label\": 1, READ}, {\"window\": 0, \"label\": 1, READ}",
            "results[0].explanations[1].\"words\": expected one explanation with words"},
        {NULL, "{\"window\": 0, \"label\": 1, \"begin\": 0, \"end\": 5, \"words\": []}",
            "explanations[0].\"end\": expected a whole number from 0 to 4"},
        {NULL, "{\"window\": 0, \"label\": 1, \"begin\": 3, \"end\": 2, \"words\": []}",
            "explanations[0].\"begin\": expected at most \"end\""},
        {NULL, "{\"window\": 0, \"label\": 1, \"begin\": -1, \"end\": 2, \"words\": []}",
            "explanations[0].\"begin\": expected a whole number"},
        {NULL,
            "{\"window\": 0, \"label\": 1, \"begin\": 0, \"end\": 2, \"share\": 1.5, \"words\": []}",
            "and a \"share\" from 0 to 1"},
        {NULL, "{\"window\": 0, \"label\": 1, \"words\": [1]}",
            "explanations[0].\"words\": expected words apart and in order"},
        {NULL, "{\"window\": 0, \"label\": 1, \"words\": {}}", "explanations[0].\"words\""},
        {NULL,
            "{\"window\": 0, \"label\": 1, \"words\": [{\"begin\": 1, \"end\": 3}, {\"begin\": 2, \"end\": 4}]}",
            "expected words apart and in order"},
        {NULL, "{\"window\": 0, \"label\": 1, \"words\": [{\"begin\": 1, \"end\": 9}]}",
            "explanations[0].words[0].\"end\": expected a whole number from 0 to 4"},
        {NULL, "{\"window\": 0, \"label\": 1, \"words\": [1, 2, 3, 4, 5, 6, 7, 8, 9]}",
            "at most 8 \"words\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rr_buf run = {0};
        const char *explanations = cases[i].explanations != NULL
            ? cases[i].explanations
            : "{\"window\": 0, \"label\": 1, READ}";
        rr_buf_text(&run,
            "{\"query\": \"q\", \"results\": [{\"index\": 0, \"id\": \"a\", \"text\": \"caf\xC3\xA9\", \"explanations\": [");
        for (const char *at = explanations; *at != '\0';) { /* READ stands for good members */
            const char *next = strstr(at, "READ");
            rr_buf_append(&run, at, next != NULL ? (size_t)(next - at) : strlen(at));
            rr_buf_text(&run, next != NULL ? read : "");
            at = next != NULL ? next + strlen("READ") : at + strlen(at);
        }
        rr_buf_printf(&run,
            "]}, {\"index\": 1, \"id\": \"b\"}], \"windows\": [{\"begin\": 0, \"end\": 2, \"passages\": [0, 1], \"permutation\": [1, 2], %s}]}",
            cases[i].scores != NULL ? cases[i].scores : scores);
        check_refused(run.data, cases[i].message);
        rr_buf_destroy(&run);
    }
}

int main(void) {
    check_parts();
    check_words();
    check_runs();
    check_many();
    check_one();
    check_late();
    check_quotes();
    check_read();
    check_marks();
    check_read_runs();
    return CHECK_END();
}
