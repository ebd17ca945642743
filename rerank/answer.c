#include "rerank/answer.h"

#include <string.h>

#include "rerank/answer_text.h"
#include "rerank/windows.h"

/* The tags of a text, read from its beginning. A place behind a tag is never 0, which stands for
 * none. */
typedef struct tag_places {
    /* the first <answer>…</answer> that is not thinking: behind its <answer>, at its </answer> */
    size_t open, close;
    size_t quoted_open, quoted_close; /* the first that a </think> closed off */
    size_t think_from;                /* of the <think> that is open, if in_think */
    size_t think_end;                 /* behind the last </think> */
    size_t last_open;                 /* behind the last <answer> */
    bool in_think;
    bool has_answer_tag; /* behind think_end */
} tag_places;

static bool is_inside_think(const tag_places *tags) {
    return tags->in_think && tags->open > tags->think_from;
}

static bool is_closed(const tag_places *tags) {
    return tags->close != 0 && !is_inside_think(tags);
}

/* All before a </think> is thinking: from the <think> that it closes, or from the beginning where
 * none is open. */
static void end_think(tag_places *tags, size_t behind) {
    if (tags->open != 0 && (!tags->in_think || is_inside_think(tags))) {
        if (tags->close != 0 && tags->quoted_close == 0) {
            tags->quoted_open = tags->open;
            tags->quoted_close = tags->close;
        }
        tags->open = tags->close = 0;
    }
    tags->in_think = false;
    tags->think_end = behind;
    tags->has_answer_tag = false;
}

static tag_places find_tags(const char *text, size_t bytes) {
    tag_places tags = {0};
    for (size_t at = 0, length; at < bytes; at += length) {
        switch (rr_tag_at(text + at, bytes - at, &length)) {
        case RR_TAG_THINK_OPEN:
            if (is_closed(&tags)) {
                return tags;
            }
            if (!tags.in_think) {
                tags.in_think = true;
                tags.think_from = at;
            }
            break;
        case RR_TAG_THINK_CLOSE:
            end_think(&tags, at + length);
            break;
        case RR_TAG_ANSWER_OPEN:
            tags.last_open = at + length;
            tags.open = tags.open != 0 ? tags.open : tags.last_open;
            tags.has_answer_tag = true;
            break;
        case RR_TAG_ANSWER_CLOSE:
            tags.close = tags.open != 0 && tags.close == 0 ? at : tags.close;
            tags.has_answer_tag = true;
            break;
        case RR_TAG_NONE:
        case RR_TAG_PART:
            break;
        }
    }
    return tags;
}

/* Where things stand in the text. */
typedef struct answer_parts {
    size_t begin, end;     /* the part to read */
    size_t reasoning_from; /* start and end of what stands before it */
    size_t reasoning_to;
    bool closed, unclosed;
    bool in_think;  /* the text ends inside <think>, without an <answer> */
    bool in_answer; /* the text ends inside <answer> */
    bool tagged;    /* the part is an answer by its tags */
} answer_parts;

/* Nothing but numbers and what separates them: no letters, so no prose. */
static bool is_bare_list(const char *text, size_t from, size_t to) {
    bool has_number = false;
    uint32_t value;
    for (size_t i = from, length; i < to; i += length) {
        rr_mark mark = rr_mark_at(text + i, to - i, &length, &value);
        if (mark == RR_MARK_LETTER) {
            return false;
        }
        has_number |= mark == RR_MARK_DIGIT || mark == RR_MARK_NUMBER;
    }
    return has_number;
}

/* An <answer>…</answer>. */
static answer_parts pair_parts(size_t open, size_t close) {
    return (answer_parts){.begin = open,
        .end = close,
        .reasoning_to = open - strlen(RR_ANSWER_OPEN),
        .closed = true,
        .tagged = true};
}

