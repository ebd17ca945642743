#include "rerank/serve/fields.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/text.h"

/* A string, in either case. */
static bool is_word(yyjson_val *value, const char *word) {
    return yyjson_is_str(value) && yyjson_get_len(value) == strlen(word) &&
        rr_ascii_same(yyjson_get_str(value), word, strlen(word));
}

const char *rr_field_found(yyjson_val *value) {
    return value == NULL        ? "nothing"
        : yyjson_is_null(value) ? "null"
        : yyjson_is_str(value)  ? "a string"
        : yyjson_is_num(value)  ? "a number"
        : yyjson_is_bool(value) ? "a truth value"
        : yyjson_is_arr(value)  ? "a list"
                                : "an object";
}

yyjson_val *rr_field(const rr_fields *fields, const char *name) {
    yyjson_val *value = yyjson_obj_get(fields->object, name);
    return value == NULL || yyjson_is_null(value) ? NULL : value;
}

static bool is_wrong(
    const rr_fields *fields, const char *name, yyjson_val *value, const char *expected) {
    return rr_fault_set(fields->fault, fields->bad_status, "\"%s%s\": found %s, expected %s",
        fields->where, name, rr_field_found(value), expected);
}

bool rr_field_bool(const rr_fields *fields, const char *name, bool *out) {
    yyjson_val *value = rr_field(fields, name);
    if (value == NULL) {
        return true;
    }
    if (yyjson_is_bool(value)) {
        *out = yyjson_get_bool(value);
        return true;
    }
    if (is_word(value, "true") || is_word(value, "false")) {
        *out = is_word(value, "true");
        return true;
    }
    return is_wrong(fields, name, value, "true or false");
}

bool rr_field_count(
    const rr_fields *fields, const char *name, rr_field_range range, uint64_t *out) {
    yyjson_val *value = rr_field(fields, name);
    if (value == NULL) {
        return true;
    }
    uint64_t count = 0;
    bool ok = true;
    if (yyjson_is_uint(value)) {
        count = yyjson_get_uint(value);
    } else if (yyjson_is_real(value)) {
        const double real = yyjson_get_real(value);
        ok = real >= 0.0 && real <= 9e15; /* whole numbers up to there are exact */
        count = ok ? (uint64_t)real : 0;
        ok = ok && (double)count >= real;
    } else {
        ok = false;
    }
    if (ok && count > range.max && range.clamps) {
        count = range.max;
    }
    if (!ok || count < range.min || count > range.max) {
        char text[32] = "a number of another kind";
        if (yyjson_is_sint(value)) {
            snprintf(text, sizeof text, "%lld", (long long)yyjson_get_sint(value));
        } else if (yyjson_is_uint(value)) {
            snprintf(text, sizeof text, "%llu", (unsigned long long)yyjson_get_uint(value));
        }
        const char *found = yyjson_is_num(value) ? text : rr_field_found(value);
        return range.clamps
            ? rr_fault_set(fields->fault, fields->bad_status,
                  "\"%s%s\": found %s, expected a whole number from %llu on", fields->where, name,
                  found, (unsigned long long)range.min)
            : rr_fault_set(fields->fault, fields->bad_status,
                  "\"%s%s\": found %s, expected a whole number from %llu to %llu", fields->where,
                  name, found, (unsigned long long)range.min, (unsigned long long)range.max);
    }
    *out = count;
    return true;
}

bool rr_field_seconds(const rr_fields *fields, const char *name, double *out) {
    yyjson_val *value = rr_field(fields, name);
    if (value == NULL) {
        return true;
    }
    const double seconds = yyjson_is_num(value) ? yyjson_get_num(value) : -1.0;
    if (!(seconds >= 0.0 && seconds <= 1e9)) {
        return is_wrong(fields, name, value, "a number of seconds, 0 or more");
    }
    *out = seconds;
    return true;
}

bool rr_field_choice(
    const rr_fields *fields, const char *name, const char *const *names, int *out) {
    yyjson_val *value = rr_field(fields, name);
    if (value == NULL) {
        return true;
    }
    char expected[160] = "one of";
    for (int i = 0; names[i] != NULL; i++) {
        if (is_word(value, names[i])) {
            *out = i;
            return true;
        }
        const size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s \"%s\"", i > 0 ? "," : "", names[i]);
    }
    return is_wrong(fields, name, value, expected);
}
