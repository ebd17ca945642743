/* What a ranking's grammar must do in any vocabulary: admit every permutation as the tokenizer
 * writes it, and nothing else. */
#ifndef RR_TESTS_GRAMMAR_CHECKS_H
#define RR_TESTS_GRAMMAR_CHECKS_H

#include "rerank/answer.h"
#include "rerank/grammar.h"
#include "tests/check.h"

static uint64_t grammar_seed = 1;

static uint32_t grammar_random(uint32_t below) {
    grammar_seed = grammar_seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(((grammar_seed >> 33) * below) >> 31);
}

/* The tokens of a ranking behind its opening. */
static void grammar_encode(const rr_tokenizer *tokenizer, rr_prompt_style style,
    const uint32_t *order, uint32_t n, rr_tokens *out) {
    rr_diag diag = {0};
    rr_buf text = {0};
    rr_tokens opening = {0}, all = {0};
    const char *open = style == RR_PROMPT_REARANK ? "</think>\n<answer> [" : "[";
    rr_buf_text(&text, open);
    for (uint32_t i = 0; i < n; i++) {
        rr_buf_printf(&text, i == 0 ? "%u" : "] > [%u", order[i]);
    }
    rr_buf_text(&text, style == RR_PROMPT_REARANK ? "] </answer>" : "]");
    CHECK_OK(rr_tokenizer_encode(tokenizer, open, strlen(open), &opening, &diag), diag);
    CHECK_OK(rr_tokenizer_encode(tokenizer, text.data, text.bytes, &all, &diag), diag);
    CHECK(all.n > opening.n && memcmp(all.ids, opening.ids, opening.n * sizeof *all.ids) == 0);
    rr_tokens_append(out, all.ids + opening.n, all.n - opening.n);
    rr_buf_destroy(&text);
    rr_tokens_destroy(&opening);
    rr_tokens_destroy(&all);
}

static bool grammar_admits(const rr_grammar *grammar, int32_t id) {
    int32_t choices[RR_GRAMMAR_CHOICES];
    uint32_t n = rr_grammar_next(grammar, choices);
    for (uint32_t i = 0; i < n; i++) {
        if (choices[i] == id) {
            return true;
        }
    }
    return false;
}

/* Any token that is not admitted is refused and changes nothing. */
static void check_refusals(rr_grammar *grammar, uint32_t n_vocab) {
    static rr_grammar before;
    before = *grammar;
    for (int i = 0; i < 24; i++) {
        int32_t id = i < 10 ? grammar->tokens->digits[i]
            : i == 10       ? -1
                            : (int32_t)grammar_random(n_vocab);
        if (!grammar_admits(grammar, id)) {
            CHECK(!rr_grammar_take(grammar, id) && memcmp(&before, grammar, sizeof before) == 0);
        }
    }
}

/* A permutation as the tokenizer writes it goes through, and is recorded. */
static void check_written(const rr_tokenizer *tokenizer, rr_prompt_style style,
    const rr_answer_tokens *tokens, uint32_t n, uint32_t n_wanted) {
    static rr_grammar grammar;
    uint32_t order[RR_WINDOW_MAX];
    rr_tokens ids = {0};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = grammar_random(i + 1);
        order[i] = order[j];
        order[j] = i + 1;
    }
    grammar_encode(tokenizer, style, order, n_wanted, &ids);
    CHECK(ids.n <= rr_answer_tokens_most(tokens, n, n_wanted));
    rr_grammar_begin(&grammar, tokens, n, n_wanted == n ? 0 : n_wanted);
    size_t taken = 0;
    while (taken < ids.n && rr_grammar_take(&grammar, ids.ids[taken])) {
        taken++;
    }
    CHECK_MSG(taken == ids.n, "%u of %u: token %zu of %zu refused", n_wanted, n, taken, ids.n);
    CHECK(grammar.done && grammar.n_listed == n_wanted &&
        memcmp(order, grammar.order, n_wanted * sizeof *order) == 0);
    rr_tokens_destroy(&ids);
}

/* Whatever is chosen among the admitted tokens becomes a whole ranking, written as the tokenizer
 * would. */