static answer_parts find_parts(const char *text, size_t bytes, const tag_places *tags) {
    if (tags->close != 0) {
        return pair_parts(tags->open, tags->close);
    }
    const bool opens_behind = tags->last_open > tags->think_end;
    if (tags->quoted_close != 0 && !opens_behind && !is_bare_list(text, tags->think_end, bytes)) {
        return pair_parts(tags->quoted_open, tags->quoted_close);
    }
    answer_parts parts = {.begin = tags->think_end, .end = bytes};
    if (tags->think_end != 0) {
        parts.reasoning_to = tags->think_end - strlen(RR_THINK_CLOSE);
    }
    parts.in_answer = opens_behind && (!tags->in_think || tags->last_open > tags->think_from);
    parts.in_think = tags->in_think && !parts.in_answer;
    parts.unclosed = parts.in_answer || parts.in_think;
    parts.tagged = tags->has_answer_tag;
    if (parts.in_think) {
        parts.end = tags->think_from;
        parts.reasoning_from = parts.begin == 0 ? parts.end : 0;
        parts.reasoning_to = bytes;
    } else if (tags->in_think) {
        parts.begin = tags->last_open;
        parts.reasoning_to = tags->last_open - strlen(RR_ANSWER_OPEN);
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
    size_t open = strlen(RR_THINK_OPEN), close = strlen(RR_THINK_CLOSE);
    if (part.bytes >= open && memcmp(part.data, RR_THINK_OPEN, open) == 0) {
        part = trimmed(part.data, open, part.bytes);
    }
    if (part.bytes >= close && memcmp(part.data + part.bytes - close, RR_THINK_CLOSE, close) == 0) {
        part = trimmed(part.data, 0, part.bytes - close);
    }
    return part;
}

/* Ids as they are found. */
typedef struct id_list {
    uint32_t n; /* of the window */
    uint32_t *order;
    bool seen[RR_WINDOW_MAX + 1];
    rr_answer *answer;
} id_list;

static void add_id(id_list *list, uint32_t number) {
    if (number < 1 || number > list->n || list->seen[number]) {
        list->answer->repaired = list->answer->dropped = true;
    } else {
        list->seen[number] = true;
        list->order[list->answer->n_listed++] = number;
    }
}

/* Reads the numbers of text[from, to), or those in brackets; how many there are. */
static size_t read_numbers(
    const char *text, size_t from, size_t to, bool in_brackets, id_list *list) {
    rr_number_reader reader = {.n = list->n}, ended;
    size_t n_numbers = 0, length = 1;
    for (size_t i = from; i <= to; i += length) { /* one step past the end ends the last number */
        uint32_t value = 0;
        rr_mark mark = i < to ? rr_mark_at(text + i, to - i, &length, &value) : RR_MARK_OTHER;
        if (rr_number_reader_take(&reader, mark, value, &ended) &&
            (ended.bracketed || !in_brackets)) {
            add_id(list, ended.number);
            n_numbers++;
        }
    }
    return n_numbers;
}

static rr_answer read_parts(
    const char *text, const answer_parts *parts, uint32_t n, uint32_t *order) {
    rr_answer answer = {.closed = parts->closed, .unclosed = parts->unclosed};
    id_list list = {.n = n, .order = order, .answer = &answer};
    if (read_numbers(text, parts->begin, parts->end, true, &list) == 0 &&
        (parts->tagged || is_bare_list(text, parts->begin, parts->end))) {
        read_numbers(text, parts->begin, parts->end, false, &list);
    }
    uint32_t filled = answer.n_listed;
    for (uint32_t id = 1; id <= n; id++) {
        if (!list.seen[id]) {
            order[filled++] = id;
            answer.repaired = true;
        }
    }
    answer.reasoning = reasoning_of(text, parts->reasoning_from, parts->reasoning_to);
    answer.answer = trimmed(text, parts->begin, parts->end);
    return answer;
}

void rr_answer_parse(const char *text, size_t bytes, uint32_t n, uint32_t *order, rr_answer *out) {
    if (text == NULL) {
        text = "";
    }
    const tag_places tags = find_tags(text, bytes);
    const answer_parts parts = find_parts(text, bytes, &tags);
    *out = read_parts(text, &parts, n, order);
}

bool rr_answer_is_closed(const char *text, size_t bytes) {
    const tag_places tags = find_tags(text == NULL ? "" : text, bytes);
    return is_closed(&tags);
}

bool rr_answer_is_thinking(const char *text, size_t bytes) {
    const tag_places tags = find_tags(text == NULL ? "" : text, bytes);
    return tags.in_think && !is_closed(&tags);
}

const char *rr_answer_finish(const char *text, size_t bytes, uint32_t n, bool ended) {
    uint32_t order[RR_WINDOW_MAX];
    if (text == NULL) {
        text = "";
    }
    const tag_places tags = find_tags(text, bytes);
    const answer_parts parts = find_parts(text, bytes, &tags);
    const rr_answer answer = read_parts(text, &parts, n, order);
    const bool is_all = !answer.closed && !answer.unclosed && answer.n_listed == n &&
        is_bare_list(text, parts.begin, parts.end);
    if (is_closed(&tags) || (ended && answer.closed && answer.n_listed > 0) || is_all) {
        return NULL;
    }
    if (ended && parts.in_answer) {
        return "";
    }
    /* the opening bracket leaves the model nothing to write but a number */
    return tags.in_think ? "\n</think>\n<answer> [" : parts.in_answer ? "" : "\n<answer> [";
}

const char *rr_answer_opening(const char *text, size_t bytes) {
    if (bytes == 0) {
        return "<think>\n</think>\n<answer> [";
    }
    const tag_places tags = find_tags(text, bytes);
    if (tags.in_think) {
        return "\n</think>\n<answer> [";
    }
    if (find_parts(text, bytes, &tags).in_answer) {
        return text[bytes - 1] == '[' ? "" : text[bytes - 1] == '>' ? " [" : "[";
    }
    return text[bytes - 1] == '\n' ? "<answer> [" : "\n<answer> [";
}
