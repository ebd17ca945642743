/* Windows that are read without a model: a passage is as relevant as it holds words of the query,
 * and these words draw the attention. Owns: that responder (rr_made_reads), for tests of all that
 * stands behind a ranking. */
#ifndef RR_TESTS_MADE_READS_H
#define RR_TESTS_MADE_READS_H

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rerank/rerank.h"
#include "rerank/sentences.h"

/* Letters, digits and all that is no ASCII. */
static inline bool rr_made_is_word(char c) {
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The next word at or after *at. */
static inline bool rr_made_word(const char *text, size_t bytes, size_t *at, size_t *begin) {
    while (*at < bytes && !rr_made_is_word(text[*at])) {
        ++*at;
    }
    *begin = *at;
    while (*at < bytes && rr_made_is_word(text[*at])) {
        ++*at;
    }
    return *at > *begin;
}

/* How long the query's word is that this one is, but for case; 0 = it is none of them. Words of
 * three bytes and less do not count. */
static inline size_t rr_made_match(rr_text query, const char *word, size_t bytes) {
    size_t begin;
    for (size_t at = 0; rr_made_word(query.data, query.bytes, &at, &begin);) {
        bool same = at - begin == bytes && bytes > 3;
        for (size_t i = 0; i < bytes && same; i++) {
            same = tolower((unsigned char)query.data[begin + i]) == tolower((unsigned char)word[i]);
        }
        if (same) {
            return bytes;
        }
    }
    return 0;
}

static inline void rr_made_read(rr_text query, rr_text shown, rr_passage_read *out) {
    size_t begin, end, total = 0, best = 0;
    *out = (rr_passage_read){0};
    for (size_t at = 0;
         rr_made_word(shown.data, shown.bytes, &at, &begin) && out->n_words < RR_READ_WORDS;) {
        const size_t match = rr_made_match(query, shown.data + begin, at - begin);
        if (match > 0) {
            out->words[out->n_words++] =
                (rr_read_part){(uint32_t)begin, (uint32_t)at, (float)match};
            total += match;
        }
    }
    for (size_t at = 0; rr_sentence_next(shown.data, shown.bytes, &at, &begin, &end);) {
        size_t drawn = 0;
        for (uint32_t i = 0; i < out->n_words; i++) {
            drawn += out->words[i].begin >= begin && out->words[i].end <= end
                ? (size_t)out->words[i].share
                : 0;
        }
        if (drawn > best || out->sentence.end == 0) {
            out->sentence =
                (rr_read_part){(uint32_t)begin, (uint32_t)end, (float)drawn / (float)(total + 20)};
            best = drawn;
        }
    }
    for (uint32_t i = 0; i < out->n_words; i++) {
        out->words[i].share /= (float)(total + 20);
    }
    out->score = (double)total / 4.0 - 3.0;
    out->probability = 1.0 / (1.0 + exp(-out->score));
}

/* `user` is the rr_prompt_form of the ranking. */
static inline rr_status rr_made_reads(
    void *user, const rr_call *call, rr_reply *reply, rr_diag *diag) {
    rr_buf shown = {0};
    bool listed[RR_WINDOW_MAX] = {false};
    (void)diag;
    reply->reads = calloc(call->n, sizeof *reply->reads);
    for (uint32_t i = 0; i < call->n; i++) {
        rr_buf_clear(&shown);
        rr_prompt_passage(user, &call->query->passages[call->order[i]], &shown);
        rr_made_read(call->query->text,
            (rr_text){shown.data != NULL ? shown.data : "", shown.bytes}, &reply->reads[i]);
    }
    rr_buf_destroy(&shown);
    for (uint32_t rank = 0; rank < call->n; rank++) {
        uint32_t best = call->n;
        for (uint32_t i = 0; i < call->n; i++) {
            best =
                !listed[i] && (best == call->n || reply->reads[i].score > reply->reads[best].score)
                ? i
                : best;
        }
        listed[best] = true;
        rr_buf_printf(&reply->text, "%s[%u]", rank > 0 ? " > " : "", best + 1);
    }
    reply->prompt_tokens = 100 * call->n;
    reply->prompt_ns = 1500000000;
    return RR_OK;
}

#endif
