/* The messages that ask a model to rank one window of passages.
 * Owns: the prompt texts, byte for byte as the models were trained on them (odd spacing included),
 * and the rules for a passage's text. Knows no tokens: runtime/model/chat.h renders the messages.
 * Source: REARANK (arXiv 2505.20046) and its code; RankGPT (arXiv 2304.09542) as that code runs it
 * without thinking. */
#ifndef RR_RERANK_PROMPT_H
#define RR_RERANK_PROMPT_H

#include "rerank/data/query.h"
#include "runtime/base/memory.h"
#include "runtime/model/chat.h"

typedef enum rr_prompt_style {
    /* reason first, then answer: 2n + 4 messages, passages cut at 400 characters */
    RR_PROMPT_REARANK,
    RR_PROMPT_RANKGPT /* answer at once: n + 4 messages, passages cut at 300 characters */
} rr_prompt_style;

typedef struct rr_prompt_form {
    rr_prompt_style style;
    /* code points of a passage that are shown; 0 = the style's own, which its models were trained
     * on */
    uint32_t passage_chars;
} rr_prompt_form;

/* Messages and the memory behind them. Zero-initialise. */
typedef struct rr_prompt {
    rr_arena arena;
    rr_message *messages; /* [n] */
    size_t n;
} rr_prompt;

/* Code points of a passage that the form shows, at most. Pure. */
size_t rr_prompt_chars(const rr_prompt_form *form);

/* Appends a passage's text as the prompt shows it: "Title: t Content: c" where there is a title,
 * whitespace runs collapsed to one space, stripped, then as many code points as the form shows.
 * Failure shows in `out->failed`. */
void rr_prompt_passage(const rr_prompt_form *form, const rr_passage *passage, rr_buf *out);

/* Builds the messages for passages[order[0]], passages[order[1]], … [n], shown as [1], [2], …;
 * `order` NULL = as they stand. The query is not cut. `out` must be destroyed whatever happens.
 * Errors: RR_E_MEMORY. */
rr_status rr_prompt_build(const rr_prompt_form *form, const rr_query *query, const uint32_t *order,
    size_t n, rr_prompt *out, rr_diag *diag);
/* The messages of such a prompt up to passage `n_known` of `n`: rendered without an open answer,
 * they are the beginning of the whole one, in text and in tokens (a message ends with a special
 * token and a line break of its own). Otherwise alike. */
rr_status rr_prompt_build_start(const rr_prompt_form *form, const rr_query *query,
    const uint32_t *order, size_t n_known, size_t n, rr_prompt *out, rr_diag *diag);
/* Bytes of a prompt's closing message before its query and behind it. Pure. */
void rr_prompt_around_query(rr_prompt_style style, size_t *before, size_t *behind);
/* Appends a style's name and a digest of its wording to `out`: rankings and readouts that were made
 * with other words are told apart by it. Errors: RR_E_MEMORY. */
rr_status rr_prompt_fact(rr_prompt_style style, rr_buf *out, rr_diag *diag);
void rr_prompt_destroy(rr_prompt *prompt); /* accepts a zeroed prompt */

#endif
