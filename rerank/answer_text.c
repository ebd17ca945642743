#include "rerank/answer_text.h"

#include <string.h>
#include <utf8proc.h>

#include "runtime/model/utf8.h"

rr_tag rr_tag_at(const char *text, size_t bytes, size_t *length) {
    static const struct {
        const char *text;
        rr_tag tag;
    } tags[] = {{RR_THINK_OPEN, RR_TAG_THINK_OPEN}, {RR_THINK_CLOSE, RR_TAG_THINK_CLOSE},
        {RR_ANSWER_OPEN, RR_TAG_ANSWER_OPEN}, {RR_ANSWER_CLOSE, RR_TAG_ANSWER_CLOSE}};
    rr_tag found = RR_TAG_NONE;
    *length = 1;
    for (size_t i = 0; text[0] == '<' && i < sizeof tags / sizeof tags[0]; i++) {
        size_t whole = strlen(tags[i].text), there = bytes < whole ? bytes : whole;
        if (memcmp(text, tags[i].text, there) == 0) {
            found = there == whole ? tags[i].tag : RR_TAG_PART;
            *length = there;
        }
    }
    return found;
}

/* Numbers in one character that Unicode does not decompose into digits. */
static const struct {
    int32_t first;
    uint32_t n, value;
} numbers[] = {
    {0x24EB, 10, 11}, {0x24F5, 10, 1}, {0x2776, 10, 1}, {0x2780, 10, 1}, {0x278A, 10, 1}};

static bool is_decimal(int32_t code) {
    return utf8proc_category(code) == UTF8PROC_CATEGORY_ND;
}

/* The digits of a script stand in order, from 0 to 9 (Unicode 4.6). */
static uint32_t decimal_value(int32_t code) {
    int32_t first = code;
    while (is_decimal(first - 1)) {
        first--;
    }
    return (uint32_t)(code - first) % 10;
}

/* A number that stands in one character with nothing but what encloses it: "③", "⑶", "🄄" (digit
 * three, comma). */
static rr_mark composed_mark(int32_t code, uint32_t *value) {
    enum { MOST = 18 };
    utf8proc_int32_t parts[MOST];
    utf8proc_ssize_t n = utf8proc_decompose_char(
        code, parts, MOST, UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE, NULL);
    uint32_t number = 0, n_digits = 0;
    for (utf8proc_ssize_t i = 0; i < n && i < MOST; i++) {
        if (parts[i] >= '0' && parts[i] <= '9') {
            number = number * 10 + (uint32_t)(parts[i] - '0');
            n_digits++;
        } else if (parts[i] != '(' && parts[i] != ')' && parts[i] != '.' && parts[i] != ',') {
            return RR_MARK_OTHER; /* a fraction, a month, a unit */
        }
    }
    if (n < 1 || n > MOST || n_digits == 0) {
        return RR_MARK_OTHER;
    }
    *value = number;
    const bool encloses =
        n > 1 || utf8proc_get_property(code)->decomp_type == UTF8PROC_DECOMP_TYPE_CIRCLE;
    return encloses ? RR_MARK_NUMBER : RR_MARK_DIGIT;
}

/* Of a character beyond ASCII. */
static rr_mark wide_mark(int32_t code, uint32_t *value) {
    if (code == 0x3010 || code == 0xFF3B) {
        return RR_MARK_OPEN;
    }
    if (code == 0x3011 || code == 0xFF3D) {
        return RR_MARK_CLOSE;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (code >= numbers[i].first && code < numbers[i].first + (int32_t)numbers[i].n) {
            *value = numbers[i].value + (uint32_t)(code - numbers[i].first);
            return RR_MARK_NUMBER;
        }
    }
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_ND:
        *value = decimal_value(code);
        return RR_MARK_DIGIT;
    case UTF8PROC_CATEGORY_NO:
        return composed_mark(code, value);
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return RR_MARK_LETTER;
    default:
        return RR_MARK_OTHER;
    }
}

rr_mark rr_mark_at(const char *text, size_t bytes, size_t *length, uint32_t *value) {
    const unsigned char c = (unsigned char)text[0];
    *length = 1;
    *value = 0;
    if (c >= '0' && c <= '9') {
        *value = (uint32_t)c - '0';
        return RR_MARK_DIGIT;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        return RR_MARK_LETTER;
    }
    if (c < 0x80) {
        return c == '[' ? RR_MARK_OPEN : c == ']' ? RR_MARK_CLOSE : RR_MARK_OTHER;
    }
    int32_t code;
    *length = rr_utf8_next((const unsigned char *)text, bytes, &code);
    return code == RR_UTF8_INCOMPLETE ? RR_MARK_PART
        : code < 0                    ? RR_MARK_OTHER
                                      : wide_mark(code, value);
}

bool rr_number_reader_take(
    rr_number_reader *reader, rr_mark mark, uint32_t value, rr_number_reader *ended) {
    if (mark == RR_MARK_DIGIT && reader->in_number && !reader->is_whole) {
        /* past n it stays past n */
        reader->number = reader->number > reader->n ? reader->number : reader->number * 10 + value;
        return false;
    }
    const bool has_ended = reader->in_number;
    *ended = *reader;
    reader->in_number = mark == RR_MARK_DIGIT || mark == RR_MARK_NUMBER;
    if (reader->in_number) {
        reader->number = value;
        reader->is_whole = mark == RR_MARK_NUMBER;
        reader->bracketed = reader->in_brackets;
    }
    if (mark == RR_MARK_OPEN || mark == RR_MARK_CLOSE) {
        reader->in_brackets = mark == RR_MARK_OPEN;
    }
    return has_ended;
}
