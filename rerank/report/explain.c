#include "rerank/report/explain.h"

#include <string.h>

#include "rerank/data/clean.h"
#include "rerank/sentences.h"
#include "runtime/base/text.h"

/* Mentions */

/* One sentence being read; mentions are counted, and kept when there is room for them. */
typedef struct text_reader {
    const char *text;
    size_t end; /* of the sentence */
    uint32_t n; /* labels */
    size_t sentence;
    rr_mention *mentions; /* [capacity] the first ones are kept, all are counted */
    size_t n_mentions, capacity;
} text_reader;

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t skip_blanks(const text_reader *r, size_t at) {
    while (at < r->end && (r->text[at] == ' ' || r->text[at] == '\t')) {
        at++;
    }
    return at;
}

/* The bytes of `word` when it stands at `at` in any case, else 0. A word of letters must not go on
 * behind it. */
static size_t word_at(const text_reader *r, size_t at, const char *word) {
    size_t length = strlen(word);
    if (at >= r->end || (r->text[at] | 0x20) != (word[0] | 0x20) || r->end - at < length ||
        !rr_ascii_same(r->text + at, word, length)) {
        return 0;
    }
    bool letters = is_alnum(word[length - 1]);
    return letters && at + length < r->end && is_alnum(r->text[at + length]) ? 0 : length;
}

static size_t first_word_at(const text_reader *r, size_t at, const char *const *words) {
    size_t length = 0;
    for (size_t i = 0; words[i] != NULL && length == 0; i++) {
        length = word_at(r, at, words[i]);
    }
    return length;
}

/* Digits at `at`: their end and what they say, where 0 is no label. False when there are none. */
static bool number_at(const text_reader *r, size_t at, size_t *behind, uint32_t *label) {
    uint32_t number = 0;
    size_t i = at;
    for (; i < r->end && r->text[i] >= '0' && r->text[i] <= '9'; i++) {
        /* past n it stays past n */
        number = number > r->n ? number : number * 10 + (uint32_t)(r->text[i] - '0');
    }
    *behind = i;
    *label = number > r->n ? 0 : number;
    return i > at;
}

/* A number that stands alone: no decimal, no percentage, no part of a word. */
static bool whole_number_at(const text_reader *r, size_t at, size_t *behind, uint32_t *label) {
    if (!number_at(r, at, behind, label)) {
        return false;
    }
    char next = *behind < r->end ? r->text[*behind] : ' ',
         then = *behind + 1 < r->end ? r->text[*behind + 1] : ' ';
    return !is_alnum(next) && next != '%' && next != '_' &&
        !(next == '.' && then >= '0' && then <= '9');
}

static void add(text_reader *r, size_t begin, size_t end, uint32_t first, uint32_t last) {
    if (first == 0 || last == 0 || first > last) {
        return;
    }
    if (r->n_mentions < r->capacity) {
        r->mentions[r->n_mentions] = (rr_mention){begin, end, first, last, r->sentence};
    }
    r->n_mentions++;
}

static const char *const dashes[] = {"-", "–", "‑", "~", "through", "thru", "至", "到", NULL};
static const char *const to[] = {"to", NULL};
static const char *const ands[] = {"and", "or", "&", "/", NULL};

/* Whether a range goes on at `at`; *behind is where its second number should stand. */
static bool range_at(const text_reader *r, size_t at, bool with_to, size_t *behind) {
    at = skip_blanks(r, at);
    size_t length = first_word_at(r, at, dashes);
    length = length == 0 && with_to ? first_word_at(r, at, to) : length;
    *behind = skip_blanks(r, at + length);
    return length > 0;
}

/* "[3]": the bracket's end and its label. */
static bool single_at(const text_reader *r, size_t at, size_t *behind, uint32_t *label) {
    if (at >= r->end || r->text[at] != '[' || !number_at(r, skip_blanks(r, at + 1), &at, label)) {
        return false;
    }
    at = skip_blanks(r, at);
    *behind = at + 1;
    return at < r->end && r->text[at] == ']';
}

/* "[1, 3-5]" that ends in a bracket: adds each part. False (and nothing added) when it is something
 * else. */
static bool read_list(text_reader *r, size_t at, size_t *behind) {
    size_t n_before = r->n_mentions, i = at + 1;
    for (;;) {
        uint32_t first, last;
        size_t begin = skip_blanks(r, i), next;
        if (!number_at(r, begin, &i, &first)) {
            break;
        }
        last = first;
        size_t end = i;
        if (range_at(r, i, true, &next) && number_at(r, next, &i, &last)) {
            end = i;
        }
        add(r, begin, end, first, last);
        i = skip_blanks(r, i);
        if (i < r->end && r->text[i] == ']') {
            *behind = i + 1;
            return true;
        }
        size_t comma = i < r->end && (r->text[i] == ',' || r->text[i] == ';') ? 1 : 0;
        size_t and = first_word_at(r, skip_blanks(r, i + comma), ands);
        i = and > 0 ? skip_blanks(r, i + comma) + and : i + comma;
        if (comma + and == 0) {
            break;
        }
    }
    r->n_mentions = n_before;
    return false;
}

