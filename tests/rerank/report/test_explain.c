/* Sentences and mentions: small cases one rule each, then whole reasonings as models write them,
 * then rankings. */
#include "tests/check.h"

#include "rerank/data/candidates.h"
#include "rerank/data/clean.h"
#include "rerank/execute.h"
#include "rerank/report/explain.h"
#include "rerank/sentences.h"

/* The sentences of a text with '|' between. */
static void check_split(const char *text, const char *expected) {
    rr_buf out = {0};
    size_t at = 0, begin, end, bytes = strlen(text);
    while (rr_sentence_next(text, bytes, &at, &begin, &end)) {
        rr_buf_text(&out, out.bytes > 0 ? "|" : "");
        rr_buf_append(&out, text + begin, end - begin);
    }
    CHECK_TEXT(out.data != NULL ? out.data : "", expected);
    rr_buf_destroy(&out);
}

static void check_sentences(void) {
    check_split("", "");
    check_split(" \n\t ", "");
    check_split("One. Two! Three?  Four… Five", "One.|Two!|Three?|Four…|Five");
    check_split("It lasts 3.5 days. See www.example.com for v1.2. Done.",
        "It lasts 3.5 days.|See www.example.com for v1.2.|Done.");
    check_split(
        "See e.g. [3], i.e. Fleas vs. Lice. Next.", "See e.g. [3], i.e. Fleas vs. Lice.|Next.");
    check_split("Dr. Smith of the U.S. Army met J. R. Doe. [2] says so.",
        "Dr. Smith of the U.S. Army met J. R. Doe.|[2] says so.");
    check_split("It has vitamin C. [3] does not. So do I. Then he left.",
        "It has vitamin C.|[3] does not.|So do I.|Then he left.");
    check_split("Look at no. 3. Is there one? No. There is none.",
        "Look at no. 3.|Is there one?|No.|There is none.");
    check_split("He asks \"why?\" and leaves. \"It ends.\" So.",
        "He asks \"why?\" and leaves.|\"It ends.\"|So.");
    check_split("1. [3] is best.\n2. [1] is next. 3) none\n- item\n- [2]: other",
        "1. [3] is best.|2. [1] is next.|3) none|- item|- [2]: other");
    check_split("A line that was\nwrapped here. A list:\n\nnew start\r\nOther",
        "A line that was\nwrapped here.|A list:|new start|Other");
    check_split("跳蚤能活几周。段落[3]说明了这一点！为什么？“因为。”是",
        "跳蚤能活几周。|段落[3]说明了这一点！|为什么？|“因为。”|是");
    check_split("**[1] is it.** _Really._ No", "**[1] is it.**|_Really._|No");
    check_split("Wait... no. Well... Yes?! Good", "Wait... no.|Well...|Yes?!|Good");
    check_split("ends in the mid", "ends in the mid");
    check_split("\xFF\xFE. A\xC3", "\xFF\xFE.|A\xC3");
}

/* The mentions of a text for 20 labels: "begin-end:first-last@sentence" or short "text=first-last"
 * with spaces between. */
static void check_mentions(const char *text, const char *expected) {
    rr_arena arena = {0};
    rr_explained read;
    rr_diag diag = {0};
    rr_buf out = {0};
    CHECK_OK(rr_explain_text(text, strlen(text), 20, &arena, &read, &diag), diag);
    for (size_t i = 0; i < read.n_mentions; i++) {
        const rr_mention *m = &read.mentions[i];
        rr_buf_printf(&out, "%s%.*s=%u", i > 0 ? " | " : "", (int)(m->end - m->begin),
            text + m->begin, m->first);
        if (m->last != m->first) {
            rr_buf_printf(&out, "-%u", m->last);
        }
    }
    CHECK_TEXT(out.data != NULL ? out.data : "", expected);
    rr_buf_destroy(&out);
    rr_arena_destroy(&arena);
}

