/* Owns: the orders in which a window is shown, and which words of a passage are told to have drawn
 * attention. */
#include "rerank/read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/data/clean.h"
#include "rerank/sentences.h"
#include "runtime/base/random.h"
#include "runtime/base/thread.h"

static const double MORE_THAN_AVERAGE = 1.25;

/* One window while it is read. */
typedef struct read_state {
    rr_turn *turn;
    const rr_readout *readout;
    uint32_t n;
    uint32_t order[RR_READ_PASSAGES];     /* shown at place i: the window's passage (label − 1) */
    uint32_t passages[RR_READ_PASSAGES];  /* … and that passage of the query */
    double first_stage[RR_READ_PASSAGES]; /* … and its score */
    /* at place i, of this order */
    double scores[RR_READ_PASSAGES], probabilities[RR_READ_PASSAGES];
    double sums[RR_READ_PASSAGES]; /* scores by label − 1, of all orders so far */
    rr_read_places places;
    rr_passage_read *reads; /* by label − 1 */
} read_state;

static rr_status out_of_memory(rr_diag *diag) {
    return rr_fail(diag, RR_E_MEMORY, "out of memory while a window is read");
}

/* The order number `k`: as shown, turned round, then random ones that depend on the window's place
 * alone. */
static void set_order(read_state *s, uint32_t k) {
    const rr_call *call = s->turn->call;
    uint64_t rng = rr_turn_seed(s->turn) + k;
    for (uint32_t i = 0; i < s->n; i++) {
        s->order[i] = k == 1 ? s->n - 1 - i : i;
    }
    for (uint32_t i = s->n; k > 1 && i > 1; i--) {
        const uint32_t j = (uint32_t)(rr_random(&rng) % i), kept = s->order[i - 1];
        s->order[i - 1] = s->order[j];
        s->order[j] = kept;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        s->passages[i] = call->order[s->order[i]];
        s->first_stage[i] = call->query->passages[s->passages[i]].score;
    }
}

/* What drew the attention */

/* A passage's text and how much of the attention each byte's token drew, at the token's first byte
 * that is no space. */
typedef struct drawn_text {
    const char *text;
    size_t bytes;
    float *mass;     /* [bytes] */
    float elsewhere; /* … of tokens of which the place is not known */
    float all;       /* … of both */
} drawn_text;

/* Sums of the same floats in another order may differ by a rounding. */
static float share_of(const drawn_text *d, float mass) {
    const float share = d->all > 0 ? mass / d->all : 0;
    return share < 1 ? share : 1;
}

static bool is_space(char c) {
    return c == ' ';
}

/* A letter of a script without spaces between words, by its first byte: each stands for itself. */
static bool stands_alone(char c) {
    return (unsigned char)c >= 0xE3 && (unsigned char)c <= 0xE9;
}

/* Puts the tokens' masses where their texts stand. Behind the first token that is not the text's
 * (another normal form) it is not known where; these count for the whole alone. */
static void put_masses(const rr_tokenizer *tokenizer, const int32_t *ids, const float *drawn,
    rr_token_span span, drawn_text *out) {
    size_t at = 0;
    bool is_same = true;
    for (uint32_t t = span.begin; t < span.end; t++) {
        rr_text piece = rr_tokenizer_piece(tokenizer, ids[t], false);
        if (t == span.begin && piece.bytes > 0 && is_space(piece.data[0])) {
            piece.data++; /* that of "[1] " */
            piece.bytes--;
        }
        is_same = is_same && piece.bytes <= out->bytes - at &&
            memcmp(piece.data, out->text + at, piece.bytes) == 0;
        size_t skipped = 0;
        while (skipped < piece.bytes && is_space(piece.data[skipped])) {
            skipped++;
        }
        if (skipped < piece.bytes) {
            *(is_same ? &out->mass[at + skipped] : &out->elsewhere) += drawn[t];
        }
        at += is_same ? piece.bytes : 0;
    }
}

