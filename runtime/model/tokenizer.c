#include "runtime/model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/model/bpe.h"
#include "runtime/model/normalize.h"
#include "runtime/model/pretokenize.h"
#include "runtime/model/vocabulary.h"

struct rr_tokenizer {
    rr_vocabulary vocabulary;
    rr_bpe bpe;
    rr_pretokenizer *pretokenizer;
    int32_t *specials; /* control and user tokens by first byte, longer ones first */
    size_t n_specials;
    size_t first[257]; /* specials that begin with byte b: [first[b], first[b + 1]) */
    int32_t im_start, im_end, end_of_text;
    int32_t stops[RR_SOURCE_MAX_STOPS]; /* further ones that end an answer */
    uint32_t n_stops;
};

/* Creation */

static rr_status find_byte_tokens(
    const rr_token_list *list, rr_tokenizer *tokenizer, rr_diag *diag) {
    for (int byte = 0; byte < 256; byte++) {
        char one = (char)byte;
        int32_t id = rr_vocabulary_find(&tokenizer->vocabulary, &one, 1);
        if (id < 0) {
            return rr_fail(diag, RR_E_INPUT,
                "%s: %s: no token for byte 0x%02X, so not every text could be encoded", list->label,
                list->tokens_label, (unsigned)byte);
        }
        tokenizer->bpe.byte_ids[byte] = id;
    }
    return RR_OK;
}

/* One line "left right". */
static bool read_merge(
    const rr_vocabulary *vocabulary, rr_text line, rr_buf *scratch, rr_bpe_merge *out) {
    const char *space = line.bytes > 1 ? memchr(line.data + 1, ' ', line.bytes - 1) : NULL;
    if (space == NULL) {
        return false;
    }
    size_t n_left = (size_t)(space - line.data);
    rr_buf_clear(scratch);
    if (!rr_vocabulary_decode((rr_text){line.data, n_left}, scratch)) {
        return false;
    }
    size_t left_bytes = scratch->bytes;
    if (!rr_vocabulary_decode((rr_text){space + 1, line.bytes - n_left - 1}, scratch) ||
        scratch->failed) {
        return false;
    }
    out->left = rr_vocabulary_find(vocabulary, scratch->data, left_bytes);
    out->right =
        rr_vocabulary_find(vocabulary, scratch->data + left_bytes, scratch->bytes - left_bytes);
    out->merged = rr_vocabulary_find(vocabulary, scratch->data, scratch->bytes);
    return out->left >= 0 && out->right >= 0 && out->merged >= 0;
}

static rr_status read_merges(const rr_token_list *list, rr_tokenizer *tokenizer, rr_diag *diag) {
    RR_TRY(rr_bpe_init(&tokenizer->bpe, list->n_merges, diag));
    rr_status status = RR_OK;
    rr_buf scratch = {0};
    for (uint32_t rank = 0; status == RR_OK && rank < list->n_merges; rank++) {
        rr_bpe_merge merge = {.rank = rank};
        if (read_merge(&tokenizer->vocabulary, list->merges[rank], &scratch, &merge)) {
            rr_bpe_add(&tokenizer->bpe, merge);
        } else {
            status = rr_fail(diag, RR_E_INPUT,
                "%s: %s: merge %u: found \"%s\", expected two tokens whose joined text "
                "is a token too",
                list->label, list->merges_label, rank, rr_text_show(list->merges[rank]).text);
        }
    }
    rr_buf_destroy(&scratch);
    return status;
}

typedef struct named_special {
    rr_text text;
    int32_t id;
} named_special;

static int compare_specials(const void *a, const void *b) {
    const named_special *left = a, *right = b;
    int by_byte = (unsigned char)left->text.data[0] - (unsigned char)right->text.data[0];
    if (by_byte != 0) {
        return by_byte;
    }
    if (left->text.bytes != right->text.bytes) {
        return left->text.bytes > right->text.bytes ? -1 : 1;
    }
    return left->id < right->id ? -1 : left->id > right->id;
}

