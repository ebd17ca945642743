#include "rerank/sentences.h"

#include <string.h>

#include "runtime/base/text.h"

/* What is walked over; `begin` is where the sentence at hand starts. */
typedef struct walk {
    const char *text;
    size_t bytes, begin;
} walk;

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool is_space(char c) {
    return c == '\n' || is_blank(c);
}

static bool is_small(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_capital(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c) {
    return is_small(c) || is_capital(c);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum_or_space(char c) {
    return is_letter(c) || is_digit(c) || c == ' ';
}

/* The length of the first of the marks that stands at `at`, 0 when none does. */
static size_t one_of(const walk *w, size_t at, const char *const *marks) {
    for (size_t i = 0; marks[i] != NULL; i++) {
        size_t length = strlen(marks[i]);
        if (w->bytes - at >= length && memcmp(w->text + at, marks[i], length) == 0) {
            return length;
        }
    }
    return 0;
}

static size_t skip(const walk *w, size_t at, const char *const *marks) {
    for (size_t length; at < w->bytes && (length = one_of(w, at, marks)) > 0;) {
        at += length;
    }
    return at;
}

static const char *const ends[] = {".", "!", "?", "…", NULL};
static const char *const full_ends[] = {"。", "！", "？", "｡", NULL};
static const char *const closers[] = {
    "\"", "'", ")", "*", "_", "`", "”", "’", "»", "」", "』", "）", NULL};
/* Words that a period behind them does not end a sentence with, whatever follows. */
static const char *const short_words[] = {"e.g", "i.e", "vs", "cf", "dr", "mr", "mrs", "ms", "prof",
    "st", "fig", "figs", "eq", "sec", "approx", "al", "ca", "resp", "viz", "incl", "ref", "refs",
    NULL};

/* Whether the period at `at` belongs to the word before it; `next` is the first character after the
 * space behind it. */
static bool is_part_of_word(const walk *w, size_t at, char next) {
    size_t from = at;
    while (from > w->begin && at - from < 12 &&
        (is_letter(w->text[from - 1]) || w->text[from - 1] == '.')) {
        from--;
    }
    size_t length = at - from;
    for (size_t i = 0; short_words[i] != NULL; i++) {
        if (strlen(short_words[i]) == length &&
            rr_ascii_same(short_words[i], w->text + from, length)) {
            return true;
        }
    }
    if (length == 2 && rr_ascii_same("no", w->text + from, 2)) {
        return is_digit(next) || next == '[';
    }
    bool initial =
        length > 0 && is_capital(w->text[at - 1]) && (length == 1 || w->text[at - 2] == '.');
    return initial && is_capital(next) && !(length == 1 && w->text[from] == 'I');
}

/* "12." at the start of a sentence numbers it. */
static bool is_item_number(const walk *w, size_t at) {
    size_t from = at;
    while (from > w->begin && at - from < 4 && is_digit(w->text[from - 1])) {
        from--;
    }
    return from == w->begin && from < at;
}

/* Reads the marks at `at`, which start with one of `ends`: true when the sentence ends at *behind,
 * else it goes on there. */
static bool ends_here(const walk *w, size_t at, size_t *behind) {
    size_t marks = skip(w, at, ends), next = skip(w, marks, closers);
    *behind = next;
    if (next < w->bytes && !is_space(w->text[next])) {
        return false;
    }
    while (next < w->bytes && is_blank(w->text[next])) {
        next++;
    }
    if (next == w->bytes || w->text[next] == '\n') {
        return true;
    }
    bool period = marks - at == 1 && w->text[at] == '.' && *behind == marks;
    return !is_small(w->text[next]) &&
        !(period && (is_item_number(w, at) || is_part_of_word(w, at, w->text[next])));
}

/* A line's end is a sentence's, unless a small letter shows that the text was only wrapped. */
static bool line_ends_here(const walk *w, size_t at) {
    for (at++; at < w->bytes && is_blank(w->text[at]);) {
        at++;
    }
    return at == w->bytes || !is_small(w->text[at]);
}

static size_t find_end(const walk *w) {
    for (size_t i = w->begin; i < w->bytes;) {
        size_t behind;
        if (is_alnum_or_space(w->text[i])) { /* most of a text: no table needs a look */
            i++;
        } else if (w->text[i] == '\n') {
            if (line_ends_here(w, i)) {
                return i;
            }
            i++;
        } else if (one_of(w, i, ends) > 0) {
            if (ends_here(w, i, &behind)) {
                return behind;
            }
            i = behind;
        } else if (one_of(w, i, full_ends) > 0) {
            return skip(w, skip(w, i, full_ends), closers);
        } else {
            i++;
        }
    }
    return w->bytes;
}

bool rr_sentence_next(const char *text, size_t bytes, size_t *at, size_t *begin, size_t *end) {
    walk w = {text, bytes, *at};
    while (w.begin < bytes && is_space(text[w.begin])) {
        w.begin++;
    }
    if (w.begin == bytes) {
        *at = bytes;
        return false;
    }
    *begin = w.begin;
    *at = find_end(&w);
    *end = *at;
    while (is_space(text[*end - 1])) {
        (*end)--;
    }
    return true;
}
