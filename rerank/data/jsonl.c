#include "rerank/data/jsonl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rr_jsonl rr_jsonl_start(const char *label, const char *data, size_t bytes, rr_arena *arena) {
    if (bytes >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) {
        data += 3;
        bytes -= 3;
    }
    return (rr_jsonl){.label = label, .data = data, .bytes = bytes, .arena = arena};
}

static bool is_blank(rr_text line) {
    for (size_t i = 0; i < line.bytes; i++) {
        if (strchr(" \t\r\f\v", line.data[i]) == NULL || line.data[i] == '\0') {
            return false;
        }
    }
    return true;
}

bool rr_jsonl_next_line(rr_jsonl *jsonl, rr_text *line) {
    while (jsonl->bytes > 0) {
        const char *end = memchr(jsonl->data, '\n', jsonl->bytes);
        size_t length = end != NULL ? (size_t)(end - jsonl->data) : jsonl->bytes;
        *line = (rr_text){jsonl->data, length};
        size_t taken = end != NULL ? length + 1 : length;
        jsonl->data += taken;
        jsonl->bytes -= taken;
        jsonl->line++;
        if (line->bytes > 0 && line->data[line->bytes - 1] == '\r') {
            line->bytes--;
        }
        if (!is_blank(*line)) {
            return true;
        }
    }
    return false;
}

rr_status rr_jsonl_fail(const rr_jsonl *jsonl, rr_diag *diag, const char *format, ...) {
    char message[768];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return rr_fail(diag, RR_E_INPUT, "%s:%zu: %s", jsonl->label, jsonl->line, message);
}

const char *rr_jsonl_error(rr_text text, const yyjson_read_err *error) {
    static const char *const names[] = {"NaN", "nan", "Infinity", "inf"};
    size_t left = error->pos < text.bytes ? text.bytes - error->pos : 0;
    const char *at = text.data + error->pos;
    if (left > 0 && *at == '-') {
        at++;
        left--;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (left >= length && memcmp(at, names[i], length) == 0) {
            return "found NaN or Infinity, which JSON has not";
        }
    }
    return error->msg;
}

rr_status rr_jsonl_parse(
    const rr_jsonl *jsonl, rr_text line, const char *shape, yyjson_doc **doc, rr_diag *diag) {
    yyjson_read_err error;
    /* without the in-situ flag the text is only read */
    yyjson_doc *parsed = yyjson_read_opts(
        (char *)(uintptr_t)line.data, line.bytes, YYJSON_READ_NOFLAG, NULL, &error);
    if (parsed == NULL && error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line);
    }
    if (parsed == NULL) {
        return rr_jsonl_fail(jsonl, diag, "not JSON at column %zu: %s; expected %s", error.pos + 1,
            rr_jsonl_error(line, &error), shape);
    }
    if (!yyjson_is_obj(yyjson_doc_get_root(parsed))) {
        const char *found = yyjson_get_type_desc(yyjson_doc_get_root(parsed));
        yyjson_doc_free(parsed);
        return rr_jsonl_fail(jsonl, diag, "found a JSON %s, expected %s", found, shape);
    }
    *doc = parsed;
    return RR_OK;
}

/* The member, or NULL with the message when it is absent; null counts as absent. */
static rr_status get_member(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, bool optional, yyjson_val **out, rr_diag *diag) {
    yyjson_val *value = yyjson_obj_get(object, key);
    if (value == NULL || (optional && yyjson_is_null(value))) {
        *out = NULL;
        return optional ? RR_OK : rr_jsonl_fail(jsonl, diag, "%s\"%s\" is missing", where, key);
    }
    *out = value;
    return RR_OK;
}

static rr_status wrong_type(const rr_jsonl *jsonl, yyjson_val *value, const char *where,
    const char *key, const char *expected, rr_diag *diag) {
    return rr_jsonl_fail(jsonl, diag, "%s\"%s\": found a JSON %s, expected %s", where, key,
        yyjson_get_type_desc(value), expected);
}

