/* Hostile chat messages in JSON: read, or refused with a reason. */
#include <stdlib.h>
#include <string.h>

#include "tools/chat_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rr_chat_json chat = {0};
    rr_diag diag = {0};
    rr_status status = rr_chat_json_read((const char *)data, size, &chat, &diag);
    if (status == RR_OK) {
        must(chat.n > 0);
        rr_buf text = {0};
        size_t bytes = 0;
        for (size_t i = 0; i < chat.n; i++) {
            must(strlen(chat.messages[i].role) <= strlen("assistant"));
            must(chat.messages[i].content[chat.messages[i].content_bytes] == '\0');
            bytes += chat.messages[i].content_bytes;
        }
        must(rr_chat_render(chat.messages, chat.n, true, &text, &diag) == RR_OK);
        must(text.bytes > bytes);
        rr_buf_destroy(&text);
    } else {
        must(status == RR_E_INPUT && diag.text[0] != '\0');
        must(chat.messages == NULL && chat.n == 0);
    }
    rr_chat_json_destroy(&chat);
    return 0;
}
