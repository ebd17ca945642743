#include "rerank/prompt.h"

#include <string.h>

#include "rerank/data/clean.h"
#include "rerank/data/digest.h"

/* {Q} is the query, {N} the number of passages. The texts are the training data's own: do not mend
 * them. */
typedef struct prompt_text {
    const char *system, *ask, *ready, *received, *close;
    size_t n_passage_chars;
} prompt_text;

static const prompt_text prompt_texts[] = {
    [RR_PROMPT_REARANK] =
        {
            .system =
                "You are DeepRerank, an intelligent assistant that can rank passages based on their relevancy to the "
                "search query. You first thinks about the reasoning process in the mind and then provides the user "
                "with the answer.",
            .ask =
                "I will provide you with passages, each indicated by number identifier []. Rank the passages based on "
                "their relevance to the search query.Search Query: {Q}. \n"
                "Rank the {N} passages above based on their relevance to the search query.The passages should be listed "
                "in descending order using identifiers. The most relevant passages should be listed first. The output "
                "format should be <answer> [] > [] </answer>, e.g., <answer> [1] > [2] </answer>.",
            .ready = "Okay, please provide the passages.",
            .received = "Received passage [{N}].",
            .close =
                "Please rank these passages according to their relevance to the search query: \"{Q}\"\n"
                "            Follow these steps exactly:\n"
                "            1. First, within <think> tags, analyze EACH passage individually:\n"
                "            - Evaluate how well it addresses the query\n"
                "            - Note specific relevant information or keywords\n"
                "\n"
                "            2. Then, within <answer> tags, provide ONLY the final ranking in descending order of "
                "relevance using the format: [X] > [Y] > [Z]",
            .n_passage_chars = 400,
        },
    [RR_PROMPT_RANKGPT] =
        {
            .system =
                "You are RankGPT, an intelligent assistant that can rank passages based on their relevancy to the "
                "query.",
            .ask =
                "I will provide you with {N} passages, each indicated by number identifier []. \n"
                "Rank the passages based on their relevance to query: {Q}.",
            .ready = "Okay, please provide the passages.",
            .received = NULL,
            .close =
                "Search Query: {Q}. \n"
                "Rank the {N} passages above based on their relevance to the search query. The passages should be "
                "listed in descending order using identifiers. The most relevant passages should be listed first. The "
                "output format should be [] > [], e.g., [1] > [2]. Only response the ranking results, do not say any "
                "word or explain.",
            .n_passage_chars = 300,
        },
};

size_t rr_prompt_chars(const rr_prompt_form *form) {
    return form->passage_chars != 0 ? form->passage_chars
                                    : prompt_texts[form->style].n_passage_chars;
}

void rr_prompt_passage(const rr_prompt_form *form, const rr_passage *passage, rr_buf *out) {
    rr_buf whole = {0}, flat = {0};
    if (passage->title.bytes > 0) {
        rr_clean_spaces(passage->title.data, passage->title.bytes, &flat);
    }
    if (flat.bytes > 0) {
        rr_buf_text(&whole, "Title: ");
        rr_buf_append(&whole, flat.data, flat.bytes);
        rr_buf_text(&whole, " Content: ");
    }
    rr_buf_append(&whole, passage->text.data, passage->text.bytes);
    rr_buf_clear(&flat);
    rr_clean_spaces(whole.data, whole.bytes, &flat);
    if (whole.failed || flat.failed) {
        out->failed = true;
    } else {
        rr_buf_append(out, flat.data, rr_clean_cut(flat.data, flat.bytes, rr_prompt_chars(form)));
    }
    rr_buf_destroy(&whole);
    rr_buf_destroy(&flat);
}

/* Appends `text` with {Q} and {N} filled in. The query's own braces are not looked at. */
static void fill_in(const char *text, rr_text query, size_t number, rr_buf *out) {
    for (const char *at = text; *at != '\0';) {
        if (strncmp(at, "{Q}", 3) == 0) {
            rr_clean_utf8(query.data, query.bytes, out);
            at += 3;
        } else if (strncmp(at, "{N}", 3) == 0) {
            rr_buf_printf(out, "%zu", number);
            at += 3;
        } else {
            size_t plain = 1 + strcspn(at + 1, "{");
            rr_buf_append(out, at, plain);
            at += plain;
        }
    }
}

