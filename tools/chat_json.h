/* Chat messages in JSON, as `tokenize --chat` reads them.
 * Owns: the accepted form: [{"role": "system"|"user"|"assistant", "content": "text"}, …], or an
 * object whose "messages" holds that list. Other keys are ignored. */
#ifndef RR_TOOLS_CHAT_JSON_H
#define RR_TOOLS_CHAT_JSON_H

#include "runtime/model/chat.h"

typedef struct rr_chat_json {
    rr_message *messages; /* roles and contents live in `text` */
    size_t n;
    rr_arena text;
} rr_chat_json;

/* Errors: RR_E_INPUT (place, what was found, what was expected), RR_E_MEMORY. `json` need not end
 * with NUL. */
rr_status rr_chat_json_read(const char *json, size_t bytes, rr_chat_json *out, rr_diag *diag);
void rr_chat_json_destroy(rr_chat_json *chat); /* accepts a zeroed one */

#endif
