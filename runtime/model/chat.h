/* ChatML, the chat template of Qwen2.5, with no default system prompt.
 * Owns: the template. "<|im_start|>role\ncontent<|im_end|>\n" a message; "<|im_start|>assistant\n"
 * to open the answer. */
#ifndef RR_MODEL_CHAT_H
#define RR_MODEL_CHAT_H

#include "runtime/model/tokenizer.h"

typedef struct rr_message {
    const char *role; /* "system", "user", "assistant" (NUL-terminated) */
    const char *content;
    size_t content_bytes;
} rr_message;

/* Appends the rendered text. Errors: RR_E_MEMORY. */
rr_status rr_chat_render(
    const rr_message *messages, size_t n, bool open_answer, rr_buf *out, rr_diag *diag);

/* Appends the ids. Special tokens stand exactly where the template puts them; content is plain text
 * whatever it holds. Errors: RR_E_UNSUPPORTED when the vocabulary lacks <|im_start|> or <|im_end|>,
 * RR_E_MEMORY. */
rr_status rr_chat_encode(const rr_tokenizer *tokenizer, const rr_message *messages, size_t n,
    bool open_answer, rr_tokens *out, rr_diag *diag);

#endif
