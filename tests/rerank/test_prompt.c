/* The prompts byte for byte: texts that stand here, the rendered ones of the shared folder, and
 * whole windows of real queries as another implementation rendered them. */
#include "tests/check.h"

#include <yyjson.h>

#include "rerank/data/clean.h"
#include "rerank/prompt.h"
#include "rerank/rerank.h"
#include "runtime/base/file.h"

static const char rearank_rendered[] =
    "<|im_start|>system\n"
    "You are DeepRerank, an intelligent assistant that can rank passages based on their relevancy to the search query. You "
    "first thinks about the reasoning process in the mind and then provides the user with the answer.<|im_end|>\n"
    "<|im_start|>user\n"
    "I will provide you with passages, each indicated by number identifier []. Rank the passages based on their relevance to "
    "the search query.Search Query: {QUERY}. \n"
    "Rank the 2 passages above based on their relevance to the search query.The passages should be listed in descending order "
    "using identifiers. The most relevant passages should be listed first. The output format should be <answer> [] > [] "
    "</answer>, e.g., <answer> [1] > [2] </answer>.<|im_end|>\n"
    "<|im_start|>assistant\n"
    "Okay, please provide the passages.<|im_end|>\n"
    "<|im_start|>user\n"
    "[1] {PASSAGE_1}<|im_end|>\n"
    "<|im_start|>assistant\n"
    "Received passage [1].<|im_end|>\n"
    "<|im_start|>user\n"
    "[2] {PASSAGE_2}<|im_end|>\n"
    "<|im_start|>assistant\n"
    "Received passage [2].<|im_end|>\n"
    "<|im_start|>user\n"
    "Please rank these passages according to their relevance to the search query: \"{QUERY}\"\n"
    "            Follow these steps exactly:\n"
    "            1. First, within <think> tags, analyze EACH passage individually:\n"
    "            - Evaluate how well it addresses the query\n"
    "            - Note specific relevant information or keywords\n"
    "\n"
    "            2. Then, within <answer> tags, provide ONLY the final ranking in descending order of relevance using the "
    "format: [X] > [Y] > [Z]<|im_end|>\n"
    "<|im_start|>assistant\n";

static const char rankgpt_rendered[] =
    "<|im_start|>system\n"
    "You are RankGPT, an intelligent assistant that can rank passages based on their relevancy to the query.<|im_end|>\n"
    "<|im_start|>user\n"
    "I will provide you with 2 passages, each indicated by number identifier []. \n"
    "Rank the passages based on their relevance to query: {QUERY}.<|im_end|>\n"
    "<|im_start|>assistant\n"
    "Okay, please provide the passages.<|im_end|>\n"
    "<|im_start|>user\n"
    "[1] {PASSAGE_1}<|im_end|>\n"
    "<|im_start|>user\n"
    "[2] {PASSAGE_2}<|im_end|>\n"
    "<|im_start|>user\n"
    "Search Query: {QUERY}. \n"
    "Rank the 2 passages above based on their relevance to the search query. The passages should be listed in descending "
    "order using identifiers. The most relevant passages should be listed first. The output format should be [] > [], e.g., "
    "[1] > [2]. Only response the ranking results, do not say any word or explain.<|im_end|>\n"
    "<|im_start|>assistant\n";

static rr_text text_of(const char *text) {
    return (rr_text){text, strlen(text)};
}

static void check_buf(const rr_buf *found, const char *expected, size_t bytes, const char *what) {
    CHECK_MSG(found->bytes == bytes && memcmp(found->data, expected, bytes) == 0,
        "%s: found %zu bytes:\n%s\nexpected %zu:\n%.*s", what, found->bytes, found->data, bytes,
        (int)bytes, expected);
}

static void render(rr_prompt_style style, const rr_query *query, rr_buf *out) {
    rr_diag diag = {0};
    rr_prompt prompt;
    CHECK_OK(
        rr_prompt_build(&(rr_prompt_form){.style = style}, query, NULL, query->n, &prompt, &diag),
        diag);
    CHECK_INT(prompt.n, style == RR_PROMPT_REARANK ? 2 * query->n + 4 : query->n + 4);
    rr_buf_clear(out);
    CHECK_OK(rr_chat_render(prompt.messages, prompt.n, true, out, &diag), diag);
    rr_prompt_destroy(&prompt);
}

static const rr_passage two_passages[] = {
    {.id = "a", .text = {"{PASSAGE_1}", 11}}, {.id = "b", .text = {"{PASSAGE_2}", 11}}};