/* What starts with '[' at `at`; `with_to`: the words before allow "[2] to [5]". Returns where to go
 * on. */
static size_t read_bracket(text_reader *r, size_t at, bool with_to) {
    uint32_t first, last;
    size_t behind, next, end;
    if (single_at(r, at, &behind, &first)) {
        if (range_at(r, behind, with_to, &next) && single_at(r, next, &end, &last) &&
            first < last && first > 0) {
            add(r, at, end, first, last);
            return end;
        }
        add(r, at, behind, first, first);
        return behind;
    }
    return read_list(r, at, &behind) ? behind : at + 1;
}

static const char *const one[] = {"passage", "document", "doc", NULL};
static const char *const many[] = {"passages", "documents", "docs", NULL};
static const char *const numbers[] = {"number", "no.", "#", NULL};

/* "3, 4 and 7" behind "passages"; the first starts with its noun at `begin`. Returns where to go
 * on. */
static size_t read_numbers(text_reader *r, size_t begin, size_t at, bool plural) {
    for (size_t behind, next, end = at;;) {
        uint32_t first, last;
        if (!whole_number_at(r, at, &behind, &first)) {
            return end;
        }
        last = first;
        end = behind;
        uint32_t other;
        bool tight = behind < r->end && r->text[behind] != ' ';
        if ((plural || tight) && range_at(r, behind, plural, &next) &&
            whole_number_at(r, next, &behind, &other) && other > first) {
            last = other;
            end = behind;
        }
        add(r, begin, end, first, last);
        if (!plural) {
            return end;
        }
        at = skip_blanks(r, end);
        size_t comma = at < r->end && r->text[at] == ',' ? 1 : 0;
        at = skip_blanks(r, at + comma);
        size_t and = first_word_at(r, at, ands);
        if (comma + and == 0) {
            return end;
        }
        at = skip_blanks(r, at + and);
        at += at < r->end && r->text[at] == '#' ? 1 : 0;
        begin = at;
    }
}

/* A word at `at`. Returns where to go on; *with_to tells whether brackets behind it may stand in a
 * "to" range. */
static size_t read_word(text_reader *r, size_t at, bool *with_to) {
    size_t plural = first_word_at(r, at, many),
           singular = plural == 0 ? first_word_at(r, at, one) : 0;
    size_t noun = plural + singular;
    /* "passage3" is one word to word_at */
    for (size_t i = 0; noun == 0 && one[i] != NULL; i++) {
        size_t length = strlen(one[i]);
        if (r->end - at > length && rr_ascii_same(r->text + at, one[i], length) &&
            r->text[at + length] >= '0' && r->text[at + length] <= '9') {
            noun = length;
        }
    }
    *with_to = plural > 0 || word_at(r, at, "from") > 0;
    if (noun > 0) {
        size_t next = skip_blanks(r, at + noun), behind;
        next = skip_blanks(r, next + first_word_at(r, next, numbers));
        uint32_t label;
        if (single_at(r, next, &behind, &label)) {
            return next; /* the bracket is read as such */
        }
        size_t end = read_numbers(r, at, next, plural > 0);
        return end > next ? end : at + noun;
    }
    while (at < r->end && is_alnum(r->text[at])) {
        at++;
    }
    return at;
}

static void read_sentence(text_reader *r, size_t begin) {
    bool with_to = false;
    for (size_t i = begin; i < r->end;) {
        if (r->text[i] == '[') {
            i = read_bracket(r, i, with_to);
        } else if (is_alnum(r->text[i])) {
            i = read_word(r, i, &with_to);
        } else {
            i++;
        }
    }
}

/* Texts */

/* Walks over the text; fills the arrays of `out`, if any, which its counts say the size of, and
 * counts. */
static void read_text(const char *text, size_t bytes, uint32_t n, rr_explained *out) {
    size_t at = 0, begin, end;
    text_reader r = {.text = text, .n = n, .mentions = out->mentions, .capacity = out->n_mentions};
    while (rr_sentence_next(text, bytes, &at, &begin, &end)) {
        r.end = end;
        read_sentence(&r, begin);
        if (out->sentences != NULL) {
            out->sentences[r.sentence] = (rr_sentence){begin, end};
        }
        r.sentence++;
    }
    out->n_sentences = r.sentence;
    out->n_mentions = r.n_mentions;
}

rr_status rr_explain_text(
    const char *text, size_t bytes, uint32_t n, rr_arena *arena, rr_explained *out, rr_diag *diag) {
    rr_explained counted = {0};
    read_text(text, bytes, n, &counted);
    rr_explained found = {
        .n_sentences = counted.n_sentences,
        .n_mentions = counted.n_mentions,
        .sentences = rr_arena_alloc(arena, counted.n_sentences + 1, sizeof *found.sentences),
        .mentions = rr_arena_alloc(arena, counted.n_mentions + 1, sizeof *found.mentions),
    };
    if (found.sentences == NULL || found.mentions == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory while reading a reasoning");
    }
    read_text(text, bytes, n, &found);
    *out = found;
    return RR_OK;
}

/* Rankings */