/* Moves the buffer's text into the prompt as its next message and clears the buffer. */
static void add_message(rr_prompt *prompt, const char *role, rr_buf *text) {
    char *content = text->failed ? NULL : rr_arena_copy(&prompt->arena, text->data, text->bytes);
    if (content == NULL) {
        text->failed = true;
        return;
    }
    prompt->messages[prompt->n++] = (rr_message){role, content, text->bytes};
    rr_buf_clear(text);
}

static rr_status out_of_memory(size_t n, rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory for a prompt of %zu passages", n);
}

rr_status rr_prompt_build(const rr_prompt_form *form, const rr_query *query, const uint32_t *order,
    size_t n, rr_prompt *out, rr_diag *diag) {
    RR_TRY(rr_prompt_build_start(form, query, order, n, n, out, diag));
    rr_buf text = {0};
    fill_in(prompt_texts[form->style].close, query->text, n, &text);
    add_message(out, "user", &text);
    bool failed = text.failed;
    rr_buf_destroy(&text);
    return failed ? out_of_memory(n, diag) : RR_OK;
}

rr_status rr_prompt_build_start(const rr_prompt_form *form, const rr_query *query,
    const uint32_t *order, size_t n_known, size_t n, rr_prompt *out, rr_diag *diag) {
    const prompt_text *texts = &prompt_texts[form->style];
    size_t n_messages = (texts->received != NULL ? 2 * n_known : n_known) + 4;
    rr_buf text = {0};
    *out = (rr_prompt){0};
    out->messages = rr_arena_alloc(&out->arena, n_messages, sizeof *out->messages);
    if (out->messages == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a prompt of %zu messages", n_messages);
    }
    rr_buf_text(&text, texts->system);
    add_message(out, "system", &text);
    fill_in(texts->ask, query->text, n, &text);
    add_message(out, "user", &text);
    rr_buf_text(&text, texts->ready);
    add_message(out, "assistant", &text);
    for (size_t i = 0; i < n_known; i++) {
        rr_buf_printf(&text, "[%zu] ", i + 1);
        rr_prompt_passage(form, &query->passages[order != NULL ? order[i] : i], &text);
        add_message(out, "user", &text);
        if (texts->received != NULL) {
            fill_in(texts->received, (rr_text){0}, i + 1, &text);
            add_message(out, "assistant", &text);
        }
    }
    bool failed = text.failed;
    rr_buf_destroy(&text);
    return failed ? out_of_memory(n, diag) : RR_OK;
}

void rr_prompt_around_query(rr_prompt_style style, size_t *before, size_t *behind) {
    const char *close = prompt_texts[style].close, *query = strstr(close, "{Q}");
    *before = (size_t)(query - close);
    *behind = strlen(query + strlen("{Q}"));
}

void rr_prompt_destroy(rr_prompt *prompt) {
    rr_arena_destroy(&prompt->arena);
    *prompt = (rr_prompt){0};
}

rr_status rr_prompt_fact(rr_prompt_style style, rr_buf *out, rr_diag *diag) {
    const rr_passage passages[] = {{.id = "1", .title = {"Title", 5}, .text = {"Text", 4}},
        {.id = "2", .title = {"", 0}, .text = {"Other", 5}}};
    const rr_query query = {.qid = "1", .text = {"Query", 5}, .passages = passages, .n = 2};
    rr_prompt prompt = {0};
    uint64_t hash[2] = {0};
    rr_status status =
        rr_prompt_build(&(rr_prompt_form){.style = style}, &query, NULL, query.n, &prompt, diag);
    for (size_t i = 0; i < prompt.n && status == RR_OK; i++) {
        rr_digest_text(hash, (rr_text){prompt.messages[i].role, strlen(prompt.messages[i].role)});
        rr_digest_text(
            hash, (rr_text){prompt.messages[i].content, prompt.messages[i].content_bytes});
    }
    rr_buf_printf(out, "%s %016llx", style == RR_PROMPT_REARANK ? "rearank" : "rankgpt",
        (unsigned long long)hash[0]);
    rr_prompt_destroy(&prompt);
    return status == RR_OK && out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory") : status;
}
