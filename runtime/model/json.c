#include "runtime/model/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"

/* Whether lists and objects stay within the limit; the parser's memory grows with what it is given,
 * its stack does not. What stands in strings is skipped. Returns the byte where the limit is
 * crossed, `bytes` when it is not. */
static size_t too_deep_at(const char *data, size_t bytes) {
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        if (in_string) {
            if (data[i] == '\\') {
                i++;
            } else if (data[i] == '"') {
                in_string = false;
            }
            continue;
        }
        switch (data[i]) {
        case '"':
            in_string = true;
            break;
        case '{':
        case '[':
            if (++depth > RR_JSON_MAX_DEPTH) {
                return i;
            }
            break;
        case '}':
        case ']':
            depth -= depth > 0;
            break;
        default:
            break;
        }
    }
    return bytes;
}

rr_status rr_json_parse(const void *data, size_t bytes, const char *label, uint64_t offset,
    rr_json *out, rr_diag *diag) {
    const size_t deep = too_deep_at(data, bytes);
    if (deep < bytes) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: byte %llu: lists and objects beyond the nesting limit of %d", label,
            (unsigned long long)(offset + deep), RR_JSON_MAX_DEPTH);
    }
    yyjson_read_err error = {0};
    /* the flags promise that the text is only read; Python writes NaN and Infinity, which is for
     * the reader of a field to refuse */
    yyjson_doc *doc = yyjson_read_opts(
        (char *)(uintptr_t)data, bytes, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &error);
    if (doc == NULL) {
        return error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION
            ? rr_fail(diag, RR_E_MEMORY, "%s: out of memory for its JSON", label)
            : rr_fail(diag, RR_E_INPUT, "%s: byte offset %llu: no valid JSON: %s", label,
                  (unsigned long long)(offset + error.pos), error.msg);
    }
    *out = (rr_json){.doc = doc, .label = label};
    return RR_OK;
}

rr_status rr_json_read(
    const char *folder, const char *name, uint64_t max_bytes, rr_json *out, rr_diag *diag) {
    rr_json json = {0};
    rr_buf path = {0}, text = {0};
    rr_status status = RR_OK;
    rr_buf_printf(&path, "%s/%s", folder, name);
    char *label = path.failed ? NULL : rr_arena_copy(&json.arena, path.data, path.bytes);
    if (label == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "%s: %s: out of memory", folder, name));
    }
    RR_TRY_GOTO(rr_file_read(label, max_bytes, &text, diag));
    if (text.bytes == 0) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_INPUT, "%s: the file is empty, JSON expected", label));
    }
    rr_arena arena = json.arena;
    status = rr_json_parse(text.data, text.bytes, label, 0, &json, diag);
    json.arena = arena;
    RR_TRY_GOTO(status);
    *out = json;
    json = (rr_json){0};
fail:
    rr_json_destroy(&json);
    rr_buf_destroy(&text);
    rr_buf_destroy(&path);
    return status;
}

void rr_json_destroy(rr_json *json) {
    yyjson_doc_free(json->doc);
    rr_arena_destroy(&json->arena);
    *json = (rr_json){0};
}

const char *rr_json_type(yyjson_val *value) {
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "bool";
    case YYJSON_TYPE_NUM:
        return "number";
    case YYJSON_TYPE_STR:
        return "string";
    case YYJSON_TYPE_ARR:
        return "list";
    case YYJSON_TYPE_OBJ:
        return "object";
    default:
        return "nothing";
    }
}

rr_text rr_json_string(yyjson_val *string) {
    return (rr_text){yyjson_get_str(string), yyjson_get_len(string)};
}

/* NULL when absent or null. */
static yyjson_val *find(rr_json_object object, const char *field) {
    yyjson_val *value = yyjson_obj_get(object.value, field);
    return yyjson_is_null(value) ? NULL : value;
}