static rr_status list_specials(rr_tokenizer *tokenizer, rr_diag *diag) {
    const rr_vocabulary *vocabulary = &tokenizer->vocabulary;
    named_special *found = calloc(vocabulary->n, sizeof *found);
    if (found == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the special tokens");
    }
    size_t n = 0;
    for (uint32_t id = 0; id < vocabulary->n; id++) {
        rr_text text = rr_vocabulary_text(vocabulary, id);
        if (rr_tokenizer_is_special(tokenizer, (int32_t)id) && text.bytes > 0) {
            found[n++] = (named_special){text, (int32_t)id};
        }
    }
    if (n > 0) {
        qsort(found, n, sizeof *found, compare_specials);
    }
    rr_status status = RR_OK;
    tokenizer->specials = calloc(n + 1, sizeof *tokenizer->specials);
    if (tokenizer->specials == NULL) {
        status = rr_fail(diag, RR_E_MEMORY, "out of memory for the special tokens");
    } else {
        for (size_t i = 0; i < n; i++) {
            tokenizer->specials[i] = found[i].id;
            tokenizer->first[(unsigned char)found[i].text.data[0] + 1]++;
        }
        for (size_t b = 1; b <= 256; b++) {
            tokenizer->first[b] += tokenizer->first[b - 1];
        }
        tokenizer->n_specials = n;
    }
    free(found);
    return status;
}

rr_status rr_tokenizer_create(const rr_source *source, rr_tokenizer **out, rr_diag *diag) {
    rr_status status = RR_OK;
    rr_token_list list = {0};
    rr_tokenizer *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for the tokenizer");
    }
    RR_TRY_GOTO(rr_source_tokens(source, &list, diag));
    RR_TRY_GOTO(rr_vocabulary_read(&list, &made->vocabulary, diag));
    RR_TRY_GOTO(find_byte_tokens(&list, made, diag));
    RR_TRY_GOTO(read_merges(&list, made, diag));
    RR_TRY_GOTO(list_specials(made, diag));
    RR_TRY_GOTO(rr_pretokenizer_create(&made->pretokenizer, diag));
    made->im_start = rr_tokenizer_special_id(made, "<|im_start|>");
    made->im_end = rr_tokenizer_special_id(made, "<|im_end|>");
    made->end_of_text = rr_tokenizer_special_id(made, "<|endoftext|>");
    memcpy(made->stops, list.stops, sizeof made->stops);
    made->n_stops = list.n_stops;
    *out = made;
    made = NULL;
fail:
    rr_token_list_destroy(&list);
    rr_tokenizer_destroy(&made);
    return status;
}

void rr_tokenizer_destroy(rr_tokenizer **tokenizer) {
    rr_tokenizer *dying = *tokenizer;
    if (dying != NULL) {
        rr_vocabulary_destroy(&dying->vocabulary);
        rr_bpe_destroy(&dying->bpe);
        rr_pretokenizer_destroy(&dying->pretokenizer);
        free(dying->specials);
        free(dying);
        *tokenizer = NULL;
    }
}

/* Encoding */

typedef struct encoding {
    const rr_tokenizer *tokenizer;
    rr_bpe_scratch scratch;
    rr_buf normal; /* the text in NFC */
    rr_tokens *out;
} encoding;

static rr_status encode_piece(void *user, const char *piece, size_t bytes, rr_diag *diag) {
    encoding *e = user;
    return rr_bpe_encode(&e->tokenizer->bpe, &e->scratch, piece, bytes, e->out, diag);
}

static rr_status encode_plain(encoding *e, const char *text, size_t bytes, rr_diag *diag) {
    if (bytes == 0) {
        return RR_OK;
    }
    rr_buf_clear(&e->normal);
    RR_TRY(rr_nfc_append(text, bytes, &e->normal, diag));
    return rr_pretokenize(
        e->tokenizer->pretokenizer, e->normal.data, e->normal.bytes, encode_piece, e, diag);
}

/* The longest special token at the beginning of `text`, -1 when there is none. */
static int32_t special_at(const rr_tokenizer *tokenizer, const char *text, size_t bytes) {
    unsigned char lead = (unsigned char)text[0];
    for (size_t i = tokenizer->first[lead]; i < tokenizer->first[lead + 1]; i++) {
        rr_text name = rr_vocabulary_text(&tokenizer->vocabulary, (uint32_t)tokenizer->specials[i]);
        if (name.bytes <= bytes && memcmp(name.data, text, name.bytes) == 0) {
            return tokenizer->specials[i];
        }
    }
    return -1;
}

