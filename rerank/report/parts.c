#include "rerank/report/parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "rerank/data/clean.h"

static const char part_open[] = "<!--part ", part_close[] = "-->\n";

static const rr_part *find(const rr_parts *parts, const char *name) {
    for (size_t i = 0; i < parts->n; i++) {
        if (rr_text_is(parts->items[i].name, name)) {
            return &parts->items[i];
        }
    }
    return NULL;
}

rr_status rr_parts_read(const char *template, rr_parts *out, rr_diag *diag) {
    out->n = 0;
    for (const char *at = strstr(template, part_open); at != NULL;) {
        const char *name = at + strlen(part_open), *close = strstr(name, part_close);
        if (close == NULL || out->n == RR_PARTS_MAX) {
            return rr_fail(diag, RR_E_INTERNAL, "the report's template: %s",
                close == NULL ? "a part without a name" : "too many parts");
        }
        const char *text = close + strlen(part_close), *next = strstr(text, part_open);
        size_t bytes = next != NULL ? (size_t)(next - text) : strlen(text);
        rr_part part = {
            {name, (size_t)(close - name)}, {text, bytes - (bytes > 0 && text[bytes - 1] == '\n')}};
        for (size_t i = 0; i < out->n; i++) {
            if (out->items[i].name.bytes == part.name.bytes &&
                memcmp(out->items[i].name.data, name, part.name.bytes) == 0) {
                return rr_fail(diag, RR_E_INTERNAL,
                    "the report's template: the part \"%.*s\" stands there twice",
                    (int)part.name.bytes, name);
            }
        }
        out->items[out->n++] = part;
        at = next;
    }
    return RR_OK;
}

void rr_values_text(rr_values *values, const char *name, const char *text, size_t bytes) {
    assert(values->n < RR_VALUES_MAX);
    values->items[values->n].name = name;
    values->items[values->n++].text = (rr_text){text, bytes};
}

void rr_values_printf(rr_values *values, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *at = values->room + values->used;
    size_t room = sizeof values->room - values->used;
    int length = vsnprintf(at, room, format, args);
    va_end(args);
    size_t bytes = length < 0   ? 0
        : (size_t)length < room ? (size_t)length
        : room > 0              ? room - 1
                                : 0;
    rr_values_text(values, name, at, bytes);
    values->used += bytes;
}

static void append_escaped(const char *text, size_t bytes, rr_buf *out) {
    size_t from = 0;
    for (size_t i = 0; i < bytes; i++) {
        const char *entity = text[i] == '&' ? "&amp;"
            : text[i] == '<'                ? "&lt;"
            : text[i] == '>'                ? "&gt;"
            : text[i] == '"'                ? "&quot;"
            : text[i] == '\''               ? "&#39;"
                                            : NULL;
        if (entity != NULL) {
            rr_buf_append(out, text + from, i - from);
            rr_buf_text(out, entity);
            from = i + 1;
        }
    }
    rr_buf_append(out, text + from, bytes - from);
}

void rr_html_append(const char *text, size_t bytes, rr_buf *out) {
    rr_buf safe = {0};
    rr_clean_terminal(text, bytes, false, &safe);
    append_escaped(safe.data != NULL ? safe.data : "", safe.bytes, out);
    out->failed = out->failed || safe.failed;
    rr_buf_destroy(&safe);
}

static void append_value(const rr_values *values, rr_text place, rr_buf *out) {
    for (size_t i = 0; values != NULL && i < values->n; i++) {
        if (rr_text_is(place, values->items[i].name)) {
            rr_html_append(values->items[i].text.data, values->items[i].text.bytes, out);
            return;
        }
    }
    assert(!"a place of the report's template that nothing fills");
}

void rr_parts_write(const rr_parts *parts, const char *name, const rr_values *values, rr_buf *out) {
    const rr_part *part = find(parts, name);
    assert(part != NULL);
    const char *at = part->text.data, *end = at + part->text.bytes;
    while (at < end) {
        const char *open = memchr(at, '{', (size_t)(end - at));
        if (open == NULL) {
            break;
        }
        if (end - open < 4 || open[1] != '{') {
            rr_buf_append(out, at, (size_t)(open + 1 - at));
            at = open + 1;
            continue;
        }
        const char *close = memchr(open, '}', (size_t)(end - open));
        assert(close != NULL && close + 1 < end && close[1] == '}');
        rr_buf_append(out, at, (size_t)(open - at));
        append_value(values, (rr_text){open + 2, (size_t)(close - open - 2)}, out);
        at = close + 2;
    }
    rr_buf_append(out, at, (size_t)(end - at));
}
