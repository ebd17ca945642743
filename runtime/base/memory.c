#include "runtime/base/memory.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rr_arena_block {
    struct rr_arena_block *next;
    size_t used;
    size_t capacity;
    alignas(16) unsigned char data[];
};

void *rr_arena_alloc(rr_arena *arena, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2) {
        return NULL;
    }
    bytes = (bytes + 15) & ~(size_t)15;
    struct rr_arena_block *block = arena->head;
    if (block == NULL || block->capacity - block->used < bytes) {
        size_t capacity = bytes > 65536 ? bytes : 65536;
        block = calloc(1, sizeof *block + capacity);
        if (block == NULL) {
            return NULL;
        }
        block->capacity = capacity;
        block->next = arena->head;
        arena->head = block;
    }
    void *out = block->data + block->used;
    block->used += bytes;
    arena->used_bytes += bytes;
    return out;
}

char *rr_arena_copy(rr_arena *arena, const char *text, size_t bytes) {
    char *out = bytes < SIZE_MAX ? rr_arena_alloc(arena, bytes + 1, 1) : NULL;
    if (out != NULL && bytes > 0) {
        memcpy(out, text, bytes);
    }
    return out;
}

void rr_arena_take(rr_arena *to, rr_arena *from) {
    struct rr_arena_block **last = &from->head;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = to->head;
    to->head = from->head;
    to->used_bytes += from->used_bytes;
    *from = (rr_arena){0};
}

void rr_arena_destroy(rr_arena *arena) {
    struct rr_arena_block *block = arena->head;
    while (block != NULL) {
        struct rr_arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (rr_arena){0};
}

char *rr_text_copy(const char *text) {
    const size_t bytes = strlen(text) + 1;
    char *copy = malloc(bytes);
    return copy != NULL ? memcpy(copy, text, bytes) : NULL;
}

/* Makes room for `count` more items of `size` and one spare; false when memory is exhausted. */
static bool grow(void **data, size_t *capacity, size_t used, size_t count, size_t size) {
    if (count >= SIZE_MAX / 2 / size - used) {
        return false;
    }
    size_t need = used + count + 1;
    if (need <= *capacity) {
        return true;
    }
    size_t bigger = *capacity < 64 ? 64 : *capacity;
    while (bigger < need) {
        bigger += bigger / 2;
    }
    void *moved = realloc(*data, bigger * size);
    if (moved == NULL) {
        return false;
    }
    *data = moved;
    *capacity = bigger;
    return true;
}

void rr_buf_append(rr_buf *buf, const void *data, size_t bytes) {
    void *memory = buf->data;
    if (buf->failed || !grow(&memory, &buf->capacity, buf->bytes, bytes, 1)) {
        buf->failed = true;
        return;
    }
    buf->data = memory;
    if (bytes > 0) {
        memcpy(buf->data + buf->bytes, data, bytes);
    }
    buf->bytes += bytes;
    buf->data[buf->bytes] = '\0';
}

void rr_buf_text(rr_buf *buf, const char *text) {
    rr_buf_append(buf, text, strlen(text));
}

void rr_buf_printf(rr_buf *buf, const char *format, ...) {
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    void *memory = buf->data;
    if (need < 0 || buf->failed || !grow(&memory, &buf->capacity, buf->bytes, (size_t)need, 1)) {
        buf->failed = true;
    } else {
        buf->data = memory;
        vsnprintf(buf->data + buf->bytes, (size_t)need + 1, format, again);
        buf->bytes += (size_t)need;
    }
    va_end(again);
}

void rr_buf_clear(rr_buf *buf) {
    buf->bytes = 0;
    buf->failed = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

void rr_buf_destroy(rr_buf *buf) {
    free(buf->data);
    *buf = (rr_buf){0};
}

void rr_tokens_append(rr_tokens *tokens, const int32_t *ids, size_t n) {
    void *memory = tokens->ids;
    if (tokens->failed || !grow(&memory, &tokens->capacity, tokens->n, n, sizeof *ids)) {
        tokens->failed = true;
        return;
    }
    tokens->ids = memory;
    if (n > 0) {
        memcpy(tokens->ids + tokens->n, ids, n * sizeof *ids);
    }
    tokens->n += n;
}

void rr_tokens_push(rr_tokens *tokens, int32_t id) {
    rr_tokens_append(tokens, &id, 1);
}

void rr_tokens_destroy(rr_tokens *tokens) {
    free(tokens->ids);
    *tokens = (rr_tokens){0};
}