/* Bytes of the mark that the text [bytes] begins with, 0 = none: ASCII's, general punctuation
 * (U+2000…203F), Chinese and Japanese (U+3000…303F), of full width. */
static size_t mark_bytes(const char *text, size_t bytes) {
    const unsigned char *c = (const unsigned char *)text;
    if (bytes > 0 && c[0] != '\0' && strchr(".,;:!?()[]{}\"'`*<>|/\\-_=+#~", text[0]) != NULL) {
        return 1;
    }
    if (bytes < 3) {
        return 0;
    }
    const bool is_wide = c[0] == 0xEF &&
        ((c[1] == 0xBC && (c[2] < 0x90 || (c[2] > 0x99 && c[2] < 0xA1) || c[2] > 0xBA)) ||
            (c[1] == 0xBD && (c[2] < 0x81 || (c[2] > 0x9A && c[2] < 0xA6))));
    return (c[0] == 0xE2 && c[1] == 0x80) || (c[0] == 0xE3 && c[1] == 0x80) || is_wide ? 3 : 0;
}

/* The part of [*begin, *end) without the marks around it. */
static void strip_marks(const char *text, size_t *begin, size_t *end) {
    size_t n;
    while ((n = mark_bytes(text + *begin, *end - *begin)) > 0) {
        *begin += n;
    }
    while (*end > *begin) {
        size_t at = *end - 1;
        while (at > *begin && (text[at] & 0xC0) == 0x80) {
            at--;
        }
        if (mark_bytes(text + at, *end - at) != *end - at) {
            return;
        }
        *end = at;
    }
}

/* The next word at or after *at, without the marks around it; its mass is that of all its bytes. */
static bool next_word(const drawn_text *d, size_t *at, rr_read_part *out) {
    size_t begin = *at;
    while (begin < d->bytes && (is_space(d->text[begin]) || (d->text[begin] & 0xC0) == 0x80)) {
        begin++;
    }
    if (begin == d->bytes) {
        return false;
    }
    size_t end = begin + 1;
    const bool alone = stands_alone(d->text[begin]);
    while (end < d->bytes && !is_space(d->text[end]) &&
        (alone ? (d->text[end] & 0xC0) == 0x80 : !stands_alone(d->text[end]))) {
        end++;
    }
    float mass = 0;
    for (size_t i = begin; i < end; i++) {
        mass += d->mass[i];
    }
    *at = end;
    strip_marks(d->text, &begin, &end);
    *out = (rr_read_part){(uint32_t)begin, (uint32_t)end, share_of(d, mass)};
    return true;
}

/* Keeps the words that drew most, by place. */
static void keep_word(rr_passage_read *read, rr_read_part word) {
    uint32_t least = 0;
    if (word.begin == word.end || !(word.share > 0)) {
        return;
    }
    if (read->n_words == RR_READ_WORDS) {
        for (uint32_t i = 1; i < read->n_words; i++) {
            least = read->words[i].share < read->words[least].share ? i : least;
        }
        if (read->words[least].share >= word.share) {
            return;
        }
        memmove(&read->words[least], &read->words[least + 1],
            (read->n_words - least - 1) * sizeof *read->words);
        read->n_words--;
    }
    read->words[read->n_words++] = word;
}

/* Words that drew clearly more than a word does on the average. */
static void find_words(const drawn_text *d, rr_passage_read *read) {
    rr_read_part word;
    size_t n = 0;
    for (size_t at = 0; next_word(d, &at, &word);) {
        n += word.end > word.begin;
    }
    for (size_t at = 0; next_word(d, &at, &word);) {
        if ((double)word.share * (double)n > MORE_THAN_AVERAGE) {
            keep_word(read, word);
        }
    }
}

/* The sentence of bytes [from, to) that drew most, where it drew more than the one that is
 * known. */
