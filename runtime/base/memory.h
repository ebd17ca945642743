/* Host memory: checked arithmetic, an arena, and a growable byte buffer.
 * Owns: nothing global. All functions are thread compatible: one object, one thread at a time. */
#ifndef RR_BASE_MEMORY_H
#define RR_BASE_MEMORY_H

#include "runtime/base/status.h"

/* Checked arithmetic: false (and *out untouched) when the result does not fit. */
static inline bool rr_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    uint64_t result;
    if (__builtin_add_overflow(a, b, &result)) {
        return false;
    }
    *out = result;
    return true;
}
static inline bool rr_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    uint64_t result;
    if (__builtin_mul_overflow(a, b, &result)) {
        return false;
    }
    *out = result;
    return true;
}

/* Rounds up to a multiple of `to` (a power of two); the caller keeps value + to below 2^64. */
static inline uint64_t rr_round_up(uint64_t value, uint64_t to) {
    return (value + to - 1) & ~(to - 1);
}
static inline uint32_t rr_div_up(uint32_t value, uint32_t by) {
    return value / by + (value % by != 0);
}

/* Many small allocations that die together. Zero-initialise; memory comes back zeroed, aligned to
 * 16. */
typedef struct rr_arena {
    struct rr_arena_block *head;
    size_t used_bytes; /* bytes handed out, for statistics */
} rr_arena;

/* NULL when exhausted or overflow */
void *rr_arena_alloc(rr_arena *arena, size_t count, size_t size);
char *rr_arena_copy(rr_arena *arena, const char *text, size_t bytes); /* adds a final NUL */
/* what `from` holds now dies with `to`; `from` is empty then */
void rr_arena_take(rr_arena *to, rr_arena *from);
void rr_arena_destroy(rr_arena *arena); /* accepts a zeroed arena */

/* A copy of a text, to be freed with free(); NULL when memory is exhausted. */
char *rr_text_copy(const char *text);

/* A growable byte buffer, always NUL-terminated once it holds something. Zero-initialise.
 * A failed growth sets `failed` and drops later writes, so a writer checks once at its end. */
typedef struct rr_buf {
    char *data;
    size_t bytes; /* without the final NUL */
    size_t capacity;
    bool failed;
} rr_buf;

void rr_buf_append(rr_buf *buf, const void *data, size_t bytes);
void rr_buf_text(rr_buf *buf, const char *text);
void rr_buf_printf(rr_buf *buf, const char *format, ...) RR_PRINTF(2, 3);
void rr_buf_clear(rr_buf *buf); /* keeps the capacity */
void rr_buf_destroy(rr_buf *buf);

/* A growable list of token ids. Zero-initialise; same failure rule as rr_buf. */
typedef struct rr_tokens {
    int32_t *ids;
    size_t n;
    size_t capacity;
    bool failed;
} rr_tokens;

void rr_tokens_push(rr_tokens *tokens, int32_t id);
void rr_tokens_append(rr_tokens *tokens, const int32_t *ids, size_t n);
void rr_tokens_destroy(rr_tokens *tokens);

#endif
