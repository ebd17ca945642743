/* Where the parts of a window's prompt stand among its tokens: what is read of a prompt instead of
 * an answer is read there. Owns: the way from the prompt's messages (rerank/prompt.h) to token
 * positions. */
#ifndef RR_RERANK_READ_PLACES_H
#define RR_RERANK_READ_PLACES_H

#include "rerank/prompt.h"
#include "runtime/engine/read.h"

enum { RR_READ_PASSAGES = 100 }; /* of a window that is read, at most */

typedef struct rr_read_places {
    uint32_t n;                               /* passages */
    rr_token_span passages[RR_READ_PASSAGES]; /* the tokens of each, without its "[i]" */
    uint32_t ends[RR_READ_PASSAGES];          /* the last token of "Received passage [i]." */
    /* The tokens of the query in the closing message, at most RR_READ_ROWS − 1: of a longer one
     * some, evenly spread; behind them the prompt's last token. */
    uint32_t rows[RR_READ_ROWS];
    uint32_t n_rows;
} rr_read_places;

/* Encodes a whole prompt of RR_PROMPT_REARANK as rr_chat_encode does, with the answer open, behind
 * what `tokens` holds (nothing), and finds its parts. Errors: RR_E_INPUT for more than
 * RR_READ_PASSAGES passages, those of rr_chat_encode. */
rr_status rr_read_places_find(const rr_tokenizer *tokenizer, const rr_prompt *prompt,
    rr_tokens *tokens, rr_read_places *out, rr_diag *diag);

#endif
