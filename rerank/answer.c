#include "rerank/answer.h"

#include <string.h>

#include "rerank/windows.h"

static const char think_open[] = "<think>", think_close[] = "</think>";
static const char answer_open[] = "<answer>", answer_close[] = "</answer>";
enum { NOT_FOUND = -1 };

/* Place of the first (last) `needle` at or after `from`, or NOT_FOUND. */
static ptrdiff_t find_first(const char *text, size_t bytes, size_t from, const char *needle) {
    size_t length = strlen(needle);
    for (size_t i = from; i + length <= bytes; i++) {
        if (text[i] == needle[0] && memcmp(text + i, needle, length) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return NOT_FOUND;
}

static ptrdiff_t find_last(const char *text, size_t bytes, const char *needle) {
    size_t length = strlen(needle);
    for (size_t i = bytes; i-- > 0;) {
        if (text[i] == needle[0] && bytes - i >= length && memcmp(text + i, needle, length) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return NOT_FOUND;
}

/* Where things stand in the text. */
typedef struct answer_parts {
    size_t begin, end;     /* the part to read */
    size_t reasoning_from; /* start and end of what stands before it */
    size_t reasoning_to;
    bool closed, unclosed;
    bool in_think;         /* the text ends inside <think> */
    bool in_answer;        /* the text ends inside <answer> */
} answer_parts;

static answer_parts find_parts(const char *text, size_t bytes) {
    answer_parts parts = {.begin = 0, .end = bytes};
    ptrdiff_t open = find_first(text, bytes, 0, answer_open);
    if (open != NOT_FOUND) {
        ptrdiff_t close = find_first(text, bytes, (size_t)open, answer_close);
        if (close != NOT_FOUND) {
            parts.begin = (size_t)open + strlen(answer_open);
            parts.end = (size_t)close;
            parts.reasoning_to = (size_t)open;
            parts.closed = true;
            return parts;
        }
    }
    ptrdiff_t think_end = find_last(text, bytes, think_close);
    ptrdiff_t last_open = find_last(text, bytes, answer_open);
    if (think_end != NOT_FOUND) {
        parts.begin = (size_t)think_end + strlen(think_close);
        parts.reasoning_to = (size_t)think_end;
    }
    ptrdiff_t think = find_first(text, bytes, parts.begin, think_open);
    parts.in_answer = last_open != NOT_FOUND && last_open > think_end && last_open > think;
    parts.in_think = think != NOT_FOUND && !parts.in_answer;
    parts.unclosed = parts.in_answer || parts.in_think;
    if (parts.in_think) {
        parts.end = (size_t)think;
        parts.reasoning_from = parts.begin == 0 ? parts.end : 0;
        parts.reasoning_to = bytes;
    } else if (think != NOT_FOUND) {
        parts.begin = (size_t)last_open + strlen(answer_open);
        parts.reasoning_to = (size_t)last_open;
    }
    return parts;
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static rr_text trimmed(const char *text, size_t from, size_t to) {
    while (from < to && is_blank(text[from])) {
        from++;
    }
    while (to > from && is_blank(text[to - 1])) {
        to--;
    }
    return (rr_text){text + from, to - from};
}

/* Without a leading <think> and a final </think>. */
static rr_text reasoning_of(const char *text, size_t from, size_t to) {
    rr_text part = trimmed(text, from, to);
    size_t open = strlen(think_open), close = strlen(think_close);
    if (part.bytes >= open && memcmp(part.data, think_open, open) == 0) {
        part = trimmed(part.data, open, part.bytes);
    }
    if (part.bytes >= close && memcmp(part.data + part.bytes - close, think_close, close) == 0) {
        part = trimmed(part.data, 0, part.bytes - close);
    }
    return part;
}

void rr_answer_parse(const char *text, size_t bytes, uint32_t n, uint32_t *order, rr_answer *out) {
    if (text == NULL) {
        text = "";
    }
    answer_parts parts = find_parts(text, bytes);
    bool seen[RR_WINDOW_MAX + 1] = {false};
    rr_answer answer = {.closed = parts.closed, .unclosed = parts.unclosed};
    for (size_t i = parts.begin; i < parts.end;) {
        if (text[i] < '0' || text[i] > '9') {
            i++;
            continue;
        }
        uint32_t number = 0;
        for (; i < parts.end && text[i] >= '0' && text[i] <= '9'; i++) {
            number = number > n ? number : number * 10 + (uint32_t)(text[i] - '0'); /* past n it stays past n */
        }
        if (number < 1 || number > n || seen[number]) {
            answer.repaired = answer.dropped = true;
        } else {
            seen[number] = true;
            order[answer.n_listed++] = number;
        }
    }
    uint32_t filled = answer.n_listed;
    for (uint32_t id = 1; id <= n; id++) {
        if (!seen[id]) {
            order[filled++] = id;
            answer.repaired = true;
        }
    }
    answer.reasoning = reasoning_of(text, parts.reasoning_from, parts.reasoning_to);
    answer.answer = trimmed(text, parts.begin, parts.end);
    *out = answer;
}

bool rr_answer_is_closed(const char *text, size_t bytes) {
    return find_parts(text == NULL ? "" : text, bytes).closed;
}

/* True when the text is nothing but ids and what separates them. */
static bool is_bare_list(rr_text text) {
    for (size_t i = 0; i < text.bytes; i++) {
        if (strchr("0123456789[]>, \t\r\n", text.data[i]) == NULL || text.data[i] == '\0') {
            return false;
        }
    }
    return true;
}

const char *rr_answer_finish(const char *text, size_t bytes, uint32_t n) {
    uint32_t order[RR_WINDOW_MAX];
    rr_answer answer;
    rr_answer_parse(text, bytes, n, order, &answer);
    if (answer.closed || (!answer.unclosed && answer.n_listed == n && is_bare_list(answer.answer))) {
        return NULL;
    }
    answer_parts parts = find_parts(text == NULL ? "" : text, bytes);
    /* the opening bracket leaves the model nothing to write but a number */
    return parts.in_think ? "\n</think>\n<answer> [" : parts.in_answer ? "" : "\n<answer> [";
}

const char *rr_answer_opening(const char *text, size_t bytes) {
    if (bytes == 0) {
        return "<think>\n</think>\n<answer> [";
    }
    answer_parts parts = find_parts(text, bytes);
    if (parts.in_think) {
        return "\n</think>\n<answer> [";
    }
    if (parts.in_answer) {
        return text[bytes - 1] == '[' ? "" : text[bytes - 1] == '>' ? " [" : "[";
    }
    return text[bytes - 1] == '\n' ? "<answer> [" : "\n<answer> [";
}
