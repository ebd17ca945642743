#include "runtime/model/bpe.h"

#include <stdlib.h>

enum { NO_SYMBOL = -1 };

/* The tokens of a piece as a doubly linked list; a merge keeps the left one. */
typedef struct rr_bpe_symbol {
    int32_t id;         /* -1 once it was merged into its left neighbour */
    int32_t prev, next; /* index or NO_SYMBOL */
} rr_bpe_symbol;

/* A pair that could be merged; stale when its symbols have changed since. */
typedef struct rr_bpe_candidate {
    uint32_t rank;
    int32_t at; /* index of the left symbol */
    const rr_bpe_merge *merge;
} rr_bpe_candidate;

static size_t slot_of(const rr_bpe *bpe, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9u;
    key = (key ^ (key >> 27)) * 0x94D049BB133111EBu;
    return (size_t)(key ^ (key >> 31)) & bpe->mask;
}

rr_status rr_bpe_init(rr_bpe *bpe, size_t n, rr_diag *diag) {
    size_t size = 16;
    while (size / 2 < n) {
        size *= 2;
    }
    bpe->table = malloc(size * sizeof *bpe->table);
    if (bpe->table == NULL) {
        return rr_fail(diag, RR_E_MEMORY, "out of memory for %zu merges", n);
    }
    for (size_t i = 0; i < size; i++) {
        bpe->table[i].left = -1;
    }
    bpe->mask = size - 1;
    return RR_OK;
}

void rr_bpe_destroy(rr_bpe *bpe) {
    free(bpe->table);
    bpe->table = NULL;
}

/* The slot that holds the pair, else the free slot where it belongs. */
static rr_bpe_merge *find(const rr_bpe *bpe, int32_t left, int32_t right) {
    size_t slot = slot_of(bpe, left, right);
    while (bpe->table[slot].left >= 0 &&
        (bpe->table[slot].left != left || bpe->table[slot].right != right)) {
        slot = (slot + 1) & bpe->mask;
    }
    return &bpe->table[slot];
}

void rr_bpe_add(rr_bpe *bpe, rr_bpe_merge merge) {
    rr_bpe_merge *slot = find(bpe, merge.left, merge.right);
    if (slot->left < 0) {
        *slot = merge;
    }
}

void rr_bpe_scratch_destroy(rr_bpe_scratch *scratch) {
    free(scratch->symbols);
    free(scratch->heap);
    *scratch = (rr_bpe_scratch){0};
}

static bool goes_before(const rr_bpe_candidate *a, const rr_bpe_candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

/* The heap has room for all pushes of a piece: n - 1 pairs at first, two new ones after each of n -
 * 1 merges at most. */
static void heap_push(rr_bpe_scratch *s, rr_bpe_candidate candidate) {
    size_t at = s->n_heap++;
    while (at > 0 && goes_before(&candidate, &s->heap[(at - 1) / 2])) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = candidate;
}

static rr_bpe_candidate heap_pop(rr_bpe_scratch *s) {
    rr_bpe_candidate top = s->heap[0];
    rr_bpe_candidate last = s->heap[--s->n_heap];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < s->n_heap && goes_before(&s->heap[child + 1], &s->heap[child])) {
            child++;
        }
        if (child >= s->n_heap || !goes_before(&s->heap[child], &last)) {
            break;
        }
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = last;
    return top;
}

/* Offers the pair that begins at symbol `at`, if there is one and it can be merged. */
static void offer(const rr_bpe *bpe, rr_bpe_scratch *s, int32_t at) {
    if (at == NO_SYMBOL || s->symbols[at].next == NO_SYMBOL) {
        return;
    }
    const rr_bpe_merge *merge = find(bpe, s->symbols[at].id, s->symbols[s->symbols[at].next].id);
    if (merge->left >= 0) {
        heap_push(s, (rr_bpe_candidate){merge->rank, at, merge});
    }
}

static rr_status reserve(rr_bpe_scratch *s, size_t n, rr_diag *diag) {
    if (n > s->n_symbols) {
        rr_bpe_scratch_destroy(s);
        size_t roomy = n < 64 ? 64 : n;
        s->symbols = malloc(roomy * sizeof *s->symbols);
        s->heap = malloc(3 * roomy * sizeof *s->heap);
        if (s->symbols == NULL || s->heap == NULL) {
            rr_bpe_scratch_destroy(s);
            return rr_fail(diag, RR_E_MEMORY, "out of memory for a piece of %zu bytes", n);
        }
        s->n_symbols = roomy;
    }
    return RR_OK;
}

rr_status rr_bpe_encode(const rr_bpe *bpe, rr_bpe_scratch *scratch, const char *piece, size_t bytes,
    rr_tokens *out, rr_diag *diag) {
    if (bytes > INT32_MAX) {
        return rr_fail(diag, RR_E_MEMORY, "a piece of %zu bytes is too long", bytes);
    }
    RR_TRY(reserve(scratch, bytes, diag));
    rr_bpe_symbol *symbols = scratch->symbols;
    int32_t n = (int32_t)bytes;
    for (int32_t i = 0; i < n; i++) {
        symbols[i] = (rr_bpe_symbol){
            bpe->byte_ids[(unsigned char)piece[i]], i - 1, i + 1 < n ? i + 1 : NO_SYMBOL};
    }
    scratch->n_heap = 0;
    for (int32_t i = 0; i + 1 < n; i++) {
        offer(bpe, scratch, i);
    }
    while (scratch->n_heap > 0) {
        rr_bpe_candidate best = heap_pop(scratch);
        rr_bpe_symbol *left = &symbols[best.at];
        if (left->id != best.merge->left || left->next == NO_SYMBOL ||
            symbols[left->next].id != best.merge->right) {
            continue; /* stale */
        }
        rr_bpe_symbol *right = &symbols[left->next];
        left->id = best.merge->merged;
        left->next = right->next;
        right->id = -1;
        if (left->next != NO_SYMBOL) {
            symbols[left->next].prev = best.at;
        }
        offer(bpe, scratch, left->prev);
        offer(bpe, scratch, best.at);
    }
    for (int32_t i = n > 0 ? 0 : NO_SYMBOL; i != NO_SYMBOL; i = symbols[i].next) {
        rr_tokens_push(out, symbols[i].id);
    }
    return out->failed
        ? rr_fail(diag, RR_E_MEMORY, "out of memory for the tokens of a piece of %zu bytes", bytes)
        : RR_OK;
}