static void find_sentence(const drawn_text *d, size_t from, size_t to, rr_passage_read *read) {
    size_t at = 0, begin, end;
    while (rr_sentence_next(d->text + from, to - from, &at, &begin, &end)) {
        float mass = 0;
        for (size_t i = from + begin; i < from + end; i++) {
            mass += d->mass[i];
        }
        const float share = share_of(d, mass);
        if (share > read->sentence.share) {
            read->sentence =
                (rr_read_part){(uint32_t)(from + begin), (uint32_t)(from + end), share};
        }
    }
}

/* The prompt's own words, "Title: " in front of a title and " Content: " behind it, draw nothing
 * and are no part of a sentence. */
static void find_parts(const rr_passage *passage, drawn_text *d, rr_passage_read *read) {
    static const char before[] = "Title: ", behind[] = " Content: ";
    rr_buf title = {0};
    rr_clean_spaces(passage->title.data, passage->title.bytes, &title);
    size_t title_begin = 0, title_end = 0, begin = 0;
    if (title.bytes > 0) {
        title_begin = strlen(before) < d->bytes ? strlen(before) : d->bytes;
        title_end = title_begin + title.bytes < d->bytes ? title_begin + title.bytes : d->bytes;
        begin = title_end + strlen(behind) < d->bytes ? title_end + strlen(behind) : d->bytes;
    }
    rr_buf_destroy(&title);
    for (size_t i = 0; i < begin; i++) {
        d->mass[i] = i >= title_begin && i < title_end ? d->mass[i] : 0;
    }
    d->all = d->elsewhere;
    for (size_t i = 0; i < d->bytes; i++) {
        d->all += d->mass[i];
    }
    find_sentence(d, title_begin, title_end, read);
    find_sentence(d, begin, d->bytes, read);
    find_words(d, read);
}

static rr_status explain(
    read_state *s, const rr_tokens *tokens, const float *drawn, rr_diag *diag) {
    const rr_prompt_form form = {s->turn->model->style, s->turn->model->passage_chars};
    rr_status status = RR_OK;
    rr_buf text = {0};
    for (uint32_t i = 0; i < s->n && status == RR_OK; i++) {
        rr_buf_clear(&text);
        rr_prompt_passage(&form, &s->turn->call->query->passages[s->passages[i]], &text);
        drawn_text d = {.text = text.data != NULL ? text.data : "",
            .bytes = text.bytes,
            .mass = calloc(text.bytes + 1, sizeof *d.mass)};
        if (text.failed || d.mass == NULL) {
            status = out_of_memory(diag);
        } else {
            put_masses(s->turn->model->tokenizer, tokens->ids, drawn, s->places.passages[i], &d);
            find_parts(&s->turn->call->query->passages[s->passages[i]], &d, &s->reads[s->order[i]]);
        }
        free(d.mass);
    }
    rr_buf_destroy(&text);
    return status;
}

/* Reading */

/* Reads the prompt in `tokens`, whose parts are known; the first order also tells what drew
 * attention. */
static rr_status read_prompt(read_state *s, const rr_tokens *tokens, bool is_first, rr_diag *diag) {
    const rr_read_shape *shape = &s->readout->shape;
    rr_read_features features = {0};
    float *drawn = calloc(tokens->n + 1, sizeof *drawn);
    rr_status status =
        drawn == NULL ? out_of_memory(diag) : rr_read_features_make(shape, s->n, &features, diag);
    RR_TRY_GOTO(status);
    const rr_read_drawn wanted = {.factors = s->readout->draw, .drawn = drawn};
    const bool explains = is_first && shape->end_layer > shape->first_layer;
    RR_TRY_GOTO(rr_read_features_get(s->turn->model->session, tokens, &s->places, shape,
        explains ? &wanted : NULL, &features, diag));
    RR_TRY_GOTO(
        rr_readout_score(s->readout, &features, s->first_stage, s->scores, s->probabilities, diag));
    for (uint32_t i = 0; i < s->n; i++) {
        s->sums[s->order[i]] += s->scores[i];
    }
    if (explains) {
        RR_TRY_GOTO(explain(s, tokens, drawn, diag));
    }
fail:
    rr_read_features_destroy(&features);
    free(drawn);
    return status;
}