static void check_walk(const rr_tokenizer *tokenizer, rr_prompt_style style,
    const rr_answer_tokens *tokens, uint32_t n, uint32_t n_wanted) {
    static rr_grammar grammar;
    rr_tokens taken = {0}, expected = {0};
    rr_buf text = {0};
    int32_t choices[RR_GRAMMAR_CHOICES];
    uint32_t n_choices, order[RR_WINDOW_MAX];
    rr_grammar_begin(&grammar, tokens, n, n_wanted);
    rr_buf_text(&text, style == RR_PROMPT_REARANK ? "<think>[1] [7]</think>\n<answer> [" : "[");
    while ((n_choices = rr_grammar_next(&grammar, choices)) > 0 && taken.n < 8 * RR_WINDOW_MAX) {
        if (taken.n % 8 == 0) {
            check_refusals(&grammar, rr_tokenizer_n_vocab(tokenizer));
        }
        int32_t id = choices[grammar_random(n_choices)];
        CHECK(rr_grammar_take(&grammar, id));
        rr_tokens_push(&taken, id);
        rr_text piece = rr_tokenizer_piece(tokenizer, id, false);
        rr_buf_append(&text, piece.data, piece.bytes);
    }
    CHECK(grammar.done && !rr_grammar_take(&grammar, tokens->digits[1]));
    rr_answer answer;
    rr_answer_parse(text.data, text.bytes, n, order, &answer);
    CHECK_INT(answer.n_listed, n_wanted);
    CHECK_INT(answer.repaired, n_wanted < n);
    CHECK_INT(answer.closed, style == RR_PROMPT_REARANK);
    CHECK(grammar.n_listed == n_wanted &&
        memcmp(order, grammar.order, n_wanted * sizeof *order) == 0);
    grammar_encode(tokenizer, style, order, n_wanted, &expected);
    CHECK_MSG(
        taken.n == expected.n && memcmp(taken.ids, expected.ids, taken.n * sizeof *taken.ids) == 0,
        "%.*s: not as the tokenizer writes it", (int)text.bytes, text.data);
    rr_tokens_destroy(&taken);
    rr_tokens_destroy(&expected);
    rr_buf_destroy(&text);
}

/* All that a grammar admits, counted. */
static size_t count_rankings(const rr_grammar *grammar) {
    int32_t choices[RR_GRAMMAR_CHOICES];
    uint32_t n = rr_grammar_next(grammar, choices);
    size_t count = n == 0;
    for (uint32_t i = 0; i < n; i++) {
        rr_grammar next = *grammar;
        CHECK(rr_grammar_take(&next, choices[i]));
        count += count_rankings(&next);
    }
    return count;
}

static void check_grammar(const rr_tokenizer *tokenizer) {
    static const uint32_t sizes[] = {
        1, 2, 3, 9, 10, 11, 12, 19, 20, 21, 37, 99, 100, 101, 110, 120, 250, 999, RR_WINDOW_MAX};
    rr_diag diag = {0};
    for (int s = 0; s < 2; s++) {
        rr_prompt_style style = s == 0 ? RR_PROMPT_REARANK : RR_PROMPT_RANKGPT;
        rr_answer_tokens tokens;
        CHECK_OK(rr_answer_tokens_make(tokenizer, style, &tokens, &diag), diag);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            const uint32_t n = sizes[i];
            for (int run = 0; run < (n <= 120 ? 30 : 2); run++) {
                check_written(tokenizer, style, &tokens, n, n);
                check_written(tokenizer, style, &tokens, n, 1 + grammar_random(n));
                check_walk(tokenizer, style, &tokens, n, n);
                check_walk(tokenizer, style, &tokens, n, 1 + grammar_random(n));
            }
        }
        static rr_grammar grammar;
        static const struct {
            uint32_t n, n_wanted;
            size_t count;
        } counts[] = {{1, 0, 1}, {4, 0, 24}, {6, 0, 720}, {12, 2, 132}, {101, 1, 101}, {25, 2, 600},
            {3, 7, 6}};
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            rr_grammar_begin(&grammar, &tokens, counts[i].n, counts[i].n_wanted);
            CHECK_INT(count_rankings(&grammar), counts[i].count);
        }
    }
}

#endif