static const rr_query two = {.qid = "1", .text = {"{QUERY}", 7}, .passages = two_passages, .n = 2};

static void check_templates(void) {
    rr_buf text = {0};
    render(RR_PROMPT_REARANK, &two, &text);
    check_buf(&text, rearank_rendered, sizeof rearank_rendered - 1, "rearank");
    render(RR_PROMPT_RANKGPT, &two, &text);
    check_buf(&text, rankgpt_rendered, sizeof rankgpt_rendered - 1, "rankgpt");

    /* order and numbers; what looks like a placeholder in a query is only text */
    const uint32_t swapped[] = {1, 0};
    rr_diag diag = {0};
    rr_prompt prompt;
    rr_query odd = two;
    odd.text = text_of("a {N} {Q} b");
    CHECK_OK(rr_prompt_build(
                 &(rr_prompt_form){.style = RR_PROMPT_REARANK}, &odd, swapped, 2, &prompt, &diag),
        diag);
    CHECK_TEXT(prompt.messages[3].content, "[1] {PASSAGE_2}");
    CHECK_TEXT(prompt.messages[4].content, "Received passage [1].");
    CHECK_TEXT(prompt.messages[5].content, "[2] {PASSAGE_1}");
    CHECK(strstr(prompt.messages[1].content, "Search Query: a {N} {Q} b. \nRank the 2 passages") !=
        NULL);
    rr_prompt_destroy(&prompt);
    rr_buf_destroy(&text);
}

static void check_passage(
    rr_prompt_style style, const char *title, const char *text, const char *expected) {
    rr_passage passage = {.id = "", .title = text_of(title), .text = text_of(text)};
    rr_buf out = {0};
    rr_buf_text(&out, "");
    rr_prompt_passage(&(rr_prompt_form){.style = style}, &passage, &out);
    check_buf(&out, expected, strlen(expected), text);
    rr_buf_destroy(&out);
}

static void check_passages(void) {
    check_passage(RR_PROMPT_REARANK, "", "plain", "plain");
    check_passage(RR_PROMPT_REARANK, "T", "c", "Title: T Content: c");
    check_passage(RR_PROMPT_REARANK, " a \n b ", "\tc\t\td \r\n", "Title: a b Content: c d");
    check_passage(RR_PROMPT_REARANK, " \n ", "c", "c");
    check_passage(RR_PROMPT_REARANK, "T", "", "Title: T Content:");
    check_passage(RR_PROMPT_REARANK, "", " \t ", "");
    check_passage(RR_PROMPT_REARANK, "", "see [12]\xC2\xA0\xE2\x80\x83<|im_end|>\x1F\xE3\x80\x80.",
        "see [12] <|im_end|> .");
    check_passage(RR_PROMPT_REARANK, "", "a\xFF\xE2\x82z", "a\xEF\xBF\xBD\xEF\xBF\xBDz");
    /* cut in characters, not bytes; what the cut leaves at the end stays */
    rr_buf text = {0}, expected = {0};
    for (int i = 0; i < 401; i++) {
        rr_buf_text(&text,
            i == 399 || i == 299 ? " "
                : i % 2 == 0     ? "\xC3\xA9"
                                 : "\xF0\x9F\x90\x9D");
        rr_buf_text(&expected,
            i == 400                   ? ""
                : i == 399 || i == 299 ? " "
                : i % 2 == 0           ? "\xC3\xA9"
                                       : "\xF0\x9F\x90\x9D");
    }
    check_passage(RR_PROMPT_REARANK, "", text.data, expected.data);
    rr_buf_clear(&expected);
    for (int i = 0; i < 300; i++) {
        rr_buf_text(&expected, i == 299 ? " " : i % 2 == 0 ? "\xC3\xA9" : "\xF0\x9F\x90\x9D");
    }
    check_passage(RR_PROMPT_RANKGPT, "", text.data, expected.data);
    rr_buf_destroy(&text);
    rr_buf_destroy(&expected);
}

static void check_shared_templates(const char *shared) {
    const char *const names[] = {
        "rearank_chatml_rendered_n2.txt", "rankgpt_in_rearank_chatml_rendered_n2.txt"};
    for (int i = 0; i < 2; i++) {
        char path[4096];
        rr_diag diag = {0};
        rr_buf expected = {0}, text = {0};
        snprintf(path, sizeof path, "%s/facts/prompts/%s", shared, names[i]);
        CHECK_OK(rr_file_read(path, 1 << 20, &expected, &diag), diag);
        render(i == 0 ? RR_PROMPT_REARANK : RR_PROMPT_RANKGPT, &two, &text);
        check_buf(&text, expected.data, expected.bytes, names[i]);
        rr_buf_destroy(&expected);
        rr_buf_destroy(&text);
    }
}

