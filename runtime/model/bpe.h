/* Byte-pair merging.
 * Owns: the table of merges and the merging of one piece. Knows neither text nor special tokens. */
#ifndef RR_MODEL_BPE_H
#define RR_MODEL_BPE_H

#include "runtime/base/memory.h"

/* A merge: the tokens `left` and `right` side by side become `merged`; lower ranks go first. */
typedef struct rr_bpe_merge {
    int32_t left, right, merged;
    uint32_t rank;
} rr_bpe_merge;

typedef struct rr_bpe {
    rr_bpe_merge *table; /* open addressing, [mask + 1]; left < 0 = free */
    size_t mask;
    int32_t byte_ids[256]; /* the token of each single byte; filled by the owner */
} rr_bpe;

/* Makes an empty table with room for `n` merges. Errors: RR_E_MEMORY. */
rr_status rr_bpe_init(rr_bpe *bpe, size_t n, rr_diag *diag);
void rr_bpe_destroy(rr_bpe *bpe); /* accepts a zeroed one */
/* Adds a merge, at most `n` in all; a pair that is already there keeps its first rank. */
void rr_bpe_add(rr_bpe *bpe, rr_bpe_merge merge);

/* What one caller needs while it merges pieces. Zero-initialise; reused from piece to piece. */
typedef struct rr_bpe_scratch {
    struct rr_bpe_symbol *symbols;
    size_t n_symbols; /* capacity */
    struct rr_bpe_candidate *heap;
    size_t n_heap;
} rr_bpe_scratch;
void rr_bpe_scratch_destroy(rr_bpe_scratch *scratch);

/* Appends the ids of a piece: always the pair of lowest rank first, of equal ones the leftmost,
 * until none is left. `bytes` < 2^31. Errors: RR_E_MEMORY. Thread safe with a scratch of one's own.
 * Cost: O(bytes log bytes). */
rr_status rr_bpe_encode(const rr_bpe *bpe, rr_bpe_scratch *scratch, const char *piece, size_t bytes,
    rr_tokens *out, rr_diag *diag);

#endif