static rr_status encode_mixed(encoding *e, const char *text, size_t bytes, rr_diag *diag) {
    size_t plain = 0;
    for (size_t at = 0; at < bytes;) {
        int32_t id = special_at(e->tokenizer, text + at, bytes - at);
        if (id < 0) {
            at++;
            continue;
        }
        RR_TRY(encode_plain(e, text + plain, at - plain, diag));
        rr_tokens_push(e->out, id);
        at += rr_vocabulary_text(&e->tokenizer->vocabulary, (uint32_t)id).bytes;
        plain = at;
    }
    RR_TRY(encode_plain(e, text + plain, bytes - plain, diag));
    return e->out->failed ? rr_fail(diag, RR_E_MEMORY, "out of memory for tokens") : RR_OK;
}

static rr_status encode(const rr_tokenizer *tokenizer, bool special, const char *text, size_t bytes,
    rr_tokens *out, rr_diag *diag) {
    encoding e = {.tokenizer = tokenizer, .out = out};
    size_t kept = out->n;
    rr_status status =
        special ? encode_mixed(&e, text, bytes, diag) : encode_plain(&e, text, bytes, diag);
    if (status != RR_OK) {
        out->n = kept;
    }
    rr_bpe_scratch_destroy(&e.scratch);
    rr_buf_destroy(&e.normal);
    return status;
}

rr_status rr_tokenizer_encode(
    const rr_tokenizer *tokenizer, const char *text, size_t bytes, rr_tokens *out, rr_diag *diag) {
    return encode(tokenizer, false, text, bytes, out, diag);
}

rr_status rr_tokenizer_encode_special(
    const rr_tokenizer *tokenizer, const char *text, size_t bytes, rr_tokens *out, rr_diag *diag) {
    return encode(tokenizer, true, text, bytes, out, diag);
}

/* Looking up */

rr_text rr_tokenizer_piece(const rr_tokenizer *tokenizer, int32_t id, bool special) {
    const rr_vocabulary *vocabulary = &tokenizer->vocabulary;
    bool shown = false;
    if (id >= 0 && (uint32_t)id < vocabulary->n) {
        rr_token_kind kind = vocabulary->kinds[id];
        shown = kind == RR_TOKEN_NORMAL || kind == RR_TOKEN_USER ||
            (kind == RR_TOKEN_CONTROL && special);
    }
    return shown ? rr_vocabulary_text(vocabulary, (uint32_t)id) : (rr_text){"", 0};
}

uint32_t rr_tokenizer_n_vocab(const rr_tokenizer *tokenizer) {
    return tokenizer->vocabulary.n;
}

bool rr_tokenizer_is_special(const rr_tokenizer *tokenizer, int32_t id) {
    if (id < 0 || (uint32_t)id >= tokenizer->vocabulary.n) {
        return false;
    }
    rr_token_kind kind = tokenizer->vocabulary.kinds[id];
    return kind == RR_TOKEN_CONTROL || kind == RR_TOKEN_USER;
}

int32_t rr_tokenizer_special_id(const rr_tokenizer *tokenizer, const char *text) {
    size_t bytes = strlen(text);
    int32_t id = bytes > 0 ? special_at(tokenizer, text, bytes) : -1;
    return id >= 0 && rr_vocabulary_text(&tokenizer->vocabulary, (uint32_t)id).bytes == bytes ? id
                                                                                              : -1;
}

int32_t rr_tokenizer_im_start(const rr_tokenizer *tokenizer) {
    return tokenizer->im_start;
}

int32_t rr_tokenizer_im_end(const rr_tokenizer *tokenizer) {
    return tokenizer->im_end;
}

int32_t rr_tokenizer_end_of_text(const rr_tokenizer *tokenizer) {
    return tokenizer->end_of_text;
}

bool rr_tokenizer_is_end(const rr_tokenizer *tokenizer, int32_t id) {
    if (id >= 0 && (id == tokenizer->im_end || id == tokenizer->end_of_text)) {
        return true;
    }
    for (uint32_t i = 0; i < tokenizer->n_stops; i++) {
        if (id == tokenizer->stops[i]) {
            return true;
        }
    }
    return false;
}
