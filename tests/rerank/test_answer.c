#include "tests/check.h"

#include "rerank/answer.h"
#include "rerank/windows.h"

enum { LISTED_ALL = 5 };

typedef struct answer_case {
    const char *text;
    uint32_t order[5];
    uint32_t n_listed;
    bool repaired, unclosed, closed;
    const char *reasoning, *answer; /* NULL = not looked at */
} answer_case;

static const answer_case answer_cases[] = {
    /* those of the reference */
    {"<answer> [2] > [1] > [3] </answer>", {2, 1, 3, 4, 5}, 3, true, false, true, "",
        "[2] > [1] > [3]"},
    {"<answer>[3] > [3] > [9]</answer>", {3, 1, 2, 4, 5}, 1, true, false, true, "", NULL},
    {"", {1, 2, 3, 4, 5}, 0, true, false, false, "", ""},
    {"<answer>[2] > [4", {2, 4, 1, 3, 5}, 2, true, true, false, NULL, NULL},
    {"[5] > [4] > [3] > [2] > [1]", {5, 4, 3, 2, 1}, LISTED_ALL, false, false, false, "",
        "[5] > [4] > [3] > [2] > [1]"},
    {"<think>[1] is poor, [4] good</think>\n<answer>[4] > [5] > [3] > [2] > [1]</answer>",
        {4, 5, 3, 2, 1}, LISTED_ALL, false, false, true, "[1] is poor, [4] good",
        "[4] > [5] > [3] > [2] > [1]"},
    {"<think>[1] or [2]</think> [3] > [2] > [1] > [5] > [4]", {3, 2, 1, 5, 4}, LISTED_ALL, false,
        false, false, "[1] or [2]", "[3] > [2] > [1] > [5] > [4]"},
    {"<think>[1]</think> no: <think>[2]</think> [3] > [4]", {3, 4, 1, 2, 5}, 2, true, false, false,
        NULL, "[3] > [4]"},
    {"<answer>[2]</answer> or <answer>[3]</answer>", {2, 1, 3, 4, 5}, 1, true, false, true, "",
        "[2]"},
    {"<answer></answer>[3]", {1, 2, 3, 4, 5}, 0, true, false, true, "", ""},
    {"<think>plan <answer>[5]</answer> then [1]", {5, 1, 2, 3, 4}, 1, true, false, true, "plan",
        "[5]"},
    {"</answer>[2]<answer>[3]", {2, 3, 1, 4, 5}, 2, true, true, false, NULL, NULL},
    /* the reasoning's digits are no ranking */
    {"<think>only [3] then [1]", {1, 2, 3, 4, 5}, 0, true, true, false, "only [3] then [1]", ""},
    {"<think>only [3] <answer>[4] > [2", {4, 2, 1, 3, 5}, 2, true, true, false, "only [3]",
        "[4] > [2"},
    {"<think>[1]</think>[2] <think>[5]", {2, 1, 3, 4, 5}, 1, true, true, false, NULL, "[2]"},
    {"[4] > [2] <think>because [1]", {4, 2, 1, 3, 5}, 2, true, true, false, "because [1]",
        "[4] > [2]"},
    {"<think>[1]</think>\n<answer>[4] > [2", {4, 2, 1, 3, 5}, 2, true, true, false, "[1]", NULL},
    /* what stands before a </think> is thinking, and so is a tag that is only mentioned there */
    {"<think>The form is <answer>[X] > [Y]</answer>. [3] is best.</think>\n<answer>[3] > [2]</answer>",
        {3, 2, 1, 4, 5}, 2, true, false, true,
        "The form is <answer>[X] > [Y]</answer>. [3] is best.", "[3] > [2]"},
    {"<think>A draft: <answer>[1] > [2]</answer>, but</think>\n<answer>[3] > [2] > [1] > [5] > [4]</answer>",
        {3, 2, 1, 5, 4}, LISTED_ALL, false, false, true, NULL, "[3] > [2] > [1] > [5] > [4]"},
    {"A draft: <answer>[1]</answer>, but</think><answer>[3]</answer>", {3, 1, 2, 4, 5}, 1, true,
        false, true, NULL, "[3]"},
    {"<think>In <answer> goes [4].</think><answer>[3]</answer>", {3, 1, 2, 4, 5}, 1, true, false,
        true, "In <answer> goes [4].", "[3]"},
    {"<think>Into <think></think> and <answer></answer>, [4].</think><answer>[3]</answer>",
        {3, 1, 2, 4, 5}, 1, true, false, true, NULL, "[3]"},
    {"<think><answer>[1]</answer></think><answer>[3", {3, 1, 2, 4, 5}, 1, true, true, false,
        "<answer>[1]</answer>", NULL},
    {"<think><answer>[1]</answer></think> [3] > [2]", {3, 2, 1, 4, 5}, 2, true, false, false,
        "<answer>[1]</answer>", "[3] > [2]"},
    {"<think>so <answer>[3]</answer></think> This is it: [1].", {3, 1, 2, 4, 5}, 1, true, false,
        true, "so", "[3]"},
    {"<think>a</think><answer>[2]</answer> <think>b</think><answer>[3]</answer>", {2, 1, 3, 4, 5},
        1, true, false, true, "a", "[2]"},
    {"<answer>[2] <think>b</think> > [3]</answer>", {2, 3, 1, 4, 5}, 2, true, false, true, "",
        NULL},
    /* where ids stand in brackets, no other number is one */
    {"<answer>[3] > [5] (4 pages) > [1] > [2]</answer>", {3, 5, 1, 2, 4}, 4, true, false, true,
        NULL, NULL},
    {"<answer>Rank 1: [3]\nRank 2: [5]\nRank 3: [1]\nRank 4: [2]\nRank 5: [4]</answer>",
        {3, 5, 1, 2, 4}, LISTED_ALL, false, false, true, NULL, NULL},
    {"1. [5] > [4] > [3] > [2] > [1]", {5, 4, 3, 2, 1}, LISTED_ALL, false, false, false, NULL,
        NULL},
    {"Of 5, [3] is best, then [1].", {3, 1, 2, 4, 5}, 2, true, false, false, NULL, NULL},
    {"<answer>[Passage 3] > [Passage 1]</answer>", {3, 1, 2, 4, 5}, 2, true, false, true, NULL,
        NULL},
    {"<answer>2: [3, 1, 4]</answer>", {3, 1, 4, 2, 5}, 3, true, false, true, NULL, NULL},
    {"{\"ranking\": [3, 1, 4], \"n\": 5}", {3, 1, 4, 2, 5}, 3, true, false, false, NULL, NULL},
    /* where none do, all are: but not in prose */
    {"<answer>3 > 5 > 1 > 2 > 4</answer>", {3, 5, 1, 2, 4}, LISTED_ALL, false, false, true, NULL,
        NULL},
    {"<answer>Passage 3, then 5</answer>", {3, 5, 1, 2, 4}, 2, true, false, true, NULL, NULL},
    {"<think>so</think> 3 > 5", {3, 5, 1, 2, 4}, 2, true, false, false, NULL, NULL},
    {"3 > 5 > 1</answer>", {3, 5, 1, 2, 4}, 3, true, false, false, NULL, NULL},
    {"I am sorry, I cannot rank these 5 passages.", {1, 2, 3, 4, 5}, 0, true, false, false, NULL,
        NULL},
    {"\u65e0\u6cd5\u5bf9\u8fd95\u4e2a\u6bb5\u843d\u6392\u5e8f", {1, 2, 3, 4, 5}, 0, true, false,
        false, NULL, NULL},
    /* digits of all kinds */
    {"<answer>[\uff13] > [\uff12] > [\uff11]</answer>", {3, 2, 1, 4, 5}, 3, true, false, true, NULL,
        NULL},
    {"<answer>\u2462 > \u2461 > \u2460</answer>", {3, 2, 1, 4, 5}, 3, true, false, true, NULL,
        NULL},
    {"<answer>[\u00b3] > [\u00b2] > [\u00b9]</answer>", {3, 2, 1, 4, 5}, 3, true, false, true, NULL,
        NULL},
    /* （4页） */
    {"\uff3b\uff13\uff3d\uff1e\uff3b\uff15\uff3d\uff084\u9875\uff09", {3, 5, 1, 2, 4}, 2, true,
        false, false, NULL, NULL},
    {"\u30103\u3011 \u30105\u3011 4", {3, 5, 1, 2, 4}, 2, true, false, false, NULL, NULL},
    /* each a number of its own */
    {"\u2462\u2461\u2460", {3, 2, 1, 4, 5}, 3, true, false, false, NULL, NULL},
    /* subscript; negative, sans and double circles */
    {"\u2083 \u2778 \u2781 \u24f5", {3, 2, 1, 4, 5}, 3, true, false, false, NULL, NULL},
    /* (3), 3. and an Arabic 1 */
    {"\u2476 > \u248a > \u0661", {3, 1, 2, 4, 5}, 2, true, false, false, NULL, NULL},
    {"[1\uff12] > [\u2463] > \u00bd", {4, 1, 2, 3, 5}, 1, true, false, false, NULL, NULL},
    {"3\xe2\x91", {3, 1, 2, 4, 5}, 1, true, false, false, NULL, NULL}, /* cut inside a character */
    /* numbers of all sizes */
    {"[0] > [6] > [-2] > [4294967297] > [18446744073709551617] > [003]", {2, 3, 1, 4, 5}, 2, true,
        false, false, NULL, NULL},
    {"5 4 3 2 1", {5, 4, 3, 2, 1}, LISTED_ALL, false, false, false, NULL, NULL},
    {"[5]>[4]\xff[3]\n[2]\xc3[1]", {5, 4, 3, 2, 1}, LISTED_ALL, false, false, false, NULL, NULL},
};

