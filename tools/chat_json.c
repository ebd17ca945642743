#include "tools/chat_json.h"

#include <string.h>
#include <yyjson.h>

static rr_status read_message(
    yyjson_val *item, size_t index, rr_arena *arena, rr_message *out, rr_diag *diag) {
    if (!yyjson_is_obj(item)) {
        return rr_fail(diag, RR_E_INPUT,
            "message %zu: found %s, expected an object with \"role\" and \"content\"", index,
            yyjson_get_type_desc(item));
    }
    yyjson_val *role = yyjson_obj_get(item, "role");
    yyjson_val *content = yyjson_obj_get(item, "content");
    static const char *const roles[] = {"system", "user", "assistant"};
    const char *known = NULL;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (yyjson_equals_str(role, roles[i])) {
            known = roles[i];
        }
    }
    if (known == NULL) {
        return rr_fail(diag, RR_E_INPUT,
            "message %zu: \"role\": found %.40s, expected \"system\", \"user\" or \"assistant\"",
            index,
            yyjson_is_str(role) ? yyjson_get_str(role)
                : role == NULL  ? "none"
                                : yyjson_get_type_desc(role));
    }
    if (!yyjson_is_str(content)) {
        return rr_fail(diag, RR_E_INPUT, "message %zu: \"content\": found %s, expected a string",
            index, content == NULL ? "none" : yyjson_get_type_desc(content));
    }
    size_t bytes = yyjson_get_len(content);
    char *copy = rr_arena_copy(arena, yyjson_get_str(content), bytes);
    if (copy == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "message %zu: out of memory for %zu bytes", index, bytes);
    }
    *out = (rr_message){known, copy, bytes};
    return RR_OK;
}

static rr_status read_messages(yyjson_val *root, rr_chat_json *chat, rr_diag *diag) {
    yyjson_val *list = yyjson_is_obj(root) ? yyjson_obj_get(root, "messages") : root;
    if (!yyjson_is_arr(list)) {
        return rr_fail(diag, RR_E_INPUT,
            "found %s, expected a list of messages [{\"role\": …, \"content\": …}, …]",
            list == NULL ? "an object without \"messages\"" : yyjson_get_type_desc(list));
    }
    if (yyjson_arr_size(list) == 0) {
        return rr_fail(diag, RR_E_INPUT, "found an empty list, expected at least one message");
    }
    chat->messages = rr_arena_alloc(&chat->text, yyjson_arr_size(list), sizeof *chat->messages);
    if (chat->messages == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu messages", yyjson_arr_size(list));
    }
    size_t i, n;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, n, item) {
        RR_TRY(read_message(item, i, &chat->text, &chat->messages[i], diag));
        chat->n = i + 1;
    }
    return RR_OK;
}

rr_status rr_chat_json_read(const char *json, size_t bytes, rr_chat_json *out, rr_diag *diag) {
    yyjson_read_err error;
    /* without YYJSON_READ_INSITU the text is not written to */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json, bytes, 0, NULL, &error);
    if (doc == NULL) {
        return rr_fail(diag,
            error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? RR_E_MEMORY : RR_E_INPUT,
            "byte %zu: not JSON: %s", error.pos, error.msg);
    }
    rr_chat_json made = {0};
    rr_status status = read_messages(yyjson_doc_get_root(doc), &made, diag);
    yyjson_doc_free(doc);
    if (status == RR_OK) {
        *out = made;
    } else {
        rr_chat_json_destroy(&made);
    }
    return status;
}

void rr_chat_json_destroy(rr_chat_json *chat) {
    rr_arena_destroy(&chat->text);
    *chat = (rr_chat_json){0};
}
