#include "rerank/answer_text.h"

#include <string.h>

rr_tag rr_tag_at(const char *text, size_t bytes, size_t *length) {
    static const struct {
        const char *text;
        rr_tag tag;
    } tags[] = {{RR_THINK_OPEN, RR_TAG_THINK_OPEN},
                {RR_THINK_CLOSE, RR_TAG_THINK_CLOSE},
                {RR_ANSWER_OPEN, RR_TAG_ANSWER_OPEN},
                {RR_ANSWER_CLOSE, RR_TAG_ANSWER_CLOSE}};
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

rr_mark rr_mark_at(char c) {
    return c >= '0' && c <= '9'                               ? RR_MARK_DIGIT
           : (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? RR_MARK_LETTER
           : c == '['                                         ? RR_MARK_OPEN
           : c == ']'                                         ? RR_MARK_CLOSE
           : (c & 0x80) != 0                                  ? RR_MARK_LETTER
                                                              : RR_MARK_OTHER;
}

bool rr_number_reader_take(rr_number_reader *reader, char c, rr_number_reader *ended) {
    const rr_mark mark = rr_mark_at(c);
    const uint32_t value = mark == RR_MARK_DIGIT ? (uint32_t)(c - '0') : 0;
    if (mark == RR_MARK_DIGIT && reader->in_number) {
        reader->number = reader->number > reader->n ? reader->number : reader->number * 10 + value; /* past n it stays past n */
        return false;
    }
    const bool has_ended = reader->in_number;
    *ended = *reader;
    reader->in_number = mark == RR_MARK_DIGIT;
    if (reader->in_number) {
        reader->number = value;
        reader->bracketed = reader->in_brackets;
    }
    if (mark == RR_MARK_OPEN || mark == RR_MARK_CLOSE) {
        reader->in_brackets = mark == RR_MARK_OPEN;
    }
    return has_ended;
}