static rr_status wrong_type(rr_json_object object, const char *field, const char *expected,
    yyjson_val *found, rr_diag *diag) {
    return rr_fail(diag, RR_E_INPUT, "%s: %s: %s expected, %s found", object.place, field, expected,
        rr_json_type(found));
}

bool rr_json_has(rr_json_object object, const char *field) {
    return find(object, field) != NULL;
}

rr_status rr_json_get_object(
    rr_json_object object, const char *field, yyjson_val **out, rr_diag *diag) {
    yyjson_val *value = find(object, field);
    if (value != NULL && !yyjson_is_obj(value)) {
        return wrong_type(object, field, "object", value, diag);
    }
    *out = value != NULL ? value : *out;
    return RR_OK;
}

rr_status rr_json_get_list(
    rr_json_object object, const char *field, yyjson_val **out, rr_diag *diag) {
    yyjson_val *value = find(object, field);
    if (value != NULL && !yyjson_is_arr(value)) {
        return wrong_type(object, field, "list", value, diag);
    }
    *out = value != NULL ? value : *out;
    return RR_OK;
}

rr_status rr_json_get_text(rr_json_object object, const char *field, rr_text *out, rr_diag *diag) {
    yyjson_val *value = find(object, field);
    if (value != NULL && !yyjson_is_str(value)) {
        return wrong_type(object, field, "string", value, diag);
    }
    *out = value != NULL ? rr_json_string(value) : *out;
    return RR_OK;
}

rr_status rr_json_get_bool(rr_json_object object, const char *field, bool *out, rr_diag *diag) {
    yyjson_val *value = find(object, field);
    if (value != NULL && !yyjson_is_bool(value)) {
        return wrong_type(object, field, "bool", value, diag);
    }
    *out = value != NULL ? yyjson_get_bool(value) : *out;
    return RR_OK;
}

rr_status rr_json_get_number(rr_json_object object, const char *field, double *out, rr_diag *diag) {
    yyjson_val *value = find(object, field);
    if (value != NULL && !yyjson_is_num(value)) {
        return wrong_type(object, field, "number", value, diag);
    }
    if (value != NULL && !isfinite(yyjson_get_num(value))) {
        return rr_fail(diag, RR_E_INPUT, "%s: %s: a finite number expected, %g found", object.place,
            field, yyjson_get_num(value));
    }
    *out = value != NULL ? yyjson_get_num(value) : *out;
    return RR_OK;
}

rr_status rr_json_get_integer(rr_json_object object, const char *field, int64_t least, int64_t most,
    int64_t *out, rr_diag *diag) {
    double number = 0.0;
    RR_TRY(rr_json_get_number(object, field, &number, diag));
    if (!rr_json_has(object, field)) {
        return RR_OK;
    }
    /* every number in range is exact in a double */
    if (!(number >= (double)least && number <= (double)most) || number != floor(number)) {
        return rr_fail(diag, RR_E_INPUT,
            "%s: %s: %.17g found, a whole number from %lld to %lld expected", object.place, field,
            number, (long long)least, (long long)most);
    }
    *out = (int64_t)number;
    return RR_OK;
}

rr_status rr_json_check_unique(rr_json_object object, rr_diag *diag) {
    yyjson_obj_iter outer = yyjson_obj_iter_with(object.value);
    for (yyjson_val *key = NULL; (key = yyjson_obj_iter_next(&outer)) != NULL;) {
        const rr_text text = rr_json_string(key);
        /* the first of that name: another one than this key is its double */
        yyjson_obj_iter inner = yyjson_obj_iter_with(object.value);
        yyjson_val *first = NULL;
        while ((first = yyjson_obj_iter_next(&inner)) != key) {
            if (rr_text_compare(rr_json_string(first), text) == 0) {
                return rr_fail(diag, RR_E_INPUT, "%s: field \"%s\" twice, once expected",
                    object.place, rr_text_show(text).text);
            }
        }
    }
    return RR_OK;
}