static rr_status copy_text(
    const rr_jsonl *jsonl, const char *text, size_t bytes, rr_text *out, rr_diag *diag) {
    const char *copy = rr_arena_copy(jsonl->arena, text, bytes);
    if (copy == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "%s:%zu: out of memory", jsonl->label, jsonl->line);
    }
    *out = (rr_text){copy, bytes};
    return RR_OK;
}

rr_status rr_jsonl_text(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, bool optional, rr_text *out, rr_diag *diag) {
    yyjson_val *value;
    RR_TRY(get_member(jsonl, object, where, key, optional, &value, diag));
    if (value == NULL) {
        *out = (rr_text){"", 0};
        return RR_OK;
    }
    if (!yyjson_is_str(value)) {
        return wrong_type(jsonl, value, where, key, "a text", diag);
    }
    return copy_text(jsonl, yyjson_get_str(value), yyjson_get_len(value), out, diag);
}

rr_status rr_jsonl_id(const rr_jsonl *jsonl, yyjson_val *object, const char *where, const char *key,
    bool optional, const char **out, rr_diag *diag) {
    yyjson_val *value;
    RR_TRY(get_member(jsonl, object, where, key, optional, &value, diag));
    if (value == NULL) {
        *out = NULL;
        return RR_OK;
    }
    char digits[24];
    const char *id = digits;
    size_t bytes = 0;
    if (yyjson_is_uint(value)) {
        bytes = (size_t)snprintf(
            digits, sizeof digits, "%llu", (unsigned long long)yyjson_get_uint(value));
    } else if (yyjson_is_sint(value)) {
        bytes = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)yyjson_get_sint(value));
    } else if (yyjson_is_str(value)) {
        id = yyjson_get_str(value);
        bytes = yyjson_get_len(value);
    } else {
        return wrong_type(jsonl, value, where, key, "a text or an integer", diag);
    }
    if (bytes == 0) {
        return rr_jsonl_fail(jsonl, diag, "%s\"%s\" is empty, expected an id", where, key);
    }
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)id[i] < 0x20 || id[i] == 0x7F) {
            return rr_jsonl_fail(jsonl, diag,
                "%s\"%s\": found the control character 0x%02x in an id", where, key,
                (unsigned)(unsigned char)id[i]);
        }
    }
    rr_text copy = {0};
    RR_TRY(copy_text(jsonl, id, bytes, &copy, diag));
    *out = copy.data;
    return RR_OK;
}

double rr_jsonl_value(yyjson_val *number) {
    /* by hand: yyjson_get_num is newer than the oldest yyjson that we meet */
    return yyjson_is_real(number) ? yyjson_get_real(number)
        : yyjson_is_uint(number)  ? (double)yyjson_get_uint(number)
                                  : (double)yyjson_get_sint(number);
}

rr_status rr_jsonl_number(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, double *out, rr_diag *diag) {
    yyjson_val *value;
    RR_TRY(get_member(jsonl, object, where, key, true, &value, diag));
    if (value != NULL && !yyjson_is_num(value)) {
        return wrong_type(jsonl, value, where, key, "a number", diag);
    }
    *out = value != NULL ? rr_jsonl_value(value) : 0.0;
    return RR_OK;
}

rr_status rr_jsonl_array(const rr_jsonl *jsonl, yyjson_val *object, const char *where,
    const char *key, yyjson_val **out, rr_diag *diag) {
    yyjson_val *value;
    RR_TRY(get_member(jsonl, object, where, key, false, &value, diag));
    if (!yyjson_is_arr(value)) {
        return wrong_type(jsonl, value, where, key, "an array", diag);
    }
    *out = value;
    return RR_OK;
}

static int compare_ids(const void *a, const void *b) {
    const rr_id_place *left = a, *right = b;
    int order = strcmp(left->id, right->id);
    return order != 0 ? order : left->place < right->place ? -1 : left->place > right->place;
}

bool rr_id_repeats(rr_id_place *items, size_t n, size_t *earlier, size_t *later) {
    if (n > 1) {
        qsort(items, n, sizeof *items, compare_ids);
    }
    for (size_t i = 1; i < n; i++) {
        if (strcmp(items[i - 1].id, items[i].id) == 0) {
            *earlier = items[i - 1].place;
            *later = items[i].place;
            return true;
        }
    }
    return false;
}
