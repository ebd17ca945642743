/* The token table of a byte-level BPE vocabulary.
 * Owns: the bytes and the kind of every token, and the alphabet in which files write bytes as
 * printable characters. */
#ifndef RR_MODEL_VOCABULARY_H
#define RR_MODEL_VOCABULARY_H

#include "runtime/base/memory.h"
#include "runtime/model/source.h"

typedef struct rr_vocabulary {
    char *bytes;       /* of all tokens, one after the other */
    uint32_t *offsets; /* [n + 1] */
    uint8_t *kinds;    /* [n], rr_token_kind */
    uint32_t n;
    int32_t *slots; /* hash table of normal tokens by their bytes, [mask + 1], -1 = free */
    size_t mask;
} rr_vocabulary;

/* Reads texts and kinds. Errors: RR_E_INPUT (no tokens), RR_E_MEMORY; `vocabulary` can then be
 * destroyed. */
rr_status rr_vocabulary_read(const rr_token_list *list, rr_vocabulary *vocabulary, rr_diag *diag);
void rr_vocabulary_destroy(rr_vocabulary *vocabulary); /* accepts a zeroed one */

rr_text rr_vocabulary_text(const rr_vocabulary *vocabulary, uint32_t id); /* id < n */
/* The normal token that stands for these bytes, -1 when there is none. */
int32_t rr_vocabulary_find(const rr_vocabulary *vocabulary, const char *bytes, size_t n);

/* Appends the bytes that `text` writes in the byte alphabet (GPT-2's: printable Latin-1 stands for
 * itself, the other bytes for U+0100 and up). false, with `out` unchanged, when `text` holds
 * another character. */
bool rr_vocabulary_decode(rr_text text, rr_buf *out);

#endif
