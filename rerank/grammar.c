#include "rerank/grammar.h"

#include <stdio.h>
#include <string.h>

/* The digit that a token stands for, or -1. */
static int digit_of(const rr_tokenizer *tokenizer, int32_t id) {
    rr_text piece = rr_tokenizer_piece(tokenizer, id, false);
    return piece.bytes == 1 && piece.data[0] >= '0' && piece.data[0] <= '9' ? piece.data[0] - '0'
                                                                            : -1;
}

static rr_status encode(
    const rr_tokenizer *tokenizer, const rr_buf *text, rr_tokens *out, rr_diag *diag) {
    if (text->failed) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the tokens of an answer");
    }
    return rr_tokenizer_encode(tokenizer, text->data, text->bytes, out, diag);
}

/* Cuts the tokens of "[0] > [1] … > [9]" and its end at the digits. */
static bool find_parts(
    const rr_tokenizer *tokenizer, const rr_tokens *sample, rr_answer_tokens *out) {
    uint32_t n_digits = 0, n_mark = 0;
    int32_t mark[RR_GRAMMAR_MARKS];
    for (size_t i = 0; i <= sample->n; i++) {
        const bool end = i == sample->n;
        if (!end && digit_of(tokenizer, sample->ids[i]) < 0) {
            if (n_mark == RR_GRAMMAR_MARKS) {
                return false;
            }
            mark[n_mark++] = sample->ids[i];
            continue;
        }
        if (end) {
            memcpy(out->close, mark, n_mark * sizeof *mark);
            out->n_close = n_mark;
        } else if (n_digits == 1) {
            memcpy(out->between, mark, n_mark * sizeof *mark);
            out->n_between = n_mark;
        }
        if (!end && (n_digits == 10 || digit_of(tokenizer, sample->ids[i]) != (int)n_digits)) {
            return false;
        }
        if (!end) {
            out->digits[n_digits++] = sample->ids[i];
        }
        n_mark = 0;
    }
    return n_digits == 10 && out->n_between > 0 && out->n_close > 0;
}

/* Appends what the parts say are the tokens of the ids 1…n behind the first "[". */
static void put_ids(const rr_answer_tokens *tokens, uint32_t n, rr_tokens *out) {
    for (uint32_t id = 1; id <= n; id++) {
        char digits[16];
        int n_digits = snprintf(digits, sizeof digits, "%u", id);
        for (int i = 0; i < n_digits; i++) {
            rr_tokens_push(out, tokens->digits[digits[i] - '0']);
        }
        rr_tokens_append(out, id < n ? tokens->between : tokens->close,
            id < n ? tokens->n_between : tokens->n_close);
    }
}

/* Whether a ranking of the most ids is encoded as `parts` say. */
static rr_status check_parts(const rr_tokenizer *tokenizer, const rr_answer_tokens *parts,
    const char *end, bool *out, rr_diag *diag) {
    rr_buf text = {0};
    rr_tokens found = {0}, expected = {0};
    rr_status status = RR_OK;
    for (uint32_t id = 1; id <= RR_WINDOW_MAX; id++) {
        rr_buf_printf(&text, id == 1 ? "[%u" : "] > [%u", id);
    }
    rr_buf_text(&text, end);
    RR_TRY_GOTO(encode(tokenizer, &text, &found, diag));
    put_ids(parts, RR_WINDOW_MAX, &expected);
    if (found.failed || expected.failed) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for the tokens of an answer");
        goto fail;
    }
    /* what stands before the first id is another's */
    size_t first = found.n - (expected.n < found.n ? expected.n : found.n);
    *out = found.n >= expected.n && first <= 1 &&
        memcmp(found.ids + first, expected.ids, expected.n * sizeof *expected.ids) == 0;
fail:
    rr_buf_destroy(&text);
    rr_tokens_destroy(&found);
    rr_tokens_destroy(&expected);
    return status;
}

