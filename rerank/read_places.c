#include "rerank/read_places.h"

#include <stdio.h>
#include <string.h>

/* messages before the passages; tokens behind a message's text: its end, a line break */
enum { FIRST_PASSAGE = 3, TOKENS_BEHIND = 2 };

/* The token of [from, to) behind those that hold the first `bytes` bytes of the text. */
static uint32_t skip(const rr_tokenizer *tokenizer, const rr_tokens *tokens, uint32_t from,
    uint32_t to, size_t bytes) {
    size_t passed = 0;
    while (from < to && passed < bytes) {
        passed += rr_tokenizer_piece(tokenizer, tokens->ids[from], false).bytes;
        from++;
    }
    return from;
}

/* The token of [from, to) from which on they hold the last `bytes` bytes of the text and nothing
 * before. */
static uint32_t skip_back(const rr_tokenizer *tokenizer, const rr_tokens *tokens, uint32_t from,
    uint32_t to, size_t bytes) {
    size_t passed = 0;
    while (to > from && passed < bytes) {
        to--;
        passed += rr_tokenizer_piece(tokenizer, tokens->ids[to], false).bytes;
    }
    return passed > bytes ? to + 1 : to;
}

/* Of the query's tokens [begin, end) as many as may be looked at, then the last token of the
 * prompt. */
static void put_rows(rr_read_places *out, uint32_t begin, uint32_t end, uint32_t last) {
    const uint32_t n = end - begin, most = RR_READ_ROWS - 1, taken = n < most ? n : most;
    for (uint32_t i = 0; i < taken; i++) {
        out->rows[i] = begin + (uint32_t)((uint64_t)i * n / taken);
    }
    out->rows[taken] = last;
    out->n_rows = taken + 1;
}

rr_status rr_read_places_find(const rr_tokenizer *tokenizer, const rr_prompt *prompt,
    rr_tokens *tokens, rr_read_places *out, rr_diag *diag) {
    size_t before, behind;
    rr_prompt_around_query(RR_PROMPT_REARANK, &before, &behind);
    *out = (rr_read_places){.n = (uint32_t)(prompt->n - FIRST_PASSAGE - 1) / 2};
    if (out->n > RR_READ_PASSAGES) {
        return rr_fail(diag, RR_E_INPUT,
            "a window of %u passages: at most %d can be read at once; make the window smaller",
            out->n, RR_READ_PASSAGES);
    }
    uint32_t query_begin = 0, query_end = 0;
    for (size_t i = 0; i < prompt->n; i++) {
        const rr_message *message = &prompt->messages[i];
        const size_t role_bytes = strlen(message->role) + 1;
        const uint32_t begin = (uint32_t)tokens->n + 1; /* behind the message's first token */
        const bool is_last = i + 1 == prompt->n;
        RR_TRY(rr_chat_encode(tokenizer, message, 1, is_last, tokens, diag));
        uint32_t end = (uint32_t)tokens->n - TOKENS_BEHIND;
        if (is_last) { /* the opening of the answer stands behind it */
            while (tokens->ids[end] != rr_tokenizer_im_end(tokenizer)) {
                end--;
            }
            query_begin = skip(tokenizer, tokens, begin, end, role_bytes + before);
            query_end = skip_back(tokenizer, tokens, begin, end, behind);
        } else if (i >= FIRST_PASSAGE && (i - FIRST_PASSAGE) % 2 == 0) {
            char label[24];
            const int n = snprintf(label, sizeof label, "[%zu]", (i - FIRST_PASSAGE) / 2 + 1);
            out->passages[(i - FIRST_PASSAGE) / 2] =
                (rr_token_span){skip(tokenizer, tokens, begin, end, role_bytes + (size_t)n), end};
        } else if (i >= FIRST_PASSAGE) {
            out->ends[(i - FIRST_PASSAGE) / 2] = end - 1;
        }
    }
    put_rows(
        out, query_begin < query_end ? query_begin : query_end, query_end, (uint32_t)tokens->n - 1);
    return RR_OK;
}