/* Compares with a whole prompt of the first 20 passages; the candidates of some data sets are not
 * there. */
static bool check_vector(yyjson_val *vector, const rr_candidates *candidates, size_t n) {
    const char *qid = yyjson_get_str(yyjson_obj_get(vector, "qid"));
    yyjson_val *messages = yyjson_obj_get(vector, "messages");
    yyjson_val *asked = yyjson_obj_get(yyjson_arr_get(messages, 1), "content");
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < candidates[i].n; k++) {
            rr_query query = candidates[i].queries[k];
            if (strcmp(query.qid, qid) != 0 ||
                strstr(yyjson_get_str(asked), query.text.data) == NULL) {
                continue;
            }
            rr_buf text = {0};
            query.n = 20;
            render(RR_PROMPT_REARANK, &query, &text);
            yyjson_val *rendered = yyjson_obj_get(vector, "rendered");
            check_buf(&text, yyjson_get_str(rendered), yyjson_get_len(rendered), qid);
            rr_buf_destroy(&text);
            return true;
        }
    }
    return false;
}

/* Any vector again from its own messages: the passage texts taken back out of them, the query from
 * the closing one. */
static void check_vector_itself(yyjson_val *vector) {
    static const char opening[] =
        "Please rank these passages according to their relevance to the search query: \"";
    yyjson_val *messages = yyjson_obj_get(vector, "messages");
    size_t n = (yyjson_arr_size(messages) - 4) / 2;
    rr_passage passages[RR_WINDOW_MAX];
    rr_arena arena = {0};
    for (size_t i = 0; i < n; i++) {
        const char *content =
            yyjson_get_str(yyjson_obj_get(yyjson_arr_get(messages, 3 + 2 * i), "content"));
        rr_buf whole = {0};
        rr_buf_text(&whole, strchr(content, ']') + 2);
        if (rr_clean_count(whole.data, whole.bytes) == 400) {
            /* it was cut, perhaps behind a space, which must not be stripped now */
            rr_buf_text(&whole, "x");
        }
        passages[i] = (rr_passage){
            .id = "", .text = {rr_arena_copy(&arena, whole.data, whole.bytes), whole.bytes}};
        rr_buf_destroy(&whole);
    }
    const char *closing = yyjson_get_str(yyjson_obj_get(yyjson_arr_get_last(messages), "content")) +
        sizeof opening - 1;
    rr_query query = {.qid = "",
        .text = {closing, (size_t)(strstr(closing, "\"\n  ") - closing)},
        .passages = passages,
        .n = n};
    rr_buf text = {0};
    render(RR_PROMPT_REARANK, &query, &text);
    yyjson_val *rendered = yyjson_obj_get(vector, "rendered");
    check_buf(&text, yyjson_get_str(rendered), yyjson_get_len(rendered), "vector");
    rr_buf_destroy(&text);
    rr_arena_destroy(&arena);
}

static void check_shared_vectors(const char *shared) {
    const char *const names[] = {"dl19.bm25", "scifact.bm25"};
    rr_candidates candidates[2];
    char path[4096];
    rr_diag diag = {0};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/data/%s.jsonl", shared, names[i]);
        CHECK_OK(rr_candidates_read(path, &candidates[i], &diag), diag);
    }
    snprintf(path, sizeof path, "%s/data/tokenizer/chat_vectors.jsonl", shared);
    rr_buf lines = {0};
    CHECK_OK(rr_file_read(path, 1 << 24, &lines, &diag), diag);
    size_t n_vectors = 0, n_rebuilt = 0;
    for (char *line = strtok(lines.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        yyjson_doc *doc = yyjson_read(line, strlen(line), 0);
        n_vectors++;
        n_rebuilt += check_vector(yyjson_doc_get_root(doc), candidates, 2);
        check_vector_itself(yyjson_doc_get_root(doc));
        yyjson_doc_free(doc);
    }
    CHECK_INT(n_vectors, 3);
    CHECK_INT(n_rebuilt, 2);
    rr_buf_destroy(&lines);
    rr_candidates_destroy(&candidates[0]);
    rr_candidates_destroy(&candidates[1]);
}

int main(void) {
    check_templates();
    check_passages();
    const char *shared = check_shared();
    if (shared != NULL) {
        check_shared_templates(shared);
        check_shared_vectors(shared);
    } else {
        puts("no shared test data: only the texts of this file were compared");
    }
    return CHECK_END();
}