static void check_forms(void) {
    check_mentions("[3] and [ 7 ].", "[3]=3 | [ 7 ]=7");
    check_mentions("[1], [3] and [7] then [1][2]", "[1]=1 | [3]=3 | [7]=7 | [1]=1 | [2]=2");
    check_mentions("[0], [21], [2023], [99999999999999999999], [], [x], [-1], [ ], [3", "");
    check_mentions("[1, 3], [2 and 4], [5; 6], [7-9], [10–12, 14], [1, x], [1,]",
        "1=1 | 3=3 | 2=2 | 4=4 | 5=5 | 6=6 | 7-9=7-9 | 10–12=10-12 | 14=14");
    check_mentions("[2]-[5], [6] – [8], [9] through [11], [12]~[13]",
        "[2]-[5]=2-5 | [6] – [8]=6-8 | [9] through [11]=9-11 | [12]~[13]=12-13");
    check_mentions("[5]-[2] [4]-[4]", "[5]=5 | [2]=2 | [4]=4 | [4]=4");
    check_mentions("I prefer [2] to [5].", "[2]=2 | [5]=5");
    check_mentions("Passages [2] to [5], and from [7] to [9].", "[2] to [5]=2-5 | [7] to [9]=7-9");
    check_mentions("[3] > [1] > [2]", "[3]=3 | [1]=1 | [2]=2");
    check_mentions(
        "Passage 3, passage #4, PASSAGE number 5, passage no. 6, Document 7, doc 8, Passage9",
        "Passage 3=3 | passage #4=4 | PASSAGE number 5=5 | passage no. 6=6 | Document 7=7 | doc 8=8 | Passage9=9");
    check_mentions("Passage [3] and Passage[4]", "[3]=3 | [4]=4");
    check_mentions(
        "passages 2 and 4, passages 5, 6, and 7; Passages 8-10; documents 11 to 13, passages 1/2 & 3",
        "passages 2=2 | 4=4 | passages 5=5 | 6=6 | 7=7 | Passages 8-10=8-10 | documents 11 to 13=11-13 | passages 1=1 | 2=2 | 3=3");
    check_mentions("passages 3,4 and [7]", "passages 3=3 | 4=4 | [7]=7");
    check_mentions("passage 3 and 2 others", "passage 3=3");
    check_mentions(
        "passage 3.5, passage 3%, passage 3rd, passage 21, passages that 3, passage of 4, 3 passages, compassage 3",
        "");
    check_mentions("passage 3-5 and passage 4 - 5 days", "passage 3-5=3-5 | passage 4=4");
    check_mentions("passage 2. Then 4", "passage 2=2");
    check_mentions("段落[3]。【4】", "[3]=3");
    check_mentions("In 2019 there were 3 of 5.", "");
}

/* A reasoning as REARANK's model writes it, and one as others do. */
static const char rearank_like[] =
    "Okay, let's see. The user is asking how long a flea lives. First, I need to find passages that state a lifespan.\n\n"
    "Passage [3] says that adult fleas live for 2.5 weeks to 3 months, which answers the question directly. [1] is about Paris, so "
    "it is irrelevant.  [2] mentions fleas on dogs, e.g. [2] speaks of bites, but gives no lifespan. Passages 4 and 5 are similar: they "
    "discuss the life cycle.\n\nSo the order should be [3] > [4] > [5] > [2] > [1]. Wait, is [4] more precise than [5]? Yes, because it";
static const char listed[] =
    "1. **[2]** – a direct answer (approx. 90 days).\n2. [1]–[3] only touch on it.\n\n- Document 4: off topic!";