static void check_text(rr_text found, const char *expected, const char *input) {
    if (expected != NULL) {
        CHECK_MSG(found.bytes == strlen(expected) && memcmp(found.data, expected, found.bytes) == 0,
            "\"%s\": found \"%.*s\", expected \"%s\"", input, (int)found.bytes, found.data,
            expected);
    }
}

static void check_case(const answer_case *c) {
    uint32_t order[5];
    rr_answer answer;
    /* a copy of exactly this length, so that the sanitizer sees a read past the end */
    size_t bytes = strlen(c->text);
    char *text = malloc(bytes + (bytes == 0));
    memcpy(text, c->text, bytes);
    rr_answer_parse(text, bytes, 5, order, &answer);
    for (int i = 0; i < 5; i++) {
        CHECK_MSG(order[i] == c->order[i], "\"%s\": place %d: found %u, expected %u", c->text, i,
            order[i], c->order[i]);
    }
    CHECK_MSG(answer.n_listed == c->n_listed, "\"%s\": n_listed %u", c->text, answer.n_listed);
    CHECK_MSG(answer.repaired == c->repaired, "\"%s\": repaired %d", c->text, answer.repaired);
    CHECK_MSG(c->repaired ? answer.dropped || answer.n_listed < 5 : !answer.dropped,
        "\"%s\": dropped", c->text);
    CHECK_MSG(answer.unclosed == c->unclosed, "\"%s\": unclosed %d", c->text, answer.unclosed);
    CHECK_MSG(answer.closed == c->closed, "\"%s\": closed %d", c->text, answer.closed);
    CHECK(!rr_answer_is_closed(text, bytes) || c->closed);
    check_text(answer.reasoning, c->reasoning, c->text);
    check_text(answer.answer, c->answer, c->text);
    free(text);
}