/* Builds, encodes and reads the window in order number `k`. */
static rr_status read_order(read_state *s, uint32_t k, rr_reply *reply, rr_diag *diag) {
    const rr_model_responder *model = s->turn->model;
    const rr_prompt_form form = {model->style, model->passage_chars};
    rr_prompt prompt = {0};
    rr_tokens tokens = {0};
    size_t room;
    set_order(s, k);
    rr_status status =
        rr_prompt_build(&form, s->turn->call->query, s->passages, s->n, &prompt, diag);
    RR_TRY_GOTO(status);
    RR_TRY_GOTO(rr_read_places_find(model->tokenizer, &prompt, &tokens, &s->places, diag));
    if (k == 0) {
        s->turn->timeline.n = 0;
        for (size_t i = 0; i < tokens.n; i++) {
            rr_tokens_push(&s->turn->timeline, tokens.ids[i]);
        }
        s->turn->n_prompt = tokens.n;
        RR_TRY_GOTO(rr_turn_room(s->turn, 0, 0, &room, diag));
    }
    const uint64_t start_ns = rr_time_ns();
    RR_TRY_GOTO(read_prompt(s, &tokens, k == 0, diag));
    reply->prompt_tokens += tokens.n;
    reply->reused_tokens += rr_session_n_reused(model->session);
    reply->shared_tokens += rr_session_n_shared(model->session);
    reply->prompt_ns += rr_time_ns() - start_ns;
fail:
    rr_prompt_destroy(&prompt);
    rr_tokens_destroy(&tokens);
    return status;
}

typedef struct placed {
    double score;
    uint32_t label;
} placed;

static int by_score(const void *left, const void *right) {
    const placed *a = left, *b = right;
    return a->score != b->score ? (a->score < b->score ? 1 : -1) : a->label < b->label ? -1 : 1;
}

/* The order as an answer that the model did not write. */
static rr_status write_answer(const read_state *s, rr_diag *diag) {
    placed ids[RR_READ_PASSAGES];
    rr_buf text = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        ids[i] = (placed){s->reads[i].score, i + 1};
    }
    qsort(ids, s->n, sizeof *ids, by_score);
    for (uint32_t i = 0; i < s->n; i++) {
        rr_buf_printf(&text, i == 0 ? "<answer> [%u" : "] > [%u", ids[i].label);
    }
    rr_buf_text(&text, "] </answer>");
    rr_buf_append(&text, "", 1);
    const rr_status status =
        text.failed ? out_of_memory(diag) : rr_turn_force(s->turn, text.data, diag);
    rr_buf_destroy(&text);
    return status;
}

rr_status rr_turn_read(rr_turn *turn, rr_reply *reply, rr_diag *diag) {
    const rr_model_responder *model = turn->model;
    const uint32_t n_orders = model->how.n_orders == 0 ? 1 : model->how.n_orders;
    if (turn->call->n > RR_READ_PASSAGES) {
        return rr_fail(diag, RR_E_INPUT,
            "a window of %u passages: at most %d can be read at once; make the window smaller",
            turn->call->n, RR_READ_PASSAGES);
    }
    read_state s = {.turn = turn, .readout = model->how.readout, .n = turn->call->n};
    s.reads = calloc(s.n, sizeof *s.reads);
    if (s.reads == NULL) {
        return out_of_memory(diag);
    }
    reply->reads = s.reads;
    for (uint32_t k = 0; k < n_orders; k++) {
        RR_TRY(read_order(&s, k, reply, diag));
    }
    for (uint32_t i = 0; i < s.n; i++) {
        s.reads[i].score = s.sums[i] / n_orders;
        s.reads[i].probability = rr_readout_probability(model->how.readout, s.reads[i].score);
    }
    return write_answer(&s, diag);
}