static void check_texts(void) {
    rr_arena arena = {0};
    rr_explained read;
    rr_diag diag = {0};
    CHECK_OK(rr_explain_text(rearank_like, sizeof rearank_like - 1, 5, &arena, &read, &diag), diag);
    CHECK_INT(read.n_sentences, 10);
    CHECK_INT(read.n_mentions, 13);
    static const size_t sentence_of[13] = {3, 4, 5, 5, 6, 6, 7, 7, 7, 7, 7, 8, 8};
    static const uint32_t labels[13] = {3, 1, 2, 2, 4, 5, 3, 4, 5, 2, 1, 4, 5};
    for (size_t i = 0; i < 13 && i < read.n_mentions; i++) {
        CHECK_INT(read.mentions[i].first, labels[i]);
        CHECK_INT(read.mentions[i].sentence, sentence_of[i]);
    }
    CHECK_OK(rr_explain_text(listed, sizeof listed - 1, 5, &arena, &read, &diag), diag);
    CHECK_INT(read.n_sentences, 3);
    CHECK_INT(read.n_mentions, 3);
    CHECK(read.mentions[1].first == 1 && read.mentions[1].last == 3 && read.mentions[2].first == 4);
    CHECK_OK(rr_explain_text(NULL, 0, 5, &arena, &read, &diag), diag);
    CHECK_INT(read.n_sentences + read.n_mentions, 0);
    rr_arena_destroy(&arena);
}

/* Long hostile texts are read in time: none of these may be quadratic. */
static void check_linear(void) {
    static const char *const units[] = {"[", "[1,", "[1]-", "passages 1, ", ". ", "\n", "\n ",
        ".\t", "[1 ", "e.g. ", "no. ", "1. ", "…", "passage ", "[1] to "};
    enum { BYTES = 1 << 20 };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        rr_buf text = {0};
        while (text.bytes < BYTES) {
            rr_buf_text(&text, units[i]);
        }
        rr_arena arena = {0};
        rr_explained read;
        rr_diag diag = {0};
        CHECK_OK(rr_explain_text(text.data, text.bytes, 20, &arena, &read, &diag), diag);
        CHECK(read.n_sentences <= text.bytes && read.n_mentions <= text.bytes);
        rr_arena_destroy(&arena);
        rr_buf_destroy(&text);
    }
}

static rr_status answer(void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    (void)diag;
    const char *const *texts = user;
    rr_buf_text(&reply->text, texts[call->index]);
    return RR_OK;
}

static void check_said(const rr_explanations *e, size_t passage, size_t i, size_t window,
    uint32_t n_named, const char *text) {
    size_t at = e->first[passage] + i;
    CHECK_MSG(at < e->first[passage + 1], "passage %zu has %zu sentences", passage,
        e->first[passage + 1] - e->first[passage]);
    if (at < e->first[passage + 1]) {
        CHECK_INT(e->said[at].window, window);
        CHECK_INT(e->said[at].n_named, n_named);
        CHECK_MSG(rr_text_is(e->said[at].text, text), "found \"%.*s\", expected \"%s\"",
            (int)e->said[at].text.bytes, e->said[at].text.data, text);
    }
}

/* Labels are those of the window: 3 passages, window 2, so that the second window sees what the
 * first made of them. */
static void check_rankings(void) {
    static const rr_passage passages[] = {{.id = "a"}, {.id = "b"}, {.id = "c"}};
    const rr_query query = {.qid = "q", .text = {"x", 1}, .passages = passages, .n = 3};
    static const char *const texts[] = {
        "<think>ÄÖ. [2] beats [1]. [2] wins, and [2] again.</think><answer>[2] > [1]</answer>",
        "<think>Both [1]-[2] fit. Passage 3 is not here.</think><answer>[2] > [1]</answer>",
    };
    rr_responder responder = {answer, (void *)(uintptr_t)texts};
    rr_rank_params params = {.window = 2, .step = 1};
    rr_ranking ranking;
    rr_explanations e;
    rr_diag diag = {0};
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    CHECK_OK(rr_explain_ranking(&ranking, &e, &diag), diag);
    CHECK_INT(e.n, 3);
    CHECK_INT(e.first[3], 5);
    check_said(&e, 0, 0, 1, 2, "Both [1]-[2] fit.");
    check_said(&e, 1, 0, 0, 2, "[2] beats [1].");
    check_said(&e, 2, 0, 0, 2, "[2] beats [1].");
    check_said(&e, 2, 1, 0, 1, "[2] wins, and [2] again.");
    check_said(&e, 2, 2, 1, 2, "Both [1]-[2] fit.");
    const rr_said *said = &e.said[e.first[2]];
    CHECK(said->begin == 4 && said->end == 18); /* characters, not bytes */
    rr_explanations_destroy(&e);
    rr_ranking_destroy(&ranking);
}