rr_status rr_answer_tokens_make(
    const rr_tokenizer *tokenizer, rr_prompt_style style, rr_answer_tokens *out, rr_diag *diag) {
    const char *const end = style == RR_PROMPT_REARANK ? "] </answer>" : "]";
    rr_answer_tokens parts = {0};
    rr_buf text = {0};
    rr_tokens sample = {0};
    rr_status status = RR_OK;
    bool right = false;
    for (unsigned d = 0; d < 10; d++) {
        rr_buf_printf(&text, d == 0 ? "[%u" : "] > [%u", d);
    }
    rr_buf_text(&text, end);
    RR_TRY_GOTO(encode(tokenizer, &text, &sample, diag));
    if (find_parts(tokenizer, &sample, &parts)) {
        RR_TRY_GOTO(check_parts(tokenizer, &parts, end, &right, diag));
    }
    if (right) {
        *out = parts;
    } else {
        status = rr_fail(diag, RR_E_UNSUPPORTED,
            "this vocabulary does not write numbers digit by digit, as Qwen2's does: strict answers need that; "
            "leave them off (--no-strict)");
    }
fail:
    rr_buf_destroy(&text);
    rr_tokens_destroy(&sample);
    return status;
}

size_t rr_answer_tokens_most(const rr_answer_tokens *tokens, uint32_t n, uint32_t n_wanted) {
    size_t n_digits = 1;
    for (uint32_t most = n; most >= 10; most /= 10) {
        n_digits++;
    }
    uint32_t n_ids = n_wanted == 0 || n_wanted > n ? n : n_wanted;
    return n_ids * (n_digits + tokens->n_between) + tokens->n_close;
}

void rr_grammar_begin(
    rr_grammar *grammar, const rr_answer_tokens *tokens, uint32_t n, uint32_t n_wanted) {
    *grammar = (rr_grammar){
        .tokens = tokens, .n = n, .n_wanted = n_wanted == 0 || n_wanted > n ? n : n_wanted};
}

static bool is_free(const rr_grammar *grammar, uint32_t id) {
    return id >= 1 && id <= grammar->n && !grammar->used[id];
}

/* Whether the digits of `number` begin an id that is not listed yet. */
static bool leads_on(const rr_grammar *grammar, uint32_t number) {
    for (uint32_t first = number, width = 1; number > 0 && first <= grammar->n;
         first *= 10, width *= 10) {
        for (uint32_t id = first; id < first + width && id <= grammar->n; id++) {
            if (!grammar->used[id]) {
                return true;
            }
        }
    }
    return false;
}

/* What ends the id being written: the next one follows, or nothing. */
static const int32_t *end_of_id(const rr_grammar *grammar, uint32_t *n) {
    const bool last = grammar->n_listed + 1 == grammar->n_wanted;
    *n = last ? grammar->tokens->n_close : grammar->tokens->n_between;
    return last ? grammar->tokens->close : grammar->tokens->between;
}

uint32_t rr_grammar_next(const rr_grammar *grammar, int32_t out[RR_GRAMMAR_CHOICES]) {
    uint32_t n = 0, n_mark;
    if (grammar->done) {
        return 0;
    }
    if (grammar->mark != NULL) {
        out[0] = grammar->mark[grammar->at_mark];
        return 1;
    }
    for (uint32_t d = 0; d < 10; d++) {
        if (leads_on(grammar, grammar->number * 10 + d)) {
            out[n++] = grammar->tokens->digits[d];
        }
    }
    if (is_free(grammar, grammar->number)) {
        out[n++] = end_of_id(grammar, &n_mark)[0];
    }
    return n;
}

/* Goes on in what stands between ids; `mark` has just got its first or next token. */
static void step_mark(rr_grammar *grammar) {
    if (++grammar->at_mark == grammar->n_mark) {
        grammar->mark = NULL;
        grammar->at_mark = 0;
        grammar->done = grammar->n_listed == grammar->n_wanted;
    }
}

bool rr_grammar_take(rr_grammar *grammar, int32_t id) {
    int32_t choices[RR_GRAMMAR_CHOICES];
    uint32_t n = rr_grammar_next(grammar, choices), at = 0;
    while (at < n && choices[at] != id) {
        at++;
    }
    if (at == n) {
        return false;
    }
    if (grammar->mark != NULL) {
        step_mark(grammar);
        return true;
    }
    for (uint32_t d = 0; d < 10; d++) {
        if (grammar->tokens->digits[d] == id) {
            grammar->number = grammar->number * 10 + d;
            return true;
        }
    }
    grammar->mark = end_of_id(grammar, &grammar->n_mark);
    grammar->used[grammar->number] = true;
    grammar->order[grammar->n_listed++] = grammar->number;
    grammar->number = 0;
    step_mark(grammar);
    return true;
}