/* One window, read, and which labels a sentence names. */
typedef struct window_reader {
    const rr_window_result *window;
    rr_explained read;
    uint32_t *named; /* labels of the sentence at hand, each once */
    uint32_t n_named;
    size_t *seen;     /* [n + 1] by label: the last sentence that names it, + 1 */
    uint32_t *n_said; /* [n + 1] by label: sentences kept */
    size_t mention;   /* next to look at */
} window_reader;

static rr_status start_window(
    const rr_window_result *window, rr_arena *arena, window_reader *out, rr_diag *diag) {
    *out = (window_reader){.window = window};
    RR_TRY(rr_explain_text(
        window->reasoning.data, window->reasoning.bytes, window->n, arena, &out->read, diag));
    out->named = rr_arena_alloc(arena, (size_t)window->n + 1, sizeof *out->named);
    out->seen = rr_arena_alloc(arena, (size_t)window->n + 1, sizeof *out->seen);
    out->n_said = rr_arena_alloc(arena, (size_t)window->n + 1, sizeof *out->n_said);
    return out->named == NULL || out->seen == NULL || out->n_said == NULL
        ? rr_fail(diag, RR_E_MEMORY, "out of memory while reading a reasoning")
        : RR_OK;
}

/* Gathers the labels that sentence `index` names. Sentences are asked for in order. */
static void name_labels(window_reader *reader, size_t index) {
    reader->n_named = 0;
    for (; reader->mention < reader->read.n_mentions; reader->mention++) {
        const rr_mention *mention = &reader->read.mentions[reader->mention];
        if (mention->sentence != index) {
            return;
        }
        for (uint32_t label = mention->first;
             label <= mention->last && reader->n_named < reader->window->n; label++) {
            if (reader->seen[label] != index + 1) {
                reader->seen[label] = index + 1;
                reader->named[reader->n_named++] = label;
            }
        }
    }
}

/* Counts into (said == NULL) or fills from next[p], the place of passage p. */
static void read_window(window_reader *reader, size_t index, rr_said *said, size_t *next) {
    const rr_text reasoning = reader->window->reasoning;
    size_t done = 0, chars = 0;
    reader->mention = 0;
    memset(reader->seen, 0, ((size_t)reader->window->n + 1) * sizeof *reader->seen);
    memset(reader->n_said, 0, ((size_t)reader->window->n + 1) * sizeof *reader->n_said);
    for (size_t s = 0; s < reader->read.n_sentences; s++) {
        rr_sentence sentence = reader->read.sentences[s];
        rr_said one_said = {.window = index,
            .text = {reasoning.data + sentence.begin, sentence.end - sentence.begin}};
        name_labels(reader, s);
        one_said.n_named = reader->n_named;
        if (said != NULL) {
            one_said.begin = chars + rr_clean_count(reasoning.data + done, sentence.begin - done);
            one_said.end = one_said.begin + rr_clean_count(one_said.text.data, one_said.text.bytes);
            done = sentence.end;
            chars = one_said.end;
        }
        for (uint32_t i = 0; i < reader->n_named; i++) {
            uint32_t label = reader->named[i], passage = reader->window->passages[label - 1];
            if (reader->n_said[label]++ < RR_EXPLAIN_MAX_SAID) {
                if (said != NULL) {
                    one_said.label = label;
                    said[next[passage]] = one_said;
                }
                next[passage]++;
            }
        }
    }
}

rr_status rr_explain_ranking(const rr_ranking *ranking, rr_explanations *out, rr_diag *diag) {
    rr_explanations made = {.n = ranking->n};
    rr_status status = RR_OK;
    *out = (rr_explanations){0};
    window_reader *readers = rr_arena_alloc(&made.arena, ranking->n_windows + 1, sizeof *readers);
    size_t *next = rr_arena_alloc(&made.arena, ranking->n + 1, sizeof *next);
    made.first = rr_arena_alloc(&made.arena, ranking->n + 1, sizeof *made.first);
    if (readers == NULL || next == NULL || made.first == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "out of memory while reading a reasoning"));
    }
    for (size_t i = 0; i < ranking->n_windows; i++) {
        RR_TRY_GOTO(start_window(&ranking->windows[i], &made.arena, &readers[i], diag));
        read_window(&readers[i], i, NULL, next);
    }
    for (size_t i = 0, sum = 0; i <= ranking->n; i++) {
        size_t count = next[i];
        made.first[i] = next[i] = sum;
        sum += count;
    }
    made.said = rr_arena_alloc(&made.arena, made.first[ranking->n] + 1, sizeof *made.said);
    if (made.said == NULL) {
        RR_TRY_GOTO(rr_fail(diag, RR_E_MEMORY, "out of memory while reading a reasoning"));
    }
    for (size_t i = 0; i < ranking->n_windows; i++) {
        read_window(&readers[i], i, made.said, next);
    }
    *out = made;
    return RR_OK;
fail:
    rr_explanations_destroy(&made);
    return status;
}

void rr_explanations_destroy(rr_explanations *explanations) {
    rr_arena_destroy(&explanations->arena);
    *explanations = (rr_explanations){0};
}
