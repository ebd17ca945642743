#include "runtime/base/memory.h"
#include "tests/check.h"

static void arithmetic_is_checked(void) {
    uint64_t out = 7;
    CHECK(!rr_add_u64(UINT64_MAX, 1, &out));
    CHECK(!rr_mul_u64(1ull << 32, 1ull << 32, &out));
    CHECK_INT(out, 7);
    CHECK(rr_add_u64(UINT64_MAX - 1, 1, &out));
    CHECK(out == UINT64_MAX);
    CHECK(rr_mul_u64(1ull << 31, 1ull << 32, &out));
    CHECK(out == 1ull << 63);
    CHECK(rr_round_up(0, 256) == 0 && rr_round_up(1, 256) == 256 && rr_round_up(256, 256) == 256);
    CHECK(rr_div_up(0, 8) == 0 && rr_div_up(8, 8) == 1 && rr_div_up(9, 8) == 2 &&
        rr_div_up(UINT32_MAX, 2) == 1u << 31);
}

static void arena_hands_out_zeroed_memory(void) {
    rr_arena arena = {0};
    size_t sum = 0;
    unsigned char *kept[200];
    for (size_t i = 0; i < 200; i++) {
        size_t n = i * i % 5000;
        kept[i] = rr_arena_alloc(&arena, n, 3);
        CHECK(kept[i] != NULL);
        CHECK_INT((uintptr_t)kept[i] % 16, 0);
        for (size_t b = 0; b < n * 3; b++) {
            if (kept[i][b] != 0) {
                CHECK_MSG(false, "byte %zu of allocation %zu is not zero", b, i);
                break;
            }
        }
        memset(kept[i], (int)i, n * 3);
        sum += n * 3;
    }
    for (size_t i = 0; i < 200; i++) { /* nobody wrote over anybody */
        size_t n = i * i % 5000 * 3;
        CHECK(n == 0 || (kept[i][0] == i && kept[i][n - 1] == i));
    }
    CHECK(arena.used_bytes >= sum);
    CHECK(rr_arena_alloc(&arena, SIZE_MAX, 2) == NULL);
    CHECK(rr_arena_alloc(&arena, SIZE_MAX, 1) == NULL);
    CHECK(rr_arena_copy(&arena, "x", SIZE_MAX) == NULL);
    CHECK_TEXT(rr_arena_copy(&arena, "abcdef", 3), "abc");
    CHECK_TEXT(rr_arena_copy(&arena, NULL, 0), "");
    rr_arena_destroy(&arena);
    CHECK(arena.head == NULL && arena.used_bytes == 0);
    rr_arena_destroy(&arena);
}

static void buffer_grows(void) {
    rr_buf buf = {0};
    for (int i = 0; i < 3000; i++) {
        rr_buf_printf(&buf, "%d,", i);
    }
    rr_buf_text(&buf, "end");
    rr_buf_append(&buf, "\0z", 2);
    CHECK(!buf.failed);
    CHECK_INT(buf.bytes, 10 * 2 + 90 * 3 + 900 * 4 + 2000 * 5 + 3 + 2);
    CHECK(strncmp(buf.data, "0,1,2,3,", 8) == 0);
    CHECK_TEXT(buf.data + buf.bytes - 10, "2999,end");
    CHECK_INT(buf.data[buf.bytes], 0);
    size_t capacity = buf.capacity;
    rr_buf_clear(&buf);
    CHECK(buf.bytes == 0 && buf.capacity == capacity);
    CHECK_TEXT(buf.data, "");
    rr_buf_append(&buf, NULL, 0);
    CHECK(!buf.failed && buf.bytes == 0);
    rr_buf_destroy(&buf);
    CHECK(buf.data == NULL);
    rr_buf_destroy(&buf);
}

/* Failure sticks: later writes are dropped and what was there stays. */
static void buffer_failure_sticks(void) {
    rr_buf buf = {0};
    rr_buf_text(&buf, "kept");
    rr_buf_append(&buf, "x", SIZE_MAX);
    CHECK(buf.failed);
    rr_buf_text(&buf, "dropped");
    rr_buf_printf(&buf, "%d", 1);
    CHECK_TEXT(buf.data, "kept");
    CHECK_INT(buf.bytes, 4);
    rr_buf_clear(&buf);
    rr_buf_text(&buf, "again");
    CHECK_TEXT(buf.data, "again");
    rr_buf_destroy(&buf);
}

static void tokens_grow(void) {
    rr_tokens tokens = {0};
    for (int32_t i = 0; i < 5000; i++) {
        rr_tokens_push(&tokens, i * 3);
    }
    int32_t more[] = {-1, INT32_MAX, INT32_MIN};
    rr_tokens_append(&tokens, more, 3);
    rr_tokens_append(&tokens, NULL, 0);
    CHECK_INT(tokens.n, 5003);
    for (int32_t i = 0; i < 5000; i++) {
        if (tokens.ids[i] != i * 3) {
            CHECK_INT(tokens.ids[i], i * 3);
        }
    }
    CHECK(memcmp(tokens.ids + 5000, more, sizeof more) == 0);
    rr_tokens_append(&tokens, more, SIZE_MAX / 4);
    CHECK(tokens.failed);
    rr_tokens_push(&tokens, 1);
    CHECK_INT(tokens.n, 5003);
    rr_tokens_destroy(&tokens);
    CHECK(tokens.ids == NULL && !tokens.failed);
}

int main(void) {
    arithmetic_is_checked();
    arena_hands_out_zeroed_memory();
    buffer_grows();
    buffer_failure_sticks();
    tokens_grow();
    return CHECK_END();
}