/* One label named in thousands of sentences takes no more than its share. */
static void check_bounded(void) {
    static const rr_passage passages[] = {{.id = "a"}, {.id = "b"}};
    const rr_query query = {.qid = "q", .text = {"x", 1}, .passages = passages, .n = 2};
    rr_buf text = {0};
    for (size_t i = 0; i < 5000; i++) {
        rr_buf_text(&text, "[1] it is. ");
    }
    rr_buf_text(&text, "</think>[2] > [1]");
    const char *const texts[] = {text.data};
    rr_responder responder = {answer, (void *)(uintptr_t)texts};
    rr_rank_params params = {0};
    rr_ranking ranking;
    rr_explanations e;
    rr_diag diag = {0};
    CHECK_OK(rr_rank(&query, &params, &responder, &ranking, &diag), diag);
    CHECK_OK(rr_explain_ranking(&ranking, &e, &diag), diag);
    CHECK_INT(e.first[1], RR_EXPLAIN_MAX_SAID);
    CHECK_INT(e.first[2], RR_EXPLAIN_MAX_SAID);
    rr_explanations_destroy(&e);
    rr_ranking_destroy(&ranking);
    rr_buf_destroy(&text);
}

/* The distinct labels in brackets, found in the plainest way. */
static uint32_t count_brackets(const char *text) {
    bool seen[21] = {false};
    uint32_t n = 0;
    for (const char *at = strchr(text, '['); at != NULL; at = strchr(at + 1, '[')) {
        unsigned label;
        char close;
        if (sscanf(at, "[%u%c", &label, &close) == 2 && close == ']' && label >= 1 && label <= 20) {
            n += !seen[label];
            seen[label] = true;
        }
    }
    return n;
}

/* Every answer that was recorded is a list of labels: each is found, once for each time that it
 * stands there. */
static void check_recorded(void) {
    const char *shared = check_shared();
    if (shared == NULL) {
        return;
    }
    static const char *const files[] = {"rankvicuna_clean", "vicuna7b_v15_zeroshot"};
    size_t n_texts = 0, n_mentions = 0;
    for (size_t f = 0; f < 2; f++) {
        char path[4096];
        rr_recording recording;
        rr_diag diag = {0};
        snprintf(path, sizeof path, "%s/data/replay/%s.dl19.jsonl", shared, files[f]);
        CHECK_OK(rr_recording_read(path, &recording, &diag), diag);
        for (size_t i = 0; i < recording.n; i++) {
            for (size_t k = 0; k < recording.items[i].n; k++) {
                rr_text text = recording.items[i].responses[k];
                rr_arena arena = {0};
                rr_explained read;
                bool seen[21] = {false};
                uint32_t n_seen = 0;
                CHECK_OK(rr_explain_text(text.data, text.bytes, 20, &arena, &read, &diag), diag);
                for (size_t m = 0; m < read.n_mentions; m++) {
                    n_seen += !seen[read.mentions[m].first];
                    seen[read.mentions[m].first] = true;
                }
                CHECK_MSG(n_seen == count_brackets(text.data), "%u in \"%s\"", n_seen, text.data);
                n_texts++;
                n_mentions += read.n_mentions;
                rr_arena_destroy(&arena);
            }
        }
        rr_recording_destroy(&recording);
    }
    CHECK(n_texts > 700 && n_mentions > 10000);
    printf("%zu recorded answers, %zu mentions\n", n_texts, n_mentions);
}

int main(void) {
    check_sentences();
    check_forms();
    check_texts();
    check_linear();
    check_rankings();
    check_bounded();
    check_recorded();
    return CHECK_END();
}
