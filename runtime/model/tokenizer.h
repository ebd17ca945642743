/* The Qwen2 tokenizer: NFC, pre-tokenization regex, byte-level BPE.
 * Owns: vocabulary, merges, compiled regex. Immutable after creation; encoding is thread safe.
 * Source: the tokenizer.json of Qwen2/Qwen2.5 (Hugging Face). */
#ifndef RR_MODEL_TOKENIZER_H
#define RR_MODEL_TOKENIZER_H

#include "runtime/base/memory.h"
#include "runtime/model/source.h"
#include "runtime/model/utf8.h"

typedef struct rr_tokenizer rr_tokenizer;

/* Builds from the source's tokens and merges (rr_source_tokens); borrows nothing after return.
 * Errors: RR_E_INPUT (missing or inconsistent tables), RR_E_UNSUPPORTED (another tokenizer),
 * RR_E_MEMORY. */
rr_status rr_tokenizer_create(const rr_source *source, rr_tokenizer **out, rr_diag *diag);
void rr_tokenizer_destroy(rr_tokenizer **tokenizer);

/* Appends the ids of `text` (any bytes; what is not UTF-8 becomes U+FFFD) as plain text: special
 * tokens are never recognised here. Errors: RR_E_MEMORY, RR_E_INTERNAL. Cost: O(bytes), per
 * prompt. */
rr_status rr_tokenizer_encode(
    const rr_tokenizer *tokenizer, const char *text, size_t bytes, rr_tokens *out, rr_diag *diag);

/* As encode, but special tokens written out in the text (<|im_start|> …) become their ids. Only for
 * text that the program's user typed as a template; never for passages. */
rr_status rr_tokenizer_encode_special(
    const rr_tokenizer *tokenizer, const char *text, size_t bytes, rr_tokens *out, rr_diag *diag);

/* The bytes of one token (may be part of a character). Control tokens give their text when
 * `special`, else nothing; user-defined ones (a fine-tune's <think>) are content and always give
 * it. Ids out of range give nothing. */
rr_text rr_tokenizer_piece(const rr_tokenizer *tokenizer, int32_t id, bool special);

uint32_t rr_tokenizer_n_vocab(const rr_tokenizer *tokenizer);
bool rr_tokenizer_is_special(const rr_tokenizer *tokenizer, int32_t id);
/* −1 when absent */
int32_t rr_tokenizer_special_id(const rr_tokenizer *tokenizer, const char *text);
/* −1 when the vocabulary has none (a generated test vocabulary). */
int32_t rr_tokenizer_im_start(const rr_tokenizer *tokenizer);
int32_t rr_tokenizer_im_end(const rr_tokenizer *tokenizer);
int32_t rr_tokenizer_end_of_text(const rr_tokenizer *tokenizer);
/* Whether a generated token ends the answer: <|im_end|>, <|endoftext|>, or another that the model's
 * files name. */
bool rr_tokenizer_is_end(const rr_tokenizer *tokenizer, int32_t id);

#endif