static void check_finish_at(const char *text, uint32_t n, bool ended, const char *expected) {
    const char *found = rr_answer_finish(text, strlen(text), n, ended);
    CHECK_MSG(
        (found == NULL) == (expected == NULL) && (found == NULL || strcmp(found, expected) == 0),
        "\"%s\", ended %d: found %s, expected %s", text, ended, found == NULL ? "NULL" : found,
        expected == NULL ? "NULL" : expected);
}

static void check_finish(const char *text, uint32_t n, const char *expected) {
    check_finish_at(text, n, false, expected);
    check_finish_at(text, n, true, expected);
}

/* What the two ways of writing an answer go by: free generation stops where an answer is closed,
 * strict thinking goes on while the text is thinking. */
static void check_thinking(void) {
    static const struct {
        const char *text;
        bool thinking, closed;
    } cases[] = {
        {"", false, false},
        {"Well, ", false, false},
        {"<think>", true, false},
        {"<think>The form is <answer>", true, false},
        {"<think>The form is <answer>[X] > [Y]</answer>", true, false},
        {"<think>The form is <answer>[X] > [Y]</answer>. <think>", true, false},
        {"<think>The form is <answer>[X] > [Y]</answer>.</think>", false, false},
        {"<think>The form is <answer>[X] > [Y]</answer>.</think><answer>[1]", false, false},
        {"<think>The form is <answer>[X] > [Y]</answer>.</think><answer>[1]</answer>", false, true},
        {"<think>so</think><answer>[1]</answer> <think>", false, true},
        {"<think>so</think><think>but", true, false},
        {"Well, <answer>", false, false},
        {"Well, <answer>[1]</answer>", false, true},
        {"<answer>[1] <think>", true, false},
        {"<answer>[1] <think></think></answer>", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *text = cases[i].text;
        const bool thinking = rr_answer_is_thinking(text, strlen(text)),
                   closed = rr_answer_is_closed(text, strlen(text));
        CHECK_MSG(thinking == cases[i].thinking && closed == cases[i].closed,
            "\"%s\": thinking %d, closed %d", text, thinking, closed);
    }
    /* a quoted answer is none while the model may go on; once it has ended, it is its last word */
    check_finish_at("<think>so <answer>[1]</answer>", 2, false, "\n</think>\n<answer> [");
    check_finish_at("<think>so <answer>[1]</answer>", 2, true, NULL);
    check_finish_at("<think>so <answer>[1", 2, false, "\n</think>\n<answer> [");
    check_finish_at("<think>so <answer>[1", 2, true, "");
    check_finish_at("<think>as <answer>[X] > [Y]</answer>", 2, true, "\n</think>\n<answer> [");
    check_finish_at("<think>so <answer>[1]</answer></think>", 2, false, "\n<answer> [");
    check_finish_at("<think>so <answer>[1]</answer></think>", 2, true, NULL);
}

static void check_opening(const char *text, const char *expected) {
    CHECK_TEXT(rr_answer_opening(text, strlen(text)), expected);
}

/* Behind any text and its opening, a list is read as the answer and nothing else is. */
static void check_openings(void) {
    static const char *const texts[] = {"", "<think>", "<think>[3] is best", "<think>[3]</think>",
        "<think>[3]</think>\n\n", "I like [2]", "[2] > [3] > [1]", "<think>[1] so <answer>",
        "<think>[1]</think><answer>", "<think><answer>[1]</answer>",
        "<think><answer>[1]</answer></think>", "<answer>", "<answer> [", "<answer>\n",
        "<think>[1]</thin", "</think>", "\n", "<"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[200];
        uint32_t order[3];
        rr_answer answer;
        int bytes = snprintf(text, sizeof text, "%s%s2] > [3] > [1] </answer>", texts[i],
            rr_answer_opening(texts[i], strlen(texts[i])));
        rr_answer_parse(text, (size_t)bytes, 3, order, &answer);
        CHECK_MSG(order[0] == 2 && order[1] == 3 && order[2] == 1 && answer.n_listed == 3 &&
                !answer.repaired && answer.closed,
            "\"%s\": not read", text);
        check_text(answer.answer, "[2] > [3] > [1]", text);
    }
    check_opening("", "<think>\n</think>\n<answer> [");
    check_opening("<think>so", "\n</think>\n<answer> [");
    check_opening("<think>so</think>", "\n<answer> [");
    check_opening("<think>so</think>\n", "<answer> [");
    check_opening("<think>so <answer>", "\n</think>\n<answer> [");
    check_opening("<think>so <answer>[1]</answer></think>", "\n<answer> [");
    check_opening("so <answer>", " [");
    check_opening("<answer>[", "");
    check_opening("<answer>\n", "[");
    check_opening("[2] > [1]", "\n<answer> [");
}

int main(void) {
    check_openings();
    check_thinking();
    for (size_t i = 0; i < sizeof answer_cases / sizeof answer_cases[0]; i++) {
        check_case(&answer_cases[i]);
    }

    check_finish("<think>so</think><answer>[1]</answer>", 2, NULL);
    check_finish("<think>so", 2, "\n</think>\n<answer> [");
    check_finish("<think>so</think>", 2, "\n<answer> [");
    check_finish("<think>so</think>\n<answer> [2", 2, "");
    check_finish("I cannot tell [2] from [1].", 2, "\n<answer> [");
    check_finish("[2] > [1]", 2, NULL);
    check_finish("[2] > [1]", 3, "\n<answer> [");
    check_finish("\u2461 > \u2460.", 2, NULL);
    check_finish("", 2, "\n<answer> [");
    /* what is appended leads to an answer that is read */
    uint32_t order[RR_WINDOW_MAX];
    rr_answer answer;
    const char forced[] = "<think>I like [1]\n</think>\n<answer> [2] > [1]";
    rr_answer_parse(forced, sizeof forced - 1, 2, order, &answer);
    CHECK(order[0] == 2 && order[1] == 1 && !answer.repaired && answer.unclosed);

    rr_answer_parse(NULL, 0, RR_WINDOW_MAX, order, &answer);
    CHECK(order[0] == 1 && order[RR_WINDOW_MAX - 1] == RR_WINDOW_MAX && answer.n_listed == 0);
    return CHECK_END();
}
