#include "runtime/model/chat.h"

#include <string.h>

rr_status rr_chat_render(
    const rr_message *messages, size_t n, bool open_answer, rr_buf *out, rr_diag *diag) {
    for (size_t i = 0; i < n; i++) {
        rr_buf_printf(out, "<|im_start|>%s\n", messages[i].role);
        rr_buf_append(out, messages[i].content, messages[i].content_bytes);
        rr_buf_text(out, "<|im_end|>\n");
    }
    if (open_answer) {
        rr_buf_text(out, "<|im_start|>assistant\n");
    }
    return out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory for a chat of %zu messages", n)
                       : RR_OK;
}

/* Role, line break and content are one text to the pre-tokenizer, as they are when the rendered
 * text is encoded. */
static rr_status encode_turn(const rr_tokenizer *tokenizer, const char *role, const char *content,
    size_t bytes, rr_buf *scratch, rr_tokens *out, rr_diag *diag) {
    rr_tokens_push(out, rr_tokenizer_im_start(tokenizer));
    rr_buf_clear(scratch);
    rr_buf_text(scratch, role);
    rr_buf_append(scratch, "\n", 1);
    rr_buf_append(scratch, content, bytes);
    if (scratch->failed) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for a message of %zu bytes", bytes);
    }
    return rr_tokenizer_encode(tokenizer, scratch->data, scratch->bytes, out, diag);
}

rr_status rr_chat_encode(const rr_tokenizer *tokenizer, const rr_message *messages, size_t n,
    bool open_answer, rr_tokens *out, rr_diag *diag) {
    if (rr_tokenizer_im_start(tokenizer) < 0 || rr_tokenizer_im_end(tokenizer) < 0) {
        return rr_fail(diag, RR_E_UNSUPPORTED,
            "the vocabulary has no <|im_start|> or no <|im_end|>; expected a chat "
            "model such as Qwen2.5-Instruct");
    }
    rr_status status = RR_OK;
    rr_buf scratch = {0};
    size_t kept = out->n;
    for (size_t i = 0; i < n; i++) {
        RR_TRY_GOTO(encode_turn(tokenizer, messages[i].role, messages[i].content,
            messages[i].content_bytes, &scratch, out, diag));
        rr_tokens_push(out, rr_tokenizer_im_end(tokenizer));
        RR_TRY_GOTO(rr_tokenizer_encode(tokenizer, "\n", 1, out, diag));
    }
    if (open_answer) {
        RR_TRY_GOTO(encode_turn(tokenizer, "assistant", "", 0, &scratch, out, diag));
    }
    if (out->failed) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for the tokens of a chat");
    }
fail:
    if (status != RR_OK) {
        out->n = kept;
    }
    rr_buf_destroy(&scratch);
    return status;
}
