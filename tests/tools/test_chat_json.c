/* Chat messages in JSON: what is accepted, and the message for each fault. */
#include "tools/chat_json.h"

#include "tests/check.h"

static void check_refused(const char *json, const char *words) {
    rr_chat_json chat = {0};
    rr_diag diag = {0};
    rr_status status = rr_chat_json_read(json, strlen(json), &chat, &diag);
    CHECK_MSG(status == RR_E_INPUT && strstr(diag.text, words) != NULL,
        "%s: status %s, \"%s\" lacks \"%s\"", json, rr_status_name(status), diag.text, words);
    CHECK(chat.messages == NULL && chat.n == 0);
}

int main(void) {
    rr_diag diag = {0};
    rr_chat_json chat = {0};
    static const char list[] =
        "[{\"role\":\"system\",\"content\":\"rank\"},"
        "{\"content\":\"a\\u0000b \\ud83d\\ude42\",\"role\":\"user\",\"name\":\"x\"}]";
    CHECK_OK(rr_chat_json_read(list, sizeof list - 1, &chat, &diag), diag);
    CHECK_INT(chat.n, 2);
    if (chat.n == 2) {
        CHECK_TEXT(chat.messages[0].role, "system");
        CHECK_TEXT(chat.messages[0].content, "rank");
        CHECK_TEXT(chat.messages[1].role, "user");
        CHECK(chat.messages[1].content_bytes == 8 &&
            memcmp(chat.messages[1].content, "a\0b 🙂", 8) == 0);
    }
    rr_chat_json_destroy(&chat);

    static const char object[] =
        "{\"messages\": [{\"role\": \"assistant\", \"content\": \"\"}], \"model\": 1}\ngarbage";
    /* the length counts, not a final NUL */
    CHECK_OK(rr_chat_json_read(object, sizeof object - 9, &chat, &diag), diag);
    CHECK(chat.n == 1 && chat.messages[0].content_bytes == 0);
    rr_chat_json_destroy(&chat);
    rr_chat_json_destroy(&chat);

    check_refused("", "byte 0: not JSON");
    check_refused("[{\"role\":\"user\",\"content\":\"x", "not JSON");
    check_refused("[] x", "byte 3: not JSON");
    check_refused("[{\"role\":\"user\",\"content\":\"\\ud83d\"}]", "not JSON");
    check_refused("[{\"role\":\"user\",\"content\":\"\xFF\"}]", "not JSON");
    check_refused("12", "expected a list of messages");
    check_refused("{\"a\":1}", "without \"messages\"");
    check_refused("{\"messages\":\"x\"}", "found string");
    check_refused("[]", "empty list");
    check_refused("[\"user\"]", "message 0: found string");
    check_refused("[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"tool\",\"content\":\"x\"}]",
        "message 1: \"role\": found tool");
    check_refused("[{\"content\":\"x\"}]", "\"role\": found none");
    check_refused("[{\"role\":5,\"content\":\"x\"}]", "\"role\": found");
    check_refused("[{\"role\":\"user\"}]", "\"content\": found none");
    check_refused(
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]", "\"content\": found array");
    return CHECK_END();
}
